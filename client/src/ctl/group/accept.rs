//! What is new in a group file, and the explicit act of accepting it: never without having seen it.

use std::collections::BTreeMap;

use karo_protocol::answer::GroupShown;
use karo_protocol::local::Request;

use super::show::{head, to_json};
use super::{COLUMNS, ask, look, safe};
use crate::connection::Connection;
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::explain::prose::put_below;
use crate::ctl::json;
use crate::ctl::rules::ask as rules;
use crate::ctl::scene::Scene;
use crate::ctl::table::Surface;

pub(super) fn diff(scene: &mut Scene, what: &str) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    let found = look(&mut connection, what)?;
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(&found))?;
    } else {
        let text = differences(&scene.surface(), &found, &titles(&mut connection, &found)?);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(if found.differences.is_empty() { Exit::NothingFound } else { Exit::Done })
}

/// Returns what the rules of a file are called here: ids say nothing to a person.
fn titles(connection: &mut Connection, found: &GroupShown) -> Result<BTreeMap<String, String>, Trouble> {
    if !found.differences.iter().any(|sentence| sentence.starts_with("The rule ")) {
        return Ok(BTreeMap::new());
    }
    let rules = rules::all(connection, &Request::Rules(()))?.rules.rules;
    Ok(rules.into_iter().map(|rule| (rule.id, rule.title)).collect())
}

/// Takes what is said alike of many tools, or of many rules, together: a person who is shown a hundred lines reads
/// none. What is said in any other way stays as it is, and nothing is left out.
fn gathered(differences: &[String], titles: &BTreeMap<String, String>) -> Vec<String> {
    let mut told: Vec<String> = Vec::new();
    let (mut tools, mut rules) = (Vec::new(), Vec::new());
    for difference in differences {
        match (named(difference, "The tool "), named(difference, "The rule ")) {
            (Some((tool, category)), _) => tools.push(format!("{} ({})", safe(tool), safe(category))),
            (None, Some((id, level))) => {
                let title = titles.get(id).map_or(id, String::as_str);
                rules.push(format!("{} ({})", safe(title), safe(level)));
            }
            (None, None) => told.push(safe(difference)),
        }
    }
    for (what, names) in [("tool", tools), ("rule", rules)] {
        match names.as_slice() {
            [] => {}
            [name] => told.push(format!("This {what} has a number of its own: {name}.")),
            [..] => told.push(format!("These {what}s have numbers of their own: {}.", names.join("; "))),
        }
    }
    told
}

/// Returns what a sentence names and what it is named as, if it says that this has a number of its own.
fn named<'a>(sentence: &'a str, beginning: &str) -> Option<(&'a str, &'a str)> {
    let rest = sentence.strip_prefix(beginning)?.strip_suffix(", has a number of its own.")?;
    rest.rsplit_once(", as ")
}

fn differences(surface: &Surface, found: &GroupShown, titles: &BTreeMap<String, String>) -> String {
    let mut text = head(surface, found);
    text.push('\n');
    if found.differences.is_empty() {
        text.push_str("nothing is new in it\n");
        return text;
    }
    text.push_str("What is new in it:\n");
    let width = Some(surface.columns.unwrap_or(COLUMNS));
    for difference in gathered(&found.differences, titles) {
        put_below(&mut text, "  - ", "    ", &difference, width);
    }
    text
}

pub(super) fn run(scene: &mut Scene, what: &str, yes_if_id: Option<&str>) -> Result<Exit, Trouble> {
    if yes_if_id.is_none() && !scene.has_person {
        return Err(Trouble::refused(
            "there is no terminal on which a person could see what is new; read it with `karoctl group diff`, and add \
             --yes-if-id with the id that it prints",
        ));
    }
    let mut connection = scene.connect()?;
    let found = look(&mut connection, what)?;
    // Whoever sees nothing new has nothing to agree to.
    if found.is_accepted {
        scene.note(&format!("{} is accepted already, as it is", safe(&found.file.name)));
        return done(scene, &found);
    }
    if let Some(why) = &found.refused_because {
        return Err(Trouble::refused(format!(
            "{} cannot be accepted here: {}",
            safe(&found.file.name),
            safe(why)
        )));
    }
    let titles = if yes_if_id.is_some() { BTreeMap::new() } else { titles(&mut connection, &found)? };
    agree(scene, &found, &titles, yes_if_id)?;
    // These very bytes were looked at; whatever is in the file or was offered by now is not meant.
    let accepted = ask(&mut scene.connect()?, &Request::GroupAccept(found.signed.clone()))?;
    done(scene, &accepted)
}

/// Shows what is new, and takes a yes to it: of the person, or the id of exactly this file.
fn agree(
    scene: &mut Scene,
    found: &GroupShown,
    titles: &BTreeMap<String, String>,
    yes_if_id: Option<&str>,
) -> Result<(), Trouble> {
    if let Some(id) = yes_if_id {
        let is_meant = id.trim().eq_ignore_ascii_case(&found.id.to_string());
        return match is_meant {
            true => Ok(()),
            false => Err(Trouble::refused(format!(
                "nothing was accepted: its id is {}, not {}; see what is new with `karoctl group diff`",
                found.id,
                safe(id)
            ))),
        };
    }
    let text = differences(&scene.surface(), found, titles);
    // With --json the answer is one object, and what a person reads stands beside it.
    if scene.is_json {
        eprint!("{text}");
    } else {
        scene.out.write_all(text.as_bytes())?;
    }
    match scene.confirm_seen("accept this file?")? {
        true => Ok(()),
        false => Err(Trouble::refused("nothing was accepted")),
    }
}

fn done(scene: &mut Scene, found: &GroupShown) -> Result<Exit, Trouble> {
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(found))?;
        return Ok(Exit::Done);
    }
    writeln!(scene.out, "{}, version {}, is accepted here", safe(&found.file.name), found.file.version)?;
    super::say(
        scene,
        "it gets nothing until `karoctl policy set groups on`; `karoctl group` shows how it stands",
    )?;
    Ok(Exit::Done)
}

pub(super) fn leave(scene: &mut Scene, name: &str, yes: bool) -> Result<Exit, Trouble> {
    let question = format!(
        "leave {}? nothing is given to it from now on; the days that were closed stay closed, with your part in them",
        safe(name)
    );
    if !yes && !scene.confirm_seen(&question)? {
        return Err(Trouble::refused("nothing was left"));
    }
    let left = ask(&mut scene.connect()?, &Request::GroupLeave(name.to_owned()))?;
    if scene.is_json {
        json::write_line(&mut scene.out, &to_json(&left))?;
    } else {
        writeln!(
            scene.out,
            "{} is left; the others see it when their next day has one person less",
            safe(&left.file.name)
        )?;
    }
    Ok(Exit::Done)
}
