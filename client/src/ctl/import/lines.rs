//! JSON Lines, from text to what the daemon takes in: our own exports, and any with a `command`.

use karo_protocol::event::{Redaction, Secret};
use karo_protocol::local::ImportLine;
use karo_protocol::observation::{Ending, ShellProcess};
use karo_protocol::{
    Bytes, Micros, Observation, Phase, Precision, RawCommand, Shell, ShellId, ShellKind, State, Timestamp,
};
use serde::Deserialize;

use super::identity::{Name, Names};
use crate::ctl::{base64, when};

/// What every line may say; what else it says is not read.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    id: Option<String>,
    host: Option<String>,
    user: Option<String>,
    shell: Option<String>,
    shell_id: Option<String>,
    seq: Option<u64>,
    cwd: Option<String>,
    cwd_b64: Option<String>,
    command: Option<String>,
    command_b64: Option<String>,
    started_at: Option<String>,
    started_us: Option<i64>,
    precision_us: Option<u32>,
    duration_ms: Option<f64>,
    duration_us: Option<u64>,
    exit: Option<i32>,
    pipestatus: Option<Vec<i32>>,
    state: Option<String>,
    redactions: Option<Vec<Span>>,
    truncated: bool,
    cwd_truncated: bool,
    tty: Option<String>,
    ssh: bool,
    parent: Option<String>,
    pid: Option<u32>,
    pid_start: Option<u64>,
    pid_ns: Option<u64>,
    boot_id: Option<String>,
}

#[derive(Debug, Deserialize)]
struct Span {
    start: u32,
    end: u32,
    kind: String,
}

/// Whose machine and account a line without its own is of, and when it is taken in.
#[derive(Debug, Clone)]
pub struct Origin {
    /// Name of the account.
    pub user: String,
    /// Name of the machine.
    pub host: String,
    /// The time of the import.
    pub now: Timestamp,
}

/// Reads lines of one file.
pub struct Lines {
    origin: Origin,
    names: Names,
    untimed: i64,
}

impl Lines {
    /// Starts a file.
    pub fn new(origin: Origin) -> Self {
        Self { origin, names: Names::default(), untimed: 0 }
    }

    /// Reads one line.
    ///
    /// # Errors
    ///
    /// What is wrong with it, without its text.
    pub fn read(&mut self, text: &[u8]) -> Result<ImportLine, String> {
        // serde_json's own message may hold a part of the text; its place in the line tells as much.
        let line: Line = serde_json::from_slice(text)
            .map_err(|error| format!("not an object with readable fields, see column {}", error.column()))?;
        let command = text_of("command", line.command.as_deref(), line.command_b64.as_deref())?
            .ok_or("no field command")?;
        let cwd = text_of("cwd", line.cwd.as_deref(), line.cwd_b64.as_deref())?.unwrap_or_default();
        let stated = line.stated_start()?;
        let kind = line.shell.as_deref().map_or(Ok(ShellKind::Other), |kind| field("shell", kind))?;
        let named = line.shell_id.as_deref().map(|id| field::<ShellId>("shell_id", id)).transpose()?;
        let name = match (named, line.seq) {
            (Some(shell), Some(sequence)) if sequence > 0 => Name { shell, sequence },
            (None | Some(_), _) => {
                let host = line.host.as_deref().unwrap_or_default();
                let name = self.names.next(kind, stated, &[&command, &cwd, host.as_bytes()]);
                Name { shell: named.unwrap_or(name.shell), ..name }
            }
        };
        let state = line.state.as_deref().map_or(Ok(State::Ended), |state| field("state", state))?;
        let observation = Observation {
            shell: self.shell(&line, kind, name.shell)?,
            sequence: name.sequence,
            phase: match state {
                State::Ended => Phase::End(line.ending()?),
                State::Running | State::Lost => Phase::Start,
            },
            command: RawCommand::with_flag(command, line.truncated),
            cwd: Bytes(cwd),
            is_cwd_truncated: line.cwd_truncated,
            started_at: stated.unwrap_or_else(|| self.next_untimed()),
            precision: line.precision(),
            dropped: 0,
        };
        Ok(ImportLine {
            observation: observation.bounded(),
            id: line.id.as_deref().map(|id| field("id", id)).transpose()?,
            is_lost: state == State::Lost,
            redactions: line.redactions()?,
        })
    }

    /// Returns the time of the import, to the second, and a microsecond more for each line: they keep
    /// their order.
    fn next_untimed(&mut self) -> Timestamp {
        let nth = self.untimed.min(999_999);
        self.untimed += 1;
        Timestamp::from_micros(self.origin.now.as_micros().div_euclid(1_000_000) * 1_000_000 + nth)
    }

    fn shell(&self, line: &Line, kind: ShellKind, id: ShellId) -> Result<Shell, String> {
        Ok(Shell {
            kind,
            id,
            user: line.user.clone().unwrap_or_else(|| self.origin.user.clone()),
            host: line.host.clone().unwrap_or_else(|| self.origin.host.clone()),
            tty: line.tty.clone(),
            is_remote: line.ssh,
            parent: line.parent.clone(),
            process: line.process()?,
        })
    }
}

impl Line {
    fn stated_start(&self) -> Result<Option<Timestamp>, String> {
        if let Some(micros) = self.started_us {
            return Ok(Some(Timestamp::from_micros(micros)));
        }
        let read = |text: &String| {
            text.parse().map(when::from_jiff).map_err(|_| "field started_at is not RFC 3339".to_owned())
        };
        self.started_at.as_ref().map(read).transpose()
    }

    /// A time in milliseconds has no finer word for it than the second's, unless the line says so.
    fn precision(&self) -> Precision {
        match (self.precision_us, self.started_us) {
            (Some(step), _) => Precision::from_micros(step),
            (None, Some(_)) => Precision::Micro,
            (None, None) if self.started_at.is_some() => Precision::Centi,
            (None, None) => Precision::Second,
        }
    }

    fn ending(&self) -> Result<Ending, String> {
        let millis = match self.duration_ms {
            Some(millis) if millis.is_finite() && millis >= 0.0 => Some(Micros((millis * 1000.0) as u64)),
            Some(_) => return Err("field duration_ms is negative".to_owned()),
            None => None,
        };
        Ok(Ending {
            duration: self.duration_us.map(Micros).or(millis),
            exit: self.exit,
            pipestatus: self.pipestatus.clone().unwrap_or_default(),
        })
    }

    fn process(&self) -> Result<Option<ShellProcess>, String> {
        let found = (self.pid, self.pid_start, self.pid_ns, self.boot_id.as_deref());
        let (Some(pid), Some(started_ticks), Some(namespace), Some(boot)) = found else { return Ok(None) };
        Ok(Some(ShellProcess { pid, started_ticks, boot: field("boot_id", boot)?, namespace }))
    }

    fn redactions(&self) -> Result<Vec<Redaction>, String> {
        let read = |span: &Span| {
            let kind: Secret = field("redactions", &span.kind)?;
            Ok(Redaction { start: span.start, end: span.end, kind })
        };
        self.redactions.iter().flatten().map(read).collect()
    }
}

fn text_of(name: &str, text: Option<&str>, base64: Option<&str>) -> Result<Option<Vec<u8>>, String> {
    match base64 {
        Some(coded) => {
            base64::decode(coded).map(Some).ok_or_else(|| format!("field {name}_b64 is not base64"))
        }
        None => Ok(text.map(|text| text.as_bytes().to_vec())),
    }
}

fn field<T: std::str::FromStr<Err: std::fmt::Display>>(name: &str, text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("field {name}: {error}"))
}

#[cfg(test)]
#[path = "lines_tests.rs"]
mod tests;
