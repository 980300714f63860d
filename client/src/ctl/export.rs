//! `karoctl export`: write events with everything that is known of them.

use std::borrow::Cow;
use std::fs::OpenOptions;
use std::io::{BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;

use karo_protocol::Event;
use karo_protocol::query::{Detail, Order, Query};

use super::cli::{ExportArgs, ExportFormat};
use super::exit::{Exit, Trouble};
use super::filter::filter;
use super::query::{Page, judge, stream};
use super::record::{COLUMNS, COLUMNS_MORE, Record};
use super::scene::{Scene, current_directory};
use super::{csv, json};

/// Runs the command.
///
/// # Errors
///
/// When there is no answer, or it cannot be written.
pub fn run(scene: &mut Scene, args: &ExportArgs) -> Result<Exit, Trouble> {
    let cwd = current_directory()?;
    let filter = filter(&[], &[], &args.filter, &scene.bearings(&cwd))?;
    let query =
        Query { filter, is_unique: false, limit: None, order: Order::OldestFirst, detail: Detail::Event };
    let mut connection = scene.connect()?;
    if let Some(path) = &args.output {
        // An export holds what the store holds, so no other user may read it, and none is overwritten.
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
        let file = file.map_err(|error| Trouble::file("make", path, &error))?;
        scene.out = Box::new(BufWriter::with_capacity(64 * 1024, file));
        scene.is_terminal = false;
    }
    let is_csv = args.format == ExportFormat::Csv && !scene.is_json;
    if is_csv {
        let names: Vec<_> = COLUMNS.iter().chain(&COLUMNS_MORE).map(|name| Cow::from(*name)).collect();
        csv::write_line(&mut scene.out, &names, false)?;
    }
    let is_terminal = scene.is_terminal;
    let end = stream(&mut connection, &query, |page| match page {
        Page::Events(events) => events.iter().try_for_each(|e| write(&mut scene.out, e, is_csv, is_terminal)),
        Page::Rows(_) => Ok(()),
    })?;
    scene.out.flush()?;
    Ok(judge(scene, &query.filter, &end))
}

fn write(out: &mut dyn Write, event: &Event, is_csv: bool, is_terminal: bool) -> Result<(), Trouble> {
    let record = Record::whole(event);
    match is_csv {
        true => csv::write_line(out, &record.columns(), is_terminal),
        false => json::write_line(out, &record),
    }
}
