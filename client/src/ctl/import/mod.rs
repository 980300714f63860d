//! `karoctl import`: take in other histories; what is there already is not taken twice.
//!
//! | module | holds |
//! | --- | --- |
//! | [`history`] | the files of shells, from bytes to entries |
//! | [`lines`] | JSON Lines, from text to what the daemon takes in |
//! | [`identity`] | what makes a line the same line at the next import |
//! | [`known`] | what the hooks have recorded already |
//! | [`sender`] | batches on their way to the daemon |
//! | [`find`] | where shells keep their files |

pub mod find;
pub mod history;
pub mod identity;
pub mod known;
pub mod lines;
pub mod sender;

use std::fs::File;
use std::io::{BufRead, BufReader, Read, stdin};
use std::path::{Path, PathBuf};

use karo_protocol::local::{ImportLine, Imported, Status};
use karo_protocol::observation::Ending;
use karo_protocol::{Bytes, Observation, Phase, Precision, RawCommand, Shell, ShellKind, Timestamp};
use serde::Serialize;

use self::history::Entry;
use self::identity::Names;
use self::known::Known;
use self::lines::{Lines, Origin};
use self::sender::Sender;
use super::cli::{HistoryFormat, ImportArgs};
use super::exit::{Exit, Trouble};
use super::progress::Progress;
use super::scene::Scene;
use super::{json, status};
use crate::connection::Connection;

/// Bytes of a history file at the most: it is read as a whole.
const FILE_BYTES_MAX: u64 = 1 << 30;

/// Bytes of one line of JSON at the most: a command of full length, escaped, and coded once more.
const LINE_BYTES_MAX: u64 = 1 << 20;

/// How long the daemon may take for one batch: a slow disk syncs it, and nothing is lost by waiting.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(60);

/// Lines that could not be read and are named; all of them are counted.
const NAMED_MAX: u64 = 3;

/// What became of one file.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
struct Report {
    file: String,
    added: u64,
    duplicates: u64,
    ignored: u64,
    unreadable: u64,
}

/// Runs the command.
///
/// # Errors
///
/// When nothing can be read, the person does not agree, or the daemon cannot take it in.
pub fn run(scene: &mut Scene, args: &ImportArgs) -> Result<Exit, Trouble> {
    if args.source == Path::new("auto") {
        return run_auto(scene, args);
    }
    let mut connection = connect(scene)?;
    let report = import(scene, &mut connection, &args.source, args.format)?;
    write_report(scene, &report)?;
    Ok(judge(std::slice::from_ref(&report)))
}

/// Takes in one history without asking, and says what became of it.
///
/// # Errors
///
/// When it cannot be read, or the daemon cannot take it in.
pub fn take_in(scene: &mut Scene, file: &Path, format: HistoryFormat) -> Result<(), Trouble> {
    let mut connection = connect(scene)?;
    let report = import(scene, &mut connection, file, Some(format))?;
    write_report(scene, &report)
}

/// Returns how many commands a history holds.
///
/// # Errors
///
/// When it cannot be read.
pub fn count(file: &Path, format: HistoryFormat) -> Result<usize, Trouble> {
    Ok(history::parse(format, &read_file(file)?).len())
}

fn run_auto(scene: &mut Scene, args: &ImportArgs) -> Result<Exit, Trouble> {
    let mut found = find::found(&|name| std::env::var_os(name));
    found.retain(|(_, format)| args.format.is_none_or(|wanted| wanted == *format));
    if found.is_empty() {
        scene.note("no history file of bash, zsh, fish, mksh or ksh was found; name one");
        return Ok(Exit::NothingFound);
    }
    for (path, format) in &found {
        let count = count(path, *format)?;
        scene.note(&format!("{} holds {count} commands", path.display()));
    }
    let files = if found.len() == 1 { "this file" } else { "these files" };
    if !args.yes && !scene.confirm(&format!("import {files}?"))? {
        return Err(Trouble::refused("nothing was imported"));
    }
    let mut reports = Vec::new();
    let mut connection = connect(scene)?;
    for (path, format) in found {
        let report = import(scene, &mut connection, &path, Some(format))?;
        write_report(scene, &report)?;
        reports.push(report);
    }
    Ok(judge(&reports))
}

fn connect(scene: &Scene) -> Result<Connection, Trouble> {
    let mut connection = scene.connect()?;
    connection.wait_for_answers(PATIENCE);
    Ok(connection)
}

fn judge(reports: &[Report]) -> Exit {
    if reports.iter().any(|report| report.unreadable > 0) {
        return Exit::Refused;
    }
    let found = |report: &Report| report.added + report.duplicates + report.ignored;
    if reports.iter().all(|report| found(report) == 0) { Exit::NothingFound } else { Exit::Done }
}

fn write_report(scene: &mut Scene, report: &Report) -> Result<(), Trouble> {
    if scene.is_json {
        return json::write_line(&mut scene.out, report);
    }
    let Report { file, added, duplicates, ignored, unreadable } = report;
    write!(
        scene.out,
        "{file}: {added} added, {duplicates} were there already, {ignored} kept out by your rules"
    )?;
    if *unreadable > 0 {
        write!(scene.out, ", {unreadable} unreadable")?;
    }
    writeln!(scene.out)?;
    Ok(())
}

/// Takes in one file, or standard input for `-`.
fn import(
    scene: &Scene,
    connection: &mut Connection,
    path: &Path,
    format: Option<HistoryFormat>,
) -> Result<Report, Trouble> {
    let is_stdin = path == Path::new("-");
    let (input, bytes): (Box<dyn Read>, u64) = if is_stdin {
        (Box::new(stdin()), 0)
    } else {
        let file = File::open(path).map_err(|error| Trouble::file("open", path, &error))?;
        let bytes = file.metadata().map_or(0, |metadata| metadata.len());
        (Box::new(file), bytes)
    };
    let mut input = BufReader::with_capacity(256 * 1024, input);
    let beginning = input.fill_buf().map_err(|error| Trouble::file("read", path, &error))?;
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let format = format.unwrap_or_else(|| history::guess(&name, beginning));
    let label = if is_stdin { "standard input".to_owned() } else { path.display().to_string() };
    let origin = origin(scene, connection)?;
    let mut report = match format {
        HistoryFormat::Json => import_lines(scene, connection, path, input, bytes, origin)?,
        HistoryFormat::Bash
        | HistoryFormat::Zsh
        | HistoryFormat::Fish
        | HistoryFormat::Mksh
        | HistoryFormat::Ksh
        | HistoryFormat::Plain => {
            let entries = history::parse(format, &read_whole(input, path)?);
            import_history(connection, &label, kind_of(format), &entries, &origin)?
        }
    };
    report.file = label;
    Ok(report)
}

/// Asks the daemon whose machine and account it is: it knows them where the environment does not.
fn origin(scene: &Scene, connection: &mut Connection) -> Result<Origin, Trouble> {
    let Status { user, host, .. } = status::ask(connection)?;
    Ok(Origin { user, host, now: super::when::from_jiff(scene.now().timestamp()) })
}

const fn kind_of(format: HistoryFormat) -> ShellKind {
    match format {
        HistoryFormat::Bash => ShellKind::Bash,
        HistoryFormat::Zsh => ShellKind::Zsh,
        HistoryFormat::Fish => ShellKind::Fish,
        HistoryFormat::Mksh => ShellKind::Mksh,
        HistoryFormat::Ksh => ShellKind::Ksh,
        HistoryFormat::Plain | HistoryFormat::Json => ShellKind::Other,
    }
}

fn read_file(path: &Path) -> Result<Vec<u8>, Trouble> {
    let file = File::open(path).map_err(|error| Trouble::file("open", path, &error))?;
    read_whole(file, path)
}

fn read_whole(input: impl Read, path: &Path) -> Result<Vec<u8>, Trouble> {
    let mut bytes = Vec::new();
    let read = input.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes);
    read.map_err(|error| Trouble::file("read", path, &error))?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        let path = PathBuf::from(path);
        return Err(Trouble::refused(format!("{} is longer than 1 GiB; split it", path.display())));
    }
    Ok(bytes)
}

fn import_lines(
    scene: &Scene,
    connection: &mut Connection,
    path: &Path,
    mut input: impl BufRead,
    bytes: u64,
    origin: Origin,
) -> Result<Report, Trouble> {
    let mut lines = Lines::new(origin);
    let mut sender = Sender::new(connection);
    let mut progress = Progress::new(path.display().to_string(), bytes);
    let mut unreadable = 0;
    let mut text = Vec::new();
    for number in 1_u64.. {
        text.clear();
        let read = (&mut input).take(LINE_BYTES_MAX).read_until(b'\n', &mut text);
        let count = read.map_err(|error| Trouble::file("read", path, &error))?;
        if count == 0 {
            break;
        }
        progress.advance(count as u64);
        if text.trim_ascii().is_empty() {
            continue;
        }
        match lines.read(&text) {
            Ok(line) => sender.push(line)?,
            Err(_) if count as u64 == LINE_BYTES_MAX => {
                return Err(Trouble::refused(format!(
                    "line {number} is longer than 1 MiB; is it JSON Lines?"
                )));
            }
            Err(why) => {
                unreadable += 1;
                if unreadable <= NAMED_MAX {
                    scene.note(&format!("line {number} is skipped: {why}"));
                }
            }
        }
    }
    Ok(Report { unreadable, ..Report::of(sender.finish()?) })
}

fn import_history(
    connection: &mut Connection,
    label: &str,
    kind: ShellKind,
    entries: &[Entry],
    origin: &Origin,
) -> Result<Report, Trouble> {
    let known = Known::ask(connection, kind, entries)?;
    let mut progress = Progress::new(label, entries.len() as u64);
    let mut sender = Sender::new(connection);
    let mut known_count = 0;
    for (entry, line) in entries.iter().zip(observed(entries, kind, origin)) {
        progress.advance(1);
        if known.holds(entry) {
            known_count += 1;
        } else {
            sender.push(line)?;
        }
    }
    let mut report = Report::of(sender.finish()?);
    report.duplicates += known_count;
    Ok(report)
}

impl Report {
    fn of(imported: Imported) -> Self {
        let Imported { added, duplicates, ignored } = imported;
        Self { added, duplicates, ignored, ..Self::default() }
    }
}

/// Makes of entries what the daemon takes in.
fn observed<'a>(
    entries: &'a [Entry],
    kind: ShellKind,
    origin: &'a Origin,
) -> impl Iterator<Item = ImportLine> + 'a {
    let mut names = Names::default();
    entries.iter().zip(starts(entries, origin.now)).map(move |(entry, started_at)| {
        let stated = entry.started.map(|second| Timestamp::from_micros(second.saturating_mul(1_000_000)));
        let name = names.next(kind, stated, &[&entry.command]);
        let observation = Observation {
            shell: Shell {
                kind,
                id: name.shell,
                user: origin.user.clone(),
                host: origin.host.clone(),
                tty: None,
                is_remote: false,
                parent: None,
                process: None,
            },
            sequence: name.sequence,
            phase: Phase::End(Ending { duration: entry.duration, exit: None, pipestatus: Vec::new() }),
            command: RawCommand::new(entry.command.clone()),
            cwd: Bytes::default(),
            is_cwd_truncated: false,
            started_at,
            precision: Precision::Second,
            dropped: 0,
        };
        ImportLine { observation: observation.bounded(), id: None, is_lost: false, redactions: Vec::new() }
    })
}

/// Returns when each entry started, in the order of the file.
///
/// An entry without a time has that of the nearest before it that has one, else the nearest behind it,
/// else the time of the import. Entries of one second are set apart by a microsecond each, which keeps
/// their order, and which the clock that they come from cannot tell from nothing.
fn starts(entries: &[Entry], now: Timestamp) -> Vec<Timestamp> {
    let now = now.as_micros().div_euclid(1_000_000);
    let first = entries.iter().find_map(|entry| entry.started);
    let mut second = first.unwrap_or(now);
    let mut before = None;
    let mut nth = 0;
    let start = |entry: &Entry| {
        second = entry.started.unwrap_or(second);
        nth = if before == Some(second) { nth + 1 } else { 0 };
        before = Some(second);
        Timestamp::from_micros(second.saturating_mul(1_000_000).saturating_add(nth.min(999_999)))
    };
    entries.iter().map(start).collect()
}

#[cfg(test)]
#[path = "import_tests.rs"]
mod tests;
