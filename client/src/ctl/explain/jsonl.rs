//! `karoctl explain --jsonl`: a line `{"id":..,"cmd":..}` in, a line with what is understood of it out.
//!
//! The output has one line for each readable line of the input, in its order, and memory does not grow with
//! their number. A line that cannot be read is named on standard error, the rest goes on, and the end is the
//! exit code of a wrong usage.

use std::borrow::Cow;
use std::io::Read;

use karo_protocol::explain::{Context, Explanation, Run};
use karo_protocol::limits::COMMAND_BYTES_MAX;
use karo_protocol::{Axis, Bytes, Category, RawCommand, Risk};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::asker::Asker;
use super::input::{Input, Line};
use crate::ctl::exit::{Exit, Trouble};
use crate::ctl::json;
use crate::ctl::scene::Scene;

/// Lines that are named when something is wrong with them; all of them are counted.
const NAMED_MAX: u64 = 20;

/// Whatever names a line to its sender; `None` is `null`.
type Id = Option<Box<RawValue>>;

/// What a line asks for; what else it says is not read.
#[derive(Debug, Deserialize)]
struct Asked {
    id: Id,
    cmd: Option<String>,
}

/// What a line is answered with.
#[derive(Debug, Serialize)]
struct Answer<'a> {
    id: Option<&'a RawValue>,
    redacted: Cow<'a, str>,
    spans: Vec<(u32, u32, &'static str)>,
    runs: Vec<RunLine<'a>>,
    category: &'static str,
    categories: Vec<&'static str>,
    risk: &'static str,
    axis: Option<&'static str>,
    rules: Vec<&'a str>,
}

#[derive(Debug, Serialize)]
struct RunLine<'a> {
    argv: Vec<Cow<'a, str>>,
    context: Vec<&'static str>,
    privileged: bool,
    remote: bool,
}

/// What comes back with an explanation.
struct Carried {
    id: Id,
    number: u64,
}

/// Explains every line of an input.
///
/// # Errors
///
/// When there is no answer, or it cannot be written.
pub fn run(scene: &mut Scene, input: impl Read, cwd: Bytes) -> Result<Exit, Trouble> {
    let mut connection = scene.connect()?;
    let mut asker = Asker::new(&mut connection, cwd);
    let mut input = Input::new(input);
    let mut bad = 0_u64;
    while let Some(line) = input.line()? {
        match read(&line) {
            Ok(None) => {}
            Ok(Some((id, command))) => {
                if command.is_truncated() {
                    let number = line.number;
                    scene.note(&format!(
                        "line {number}: cmd is longer than {COMMAND_BYTES_MAX} bytes, so its end is left out, as when it is recorded"
                    ));
                }
                let carried = Carried { id, number: line.number };
                asker.push(command, carried, &mut |carried, found| write(scene, &carried, &found))?;
            }
            Err(why) => {
                bad += 1;
                if bad <= NAMED_MAX {
                    scene.note(&format!("line {} is left out: {why}", line.number));
                }
            }
        }
        if !input.has_more() {
            // Whoever waits for the answer to this line before writing the next gets it.
            asker.finish(&mut |carried, found| write(scene, &carried, &found))?;
            scene.out.flush()?;
        }
    }
    asker.finish(&mut |carried, found| write(scene, &carried, &found))?;
    if bad > NAMED_MAX {
        scene.note(&format!("{bad} lines were left out in all"));
    }
    Ok(if bad > 0 { Exit::Usage } else { Exit::Done })
}

/// Reads a line; `None` when it is empty.
fn read(line: &Line) -> Result<Option<(Id, RawCommand)>, String> {
    const MEND: &str = r#"write {"id":7,"cmd":"ls -l"} on one line"#;
    if line.text.trim_ascii().is_empty() {
        return Ok(None);
    }
    if line.is_cut {
        return Err("it is longer than 1 MiB; a command has at most 64 KiB".to_owned());
    }
    // The message of serde_json may hold a part of the text; its place in the line tells as much.
    let asked: Asked = serde_json::from_slice(&line.text).map_err(|error| match error.classify() {
        serde_json::error::Category::Data => format!("its cmd is not a string; {MEND}"),
        serde_json::error::Category::Io
        | serde_json::error::Category::Syntax
        | serde_json::error::Category::Eof => {
            format!("it is not JSON at column {}; {MEND}", error.column())
        }
    })?;
    let command = asked.cmd.ok_or_else(|| format!("it has no field cmd; {MEND}"))?;
    Ok(Some((asked.id, RawCommand::new(command))))
}

fn write(scene: &mut Scene, carried: &Carried, found: &Explanation) -> Result<(), Trouble> {
    if found.is_cut {
        scene.note(&format!(
            "line {}: it runs more than an answer holds; the last runs are left out",
            carried.number
        ));
    }
    json::write_line(&mut scene.out, &Answer::new(carried.id.as_deref(), found))
}

impl<'a> Answer<'a> {
    fn new(id: Option<&'a RawValue>, found: &'a Explanation) -> Self {
        Self {
            id,
            redacted: String::from_utf8_lossy(&found.redacted),
            spans: found.spans.iter().map(|span| (span.start, span.end, span.kind.name())).collect(),
            runs: found.runs.iter().map(RunLine::new).collect(),
            category: found.category.name(),
            categories: found.categories.iter().copied().map(Category::name).collect(),
            risk: found.risk.map_or("none", Risk::name),
            axis: found.axis.map(Axis::name),
            rules: rule_ids(found),
        }
    }
}

impl<'a> RunLine<'a> {
    fn new(run: &'a Run) -> Self {
        Self {
            argv: run.argv.iter().map(|word| String::from_utf8_lossy(word)).collect(),
            context: run.context.iter().copied().map(Context::name).collect(),
            privileged: run.is_privileged,
            remote: run.is_remote,
        }
    }
}

/// Returns the id of each rule that matched once, in the order of the matches.
fn rule_ids(found: &Explanation) -> Vec<&str> {
    let mut ids: Vec<&str> = Vec::new();
    for found in &found.matches {
        if !ids.contains(&found.id.as_str()) {
            ids.push(&found.id);
        }
    }
    ids
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_text(text: &str) -> Result<Option<(Option<String>, String)>, String> {
        let line = Line { number: 1, text: text.as_bytes().to_vec(), is_cut: false };
        let asked = read(&line)?;
        Ok(asked.map(|(id, command)| {
            let command = String::from_utf8(command.as_bytes().to_vec()).expect("JSON is UTF-8");
            (id.map(|id| id.get().to_owned()), command)
        }))
    }

    #[test]
    fn ids_come_back_as_they_were_given() {
        let cases = [
            (r#"{"id":7,"cmd":"ls"}"#, Some("7")),
            (r#"{"cmd":"ls","id":12345678901234567890123.50}"#, Some("12345678901234567890123.50")),
            (r#"{"id":"a\u0062","cmd":"ls","more":[1]}"#, Some(r#""a\u0062""#)),
            (r#"{"id":{"z":1,"a":[ 2]},"cmd":"ls"}"#, Some(r#"{"z":1,"a":[ 2]}"#)),
            (r#"{"id":null,"cmd":"ls"}"#, None),
            (r#"{"cmd":"ls"}"#, None),
        ];
        for (text, id) in cases {
            assert_eq!(read_text(text), Ok(Some((id.map(str::to_owned), "ls".to_owned()))), "{text}");
        }
        assert_eq!(read_text(" \t\r"), Ok(None));
    }

    #[test]
    fn what_is_wrong_is_said_without_the_text() {
        let cases = [
            ("ls -l secret", "it is not JSON at column 1"),
            (r#"{"id":1,"cmd":"ls"#, "it is not JSON at column 17"),
            (r#"{"id":1,"cmd":["ls","secret"]}"#, "its cmd is not a string"),
            (r#"["secret"]"#, "its cmd is not a string"),
            (r#"{"id":1}"#, "it has no field cmd"),
        ];
        for (text, why) in cases {
            let found = read_text(text).expect_err("it cannot be read");
            assert!(found.starts_with(why) && !found.contains("secret"), "{found}");
            assert!(found.ends_with(r#"; write {"id":7,"cmd":"ls -l"} on one line"#), "{found}");
        }
        let cut = Line { number: 1, text: b"{".to_vec(), is_cut: true };
        assert_eq!(
            read(&cut).map(drop),
            Err("it is longer than 1 MiB; a command has at most 64 KiB".to_owned())
        );
    }
}
