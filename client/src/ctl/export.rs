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
    let cwd = current_directory();
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

#[cfg(test)]
mod tests {
    use karo_protocol::local::{End, Reply, Request};

    use super::*;
    use crate::ctl::cli::FilterArgs;
    use crate::ctl::samples::{full_event, scene};
    use crate::fake::{FakeDaemon, private_directory};

    #[test]
    fn an_export_has_everything_and_is_for_its_owner() {
        let directory = private_directory();
        let path = directory.path().join("all.jsonl");
        let (_, exit) = run_export(ExportFormat::Json, Some(path.clone()));
        assert_eq!(exit, Ok(Exit::Done));
        let line = std::fs::read_to_string(&path).expect("it was written");
        let more = line.split_once("\"lossy\":true,").expect("the documented fields come first").1;
        assert_eq!(
            more,
            "\"axis\":\"exposure\",\"started_us\":1793617140123456,\"duration_us\":1234567,\"precision_us\":1,\
             \"command_b64\":\"Y3VybCAtSCBbcmVkYWN0ZWQ6dG9rZW5dIP8gfCB3Yw==\",\"cwd_b64\":\"L3RtcC/+\",\
             \"cwd_truncated\":false,\"tty\":\"pts/3\",\"ssh\":true,\"parent\":\"tmux\",\"pid\":77,\
             \"pid_start\":123456,\"pid_ns\":4026531836,\"boot_id\":\"abababab-abab-abab-abab-abababababab\",\
             \"categories\":[\"text\",\"network\"],\"rules_version\":1}\n"
        );
        let metadata = std::fs::metadata(&path).expect("it is there");
        assert_eq!(std::os::unix::fs::MetadataExt::mode(&metadata) & 0o777, 0o600);
    }

    #[test]
    fn csv_has_a_name_for_each_field() {
        let (text, _) = run_export(ExportFormat::Csv, None);
        let lines: Vec<&str> = text.lines().collect();
        let fields = |line: &str| line.split(',').count();
        assert_eq!(fields(lines[0]), COLUMNS.len() + COLUMNS_MORE.len());
        assert_eq!(fields(lines[1]), fields(lines[0]));
    }

    #[test]
    fn no_file_is_overwritten() {
        let directory = private_directory();
        let path = directory.path().join("all.jsonl");
        std::fs::write(&path, "precious").expect("there is room");
        let daemon = FakeDaemon::serve(|session| session.until_closed());
        let (mut scene, _) = scene(&daemon);
        let args =
            ExportArgs { filter: FilterArgs::default(), format: ExportFormat::Json, output: Some(path) };
        assert_eq!(run(&mut scene, &args).map_err(|trouble| trouble.exit), Err(Exit::Refused));
    }

    fn run_export(
        format: ExportFormat,
        output: Option<std::path::PathBuf>,
    ) -> (String, Result<Exit, Trouble>) {
        let daemon = FakeDaemon::serve(|session| {
            let (id, request) = session.request();
            let Request::Query(query) = request else { panic!("everything is asked for") };
            assert_eq!((query.limit, query.order, query.detail), (None, Order::OldestFirst, Detail::Event));
            session.reply(id, &Reply::Events(vec![full_event()]));
            session.reply(id, &Reply::End(End { count: 1, partial_since: None, unreadable: 0 }));
        });
        let (mut scene, written) = scene(&daemon);
        let exit = run(&mut scene, &ExportArgs { filter: FilterArgs::default(), format, output });
        (written.text(), exit)
    }
}
