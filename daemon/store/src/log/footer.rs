//! The footer of a sealed segment: what opening, deleting and finding need without reading the rest.
//!
//! Its layout is drawn in [`records`](crate::records).

use std::collections::HashMap;
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::{EventId, Shell, ShellId, Timestamp};

use super::known::{Contents, Intervals, Marks, Put};
use super::table::Span;
use crate::fields::{Fields, Malformed, put_bytes, put_number, put_signed};
use crate::payload::{put_deleted, put_shell, read_shell};
use crate::records::Series;

/// Where a block lies in its file, and what it holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct BlockPlace {
    /// Ordinal of its first record.
    pub(super) first: u16,
    /// Records in it.
    pub(super) count: u16,
    /// Where its head begins.
    pub(super) offset: u32,
    /// Bytes of head and frame.
    pub(super) bytes: u32,
    /// Bytes when unpacked.
    pub(super) unpacked: u32,
    /// First 64 bits of its least and greatest event id; the least is greater if it has no event.
    pub(super) ids: (u64, u64),
}

/// What a footer says.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Footer {
    pub(super) span: Span,
    pub(super) records: u32,
    pub(super) replaces: Vec<u32>,
    pub(super) blocks: Vec<BlockPlace>,
    pub(super) shell_block: BlockPlace,
    pub(super) shells: Vec<Arc<Shell>>,
    pub(super) contents: Contents,
    /// Outcomes by reference of events that lie in other segments, and their ordinals.
    pub(super) outlying: Vec<(Key, u16)>,
}

impl Footer {
    /// Writes the footer.
    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_signed(out, self.span.started.0.as_micros());
        put_signed(out, self.span.started.1.as_micros());
        out.extend_from_slice(self.span.ids.0.as_bytes());
        out.extend_from_slice(self.span.ids.1.as_bytes());
        put_number(out, u64::from(self.records));
        put_number(out, self.replaces.len() as u64);
        self.replaces.iter().for_each(|number| put_number(out, u64::from(*number)));
        put_number(out, self.blocks.len() as u64);
        for block in &self.blocks {
            put_number(out, u64::from(block.first));
            put_number(out, u64::from(block.count));
            put_place(out, block);
            out.extend_from_slice(&block.ids.0.to_be_bytes());
            out.extend_from_slice(&block.ids.1.to_be_bytes());
        }
        put_place(out, &self.shell_block);
        put_shells(out, &self.shells);
        self.put_contents(out);
    }

    fn put_contents(&self, out: &mut Vec<u8>) {
        let mut numbers = HashMap::new();
        for (number, shell) in self.shells.iter().enumerate() {
            numbers.entry(shell.id).or_insert(number as u64);
        }
        let put_ref = |out: &mut Vec<u8>, shell: &ShellId| match numbers.get(shell) {
            Some(number) => put_number(out, number + 1),
            None => {
                put_number(out, 0);
                out.extend_from_slice(shell.as_bytes());
            }
        };
        put_number(out, self.contents.marks.len() as u64);
        for (shell, marks) in &self.contents.marks {
            put_ref(out, shell);
            for set in [&marks.held, &marks.settled, &marks.lost] {
                put_set(out, set);
            }
        }
        put_number(out, self.outlying.len() as u64);
        for ((shell, sequence), ordinal) in &self.outlying {
            put_ref(out, shell);
            put_number(out, *sequence);
            put_number(out, u64::from(*ordinal));
        }
        put_number(out, self.contents.deleted.len() as u64);
        for (shell, first, last) in &self.contents.deleted {
            put_deleted(out, *shell, *first, *last);
        }
        if !self.contents.puts.is_empty() || !self.contents.lines.is_empty() {
            self.put_notes(out);
        }
    }

    fn put_notes(&self, out: &mut Vec<u8>) {
        put_number(out, self.contents.puts.len() as u64);
        for put in &self.contents.puts {
            put_number(out, put.stamp);
            out.push(put.shelf);
            put_bytes(out, &put.key);
            out.push(u8::from(put.value.is_some()));
            put.value.iter().for_each(|value| put_bytes(out, value));
        }
        put_number(out, self.contents.lines.len() as u64);
        for (series, lines) in &self.contents.lines {
            out.extend_from_slice(&series.0);
            put_number(out, lines.len() as u64);
            let mut before = (u64::MAX, u16::MAX);
            for (index, ordinal) in lines {
                put_signed(out, index.wrapping_sub(before.0).wrapping_sub(1) as i64);
                put_signed(out, i64::from(*ordinal) - i64::from(before.1) - 1);
                before = (*index, *ordinal);
            }
        }
    }

    /// Reads what [`put`](Self::put) wrote; the shells only where they are wanted: there are many.
    pub(super) fn read(bytes: &[u8], wants_shells: bool) -> Result<Self, Malformed> {
        const WHAT: &str = "footer";
        let mut fields = Fields(bytes);
        let mut time = || fields.signed(WHAT).map(Timestamp::from_micros);
        let started = (time()?, time()?);
        let mut id = || fields.array(WHAT).map(EventId::from_bytes);
        let span = Span { started, ids: (id()?, id()?) };
        let records = fields.small(WHAT)?;
        let replaces = list(&mut fields, |fields| fields.small(WHAT))?;
        let blocks = list(&mut fields, |fields| {
            let (first, count) = (fields.small(WHAT)?, fields.small(WHAT)?);
            let place = read_place(fields)?;
            let mut id = || fields.array(WHAT).map(u64::from_be_bytes);
            Ok(BlockPlace { first, count, ids: (id()?, id()?), ..place })
        })?;
        let shell_block = read_place(&mut fields)?;
        let packed = list(&mut fields, |fields| fields.bytes(WHAT))?;
        let id = |packed: &&[u8]| Fields(packed).array(WHAT).map(ShellId::from_bytes);
        let ids: Vec<ShellId> = packed.iter().map(id).collect::<Result<_, _>>()?;
        let whole = packed.iter().filter(|_| wants_shells);
        let shells =
            whole.map(|packed| read_shell(&mut Fields(packed)).map(Arc::new)).collect::<Result<_, _>>()?;
        let mut footer = Self { span, records, replaces, blocks, shell_block, shells, ..Self::default() };
        footer.read_contents(&mut fields, &ids)?;
        if fields.is_empty() { Ok(footer) } else { Err(Malformed(WHAT)) }
    }

    fn read_contents(&mut self, fields: &mut Fields<'_>, shells: &[ShellId]) -> Result<(), Malformed> {
        const WHAT: &str = "contents of a footer";
        let read_ref = |fields: &mut Fields<'_>| match fields.small::<usize>(WHAT)? {
            0 => fields.array(WHAT).map(ShellId::from_bytes),
            number => shells.get(number - 1).copied().ok_or(Malformed(WHAT)),
        };
        let marks = list(fields, |fields| {
            let shell = read_ref(fields)?;
            let (held, settled, lost) = (read_set(fields)?, read_set(fields)?, read_set(fields)?);
            Ok((shell, Marks { held, settled, lost }))
        })?;
        self.outlying =
            list(fields, |fields| Ok(((read_ref(fields)?, fields.number(WHAT)?), fields.small(WHAT)?)))?;
        let deleted = list(fields, |fields| {
            let shell = ShellId::from_bytes(fields.array(WHAT)?);
            Ok((shell, fields.number(WHAT)?, fields.number(WHAT)?))
        })?;
        self.contents = Contents { marks: marks.into_iter().collect(), deleted, ..Contents::default() };
        if fields.is_empty() { Ok(()) } else { self.read_notes(fields) }
    }

    fn read_notes(&mut self, fields: &mut Fields<'_>) -> Result<(), Malformed> {
        const WHAT: &str = "values and lines of a footer";
        self.contents.puts = list(fields, |fields| {
            let (stamp, shelf) = (fields.number(WHAT)?, fields.byte(WHAT)?);
            let key = fields.bytes(WHAT)?.into();
            let value = match fields.byte(WHAT)? {
                0 => None,
                1 => Some(fields.bytes(WHAT)?.into()),
                _ => return Err(Malformed(WHAT)),
            };
            Ok(Put { stamp, shelf, key, value })
        })?;
        let series = list(fields, |fields| {
            let series = Series(fields.array(WHAT)?);
            let mut before = (u64::MAX, i64::from(u16::MAX));
            let lines = list(fields, |fields| {
                let index = before.0.wrapping_add(1).wrapping_add(fields.signed(WHAT)? as u64);
                let ordinal = (before.1 + 1).checked_add(fields.signed(WHAT)?).ok_or(Malformed(WHAT))?;
                before = (index, ordinal);
                Ok((index, u16::try_from(ordinal).map_err(|_| Malformed(WHAT))?))
            })?;
            Ok((series, lines))
        })?;
        self.contents.lines = series.into_iter().collect();
        Ok(())
    }
}

/// Writes shells, in the order of their numbers.
pub(super) fn put_shells(out: &mut Vec<u8>, shells: &[Arc<Shell>]) {
    put_number(out, shells.len() as u64);
    let mut payload = Vec::new();
    for shell in shells {
        payload.clear();
        put_shell(&mut payload, shell);
        put_bytes(out, &payload);
    }
}

/// Reads what [`put_shells`] wrote, from bytes that hold nothing else.
pub(super) fn read_shells(bytes: &[u8]) -> Result<Vec<Arc<Shell>>, Malformed> {
    let mut fields = Fields(bytes);
    let shells = list(&mut fields, |fields| read_shell(&mut Fields(fields.bytes("shell")?)).map(Arc::new))?;
    if fields.is_empty() { Ok(shells) } else { Err(Malformed("shells")) }
}

/// Reads a count and so many of something; what is not there is never allocated.
fn list<'a, T>(
    fields: &mut Fields<'a>,
    mut read: impl FnMut(&mut Fields<'a>) -> Result<T, Malformed>,
) -> Result<Vec<T>, Malformed> {
    let count = fields.small::<usize>("count")?;
    if count > fields.0.len() {
        return Err(Malformed("count"));
    }
    (0..count).map(|_| read(fields)).collect()
}

fn put_place(out: &mut Vec<u8>, place: &BlockPlace) {
    put_number(out, u64::from(place.offset));
    put_number(out, u64::from(place.bytes));
    put_number(out, u64::from(place.unpacked));
}

fn read_place(fields: &mut Fields<'_>) -> Result<BlockPlace, Malformed> {
    const WHAT: &str = "place of a block";
    let (offset, bytes, unpacked) = (fields.small(WHAT)?, fields.small(WHAT)?, fields.small(WHAT)?);
    Ok(BlockPlace { offset, bytes, unpacked, ..BlockPlace::default() })
}

fn put_set(out: &mut Vec<u8>, set: &Intervals) {
    put_number(out, set.iter().len() as u64);
    let mut end = 0;
    for (first, last) in set.iter() {
        put_number(out, first - end);
        put_number(out, last - first);
        end = last;
    }
}

fn read_set(fields: &mut Fields<'_>) -> Result<Intervals, Malformed> {
    const WHAT: &str = "set of sequences";
    let mut set = Intervals::default();
    let mut end = 0_u64;
    let intervals = list(fields, |fields| Ok((fields.number(WHAT)?, fields.number(WHAT)?)))?;
    for (gap, length) in intervals {
        let first = end.checked_add(gap).ok_or(Malformed(WHAT))?;
        end = first.checked_add(length).ok_or(Malformed(WHAT))?;
        set.insert_range(first, end);
    }
    Ok(set)
}
