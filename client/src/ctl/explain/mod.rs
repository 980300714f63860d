//! `karoctl explain`: what is understood of a line, with the reasons; nothing of it is stored.
//!
//! | module | holds |
//! | --- | --- |
//! | [`asker`] | lines on their way to the daemon, explanations on their way back |
//! | [`input`] | lines from arguments and standard input, of any length |
//! | [`jsonl`] | JSON Lines in and out, for programs |
//! | [`text`], [`runs`], [`prose`] | one explanation for eyes |
//! | [`object`] | the same as one JSON object |

pub mod asker;
pub mod input;
pub mod jsonl;
pub mod object;
pub mod prose;
pub mod runs;
pub mod text;

use std::io::{IsTerminal, Read, stdin};
use std::os::unix::ffi::OsStrExt;

use karo_protocol::explain::Explanation;
use karo_protocol::{Bytes, RawCommand};

use self::asker::Asker;
use self::input::{Input, Line};
use super::cli::ExplainArgs;
use super::exit::{Exit, Trouble};
use super::filter;
use super::json;
use super::scene::{Scene, current_directory};
use crate::connection::Patience;

/// Runs the command.
///
/// # Errors
///
/// When there is nothing to explain, no answer, or the answer cannot be written.
pub fn run(scene: &mut Scene, args: &ExplainArgs) -> Result<Exit, Trouble> {
    let current = current_directory();
    let cwd = match (&args.cwd, &current) {
        (Some(named), _) => Bytes(filter::resolved(named, &scene.bearings(&current))?),
        // What a program asks about was typed somewhere else.
        (None, Some(current)) if !args.jsonl => Bytes::from(current.as_os_str().as_bytes()),
        (None, _) => Bytes::default(),
    };
    if args.jsonl {
        return jsonl::run(scene, stdin(), cwd);
    }
    let is_input = args.lines.is_empty() || args.lines.iter().any(|line| line == "-");
    if is_input && args.lines.len() > 1 {
        return Err(Trouble::usage("`-` reads lines from standard input, so it stands alone"));
    }
    if args.lines.is_empty() && stdin().is_terminal() {
        return Err(Trouble::usage(
            "give a command line in quotes, `karoctl explain 'sudo rm -rf /tmp/x'`, or `-` to type lines",
        ));
    }
    match is_input {
        true => explain_input(scene, stdin(), cwd),
        false => explain(scene, args.lines.iter().map(|line| line.as_bytes().to_vec()), cwd),
    }
}

fn explain(scene: &mut Scene, lines: impl Iterator<Item = Vec<u8>>, cwd: Bytes) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    let mut asker = Asker::new(&mut connection, cwd);
    let mut page = Page::default();
    for line in lines {
        asker.push(RawCommand::new(line), (), &mut |(), explanation| page.write(scene, &explanation))?;
    }
    asker.finish(&mut |(), explanation| page.write(scene, &explanation))?;
    Ok(Exit::Done)
}

/// Explains each line of an input as soon as it is there.
fn explain_input(scene: &mut Scene, input: impl Read, cwd: Bytes) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(Patience::LONG);
    let mut asker = Asker::new(&mut connection, cwd);
    let mut input = Input::new(input);
    let mut page = Page::default();
    let mut count = 0_u64;
    while let Some(line) = input.line()? {
        let Line { text, is_cut, .. } = line;
        if !text.trim_ascii().is_empty() {
            count += 1;
            let line = RawCommand::with_flag(text, is_cut);
            asker.push(line, (), &mut |(), explanation| page.write(scene, &explanation))?;
        }
        if !input.has_more() {
            asker.finish(&mut |(), explanation| page.write(scene, &explanation))?;
            scene.out.flush()?;
        }
    }
    asker.finish(&mut |(), explanation| page.write(scene, &explanation))?;
    Ok(if count == 0 { Exit::NothingFound } else { Exit::Done })
}

/// Explanations one below the other.
#[derive(Default)]
struct Page {
    has_begun: bool,
}

impl Page {
    fn write(&mut self, scene: &mut Scene, explanation: &Explanation) -> Result<(), Trouble> {
        if scene.is_json {
            return json::write_line(&mut scene.out, &object::Object::new(explanation));
        }
        if std::mem::replace(&mut self.has_begun, true) {
            scene.out.write_all(b"\n")?;
        }
        let text = text::text(explanation, &scene.surface());
        scene.out.write_all(text.as_bytes())?;
        Ok(())
    }
}

#[cfg(test)]
#[path = "../explain_tests.rs"]
mod tests;
