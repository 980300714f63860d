//! Replays real sessions through the real `karo-observe` and its socket, one process a command.
//!
//! usage: replay KARO-OBSERVE FILE COUNT [SHARE OF]
//!
//! The file is JSON Lines with the fields `session ts host user cwd shell cmd`; whole sessions are
//! taken until at least COUNT commands were delivered. Exit statuses and durations are not in the data
//! and are not made up.
//!
//! With SHARE and OF, every OF-th session from the SHARE-th on is taken, as if it had been yesterday (UTC), and each
//! command as if it had ended well: numbers about a group are made of commands that have ended.

#![allow(clippy::print_stdout, reason = "a program for people")]

use std::error::Error;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use karo_protocol::observation::Ending;
use karo_protocol::{
    Bytes, Observation, Phase, Precision, RawCommand, Shell, ShellId, ShellKind, Timestamp, spool,
};
use serde_json::Value;

/// µs of a day.
const DAY_MICROS: i64 = 24 * 60 * 60 * 1_000_000;

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (observe, file, count, share) = match &arguments[..] {
        [observe, file, count] => (observe, file, count, None),
        [observe, file, count, share, of] => (observe, file, count, Some((share, of))),
        _ => {
            eprintln!("usage: replay KARO-OBSERVE FILE COUNT [SHARE OF]");
            return ExitCode::from(2);
        }
    };
    let replayed = Share::read(share)
        .and_then(|share| replay(Path::new(observe), Path::new(file), count.parse()?, share.as_ref()));
    match replayed {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("replay: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Every so manieth session, as if it had been yesterday.
struct Share {
    first: u64,
    of: u64,
    /// In days since 1970-01-01.
    day: i64,
}

impl Share {
    fn read(texts: Option<(&String, &String)>) -> Result<Option<Self>, Box<dyn Error>> {
        let Some((first, of)) = texts else { return Ok(None) };
        let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_secs();
        Ok(Some(Self { first: first.parse()?, of: of.parse()?, day: i64::try_from(now / 86_400)? - 1 }))
    }

    /// Returns the observation as if it had been yesterday, at the same time of the day, and had ended well.
    fn moved(&self, observation: Observation) -> Observation {
        let of_day = observation.started_at.as_micros().rem_euclid(DAY_MICROS);
        let ending = Ending { exit: Some(0), ..Ending::default() };
        let started_at = Timestamp::from_micros(self.day * DAY_MICROS + of_day);
        Observation { started_at, phase: Phase::End(ending), ..observation }
    }
}

fn replay(observe: &Path, file: &Path, count: usize, share: Option<&Share>) -> Result<(), Box<dyn Error>> {
    let started = Instant::now();
    let mut session = String::new();
    let (mut sessions, mut sequence, mut delivered, mut seen) = (0_u64, 0, 0, 0);
    for line in BufReader::new(std::fs::File::open(file)?).lines() {
        let line: Value = serde_json::from_str(&line?)?;
        if line["session"] != session.as_str() {
            if delivered >= count {
                break;
            }
            session = field(&line, "session")?.to_owned();
            sessions += u64::from(share.is_none_or(|share| seen % share.of == share.first));
            seen += 1;
            sequence = 0;
        }
        sequence += 1;
        let observation = observation(&line, sequence)?;
        match share {
            None => deliver(observe, &observation)?,
            Some(share) if (seen - 1) % share.of == share.first => {
                deliver(observe, &share.moved(observation))?;
            }
            Some(_) => continue,
        }
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

/// Reads `2022-05-04T10:10:44.188Z`, with any fraction or none, and with an offset in the place of the Z.
fn moment(text: &str) -> Option<Timestamp> {
    let number = |range: std::ops::Range<usize>| text.get(range)?.parse::<i64>().ok();
    let (year, month, day) = (number(0..4)?, number(5..7)?, number(8..10)?);
    let (hour, minute, second) = (number(11..13)?, number(14..16)?, number(17..19)?);
    let rest = text.get(19..)?;
    let end = rest.find(['Z', '+', '-'])?;
    let (fraction, zone) = rest.split_at(end);
    let digits = fraction.strip_prefix('.').unwrap_or("0");
    let micros = format!("{digits:0<6}").get(..6)?.parse::<i64>().ok()?;
    let offset_minutes = match zone.strip_prefix(['+', '-']) {
        None => 0,
        Some(offset) => {
            let (hours, minutes) = offset.split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') { -minutes } else { minutes }
        }
    };
    // Days since 1970-01-01, with the year turned so that it begins in March.
    let (y, m) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let days = 365 * y + y / 4 - y / 100 + y / 400 + (153 * m + 2) / 5 + day - 1 - 719_468;
    let seconds = ((days * 24 + hour) * 60 + minute - offset_minutes) * 60 + second;
    Some(Timestamp::from_micros(seconds * 1_000_000 + micros))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read() {
        let micros = |text| moment(text).map(Timestamp::as_micros);
        assert_eq!(micros("1970-01-01T00:00:00.001Z"), Some(1000));
        assert_eq!(micros("2024-02-29T23:59:59.000Z"), Some(1_709_251_199_000_000));
        assert_eq!(micros("1970-01-01T02:00:01+02:00"), Some(1_000_000));
        assert_eq!(micros("1969-12-31T23:59:59.5-00:01"), Some(59_500_000));
        assert_eq!(micros("yesterday"), None);
    }
}
