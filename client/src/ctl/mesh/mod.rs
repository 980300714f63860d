//! `karoctl query --mesh`: what a group answers, and how the machines are.
//!
//! An answer about a group is in whole days, never about one person and never about fewer than five; what it does not
//! hold is said in it, and is in the exit code.

use std::collections::BTreeMap;

use karo_protocol::Timestamp;
use karo_protocol::answer::{MeshAnswer, MeshQuery, Question};
use karo_protocol::local::{Reply, Request};

use super::cli::{CompareWith, FilterArgs, Format, MeshQuestion, QueryArgs};
use super::exit::{Exit, Trouble};
use super::rules::ask;
use super::scene::Scene;
use super::{json, when};
use crate::connection::{Connection, ConnectionError, Patience};

mod answer;
mod health;
mod lines;
mod section;

#[cfg(test)]
#[path = "mesh_tests.rs"]
mod tests;

pub(super) use section::meaning;

/// Runs the command.
///
/// # Errors
///
/// When the options do not go together, or there is no answer.
pub fn run(scene: &mut Scene, question: MeshQuestion, args: &QueryArgs) -> Result<Exit, Trouble> {
    let format = if scene.is_json { Format::Json } else { args.format };
    if format == Format::Text {
        return Err(Trouble::usage("--format text is for commands; a group answers as table, json or csv"));
    }
    let question = match question {
        MeshQuestion::ToolUsage => Question::ToolUsage,
        MeshQuestion::SafetyPosture => Question::SafetyPosture,
        MeshQuestion::Activity => Question::Activity,
        MeshQuestion::Anomalies => Question::Anomalies,
        MeshQuestion::Health => return health::run(scene, args, format),
    };
    let query = query(scene, question, args)?;
    let mut connection = scene.connect()?;
    // Atoms that are not here are fetched from members, and decoding a year of them takes its time.
    connection.wait_for_answers(Patience::LONG);
    let Reply::Answer(answer) = connection.ask(&Request::MeshQuery(query))? else {
        return Err(ConnectionError::Unexpected("the answer of a group").into());
    };
    match format {
        Format::Json => json::write_line(&mut scene.out, &lines::to_json(&answer))?,
        Format::Csv => lines::write_csv(scene, &answer)?,
        Format::Table | Format::Text => {
            let titles = titles(&mut connection, &answer)?;
            let text = answer::text(&scene.surface(), &answer, &titles, args.mesh.who);
            scene.out.write_all(text.as_bytes())?;
        }
    }
    Ok(if is_covered(&answer) { Exit::Done } else { Exit::NotCovered })
}

fn query(scene: &Scene, question: Question, args: &QueryArgs) -> Result<MeshQuery, Trouble> {
    let FilterArgs { since, until, .. } = &args.filter;
    let since = moment(scene, "--since", since.as_deref())?;
    let until = moment(scene, "--until", until.as_deref())?;
    if let (Some(since), Some(until)) = (since, until)
        && since >= until
    {
        return Err(Trouble::usage("--since is not before --until, so no day lies between them"));
    }
    let compare = match args.mesh.compare {
        Some(CompareWith::Previous) => true,
        None => false,
    };
    Ok(MeshQuery { question, group: args.mesh.group.clone(), since, until, compare })
}

/// Reads a moment of an option.
///
/// # Errors
///
/// When it is none.
pub(super) fn moment(scene: &Scene, option: &str, text: Option<&str>) -> Result<Option<Timestamp>, Trouble> {
    let read =
        |text| when::parse(text, scene.now()).map_err(|why| Trouble::usage(format!("{option}: {why}")));
    text.map(read).transpose()
}

/// Tells whether each day that was asked for is in the answer.
fn is_covered(answer: &MeshAnswer) -> bool {
    let days = i64::from(answer.until_day) - i64::from(answer.since_day);
    i64::try_from(answer.covered.len()).is_ok_and(|covered| covered >= days)
}

/// Returns what the rules that an answer names are called here: ids say nothing to a person.
fn titles(connection: &mut Connection, answer: &MeshAnswer) -> Result<BTreeMap<String, String>, Trouble> {
    let is_named = answer.sections.iter().any(|section| section.name == "rules" && !section.rows.is_empty());
    if !is_named {
        return Ok(BTreeMap::new());
    }
    let found = ask::all(connection, &Request::Rules(()))?.rules;
    Ok(found.rules.into_iter().map(|rule| (rule.id, rule.title)).collect())
}
