//! Replays real sessions through the real `karo-observe` and its socket, one process a command.
//!
//! usage: replay KARO-OBSERVE FILE COUNT
//!
//! The file is JSON Lines with the fields `session ts host user cwd shell cmd`; whole sessions are
//! taken until at least COUNT commands were delivered. Exit statuses and durations are not in the data
//! and are not made up.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::Instant;

use karo_protocol::observation::Ending;
use karo_protocol::{
    Bytes, Observation, Phase, Precision, RawCommand, Shell, ShellId, ShellKind, Timestamp, spool,
};
use serde_json::Value;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [observe, file, count] = &arguments[..] else {
        eprintln!("usage: replay KARO-OBSERVE FILE COUNT");
        return ExitCode::from(2);
    };
    match count
        .parse()
        .map_err(Into::into)
        .and_then(|count| replay(Path::new(observe), Path::new(file), count))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

fn replay(observe: &Path, file: &Path, count: usize) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut session = String::new();
    let (mut sessions, mut sequence, mut delivered) = (0_u64, 0, 0);
    for line in BufReader::new(std::fs::File::open(file)?).lines() {
        let line: Value = serde_json::from_str(&line?)?;
        if line["session"] != session.as_str() {
            if delivered >= count {
                break;
            }
            session = field(&line, "session")?.to_owned();
            sessions += 1;
            sequence = 0;
        }
        sequence += 1;
        deliver(observe, &observation(&line, sequence)?)?;
        delivered += 1;
    }
    let each = started.elapsed() / u32::try_from(delivered).unwrap_or(u32::MAX).max(1);
    println!(
        "{delivered} commands of {sessions} sessions delivered, {} µs each, one process a command",
        each.as_micros()
    );
    Ok(())
}

fn field<'a>(line: &'a Value, name: &str) -> Result<&'a str, Box<dyn Error>> {
    line[name].as_str().ok_or_else(|| format!("a line without {name}").into())
}

fn observation(line: &Value, sequence: u64) -> Result<Observation, Box<dyn Error>> {
    let shell = Shell {
        kind: field(line, "shell")?.parse().unwrap_or(ShellKind::Other),
        // Ten hexadecimal digits name a session of the data; the rest says that it is one of these.
        id: format!("{:0<32}", format!("{}4b59504f", field(line, "session")?)).parse::<ShellId>()?,
        user: field(line, "user")?.to_owned(),
        host: field(line, "host")?.to_owned(),
        tty: None,
        is_remote: false,
        parent: None,
        process: None,
    };
    Ok(Observation {
        shell,
        sequence,
        phase: Phase::End(Ending::default()),
        command: RawCommand::new(field(line, "cmd")?),
        cwd: Bytes::from(field(line, "cwd")?),
        is_cwd_truncated: false,
        started_at: moment(field(line, "ts")?).ok_or("a line with a time that is none")?,
        precision: Precision::Micro,
        dropped: 0,
    })
}

/// Gives one record to `karo-observe`, which ends after the daemon has it on disk.
fn deliver(observe: &Path, observation: &Observation) -> Result<(), Box<dyn Error>> {
    let mut child = Command::new(observe).args(["end", "--stdin"]).stdin(Stdio::piped()).spawn()?;
    let mut stdin = child.stdin.take().ok_or("karo-observe has no standard input")?;
    stdin.write_all(&spool::encode(observation))?;
    drop(stdin);
    let status = child.wait()?;
    if status.success() { Ok(()) } else { Err(format!("karo-observe ended with {status}").into()) }
}

/// Reads `2022-05-04T10:10:44.188Z`.
fn moment(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second, milli) = (number(11..13)?, number(14..16)?, number(17..19)?, number(20..23)?);
    // Days since 1970-01-01, with the year turned so that it begins in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some(Timestamp::from_micros((seconds * 1000 + milli) * 1000))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let micros = |text| moment(text).map(Timestamp::as_micros);
        assert_eq!(micros("1970-01-01T00:00:00.001Z"), Some(1000));
        assert_eq!(micros("2024-02-29T23:59:59.000Z"), Some(1_709_251_199_000_000));
        assert_eq!(micros("yesterday"), None);
    }
}
