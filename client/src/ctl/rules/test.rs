//! `karoctl rules test`: the lines that a rule must match, and those that it must not.

use std::ffi::OsString;
use std::io::{Read, stdin};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use karo_protocol::RawCommand;
use karo_protocol::explain::{Explanation, Match};
use karo_protocol::limits::EXPLAIN_LINES_MAX;
use karo_protocol::local::{Request, RuleFile, RulesCheck};
use serde::Serialize;
use serde_json::json;

use super::{ask, files, write_refused};
use crate::connection::{Connection, ConnectionError};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::json;
use crate::ctl::scene::Scene;
use crate::ctl::shown::{Newline, shown};
use crate::ctl::whole_file::{self, TEXT_BYTES_MAX};

/// Lines that are tested in one go.
const LINES_MAX: usize = 100_000;

/// Bytes of lines in one request, with the rule file and one more line far below a frame's limit.
const REQUEST_BYTES_TARGET: usize = 256 * 1024;

/// A line with what it should be.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Case {
    /// Where it stands, for people: `match.txt:3`; empty for one from the command line.
    place: String,
    text: Vec<u8>,
    /// Whether the rule must match it, if that is known.
    is_meant: Option<bool>,
}

/// What came of a line, in JSON.
#[derive(Serialize)]
struct CaseLine<'a> {
    place: &'a str,
    line: std::borrow::Cow<'a, str>,
    expected: Option<bool>,
    matched: bool,
    fields: Vec<&'a str>,
}

/// Runs the command.
///
/// # Errors
///
/// When a file cannot be read, the rule cannot be used, or there is no answer.
pub fn run(scene: &mut Scene, path: &Path, lines: &[OsString]) -> Result<Exit, Trouble> {
    let path = rule_path(path);
    let file = files::read_one(&path)?;
    let cases = match lines.is_empty() {
        true => beside(&path)?,
        false => given(lines, stdin())?,
    };
    if cases.len() > LINES_MAX {
        return Err(Trouble::refused(format!("more than {LINES_MAX} lines; test fewer at once")));
    }
    let mut connection = scene.connect()?;
    let mut tally = Tally::default();
    for batch in batches(&cases) {
        let Some(explained) = judge(scene, &mut connection, &file, batch)? else {
            return Ok(Exit::Refused);
        };
        for (case, found) in batch.iter().zip(&explained) {
            write(scene, case, &found.matches)?;
            tally.add(case, !found.matches.is_empty());
        }
    }
    tally.write(scene)?;
    Ok(tally.exit())
}

/// A directory stands for the rule in it.
fn rule_path(path: &Path) -> PathBuf {
    if path.is_dir() { path.join("rule.yml") } else { path.to_owned() }
}

/// Reads the lines that lie beside a rule.
fn beside(rule: &Path) -> Result<Vec<Case>, Trouble> {
    let directory = rule.parent().unwrap_or(Path::new(""));
    let mut cases = Vec::new();
    let mut is_any = false;
    for (name, is_meant) in [("match.txt", true), ("miss.txt", false)] {
        let path = directory.join(name);
        match whole_file::found(&path, TEXT_BYTES_MAX) {
            Ok(text) => {
                is_any = true;
                cases.extend(cases_of(&text, name, Some(is_meant)));
            }
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            Err(error) => return Err(Trouble::file("read", &path, &error)),
        }
    }
    match is_any {
        true => Ok(cases),
        false => Err(Trouble::usage(format!(
            "no match.txt and no miss.txt lie beside {}; put lines there, one a line, or give some: `karoctl rules test FILE 'rm -rf /'`",
            rule.display()
        ))),
    }
}

fn given(lines: &[OsString], mut input: impl Read) -> Result<Vec<Case>, Trouble> {
    if lines != ["-"] {
        let case =
            |line: &OsString| Case { place: String::new(), text: line.as_bytes().to_vec(), is_meant: None };
        return Ok(lines.iter().map(case).collect());
    }
    let mut text = Vec::new();
    let read = input.read_to_end(&mut text);
    read.map_err(|error| Trouble::file("read", Path::new("standard input"), &error))?;
    Ok(cases_of(&text, "line", None).collect())
}

fn cases_of<'a>(text: &'a [u8], name: &'a str, is_meant: Option<bool>) -> impl Iterator<Item = Case> + 'a {
    let lines = text.split(|byte| *byte == b'\n').enumerate();
    lines.filter(|(_, line)| !line.trim_ascii().is_empty()).map(move |(place, line)| Case {
        place: format!("{name}:{}", place + 1),
        text: line.to_vec(),
        is_meant,
    })
}

/// Returns cases that fit a request each; one empty batch when there are none, so that the rule is read at least.
fn batches(cases: &[Case]) -> Vec<&[Case]> {
    let mut batches = Vec::new();
    let mut rest = cases;
    while !rest.is_empty() {
        let mut bytes = 0;
        let fits = |case: &&Case| {
            bytes += case.text.len();
            bytes <= REQUEST_BYTES_TARGET
        };
        let count = rest.iter().take(EXPLAIN_LINES_MAX).take_while(fits).count().max(1);
        let (batch, others) = rest.split_at(count);
        batches.push(batch);
        rest = others;
    }
    if batches.is_empty() { vec![&[]] } else { batches }
}

/// Asks what the rules of the file say of lines; `None` when one of them cannot be used, which is then said.
fn judge(
    scene: &mut Scene,
    connection: &mut Connection,
    file: &RuleFile,
    cases: &[Case],
) -> Result<Option<Vec<Explanation>>, Trouble> {
    let lines = cases.iter().map(|case| RawCommand::new(case.text.clone())).collect();
    let request = Request::RulesCheck(RulesCheck { files: vec![file.clone()], lines });
    let answer = ask::all(connection, &request)?;
    if !answer.rules.refused.is_empty() || answer.rules.rules.is_empty() {
        write_refused(scene, &answer.rules)?;
        if answer.rules.refused.is_empty() {
            return Err(Trouble::refused(format!("{} holds no rule", file.name)));
        }
        return Ok(None);
    }
    if answer.explained.len() != cases.len() {
        return Err(ConnectionError::Unexpected("one explanation for each line").into());
    }
    Ok(Some(answer.explained))
}

fn write(scene: &mut Scene, case: &Case, matches: &[Match]) -> Result<(), Trouble> {
    let is_matched = !matches.is_empty();
    let mut fields: Vec<&str> = matches.iter().flat_map(|found| &found.fields).map(String::as_str).collect();
    fields.dedup();
    if scene.is_json {
        let line = String::from_utf8_lossy(&case.text);
        let expected = case.is_meant;
        let line = CaseLine { place: &case.place, line, expected, matched: is_matched, fields };
        return json::write_line(&mut scene.out, &line);
    }
    let line = shown(&case.text, Newline::Arrow);
    match case.is_meant {
        Some(is_meant) if is_meant == is_matched => return Ok(()),
        Some(true) => writeln!(scene.out, "{}: is not matched: {line}", case.place)?,
        Some(false) => writeln!(scene.out, "{}: is matched: {line}", case.place)?,
        None => writeln!(scene.out, "{}  {line}", if is_matched { "match" } else { "miss " })?,
    }
    for field in fields {
        writeln!(scene.out, "       {}", shown(field.as_bytes(), Newline::Arrow))?;
    }
    Ok(())
}

/// What came of all lines.
#[derive(Debug, Default)]
struct Tally {
    right: u64,
    wrong: u64,
    matched: u64,
    missed: u64,
}

impl Tally {
    fn add(&mut self, case: &Case, is_matched: bool) {
        match (case.is_meant, is_matched) {
            (Some(is_meant), _) if is_meant == is_matched => self.right += 1,
            (Some(_), _) => self.wrong += 1,
            (None, true) => self.matched += 1,
            (None, false) => self.missed += 1,
        }
    }

    fn write(&self, scene: &mut Scene) -> Result<(), Trouble> {
        let Self { right, wrong, matched, missed } = self;
        if scene.is_json {
            let line = json!({ "right": right, "wrong": wrong, "matched": matched, "missed": missed });
            return json::write_line(&mut scene.out, &line);
        }
        match matched + missed {
            0 => writeln!(scene.out, "{right} lines are as they should be, {wrong} are not")?,
            _ => writeln!(scene.out, "{matched} lines matched, {missed} not")?,
        }
        Ok(())
    }

    const fn exit(&self) -> Exit {
        match self {
            Self { wrong: 1.., .. } => Exit::Refused,
            Self { right: 1.., .. } | Self { matched: 1.., .. } => Exit::Done,
            Self { .. } => Exit::NothingFound,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_know_where_they_stand_and_empty_ones_count_for_nothing() {
        let cases: Vec<Case> = cases_of(b"a\n\n  \nb", "match.txt", Some(true)).collect();
        let places: Vec<(&str, &[u8])> = cases.iter().map(|case| (&case.place[..], &case.text[..])).collect();
        assert_eq!(places, [("match.txt:1", &b"a"[..]), ("match.txt:4", b"b")]);
    }

    #[test]
    fn batches_hold_few_lines_and_few_bytes() {
        let case = |bytes: usize| Case { place: String::new(), text: vec![b'x'; bytes], is_meant: None };
        let lengths =
            |cases: &[Case]| -> Vec<usize> { batches(cases).iter().map(|batch| batch.len()).collect() };
        assert_eq!(lengths(&[]), [0]);
        assert_eq!(lengths(&vec![case(1); EXPLAIN_LINES_MAX + 1]), [EXPLAIN_LINES_MAX, 1]);
        assert_eq!(lengths(&vec![case(100 * 1024); 5]), [2, 2, 1]);
    }
}
