//! The days of groups: closed, given, refused; and closing one by hand.

use karo_protocol::answer::{AtomRow, AtomState, GroupClose};
use karo_protocol::local::{Reply, Request};
use serde_json::{Value, json};

use crate::connection::{ConnectionError, Patience};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::explain::prose::put_below;
use crate::ctl::grid::Cell;
use crate::ctl::scene::Scene;
use crate::ctl::table::{DIM, GREEN, RED, Surface, YELLOW};
use crate::ctl::{days, json, when};

pub(super) fn list(scene: &mut Scene, name: Option<String>) -> Result<Exit, Trouble> {
    let rows = ask(scene, &Request::GroupAtoms(name))?;
    if rows.is_empty() {
        scene.note("no day was closed or given yet; the first is closed on the morning after it");
        return Ok(Exit::NothingFound);
    }
    tell(scene, &rows)?;
    Ok(Exit::Done)
}

pub(super) fn close(scene: &mut Scene, group: Option<String>, day: &str) -> Result<Exit, Trouble> {
    let day = days::parse(day, scene.now()).map_err(|why| Trouble::usage(format!("--day: {why}")))?;
    let rows = ask(scene, &Request::GroupClose(GroupClose { group, day }))?;
    tell(scene, &rows)?;
    let is_closed = rows.iter().any(|row| row.day == day && row.state == AtomState::Closed);
    Ok(if is_closed { Exit::Done } else { Exit::Refused })
}

fn ask(scene: &Scene, request: &Request) -> Result<Vec<AtomRow>, Trouble> {
    let mut connection = scene.connect()?;
    // A day is closed with machines elsewhere, each of which has its own patience.
    connection.wait_for_answers(Patience::LONG);
    let Reply::Atoms(rows) = connection.ask(request)? else {
        return Err(ConnectionError::Unexpected("the days of groups").into());
    };
    Ok(rows)
}

fn tell(scene: &mut Scene, rows: &[AtomRow]) -> Result<(), Trouble> {
    if scene.is_json {
        return rows.iter().try_for_each(|row| json::write_line(&mut scene.out, &to_json(row)));
    }
    let text = table(&scene.surface(), rows);
    scene.out.write_all(text.as_bytes())?;
    Ok(())
}

fn to_json(row: &AtomRow) -> Value {
    json!({
        "group": row.group,
        "group_id": row.group_id.to_string(),
        "day": days::iso(row.day),
        "state": row.state.name(),
        "reason": row.reason.map(karo_protocol::atom::AtomReason::name),
        "given": row.is_given,
        "table": row.table.map(|table| table.to_string()),
        "fed_by": row.fed.0,
        "feeds": row.fed.1,
        "contributors": row.contributors,
        "aggregators": row.aggregators.as_ref().map(|(first, second)| [first, second]),
        "at": row.at.map(|at| when::rfc3339(at, 3)),
    })
}

fn table(surface: &Surface, rows: &[AtomRow]) -> String {
    let is_of_several = rows.iter().any(|row| row.group_id != rows[0].group_id);
    let line = |row: &AtomRow| {
        let mut cells = cells(row);
        if is_of_several {
            cells.insert(1, Cell::new(name(row)));
        }
        cells
    };
    let lines: Vec<Vec<Cell>> = rows.iter().map(line).collect();
    let mut names = vec!["DAY", "GROUP", "STATE", "PEOPLE", "OURS", "ADDED UP BY"];
    if !is_of_several {
        names.remove(1);
    }
    let mut text = surface.grid(&names, &lines);
    for row in rows {
        let day = days::iso(row.day);
        let lead = if is_of_several { format!("{day} {}: ", name(row)) } else { format!("{day}: ") };
        for note in notes(row) {
            put_below(
                &mut text,
                &super::safe(&lead),
                "  ",
                &note,
                Some(surface.columns.unwrap_or(super::COLUMNS)),
            );
        }
    }
    text
}

/// Returns what the group is called; the beginning of its id if it is none of ours any more.
fn name(row: &AtomRow) -> String {
    row.group.clone().unwrap_or_else(|| format!("{}...", &row.group_id.to_string()[..8]))
}

/// Says why a day is not closed or not given, and whose numbers are missing in ours.
fn notes(row: &AtomRow) -> Vec<String> {
    let (fed, feeds) = row.fed;
    let mut notes: Vec<String> = row.reason.iter().map(ToString::to_string).collect();
    if row.is_given && fed < feeds {
        notes.push(format!("numbers of {fed} of your {feeds} other machines are in it"));
    }
    notes
}

fn cells(row: &AtomRow) -> Vec<Cell> {
    let colour = match row.state {
        AtomState::Open => DIM,
        AtomState::Given => YELLOW,
        AtomState::Closed => GREEN,
        AtomState::Ended | AtomState::Refused => RED,
    };
    let pair = row.aggregators.as_ref().map(|(first, second)| format!("{first}, {second}"));
    vec![
        Cell::new(days::iso(row.day)),
        Cell::new(row.state.name()).in_colour(Some(colour)),
        Cell::maybe(row.contributors.map(|owners| owners.to_string())),
        Cell::new(if row.is_given { "given" } else { "not given" }),
        Cell::maybe(pair),
    ]
}
