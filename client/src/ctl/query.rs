//! `karoctl query`: find commands, or count them.

use std::borrow::Cow;

use karo_protocol::Timestamp;
use karo_protocol::local::{End, Reply, Request, Tallies};
use karo_protocol::query::{Count, CountBy, CountKey, Detail, Filter, LeftOut, Order, Query, Row, Tally};
use serde::Serialize;

use super::cli::{CountKeyArg, Format, QueryArgs};
use super::exit::{Exit, Trouble};
use super::filter::filter;
use super::record::{COLUMNS, Record};
use super::scene::{Scene, current_directory};
use super::shown::{Newline, shown};
use super::{csv, json, mesh, table, when};
use crate::connection::{Connection, ConnectionError};

/// Rows that one table is fitted to at once; longer answers are fitted block by block.
const BLOCK_ROWS_MAX: usize = 10_000;

/// Runs the command.
///
/// # Errors
///
/// When there is no answer.
pub fn run(scene: &mut Scene, args: &QueryArgs) -> Result<Exit, Trouble> {
    if let Some(question) = args.mesh.mesh {
        return mesh::run(scene, question, args);
    }
    let cwd = current_directory();
    let filter = filter(&args.words, &[], &args.filter, &scene.bearings(&cwd))?;
    let format = if scene.is_json { Format::Json } else { args.format };
    if let Some(by) = args.count_by {
        return count(scene, &filter, by.into(), args.limit, format);
    }
    let query = Query {
        filter,
        is_unique: args.unique,
        limit: (args.limit > 0).then_some(args.limit),
        order: if args.oldest_first { Order::OldestFirst } else { Order::NewestFirst },
        detail: match format {
            Format::Table | Format::Text => Detail::Row,
            Format::Json | Format::Csv => Detail::Event,
        },
    };
    let mut connection = scene.connect()?;
    let end = match format {
        Format::Table => write_table(scene, &mut connection, &query)?,
        Format::Text => write_text(scene, &mut connection, &query)?,
        Format::Json => stream(&mut connection, &query, |page| write_json(scene, page))?,
        Format::Csv => {
            csv::write_line(&mut scene.out, &COLUMNS.map(Cow::from), false)?;
            stream(&mut connection, &query, |page| write_csv(scene, page))?
        }
    };
    Ok(judge(scene, &query.filter, &end))
}

/// A part of an answer.
pub enum Page {
    /// Rows of a table.
    Rows(Vec<Row>),
    /// Whole events.
    Events(Vec<karo_protocol::Event>),
}

/// Asks, and hands each page of the answer on as it comes.
///
/// # Errors
///
/// When the answer breaks off, or a page cannot be handed on.
pub fn stream(
    connection: &mut Connection,
    query: &Query,
    mut hand_on: impl FnMut(Page) -> Result<(), Trouble>,
) -> Result<End, Trouble> {
    let id = connection.send(&Request::Query(query.clone()))?;
    loop {
        match (connection.receive(id)?, query.detail) {
            (Reply::Rows(rows), Detail::Row) => hand_on(Page::Rows(rows))?,
            (Reply::Events(events), Detail::Event) => hand_on(Page::Events(events))?,
            (Reply::End(end), _) => return Ok(end),
            (_, Detail::Row) => return Err(ConnectionError::Unexpected("a page of rows").into()),
            (_, Detail::Event) => return Err(ConnectionError::Unexpected("a page of events").into()),
        }
    }
}

fn write_table(scene: &mut Scene, connection: &mut Connection, query: &Query) -> Result<End, Trouble> {
    let surface = scene.surface();
    let mut waiting: Vec<Row> = Vec::new();
    let mut has_head = true;
    let end = stream(connection, query, |page| {
        if let Page::Rows(rows) = page {
            waiting.extend(rows);
        }
        if waiting.len() >= BLOCK_ROWS_MAX {
            let block = std::mem::take(&mut waiting);
            scene.out.write_all(surface.commands(&block, std::mem::take(&mut has_head)).as_bytes())?;
        }
        Ok(())
    })?;
    if !waiting.is_empty() {
        scene.out.write_all(surface.commands(&waiting, has_head).as_bytes())?;
    }
    Ok(end)
}

fn write_text(scene: &mut Scene, connection: &mut Connection, query: &Query) -> Result<End, Trouble> {
    stream(connection, query, |page| {
        let Page::Rows(rows) = page else { return Ok(()) };
        for row in rows {
            if scene.is_terminal {
                scene.out.write_all(shown(&row.command, Newline::Kept).as_bytes())?;
            } else {
                scene.out.write_all(&row.command)?;
            }
            scene.out.write_all(b"\n")?;
        }
        Ok(())
    })
}

fn write_json(scene: &mut Scene, page: Page) -> Result<(), Trouble> {
    let Page::Events(events) = page else { return Ok(()) };
    events.iter().try_for_each(|event| json::write_line(&mut scene.out, &Record::new(event)))
}

fn write_csv(scene: &mut Scene, page: Page) -> Result<(), Trouble> {
    let Page::Events(events) = page else { return Ok(()) };
    events.iter().try_for_each(|event| {
        csv::write_line(&mut scene.out, &Record::new(event).columns(), scene.is_terminal)
    })
}

/// Says what the answer lacks, and returns the code for it.
pub fn judge(scene: &Scene, filter: &Filter, end: &End) -> Exit {
    if end.unreadable > 0 {
        scene.note(&format!(
            "{} matching events could not be read back; run `karoctl store verify`",
            end.unreadable
        ));
        return Exit::Damaged;
    }
    match uncovered(scene, filter, end.partial_since) {
        true => Exit::NotCovered,
        false if end.count == 0 => Exit::NothingFound,
        false => Exit::Done,
    }
}

/// Tells whether a part of the asked range was not searched, and says so.
fn uncovered(scene: &Scene, filter: &Filter, partial_since: Option<Timestamp>) -> bool {
    let Some(from) = partial_since else { return false };
    if filter.since.is_some_and(|since| since >= from) {
        return false;
    }
    let from = when::long(from, scene.now().time_zone());
    scene.note(&format!(
        "the daemon has not loaded everything yet: the answer covers what started at or after {from}; ask again in a moment"
    ));
    true
}

impl From<CountKeyArg> for CountBy {
    fn from(key: CountKeyArg) -> Self {
        match key {
            CountKeyArg::Category => Self::Category,
            CountKeyArg::Tool => Self::Tool,
            CountKeyArg::Hour => Self::Hour,
            CountKeyArg::Weekday => Self::Weekday,
            CountKeyArg::Day => Self::Day,
            CountKeyArg::Cwd => Self::Cwd,
            CountKeyArg::Exit => Self::Exit,
            CountKeyArg::Host => Self::Host,
            CountKeyArg::Risk => Self::Risk,
        }
    }
}

fn count(
    scene: &mut Scene,
    filter: &Filter,
    by: CountBy,
    limit: u32,
    format: Format,
) -> Result<Exit, Trouble> {
    let mut tallied = tallies(scene, &mut scene.connect()?, filter.clone(), Some(by))?;
    let left_out = tallied.left_out;
    let total = tallied.tallies.iter().map(|tally| tally.count).sum::<u64>() + left_out.count;
    let hidden = rank(&mut tallied.tallies, by, limit);
    if total > 0 {
        write_counts(scene, &tallied.tallies, by, total, format)?;
    }
    if let Some(note) = not_shown(hidden, left_out) {
        scene.note(&note);
    }
    match uncovered(scene, filter, tallied.partial_since) {
        true => Ok(Exit::NotCovered),
        false if total == 0 => Ok(Exit::NothingFound),
        false => Ok(Exit::Done),
    }
}

/// Says what is not shown of many counts, if anything is.
fn not_shown(hidden: usize, left_out: LeftOut) -> Option<String> {
    let LeftOut { keys, count, .. } = left_out;
    let narrower = "ask for a shorter time, or with more words";
    match (hidden, keys) {
        (0, 0) => None,
        (_, 0) => Some(format!("{hidden} more with fewer; --limit 0 shows all")),
        (0, _) => Some(format!("{keys} more with fewer do not fit an answer, {count} in all; {narrower}")),
        (_, _) => Some(format!(
            "{hidden} more with fewer, which --limit 0 shows, and {keys} that do not fit an answer, {count} in all; \
             {narrower}"
        )),
    }
}

/// Asks for counts in the user's zone.
///
/// # Errors
///
/// When there is no answer.
pub fn tallies(
    scene: &Scene,
    connection: &mut Connection,
    filter: Filter,
    by: Option<CountBy>,
) -> Result<Tallies, Trouble> {
    let since = filter.since.unwrap_or_default();
    let until = filter.until.unwrap_or_else(|| when::from_jiff(scene.now().timestamp()));
    let zone = when::zone_between(scene.now().time_zone(), since, until);
    let Reply::Tallies(tallies) = connection.ask(&Request::Count(Count { filter, by, zone }))? else {
        return Err(ConnectionError::Unexpected("counts").into());
    };
    Ok(tallies)
}

/// Puts names with the greatest count first and keeps so many; what has an order of its own keeps it.
/// Returns how many are left out.
fn rank(tallies: &mut Vec<Tally>, by: CountBy, limit: u32) -> usize {
    match by {
        CountBy::Hour | CountBy::Weekday | CountBy::Day => 0,
        // Levels have an order of their own too, and the gravest of them is looked for first.
        CountBy::Risk => {
            tallies.reverse();
            0
        }
        CountBy::Category | CountBy::Tool | CountBy::Cwd | CountBy::Exit | CountBy::Host => {
            tallies.sort_by_key(|tally| std::cmp::Reverse(tally.count));
            let kept = if limit == 0 { tallies.len() } else { limit as usize };
            let hidden = tallies.len().saturating_sub(kept);
            tallies.truncate(kept);
            hidden
        }
    }
}

/// One line of counts in JSON.
#[derive(Serialize)]
struct CountLine<'a> {
    by: &'static str,
    key: Key<'a>,
    count: u64,
    failed: u64,
}

/// Hours and statuses are numbers, unknown is null, all else is a name.
#[derive(Serialize)]
#[serde(untagged)]
enum Key<'a> {
    Name(Cow<'a, str>),
    Number(Option<i64>),
}

fn key(key: &CountKey) -> Key<'_> {
    match key {
        CountKey::Hour(hour) => Key::Number(Some(i64::from(*hour))),
        CountKey::Exit(status) => Key::Number(status.map(i64::from)),
        CountKey::Text(text) => Key::Name(String::from_utf8_lossy(text)),
        CountKey::All
        | CountKey::Category(_)
        | CountKey::Weekday(_)
        | CountKey::Day(_)
        | CountKey::Risk(_) => Key::Name(table::key_name(key).into()),
    }
}

fn write_counts(
    scene: &mut Scene,
    tallies: &[Tally],
    by: CountBy,
    total: u64,
    format: Format,
) -> Result<(), Trouble> {
    match format {
        Format::Table => {
            let text = scene.surface().counts(tallies, total);
            scene.out.write_all(text.as_bytes())?;
        }
        Format::Json => {
            for Tally { key: found, count, failed } in tallies {
                let line = CountLine { by: by.name(), key: key(found), count: *count, failed: *failed };
                json::write_line(&mut scene.out, &line)?;
            }
        }
        Format::Csv | Format::Text => {
            if format == Format::Csv {
                csv::write_line(&mut scene.out, &[by.name(), "count", "failed"].map(Cow::from), false)?;
            }
            for tally in tallies {
                let name = Cow::from(table::key_name(&tally.key));
                let fields = [name, tally.count.to_string().into(), tally.failed.to_string().into()];
                if format == Format::Csv {
                    csv::write_line(&mut scene.out, &fields, scene.is_terminal)?;
                } else {
                    let name = shown(fields[0].as_bytes(), Newline::Arrow);
                    writeln!(scene.out, "{}\t{}\t{name}", fields[1], fields[2])?;
                }
            }
        }
    }
    Ok(())
}

#[cfg(test)]
#[path = "query_tests.rs"]
mod tests;
