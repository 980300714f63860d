//! `karoctl group`: who makes numbers together, from the first card to the closed day.
//!
//! | module | holds |
//! | --- | --- |
//! | [`mod@file`] | group files on disk |
//! | [`make`] | making and changing one |
//! | [`accept`] | what is new in one, and accepting it |
//! | [`show`] | what one says |
//! | [`atoms`] | days: closed, given, refused |

use std::path::Path;

use karo_protocol::answer::{GroupRow, GroupShown};
use karo_protocol::local::{Reply, Request};
use serde_json::{Value, json};

use super::cli::{GroupArgs, GroupCommand};
use super::exit::{Exit, Trouble};
use super::explain::prose::{put, put_below};
use super::grid::Cell;
use super::scene::Scene;
use super::shown::{Newline, shown};
use super::table::{DIM, GREEN, Surface, YELLOW};
use super::{json, when};
use crate::connection::{Connection, ConnectionError, Patience};

mod accept;
mod atoms;
mod file;
mod make;
mod show;

#[cfg(test)]
#[path = "group_tests.rs"]
mod tests;

/// What is fitted to where nobody says.
const COLUMNS: usize = 80;

/// Runs the command.
///
/// # Errors
///
/// When a file cannot be used, the daemon refuses, or the person does not agree.
pub fn run(scene: &mut Scene, args: &GroupArgs) -> Result<Exit, Trouble> {
    match &args.command {
        None | Some(GroupCommand::List) => list(scene),
        Some(GroupCommand::Card) => card(scene),
        Some(GroupCommand::Create(args)) => make::create(scene, args),
        Some(GroupCommand::Add(args)) => make::add(scene, args),
        Some(GroupCommand::Remove { file, member }) => make::remove(scene, file, member),
        Some(GroupCommand::Show { what }) => show::run(scene, what.as_deref()),
        Some(GroupCommand::Diff { what }) => accept::diff(scene, what),
        Some(GroupCommand::Accept { what, yes_if_id }) => accept::run(scene, what, yes_if_id.as_deref()),
        Some(GroupCommand::Leave { name, yes }) => accept::leave(scene, name, *yes),
        Some(GroupCommand::Atoms { name }) => atoms::list(scene, name.clone()),
        Some(GroupCommand::Close { name, day }) => atoms::close(scene, name.clone(), day),
    }
}

/// Returns a text that may come from anywhere, made safe for a terminal.
fn safe(text: &str) -> String {
    shown(text.as_bytes(), Newline::Arrow)
}

fn ask(connection: &mut Connection, request: &Request) -> Result<GroupShown, Trouble> {
    // A file of a thousand members is checked signature by signature.
    connection.wait_for_answers(Patience::LONG);
    let Reply::Group(found) = connection.ask(request)? else {
        return Err(ConnectionError::Unexpected("a group file").into());
    };
    Ok(*found)
}

/// Writes a sentence for a person below what was written, wrapped.
fn say(scene: &mut Scene, sentence: &str) -> Result<(), Trouble> {
    let mut text = String::new();
    put(&mut text, "", sentence, Some(scene.surface().columns.unwrap_or(COLUMNS)));
    scene.out.write_all(text.as_bytes())?;
    Ok(())
}

/// Asks about a file that is there, else about the group of that name.
fn look(connection: &mut Connection, what: &str) -> Result<GroupShown, Trouble> {
    let path = Path::new(what);
    // A name is one word, so what has a slash in it can only have been meant as a file.
    let request = match path.exists() || what.contains('/') {
        true => Request::GroupLook(file::read(path)?),
        false => Request::GroupShow(what.to_owned()),
    };
    ask(connection, &request)
}

fn card(scene: &mut Scene) -> Result<Exit, Trouble> {
    let Reply::Card(card) = scene.connect()?.ask(&Request::GroupCard(()))? else {
        return Err(ConnectionError::Unexpected("a card").into());
    };
    if scene.is_json {
        let line = json!({ "node_id": card.node.to_string(), "card": card.to_string() });
        json::write_line(&mut scene.out, &line)?;
    } else {
        writeln!(scene.out, "{card}")?;
    }
    Ok(Exit::Done)
}

fn groups(connection: &mut Connection) -> Result<Vec<GroupRow>, Trouble> {
    let Reply::Groups(rows) = connection.ask(&Request::Groups(()))? else {
        return Err(ConnectionError::Unexpected("the groups").into());
    };
    Ok(rows)
}

fn list(scene: &mut Scene) -> Result<Exit, Trouble> {
    let rows = groups(&mut scene.connect()?)?;
    if rows.is_empty() {
        scene.note("this machine is in no group; `karoctl group create` begins one");
        return Ok(Exit::NothingFound);
    }
    if scene.is_json {
        rows.iter().try_for_each(|row| json::write_line(&mut scene.out, &to_json(row)))?;
    } else {
        let text = table(&scene.surface(), &rows);
        scene.out.write_all(text.as_bytes())?;
    }
    Ok(Exit::Done)
}

fn to_json(row: &GroupRow) -> Value {
    json!({
        "name": row.name,
        "id": row.id.to_string(),
        "version": row.version,
        "accepted_at": row.accepted_at.map(|at| when::rfc3339(at, 3)),
        "offered_by": row.offered_by,
        "machines": row.members.0,
        "owners": row.members.1,
        "role": row.role,
        "aggregators": row.aggregators.as_ref().map(|(first, second)| [first, second]),
        "zone": row.zone,
        "smallest_cohort": row.smallest_cohort,
        "problems": row.problems,
    })
}

fn table(surface: &Surface, rows: &[GroupRow]) -> String {
    let cells: Vec<Vec<Cell>> = rows.iter().map(cells).collect();
    let names = ["NAME", "VERSION", "STATE", "PEOPLE", "HERE", "ADD UP TODAY"];
    let mut text = surface.grid(&names, &cells);
    for row in rows {
        for problem in &row.problems {
            let (start, name) = (text.len(), safe(&row.name));
            let width = Some(surface.columns.unwrap_or(COLUMNS));
            put_below(&mut text, &format!("{name}: "), "  ", &safe(problem), width);
            surface.paint(&mut text, start, &name, YELLOW);
        }
    }
    text
}

fn cells(row: &GroupRow) -> Vec<Cell> {
    let state = match (row.accepted_at, &row.offered_by) {
        (Some(_), _) => Cell::new("accepted").in_colour(Some(GREEN)),
        (None, Some(peer)) => Cell::new(format!("offered by {peer}")).in_colour(Some(YELLOW)),
        (None, None) => Cell::new("not accepted").in_colour(Some(DIM)),
    };
    let pair = row.aggregators.as_ref().map(|(first, second)| format!("{first}, {second}"));
    vec![
        Cell::new(&row.name),
        Cell::new(row.version.to_string()),
        state,
        Cell::new(format!("{} (at least {})", row.members.1, row.smallest_cohort)),
        Cell::new(&row.role),
        Cell::maybe(pair),
    ]
}
