//! How the payload of each kind of record is written and read.
//!
//! Reading never panics and never allocates by a length that was read; what cannot be read is
//! [`Malformed`]. Checksums are the matter of whoever frames the payloads.

use std::sync::Arc;

use karo_protocol::observation::ShellProcess;
use karo_protocol::{
    Axis, BootId, Category, EventId, Micros, Precision, Risk, Shell, ShellId, ShellKind, State, Timestamp,
};

use crate::fields::{Fields, Malformed, put_bytes, put_number, put_signed};
use crate::records::{Kind, PackedEnding, PackedEvent, PackedPut, Record, Series};

/// What the next event of a block is relative to; all zero for a payload that stands alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Base {
    started_at: i64,
    id: u128,
}

const IS_TRUNCATED: u8 = 1;
const IS_CWD_TRUNCATED: u8 = 1 << 1;
const PRECISION_SHIFT: u8 = 2;
const STATE_SHIFT: u8 = 4;
const IS_NEAR: u8 = 1 << 6;

const HAS_DURATION: u8 = 1;
const HAS_EXIT: u8 = 1 << 1;
const HAS_RISK: u8 = 1 << 2;
const HAS_REDACTIONS: u8 = 1 << 3;
const HAS_RULES: u8 = 1 << 4;
const HAS_PIPESTATUS: u8 = 1 << 5;
const HAS_CATEGORIES: u8 = 1 << 6;
const KNOWN_FIELDS: u8 = (1 << 7) - 1;

/// Writes the payload of any record.
pub fn put(out: &mut Vec<u8>, record: &Record<'_>, base: &mut Base) {
    match record {
        Record::Void => {}
        Record::Shell(number, shell) => {
            put_number(out, u64::from(*number));
            put_shell(out, shell);
        }
        Record::Event(event) => put_event(out, event, base),
        Record::Ended(shell, sequence, ending) => put_ended(out, *shell, *sequence, ending),
        Record::Lost(shell, sequence) => {
            out.extend_from_slice(shell.as_bytes());
            put_number(out, *sequence);
        }
        Record::Deleted(shell, first, last) => put_deleted(out, *shell, *first, *last),
        Record::Understood(segment) => put_number(out, u64::from(*segment)),
        Record::Put(put) => {
            put_number(out, put.stamp);
            out.push(put.shelf);
            put_bytes(out, put.key);
            put.value.iter().for_each(|value| put_bytes(out, value));
        }
        Record::Line(series, index, line) => {
            out.extend_from_slice(&series.0);
            put_number(out, *index);
            put_bytes(out, line);
        }
    }
}

/// Reads the payload of a record of that kind.
///
/// # Errors
///
/// When it is none, or something is left behind it.
pub fn read<'a>(kind: Kind, payload: &'a [u8], base: &mut Base) -> Result<Record<'a>, Malformed> {
    let mut fields = Fields(payload);
    let record = match kind {
        Kind::Void => Record::Void,
        Kind::Shell => {
            let number = fields.small("number of a shell")?;
            Record::Shell(number, Arc::new(read_shell(&mut fields)?))
        }
        Kind::Started | Kind::Whole => {
            let event = read_event(&mut fields, base)?;
            if (event.state == State::Running) != (kind == Kind::Started) {
                return Err(Malformed("state"));
            }
            Record::Event(event)
        }
        Kind::Ended => {
            let (shell, sequence) = read_subject(&mut fields)?;
            let present = fields.byte("ending")?;
            Record::Ended(shell, sequence, read_ending(&mut fields, present)?)
        }
        Kind::Lost => {
            let (shell, sequence) = read_subject(&mut fields)?;
            Record::Lost(shell, sequence)
        }
        Kind::Deleted => {
            let shell = ShellId::from_bytes(fields.array("shell id")?);
            let (first, last) = (fields.number("sequence")?, fields.number("sequence")?);
            if first > last {
                return Err(Malformed("sequences"));
            }
            Record::Deleted(shell, first, last)
        }
        Kind::Understood => Record::Understood(fields.small("number of a segment")?),
        Kind::Put | Kind::Removed => Record::Put(PackedPut {
            stamp: fields.number("stamp")?,
            shelf: fields.byte("shelf")?,
            key: fields.bytes("key")?,
            value: if kind == Kind::Put { Some(fields.bytes("value")?) } else { None },
        }),
        Kind::Line => {
            let series = Series(fields.array("series")?);
            Record::Line(series, fields.number("index")?, fields.bytes("line")?)
        }
    };
    if !fields.is_empty() {
        return Err(Malformed("the end of a record"));
    }
    Ok(record)
}

fn read_subject(fields: &mut Fields<'_>) -> Result<(ShellId, u64), Malformed> {
    Ok((ShellId::from_bytes(fields.array("shell id")?), fields.number("sequence")?))
}

/// Writes an event.
///
/// | field | form |
/// | --- | --- |
/// | number of its shell, sequence | number, number |
/// | flags | byte: 1 text cut, 2 directory cut, 2 bits of precision, 2 bits of state, 64 the id is near |
/// | present | byte: 1 duration, 2 exit, 4 risk or axis, 8 redactions, 16 rules, 32 pipe statuses, 64 categories |
/// | start | signed: µs after the one before |
/// | id | near: number, added to the one before; else signed (ms after the one before) and its last 10 bytes |
/// | duration, exit, pipe statuses | number, signed, bytes of signed; each if present |
/// | category, categories | byte, number (if it is not the one category) |
/// | risk, version of the rules | byte (if present): index of the risk, or 15 for none, and 16 times the index of the axis plus 1, or 0 for none; number |
/// | tools, rules | bytes (names separated by NUL), the same if present |
/// | directory, command | bytes, bytes |
/// | redactions | bytes of (start number, length number, kind byte), if present |
pub fn put_event(out: &mut Vec<u8>, event: &PackedEvent<'_>, base: &mut Base) {
    let one_category = 1 << event.category.index();
    let id = u128::from_be_bytes(*event.id.as_bytes());
    let near = id.checked_sub(base.id).and_then(|step| u32::try_from(step).ok());
    put_number(out, u64::from(event.shell));
    put_number(out, event.sequence);
    out.push(
        flag(event.is_truncated, IS_TRUNCATED)
            | flag(event.is_cwd_truncated, IS_CWD_TRUNCATED)
            | precision_index(event.precision) << PRECISION_SHIFT
            | event.state.index() << STATE_SHIFT
            | flag(near.is_some(), IS_NEAR),
    );
    out.push(
        ending_present(&event.ending)
            | flag(event.risk.is_some() || event.axis.is_some(), HAS_RISK)
            | flag(!event.redactions.is_empty(), HAS_REDACTIONS)
            | flag(!event.rules.is_empty(), HAS_RULES)
            | flag(event.categories != one_category, HAS_CATEGORIES),
    );
    put_signed(out, event.started_at.as_micros().wrapping_sub(base.started_at));
    match near {
        Some(step) => put_number(out, u64::from(step)),
        None => {
            put_signed(out, id_millis(id) - id_millis(base.id));
            out.extend_from_slice(&event.id.as_bytes()[6..]);
        }
    }
    *base = Base { started_at: event.started_at.as_micros(), id };
    put_ending_fields(out, &event.ending);
    out.push(event.category.index());
    if event.categories != one_category {
        put_number(out, u64::from(event.categories));
    }
    if event.risk.is_some() || event.axis.is_some() {
        out.push(pack_risk(event.risk, event.axis));
    }
    put_number(out, u64::from(event.version));
    put_bytes(out, event.tools);
    if !event.rules.is_empty() {
        put_bytes(out, event.rules);
    }
    put_bytes(out, event.cwd);
    put_bytes(out, event.command);
    if !event.redactions.is_empty() {
        put_bytes(out, event.redactions);
    }
}

const fn flag(is_set: bool, bit: u8) -> u8 {
    if is_set { bit } else { 0 }
}

/// No risk, in the low half of the byte of risk and axis.
const NO_RISK: u8 = 0x0f;

/// Format 1 had the index of the risk alone: its high half is that of no axis.
fn pack_risk(risk: Option<Risk>, axis: Option<Axis>) -> u8 {
    risk.map_or(NO_RISK, Risk::index) | axis.map_or(0, |axis| axis.index() + 1) << 4
}

fn unpack_risk(byte: u8) -> Result<(Option<Risk>, Option<Axis>), Malformed> {
    let risk = match byte & 0x0f {
        NO_RISK => None,
        index => Some(Risk::from_index(index).ok_or(Malformed("risk"))?),
    };
    let axis = match (byte >> 4).checked_sub(1) {
        None => None,
        Some(index) => Some(Axis::from_index(index).ok_or(Malformed("axis"))?),
    };
    Ok((risk, axis))
}

/// Returns the first 48 bits: milliseconds since the epoch, in ids of our own.
const fn id_millis(id: u128) -> i64 {
    (id >> 80) as i64
}

const fn precision_index(precision: Precision) -> u8 {
    match precision {
        Precision::Micro => 0,
        Precision::Centi => 1,
        Precision::Second => 2,
    }
}

fn read_event<'a>(fields: &mut Fields<'a>, base: &mut Base) -> Result<PackedEvent<'a>, Malformed> {
    let (shell, sequence) = (fields.small("number of a shell")?, fields.number("sequence")?);
    let flags = fields.byte("flags")?;
    let present = fields.byte("fields")?;
    if present & !KNOWN_FIELDS != 0 || flags & 0x80 != 0 {
        return Err(Malformed("flags"));
    }
    let precision = match flags >> PRECISION_SHIFT & 3 {
        0 => Precision::Micro,
        1 => Precision::Centi,
        2 => Precision::Second,
        _ => return Err(Malformed("precision")),
    };
    let state = State::from_index(flags >> STATE_SHIFT & 3).ok_or(Malformed("state"))?;
    let started_at = base.started_at.wrapping_add(fields.signed("start")?);
    let id = read_id(fields, flags & IS_NEAR != 0, base.id)?;
    *base = Base { started_at, id };
    let ending = read_ending(fields, present & (HAS_DURATION | HAS_EXIT | HAS_PIPESTATUS))?;
    let category = Category::from_index(fields.byte("category")?).ok_or(Malformed("category"))?;
    let has = |bit| present & bit != 0;
    let categories = if has(HAS_CATEGORIES) { fields.small("categories")? } else { 1 << category.index() };
    let (risk, axis) = if has(HAS_RISK) { unpack_risk(fields.byte("risk")?)? } else { (None, None) };
    let version = fields.small("version")?;
    Ok(PackedEvent {
        shell,
        sequence,
        id: EventId::from_bytes(id.to_be_bytes()),
        started_at: Timestamp::from_micros(started_at),
        precision,
        is_truncated: flags & IS_TRUNCATED != 0,
        is_cwd_truncated: flags & IS_CWD_TRUNCATED != 0,
        tools: fields.bytes("tools")?,
        rules: if has(HAS_RULES) { fields.bytes("rules")? } else { &[] },
        cwd: fields.bytes("directory")?,
        command: fields.bytes("command")?,
        redactions: if has(HAS_REDACTIONS) { fields.bytes("redactions")? } else { &[] },
        category,
        categories,
        risk,
        axis,
        version,
        state,
        ending,
    })
}

fn read_id(fields: &mut Fields<'_>, is_near: bool, base: u128) -> Result<u128, Malformed> {
    const WHAT: &str = "event id";
    if is_near {
        return base.checked_add(u128::from(fields.number(WHAT)?)).ok_or(Malformed(WHAT));
    }
    let millis = id_millis(base).checked_add(fields.signed(WHAT)?).ok_or(Malformed(WHAT))?;
    if millis >> 48 != 0 {
        return Err(Malformed(WHAT));
    }
    let mut rest = [0; 16];
    rest[6..].copy_from_slice(&fields.array::<10>(WHAT)?);
    Ok((millis as u128) << 80 | u128::from_be_bytes(rest))
}

/// Writes an outcome by reference: id of the shell (16 bytes), sequence (number), a byte of what is
/// present (1 duration, 2 exit, 32 pipe statuses), then these as in [`put_event`].
pub fn put_ended(out: &mut Vec<u8>, shell: ShellId, sequence: u64, ending: &PackedEnding<'_>) {
    out.extend_from_slice(shell.as_bytes());
    put_number(out, sequence);
    out.push(ending_present(ending));
    put_ending_fields(out, ending);
}

fn ending_present(ending: &PackedEnding<'_>) -> u8 {
    flag(ending.duration.is_some(), HAS_DURATION)
        | flag(ending.exit.is_some(), HAS_EXIT)
        | flag(!ending.pipestatus.is_empty(), HAS_PIPESTATUS)
}

fn put_ending_fields(out: &mut Vec<u8>, ending: &PackedEnding<'_>) {
    if let Some(Micros(duration)) = ending.duration {
        put_number(out, duration);
    }
    if let Some(exit) = ending.exit {
        put_signed(out, i64::from(exit));
    }
    if !ending.pipestatus.is_empty() {
        put_bytes(out, ending.pipestatus);
    }
}

fn read_ending<'a>(fields: &mut Fields<'a>, present: u8) -> Result<PackedEnding<'a>, Malformed> {
    if present & !(HAS_DURATION | HAS_EXIT | HAS_PIPESTATUS) != 0 {
        return Err(Malformed("ending"));
    }
    let has = |bit| present & bit != 0;
    Ok(PackedEnding {
        duration: if has(HAS_DURATION) { Some(Micros(fields.number("duration")?)) } else { None },
        exit: match has(HAS_EXIT) {
            true => Some(i32::try_from(fields.signed("exit")?).map_err(|_| Malformed("exit"))?),
            false => None,
        },
        pipestatus: if has(HAS_PIPESTATUS) { fields.bytes("pipe statuses")? } else { &[] },
    })
}

/// Writes a shell: its id first (16 bytes), so that a reader can stop there; kind (byte); user and
/// host (bytes); a byte of what is present (1 tty, 2 parent, 4 process, 8 reached over ssh); tty and
/// parent (bytes); pid and start ticks (numbers), boot id (16 bytes) and namespace (number).
pub fn put_shell(out: &mut Vec<u8>, shell: &Shell) {
    out.extend_from_slice(shell.id.as_bytes());
    out.push(shell.kind.index());
    put_bytes(out, shell.user.as_bytes());
    put_bytes(out, shell.host.as_bytes());
    out.push(
        flag(shell.tty.is_some(), 1)
            | flag(shell.parent.is_some(), 2)
            | flag(shell.process.is_some(), 4)
            | flag(shell.is_remote, 8),
    );
    for name in [&shell.tty, &shell.parent].into_iter().flatten() {
        put_bytes(out, name.as_bytes());
    }
    if let Some(process) = &shell.process {
        put_number(out, u64::from(process.pid));
        put_number(out, process.started_ticks);
        out.extend_from_slice(process.boot.as_bytes());
        put_number(out, process.namespace);
    }
}

/// Reads what [`put_shell`] wrote.
///
/// # Errors
///
/// When it is no shell.
pub fn read_shell(fields: &mut Fields<'_>) -> Result<Shell, Malformed> {
    let id = ShellId::from_bytes(fields.array("shell id")?);
    let kind = ShellKind::from_index(fields.byte("kind of shell")?).ok_or(Malformed("kind of shell"))?;
    let (user, host) = (read_name(fields)?, read_name(fields)?);
    let present = fields.byte("shell")?;
    let has = |bit| present & bit != 0;
    Ok(Shell {
        kind,
        id,
        user,
        host,
        is_remote: has(8),
        tty: if has(1) { Some(read_name(fields)?) } else { None },
        parent: if has(2) { Some(read_name(fields)?) } else { None },
        process: if has(4) { Some(read_process(fields)?) } else { None },
    })
}

fn read_process(fields: &mut Fields<'_>) -> Result<ShellProcess, Malformed> {
    const WHAT: &str = "process of a shell";
    Ok(ShellProcess {
        pid: fields.small(WHAT)?,
        started_ticks: fields.number(WHAT)?,
        boot: BootId::from_bytes(fields.array(WHAT)?),
        namespace: fields.number(WHAT)?,
    })
}

fn read_name(fields: &mut Fields<'_>) -> Result<String, Malformed> {
    let bytes = fields.bytes("name")?;
    String::from_utf8(bytes.to_vec()).map_err(|_| Malformed("name"))
}

/// Writes which sequences of a shell never come back: its id (16 bytes), first and last (numbers).
pub fn put_deleted(out: &mut Vec<u8>, shell: ShellId, first: u64, last: u64) {
    out.extend_from_slice(shell.as_bytes());
    put_number(out, first);
    put_number(out, last);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(command: &[u8]) -> PackedEvent<'_> {
        PackedEvent {
            shell: 3,
            sequence: 7,
            id: EventId::new(Timestamp::from_micros(1_700_000_000_000_000), [9; 10]),
            started_at: Timestamp::from_micros(1_700_000_000_123_456),
            precision: Precision::Centi,
            is_truncated: false,
            is_cwd_truncated: true,
            command,
            redactions: &[],
            cwd: b"/tmp",
            category: Category::Vcs,
            categories: 0b101,
            tools: b"git\0less",
            risk: Some(Risk::Low),
            axis: Some(Axis::Exposure),
            rules: b"a-rule",
            version: 4,
            state: State::Ended,
            ending: PackedEnding { duration: Some(Micros(17)), exit: Some(-1), pipestatus: &[2, 0] },
        }
    }

    #[test]
    fn events_of_a_block_come_back() {
        let first = event(b"git log | less");
        let mut next_id = *first.id.as_bytes();
        next_id[15] += 1;
        let next = PackedEvent {
            id: EventId::from_bytes(next_id),
            started_at: Timestamp::MIN,
            state: State::Running,
            ending: PackedEnding::default(),
            categories: 1 << Category::Vcs.index(),
            risk: None,
            axis: None,
            rules: &[],
            redactions: &[1, 2, 0],
            ..first
        };
        let (mut writing, mut reading) = (Base::default(), Base::default());
        for record in [Record::Event(first), Record::Event(next), Record::Event(first)] {
            let mut out = Vec::new();
            put(&mut out, &record, &mut writing);
            assert_eq!(read(record.kind(), &out, &mut reading), Ok(record));
        }
    }

    #[test]
    fn every_risk_and_axis_comes_back_and_format_1_has_no_axis() {
        let risks = Risk::ALL.iter().copied().map(Some).chain([None]);
        for (risk, axis) in risks
            .flat_map(|risk| Axis::ALL.iter().copied().map(Some).chain([None]).map(move |axis| (risk, axis)))
        {
            assert_eq!(unpack_risk(pack_risk(risk, axis)), Ok((risk, axis)));
        }
        assert_eq!(unpack_risk(Risk::High.index()), Ok((Some(Risk::High), None)));
        assert!(unpack_risk(0x40).is_err() && unpack_risk(0x0e).is_err());
    }

    #[test]
    fn other_records_come_back_and_their_pieces_are_refused() {
        let process =
            ShellProcess { pid: 5, started_ticks: 6, boot: BootId::from_bytes([7; 16]), namespace: 8 };
        let shell = Shell {
            kind: ShellKind::Zsh,
            id: ShellId::from_bytes([1; 16]),
            user: "u".into(),
            host: "h".into(),
            tty: Some("pts/3".into()),
            is_remote: true,
            parent: None,
            process: Some(process),
        };
        let records = [
            Record::Shell(300, Arc::new(shell)),
            Record::Ended(ShellId::from_bytes([2; 16]), u64::MAX, event(b"").ending),
            Record::Lost(ShellId::from_bytes([8; 16]), 2),
            Record::Deleted(ShellId::from_bytes([3; 16]), 4, 5),
            Record::Understood(70_000),
            Record::Put(PackedPut { stamp: 300, shelf: 7, key: b"name", value: Some(b"") }),
            Record::Put(PackedPut { stamp: u64::MAX, shelf: 255, key: b"", value: None }),
            Record::Line(Series([5; 16]), u64::MAX, b"line"),
        ];
        for record in records {
            let mut out = Vec::new();
            put(&mut out, &record, &mut Base::default());
            assert_eq!(read(record.kind(), &out, &mut Base::default()).as_ref(), Ok(&record));
            for length in 0..out.len() {
                assert!(read(record.kind(), &out[..length], &mut Base::default()).is_err());
            }
        }
    }
}
