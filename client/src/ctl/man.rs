//! `karoctl man` and `karoctl completions`: from the one definition of the command line.

use std::fs;
use std::path::Path;

use clap_mangen::Man;
use serde_json::json;

use super::cli::command;
use super::exit::{self, Exit, Trouble};
use super::json;
use super::scene::Scene;

/// What else the first page says, as roff: `.TP` for each.
const FILES: &[(&str, &str)] = &[
    ("$XDG_CONFIG_HOME/karo/config.toml", "configuration; KARO_CONFIG overrides"),
    ("$XDG_DATA_HOME/karo/", "log, views and keys; KARO_DATA_DIR overrides"),
    (
        "/run/user/UID/karo/spool/, $XDG_STATE_HOME/karo/spool/",
        "records that wait for the daemon; KARO_SPOOL_DIR overrides",
    ),
    (
        "/run/user/UID/karo/karod.sock, $XDG_STATE_HOME/karo/run/karod.sock",
        "socket of the daemon; KARO_SOCKET overrides",
    ),
];

/// Writes the man pages into a directory, or the first of them to the output.
///
/// # Errors
///
/// When they cannot be written.
pub fn run(scene: &mut Scene, directory: Option<&Path>) -> Result<Exit, Trouble> {
    let Some(directory) = directory else {
        let page = first_page()?;
        if scene.is_json {
            json::write_line(&mut scene.out, &json!({ "man": String::from_utf8_lossy(&page) }))?;
        } else {
            scene.out.write_all(&page)?;
        }
        return Ok(Exit::Done);
    };
    let failed = |error: std::io::Error| Trouble::file("write man pages to", directory, &error);
    fs::create_dir_all(directory).map_err(failed)?;
    clap_mangen::generate_to(command(), directory).map_err(failed)?;
    fs::write(directory.join("karoctl.1"), first_page()?).map_err(failed)?;
    if scene.is_json {
        json::write_line(&mut scene.out, &json!({ "directory": directory.to_string_lossy() }))?;
    } else {
        writeln!(scene.out, "man pages are in {}", directory.display())?;
    }
    Ok(Exit::Done)
}

fn first_page() -> Result<Vec<u8>, Trouble> {
    // The tables of codes are sections of their own here, so the help's text of them is left out.
    let command = command().after_help(None::<&str>).after_long_help(None::<&str>);
    let man = Man::new(command);
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    man.render_options_section(&mut page)?;
    man.render_subcommands_section(&mut page)?;
    page.extend(section("EXIT STATUS", exit::codes().map(|(code, meaning)| (code.to_string(), meaning))));
    page.extend(section(
        "EXIT STATUS OF KAROD",
        exit::karod_codes().map(|(code, meaning)| (code.to_string(), meaning)),
    ));
    page.extend(section("FILES", FILES.iter().map(|(path, meaning)| ((*path).to_owned(), *meaning))));
    Ok(page)
}

fn section<'a>(title: &str, entries: impl Iterator<Item = (String, &'a str)>) -> Vec<u8> {
    let mut text = format!(".SH \"{title}\"\n");
    for (term, meaning) in entries {
        text.push_str(&format!(".TP\n\\fB{}\\fR\n{}\n", roff(&term), roff(meaning)));
    }
    text.into_bytes()
}

fn roff(text: &str) -> String {
    text.replace('\\', "\\e").replace('-', "\\-")
}

/// Writes completions for a shell to the output.
///
/// # Errors
///
/// When they cannot be written.
pub fn completions(scene: &mut Scene, shell: clap_complete::Shell) -> Result<Exit, Trouble> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "karoctl", &mut script);
    if scene.is_json {
        json::write_line(&mut scene.out, &json!({ "script": String::from_utf8_lossy(&script) }))?;
    } else {
        scene.out.write_all(&script)?;
    }
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_has_no_contradictions() {
        command().debug_assert();
    }

    #[test]
    fn the_man_page_lists_every_command_and_code() {
        let page = String::from_utf8(first_page().expect("memory takes it")).expect("it is text");
        for command in command().get_subcommands() {
            assert!(page.contains(&format!("karoctl\\-{}(1)", command.get_name())), "{}", command.get_name());
        }
        for part in ["EXIT STATUS OF KAROD", "\\fB74\\fR", "\\fB70\\fR", "/run/user/UID/karo/karod.sock"] {
            assert!(page.contains(part), "{part}");
        }
    }
}
