//! The record that waits in a directory until the daemon takes it in: one file each.
//!
//! Hooks write it with the builtins of their shell, so it is plain bytes:
//!
//! ```text
//! karo 1 NUL  name=value NUL  name=value NUL  …  command=BYTES NUL end LF
//! ```
//!
//! `command` is the last field, and all bytes up to the end mark belong to it, so nothing is escaped.
//! The end mark says that the writer was done; a file without it is not finished, or torn.
//! Files are named `SHELLID.SEQUENCE.s` for a start and `SHELLID.SEQUENCE.e` for an end.

use std::fmt;

use crate::observation::{Ending, OBSERVATION_VERSION, Observation, Phase, RawCommand, Shell, ShellProcess};
use crate::{Bytes, Micros, Precision, ShellId, ShellKind, Timestamp};

/// What a finished record ends with.
pub const END_MARK: &[u8] = b"\0end\n";

/// Bytes of a record at the most: a command and a directory of full length, and small fields.
pub const RECORD_BYTES_MAX: usize =
    crate::limits::COMMAND_BYTES_MAX + crate::limits::CWD_BYTES_MAX + 8 * 1024;

/// Why a file is no record that can be taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SpoolError {
    /// It does not begin as a record does.
    NotARecord,
    /// It has no end mark: its writer is not done, or died.
    Unfinished,
    /// It is of a later version than this program knows.
    Newer(u16),
    /// It is longer than [`RECORD_BYTES_MAX`].
    TooLong,
    /// A field is needed and is not there.
    Missing(&'static str),
    /// A field does not read as what it should be.
    Invalid(&'static str),
}

impl fmt::Display for SpoolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotARecord => f.write_str("not a spool record"),
            Self::Unfinished => f.write_str("spool record has no end mark"),
            Self::Newer(version) => {
                write!(f, "spool record of version {version}, known are up to {OBSERVATION_VERSION}")
            }
            Self::TooLong => write!(f, "spool record longer than {RECORD_BYTES_MAX} bytes"),
            Self::Missing(name) => write!(f, "spool record without field {name}"),
            Self::Invalid(name) => write!(f, "spool record with unreadable field {name}"),
        }
    }
}

impl std::error::Error for SpoolError {}

/// Returns the name of the file for one side of one command.
pub fn file_name(shell: ShellId, sequence: u64, phase: &Phase) -> String {
    let side = match phase {
        Phase::Start => 's',
        Phase::End(_) => 'e',
    };
    format!("{shell}.{sequence}.{side}")
}

/// Tells whether a file is a record by its name: hooks keep other things beside them.
pub fn is_file_name(name: &str) -> bool {
    let mut parts = name.split('.');
    let has_shell = parts.next().is_some_and(|id| id.len() == 32 && id.parse::<ShellId>().is_ok());
    let has_sequence = parts.next().is_some_and(|digits| digits.parse::<u64>().is_ok());
    has_shell && has_sequence && matches!(parts.next(), Some("s" | "e")) && parts.next().is_none()
}

/// The fields of a record, by name; a name given twice counts with its last value.
#[derive(Default)]
pub struct Fields<'a> {
    fields: Vec<(&'a [u8], &'a [u8])>,
}

impl<'a> Fields<'a> {
    /// Adds a field.
    pub fn push(&mut self, name: &'a [u8], value: &'a [u8]) {
        self.fields.push((name, value));
    }

    fn bytes(&self, name: &str) -> Option<&'a [u8]> {
        self.fields.iter().rev().find(|(n, _)| *n == name.as_bytes()).map(|(_, value)| *value)
    }

    fn needed(&self, name: &'static str) -> Result<&'a [u8], SpoolError> {
        self.bytes(name).ok_or(SpoolError::Missing(name))
    }

    /// Returns the field as text, unless it is absent or empty.
    fn text(&self, name: &str) -> Option<String> {
        self.bytes(name)
            .filter(|value| !value.is_empty())
            .map(|value| String::from_utf8_lossy(value).into_owned())
    }

    /// Reads the field, unless it is absent or empty.
    fn parsed<T: std::str::FromStr>(&self, name: &'static str) -> Result<Option<T>, SpoolError> {
        let Some(value) = self.bytes(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let text = std::str::from_utf8(value).map_err(|_| SpoolError::Invalid(name))?;
        text.trim().parse().map(Some).map_err(|_| SpoolError::Invalid(name))
    }

    fn flag(&self, name: &str) -> bool {
        self.bytes(name) == Some(b"1")
    }

    fn process(&self) -> Result<Option<ShellProcess>, SpoolError> {
        let found =
            (self.parsed("pid")?, self.parsed("pid_start")?, self.parsed("boot_id")?, self.parsed("pid_ns")?);
        let (Some(pid), Some(started_ticks), Some(boot), Some(namespace)) = found else { return Ok(None) };
        Ok(Some(ShellProcess { pid, started_ticks, boot, namespace }))
    }

    fn ending(&self) -> Result<Ending, SpoolError> {
        let pipestatus = self.text("pipestatus").unwrap_or_default();
        let pipestatus = pipestatus.split_whitespace().map(str::parse).collect::<Result<_, _>>();
        Ok(Ending {
            duration: self.parsed::<i64>("duration_us")?.map(|micros| Micros(micros.max(0) as u64)),
            exit: self.parsed("exit")?,
            pipestatus: pipestatus.map_err(|_| SpoolError::Invalid("pipestatus"))?,
        })
    }

    /// Reads an observation out of the fields; one longer than its limits is cut and flagged.
    ///
    /// # Errors
    ///
    /// [`SpoolError::Missing`] or [`SpoolError::Invalid`], naming the field.
    pub fn observation(&self) -> Result<Observation, SpoolError> {
        let phase = match self.needed("phase")? {
            b"start" => Phase::Start,
            b"end" => Phase::End(self.ending()?),
            _ => return Err(SpoolError::Invalid("phase")),
        };
        let shell = Shell {
            kind: self.parsed("shell")?.unwrap_or(ShellKind::Other),
            id: self.parsed("shell_id")?.ok_or(SpoolError::Missing("shell_id"))?,
            user: self.text("user").unwrap_or_default(),
            host: self.text("host").unwrap_or_default(),
            tty: self.text("tty"),
            is_remote: self.flag("ssh"),
            parent: self.text("parent"),
            process: self.process()?,
        };
        let observation = Observation {
            shell,
            sequence: self.parsed("seq")?.ok_or(SpoolError::Missing("seq"))?,
            phase,
            command: RawCommand::with_flag(self.needed("command")?, self.flag("command_cut")),
            cwd: Bytes::from(self.needed("cwd")?),
            is_cwd_truncated: self.flag("cwd_cut"),
            started_at: Timestamp::from_micros(
                self.parsed("started_us")?.ok_or(SpoolError::Missing("started_us"))?,
            ),
            precision: Precision::from_micros(self.parsed("precision_us")?.unwrap_or(1)),
            dropped: self.parsed("dropped")?.unwrap_or(0),
        };
        Ok(observation.bounded())
    }
}

/// Splits a record into its fields.
///
/// # Errors
///
/// Everything but [`SpoolError::Missing`] and [`SpoolError::Invalid`], which are the fields' own.
pub fn fields(record: &[u8]) -> Result<Fields<'_>, SpoolError> {
    if record.len() > RECORD_BYTES_MAX {
        return Err(SpoolError::TooLong);
    }
    let (version, rest) = version(record)?;
    if version > OBSERVATION_VERSION {
        return Err(SpoolError::Newer(version));
    }
    let Some(mut rest) = rest.strip_suffix(END_MARK) else { return Err(SpoolError::Unfinished) };
    let mut fields = Fields::default();
    while !rest.is_empty() {
        if let Some(command) = rest.strip_prefix(b"command=") {
            fields.push(b"command", command);
            break;
        }
        let end = rest.iter().position(|byte| *byte == 0).unwrap_or(rest.len());
        let (field, behind) = rest.split_at(end);
        let equals = field.iter().position(|byte| *byte == b'=').ok_or(SpoolError::NotARecord)?;
        fields.push(&field[..equals], &field[equals + 1..]);
        rest = behind.get(1..).unwrap_or_default();
    }
    Ok(fields)
}

/// Reads `karo N NUL` off the front.
fn version(record: &[u8]) -> Result<(u16, &[u8]), SpoolError> {
    let rest = record.strip_prefix(b"karo ").ok_or(if b"karo ".starts_with(record) {
        SpoolError::Unfinished
    } else {
        SpoolError::NotARecord
    })?;
    let Some(end) = rest.iter().take(8).position(|byte| *byte == 0) else {
        return Err(if rest.len() < 8 { SpoolError::Unfinished } else { SpoolError::NotARecord });
    };
    let digits = std::str::from_utf8(&rest[..end]).map_err(|_| SpoolError::NotARecord)?;
    let version = digits.parse().map_err(|_| SpoolError::NotARecord)?;
    Ok((version, &rest[end + 1..]))
}

/// Reads a whole record.
///
/// # Errors
///
/// Whatever keeps it from being taken in.
pub fn decode(record: &[u8]) -> Result<Observation, SpoolError> {
    fields(record)?.observation()
}

/// Writes a whole record with its end mark.
pub fn encode(observation: &Observation) -> Vec<u8> {
    let mut record = format!("karo {OBSERVATION_VERSION}\0").into_bytes();
    let mut field = |name: &str, value: &[u8]| {
        record.extend_from_slice(name.as_bytes());
        record.push(b'=');
        record.extend_from_slice(value);
        record.push(0);
    };
    let shell = &observation.shell;
    field("shell", shell.kind.name().as_bytes());
    field("shell_id", shell.id.to_string().as_bytes());
    field("seq", observation.sequence.to_string().as_bytes());
    field("started_us", observation.started_at.as_micros().to_string().as_bytes());
    field("precision_us", observation.precision.as_micros().to_string().as_bytes());
    match &observation.phase {
        Phase::Start => field("phase", b"start"),
        Phase::End(ending) => {
            field("phase", b"end");
            if let Some(Micros(duration)) = ending.duration {
                field("duration_us", duration.to_string().as_bytes());
            }
            if let Some(exit) = ending.exit {
                field("exit", exit.to_string().as_bytes());
            }
            let parts: Vec<String> = ending.pipestatus.iter().map(i32::to_string).collect();
            field("pipestatus", parts.join(" ").as_bytes());
        }
    }
    // A NUL in a name would end its field; no kernel gives one.
    let name = |text: &str| text.replace('\0', "").into_bytes();
    field("user", &name(&shell.user));
    field("host", &name(&shell.host));
    field("tty", &name(shell.tty.as_deref().unwrap_or_default()));
    field("parent", &name(shell.parent.as_deref().unwrap_or_default()));
    field("ssh", if shell.is_remote { b"1" } else { b"0" });
    if let Some(process) = shell.process {
        field("pid", process.pid.to_string().as_bytes());
        field("pid_start", process.started_ticks.to_string().as_bytes());
        field("boot_id", process.boot.to_string().as_bytes());
        field("pid_ns", process.namespace.to_string().as_bytes());
    }
    field("dropped", observation.dropped.to_string().as_bytes());
    field("command_cut", if observation.command.is_truncated() { b"1" } else { b"0" });
    field("cwd_cut", if observation.is_cwd_truncated { b"1" } else { b"0" });
    let cwd: Vec<u8> = observation.cwd.iter().copied().filter(|byte| *byte != 0).collect();
    field("cwd", &cwd);
    record.extend_from_slice(b"command=");
    record.extend_from_slice(observation.command.as_bytes());
    record.extend_from_slice(END_MARK);
    record
}

#[cfg(test)]
mod tests {
    use super::*;

    const RECORD: &[u8] =
        b"karo 1\0shell=zsh\0shell_id=000102030405060708090a0b0c0d0e0f\0seq=3\0phase=end\0started_us=17\0\
        duration_us=-4\0exit=1\0pipestatus=0 1\0cwd=/a\nb\0command=printf 'a\0b'\necho\0end\n";

    #[test]
    fn a_hooks_record_reads() {
        let observation = decode(RECORD).expect("it is whole");
        assert_eq!(observation.command.as_bytes(), b"printf 'a\0b'\necho");
        assert_eq!(observation.cwd.0, b"/a\nb");
        assert_eq!(observation.sequence, 3);
        let Phase::End(ending) = &observation.phase else { panic!("it is an end") };
        assert_eq!((ending.duration, ending.exit), (Some(Micros(0)), Some(1)));
        assert_eq!(ending.pipestatus, [0, 1]);
        assert_eq!(decode(&encode(&observation)), Ok(observation));
    }

    #[test]
    fn every_cut_is_unfinished_and_none_is_another_record() {
        for length in 0..RECORD.len() {
            let cut = &RECORD[..length];
            assert_eq!(decode(cut).expect_err("it is cut"), SpoolError::Unfinished, "at {length}");
        }
    }

    #[test]
    fn only_records_have_a_records_name() {
        let id = "000102030405060708090a0b0c0d0e0f";
        for (name, expected) in [
            (file_name(ShellId::default(), 1, &Phase::Start), true),
            (format!("{id}.18.e"), true),
            (format!(".{id}.text"), false),
            (format!("{id}.1.e.tmp"), false),
            (format!("{id}.x.e"), false),
            ("a.1.s".to_owned(), false),
        ] {
            assert_eq!(is_file_name(&name), expected, "{name}");
        }
    }

    #[test]
    fn errors_name_what_is_wrong() {
        let check = |record: &[u8], expected| assert_eq!(decode(record), Err(expected));
        check(b"garbage", SpoolError::NotARecord);
        check(b"karo 2\0anything", SpoolError::Newer(2));
        check(b"karo x\0command=\0end\n", SpoolError::NotARecord);
        check(b"karo 1\0command=x\0end\n", SpoolError::Missing("phase"));
        check(b"karo 1\0phase=start\0shell_id=zz\0command=x\0end\n", SpoolError::Invalid("shell_id"));
        check(&vec![b'x'; RECORD_BYTES_MAX + 1], SpoolError::TooLong);
    }
}
