//! `karoctl rules`: the rules that risk is decided by, and whether they can be used.
//!
//! | module | holds |
//! | --- | --- |
//! | [`files`] | rule files, from paths to what the daemon is asked |
//! | [`ask`] | what the daemon says of rules |
//! | [`mod@test`] | lines that a rule must match, and lines that it must not |

pub mod ask;
pub mod files;
pub mod test;

use std::path::PathBuf;

use karo_protocol::local::{RefusedRule, Request, Rule, RulesPage};
use karo_protocol::{Axis, Risk};
use serde::Serialize;
use serde_json::json;

use super::cli::RulesCommand;
use super::exit::{Exit, Trouble};
use super::json;
use super::scene::Scene;
use super::shown::{Newline, shown};

/// Runs the command.
///
/// # Errors
///
/// When a file cannot be read, or there is no answer.
pub fn run(scene: &mut Scene, command: &RulesCommand) -> Result<Exit, Trouble> {
    match command {
        RulesCommand::List => list(scene),
        RulesCommand::Check { files } => check(scene, files),
        RulesCommand::Test { file, lines } => test::run(scene, file, lines),
    }
}

/// One rule in JSON.
#[derive(Serialize)]
struct RuleLine<'a> {
    id: &'a str,
    title: &'a str,
    level: &'static str,
    axis: &'static str,
    tags: &'a [String],
    file: &'a str,
}

/// One rule that cannot be used, in JSON.
#[derive(Serialize)]
struct RefusedLine<'a> {
    file: &'a str,
    line: Option<u32>,
    id: Option<&'a str>,
    reason: &'a str,
}

fn list(scene: &mut Scene) -> Result<Exit, Trouble> {
    let found = ask::all(&mut scene.connect()?, &Request::Rules(()))?.rules;
    if scene.is_json {
        for rule in &found.rules {
            json::write_line(&mut scene.out, &RuleLine::new(rule))?;
        }
    } else {
        let text = scene.surface().rules(&found.rules);
        scene.out.write_all(text.as_bytes())?;
    }
    if !found.refused.is_empty() {
        let count = found.refused.len();
        scene.note(&format!("rules that cannot be used: {count}; `karoctl rules check` names them"));
    }
    Ok(if found.rules.is_empty() { Exit::NothingFound } else { Exit::Done })
}

impl<'a> RuleLine<'a> {
    fn new(rule: &'a Rule) -> Self {
        Self {
            id: &rule.id,
            title: &rule.title,
            level: Risk::name(rule.level),
            axis: Axis::name(rule.axis),
            tags: &rule.tags,
            file: &rule.file,
        }
    }
}

fn check(scene: &mut Scene, paths: &[PathBuf]) -> Result<Exit, Trouble> {
    let (found, deed) = match paths.is_empty() {
        true => (ask::all(&mut scene.connect()?, &Request::Rules(()))?.rules, "in use"),
        false => {
            let files = files::read(paths)?;
            (ask::files(&mut scene.connect()?, files)?, "can be used")
        }
    };
    write_refused(scene, &found)?;
    let (rules, refused) = (found.rules.len(), found.refused.len());
    if scene.is_json {
        json::write_line(&mut scene.out, &json!({ "usable": rules, "refused": refused }))?;
    } else {
        let things = if rules == 1 { "rule" } else { "rules" };
        writeln!(scene.out, "{rules} {things} {deed}, {refused} cannot be used")?;
    }
    match (rules, refused) {
        (0, 0) => Ok(Exit::NothingFound),
        (_, 0) => Ok(Exit::Done),
        (_, _) => Ok(Exit::Refused),
    }
}

/// Writes what cannot be used, a line each as compilers do, then what there is to say of the rest.
pub(super) fn write_refused(scene: &mut Scene, found: &RulesPage) -> Result<(), Trouble> {
    for refused in &found.refused {
        let RefusedRule { file, line, id, reason } = refused;
        if scene.is_json {
            let line = RefusedLine { file, line: *line, id: id.as_deref(), reason };
            json::write_line(&mut scene.out, &line)?;
            continue;
        }
        let line = line.map(|line| format!(":{line}")).unwrap_or_default();
        let id = id.as_ref().map(|id| format!("rule {id}: ")).unwrap_or_default();
        let text = format!("{file}{line}: {id}{reason}");
        writeln!(scene.out, "{}", shown(text.as_bytes(), Newline::Arrow))?;
    }
    for remark in &found.remarks {
        match scene.is_json {
            true => json::write_line(&mut scene.out, &json!({ "remark": remark }))?,
            false => writeln!(scene.out, "{}", shown(remark.as_bytes(), Newline::Arrow))?,
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "../rules_tests.rs"]
mod tests;
