//! Raw segments as bytes: how batches are framed, and how a file is read that may be torn or damaged.
//!
//! Layouts are drawn in [`records`](crate::records). Nothing here touches the disk.

use std::ops::Range;

use crate::payload::{self, Base};
use crate::records::{FORMAT, Kind, Record};

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 32;
/// Bytes of a batch's head.
pub(super) const BATCH_HEAD_BYTES: usize = 32;
/// Bytes of a record's head.
pub(super) const RECORD_HEAD_BYTES: usize = 12;

const SEGMENT_MAGIC: &[u8; 8] = b"KAROLOG\n";
const BATCH_MAGIC: &[u8; 4] = b"KBAT";
const FLAG_CLOSED: u16 = 1;

/// What the first bytes of a segment say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Header {
    /// It is of the format that this version writes.
    Ours,
    /// It is of an earlier format, which this version reads.
    Older(u16),
    /// It is of a later version, and says so with a sound checksum.
    Newer(u16),
    /// It is not as it was written.
    Unsound,
}

impl Header {
    /// Judges the format of a header whose checksum is right.
    pub(super) const fn of(format: u16) -> Self {
        match format {
            FORMAT => Self::Ours,
            1..FORMAT => Self::Older(format),
            _ => Self::Newer(format),
        }
    }
}

/// Makes the header of a segment; the moment is in µs since the epoch.
pub(super) fn header(number: u32, begun_at: i64) -> [u8; HEADER_BYTES] {
    let mut bytes = [0; HEADER_BYTES];
    bytes[..8].copy_from_slice(SEGMENT_MAGIC);
    bytes[8..10].copy_from_slice(&FORMAT.to_be_bytes());
    bytes[12..16].copy_from_slice(&number.to_be_bytes());
    bytes[16..24].copy_from_slice(&begun_at.to_be_bytes());
    let check = crc32c::crc32c(&bytes[..28]);
    bytes[28..].copy_from_slice(&check.to_be_bytes());
    bytes
}

/// Reads the header of the segment of that number.
pub(super) fn read_header(bytes: &[u8], number: u32) -> Header {
    let Some(bytes) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Header::Unsound;
    };
    let is_sound = bytes.starts_with(SEGMENT_MAGIC)
        && crc32c::crc32c(&bytes[..28]).to_be_bytes() == bytes[28..]
        && number.to_be_bytes() == bytes[12..16];
    match u16::from_be_bytes([bytes[8], bytes[9]]) {
        _ if !is_sound => Header::Unsound,
        version => Header::of(version),
    }
}

/// A batch in the making: one buffer that is written in one go.
#[derive(Debug, Default)]
pub(super) struct BatchWriter {
    bytes: Vec<u8>,
    number: u32,
    offset: u32,
    count: u32,
}

impl BatchWriter {
    /// Begins a batch at that offset of a segment, in the buffer of the one before.
    pub(super) fn begin(&mut self, number: u32, offset: u32) {
        self.bytes.clear();
        self.bytes.resize(BATCH_HEAD_BYTES, 0);
        (self.number, self.offset, self.count) = (number, offset, 0);
    }

    /// Adds a record and returns its offset in the segment.
    pub(super) fn push(&mut self, record: &Record<'_>) -> u32 {
        let start = self.bytes.len();
        self.bytes.resize(start + RECORD_HEAD_BYTES, 0);
        payload::put(&mut self.bytes, record, &mut Base::default());
        self.seal_record(start, record.kind());
        self.offset + start as u32
    }

    /// Adds a record whose payload is packed already.
    pub(super) fn push_packed(&mut self, kind: Kind, payload: &[u8]) -> u32 {
        let start = self.bytes.len();
        self.bytes.resize(start + RECORD_HEAD_BYTES, 0);
        self.bytes.extend_from_slice(payload);
        self.seal_record(start, kind);
        self.offset + start as u32
    }

    fn seal_record(&mut self, start: usize, kind: Kind) {
        let (head, payload) = self.bytes[start..].split_at_mut(RECORD_HEAD_BYTES);
        head[0] = kind as u8;
        head[4..8].copy_from_slice(&(payload.len() as u32).to_be_bytes());
        head[8..].copy_from_slice(&crc32c::crc32c(payload).to_be_bytes());
        let check = record_check(self.number, self.offset + start as u32, head);
        head[2..4].copy_from_slice(&check);
        self.count += 1;
    }

    /// Returns the records so far.
    pub(super) const fn count(&self) -> u32 {
        self.count
    }

    /// Returns the bytes so far, the head's included.
    pub(super) const fn len(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the offset in the segment of what is pushed next, or of what follows the batch.
    pub(super) const fn next_offset(&self) -> u32 {
        self.offset + self.bytes.len() as u32
    }

    /// Writes the head and returns the whole batch; `is_closing` says that nothing will follow.
    pub(super) fn finish(&mut self, is_closing: bool) -> &[u8] {
        let records = (self.bytes.len() - BATCH_HEAD_BYTES) as u32;
        let head = &mut self.bytes[..BATCH_HEAD_BYTES];
        head[..4].copy_from_slice(BATCH_MAGIC);
        head[4..6].copy_from_slice(&if is_closing { FLAG_CLOSED } else { 0 }.to_be_bytes());
        head[8..12].copy_from_slice(&self.count.to_be_bytes());
        head[12..16].copy_from_slice(&records.to_be_bytes());
        // Each batch is synced before the next is written: all before this one is on disk.
        head[16..24].copy_from_slice(&u64::from(self.offset).to_be_bytes());
        head[24..28].copy_from_slice(&self.offset.to_be_bytes());
        let check = batch_check(self.number, head);
        head[28..].copy_from_slice(&check);
        &self.bytes
    }
}

fn record_check(number: u32, offset: u32, head: &[u8]) -> [u8; 2] {
    /// Aligned, because the sum goes word by word from a whole word on.
    #[repr(align(8))]
    struct Checked([u8; 18]);

    let mut checked = Checked([0; 18]);
    checked.0[..4].copy_from_slice(&number.to_be_bytes());
    checked.0[4..8].copy_from_slice(&offset.to_be_bytes());
    checked.0[8..10].copy_from_slice(&head[..2]);
    checked.0[10..].copy_from_slice(&head[4..RECORD_HEAD_BYTES]);
    ((crc32c::crc32c(&checked.0) >> 16) as u16).to_be_bytes()
}

fn batch_check(number: u32, head: &[u8]) -> [u8; 4] {
    let sum = crc32c::crc32c(&number.to_be_bytes());
    crc32c::crc32c_append(sum, &head[..28]).to_be_bytes()
}

/// The head of a batch, read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct BatchHead {
    start: u64,
    end: u64,
    synced: u64,
    is_closing: bool,
}

fn read_batch_head(bytes: &[u8], number: u32, at: usize) -> Option<BatchHead> {
    let head = bytes.get(at..)?.first_chunk::<BATCH_HEAD_BYTES>()?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let is_sound = head.starts_with(BATCH_MAGIC)
        && word(24) == u32::try_from(at).ok()?
        && batch_check(number, head) == head[28..];
    is_sound.then(|| BatchHead {
        start: at as u64,
        end: at as u64 + BATCH_HEAD_BYTES as u64 + u64::from(word(12)),
        synced: u64::from(word(16)) << 32 | u64::from(word(20)),
        is_closing: u16::from_be_bytes([head[4], head[5]]) & FLAG_CLOSED != 0,
    })
}

/// What stands at an offset, as far as its head says.
enum RecordHead<'a> {
    /// A record with its payload, both as they were written.
    Sound(u8, &'a [u8]),
    /// A head as it was written, whose payload is not; it ends there.
    BadPayload(usize),
    /// Nothing that was written as the head of a record there.
    Unsound,
}

fn read_record_head(bytes: &[u8], number: u32, at: usize) -> RecordHead<'_> {
    let Some(head) = bytes.get(at..).and_then(|rest| rest.first_chunk::<RECORD_HEAD_BYTES>()) else {
        return RecordHead::Unsound;
    };
    if u32::try_from(at).map(|at| record_check(number, at, head)) != Ok([head[2], head[3]]) {
        return RecordHead::Unsound;
    }
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let start = at + RECORD_HEAD_BYTES;
    match bytes.get(start..start.saturating_add(length)) {
        Some(payload) if crc32c::crc32c(payload).to_be_bytes() == head[8..] => {
            RecordHead::Sound(head[0], payload)
        }
        Some(_) => RecordHead::BadPayload(start + length),
        None => RecordHead::BadPayload(bytes.len()),
    }
}

/// Reads the one record that begins there; `None` when it is not as it was written.
pub(super) fn read_record(bytes: &[u8], number: u32, offset: u32, at: usize) -> Option<(Kind, &[u8])> {
    // The check is over the offset in the file, and `bytes` may be a part of it.
    let head = bytes.get(at..)?.first_chunk::<RECORD_HEAD_BYTES>()?;
    let length = u32::from_be_bytes([head[4], head[5], head[6], head[7]]) as usize;
    let payload = bytes.get(at + RECORD_HEAD_BYTES..)?.get(..length)?;
    let is_sound = record_check(number, offset, head) == [head[2], head[3]]
        && crc32c::crc32c(payload).to_be_bytes() == head[8..];
    if !is_sound {
        return None;
    }
    Some((Kind::from_number(head[0])?, payload))
}

/// A record of a file, found by [`scan`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Found<'a> {
    /// Where its head begins.
    pub(super) offset: u32,
    /// What it is.
    pub(super) kind: Kind,
    /// Its payload, as it was written.
    pub(super) payload: &'a [u8],
}

impl Found<'_> {
    /// Returns the bytes that it takes.
    pub(super) fn range(&self) -> Range<u64> {
        let start = u64::from(self.offset);
        start..start + (RECORD_HEAD_BYTES + self.payload.len()) as u64
    }
}

/// Why bytes of a file are no records.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Fault {
    /// They were synced once, and are not as they were written.
    Damage,
    /// They are the beginning of a batch that was never written whole, so never acknowledged.
    Torn,
    /// They belong to the last batch, which has its length: it was torn, or was synced and is damaged.
    Undecided,
}

/// A file, read as far as it can be.
#[derive(Debug)]
pub(super) struct Scan<'a> {
    /// The records that are as they were written, in their order.
    pub(super) records: Vec<Found<'a>>,
    /// What is not, in order.
    pub(super) faults: Vec<(Range<u64>, Fault)>,
    /// Whether the log was closed in order, and nothing is wrong.
    pub(super) is_closed: bool,
    /// What the first bytes say.
    pub(super) header: Header,
    /// The offset up to which all was synced.
    synced: u64,
    /// Where the last batch lies.
    last: Range<u64>,
    /// What is wrong with what lies behind it.
    tail: Fault,
}

impl Scan<'_> {
    /// Returns the offset from which on values, lines and deletions do not count: of a batch that nobody was told of,
    /// and that is not there as a whole, none do. An entry of the audit is there with what it records, or not at all.
    pub(super) fn notes_end(&self) -> u64 {
        let is_open = |fault: &Fault| match fault {
            Fault::Damage => false,
            Fault::Torn | Fault::Undecided => true,
        };
        let first = self.faults.iter().find(|(_, fault)| is_open(fault));
        first.map_or(u64::MAX, |(range, _)| match self.last.contains(&range.start) {
            true => self.last.start,
            false => range.start,
        })
    }

    /// Judges a record that is as it was written but has no meaning without others.
    pub(super) fn fault_of(&self, range: &Range<u64>) -> Fault {
        let is_tail_sound = self.faults.iter().all(|(_, fault)| *fault == Fault::Damage);
        if range.end <= self.synced || is_tail_sound { Fault::Damage } else { self.tail }
    }
}

/// Reads all that can be read of a raw segment; `is_complete` when it is known that all of it was
/// synced, because a later segment was begun.
///
/// Every byte is either part of a head or record as it was written, or named as a fault.
pub(super) fn scan(bytes: &[u8], number: u32, is_complete: bool) -> Scan<'_> {
    let mut walk = Walk { bytes, number, records: Vec::new(), bad: Vec::new(), last: None };
    let header = read_header(bytes, number);
    let mut at = HEADER_BYTES.min(bytes.len());
    if header == Header::Unsound && at > 0 {
        walk.bad.push(0..at);
    }
    while at < bytes.len() {
        at = walk.step(at);
    }
    let (length, end) = (bytes.len(), bytes.len() as u64);
    let mut faults: Vec<(Range<u64>, Fault)> = walk
        .bad
        .iter()
        .map(|bad| (bad.start as u64..bad.end as u64, walk.judge(bad, length, is_complete)))
        .collect();
    let missing = walk.last.map(|head| head.end).filter(|batch_end| *batch_end > end);
    if let Some(batch_end) = missing
        && faults.last().is_none_or(|(bad, _)| bad.end < end)
    {
        // The records that are there are whole, and others of their batch are not there.
        faults.push((end..batch_end, if is_complete { Fault::Damage } else { Fault::Torn }));
    }
    let is_closed = walk.last.is_some_and(|head| head.is_closing && head.end == end) && faults.is_empty();
    let synced = if is_complete { end } else { walk.last.map_or(0, |head| head.synced) };
    let tail = if missing.is_some() { Fault::Torn } else { Fault::Undecided };
    let last = walk.last.map_or(0..0, |head| head.start..head.end);
    Scan { records: walk.records, faults, is_closed, header, synced, last, tail }
}

/// A walk over the bytes of a file.
struct Walk<'a> {
    bytes: &'a [u8],
    number: u32,
    records: Vec<Found<'a>>,
    bad: Vec<Range<usize>>,
    last: Option<BatchHead>,
}

impl<'a> Walk<'a> {
    /// Reads what begins there and returns where the next begins.
    fn step(&mut self, at: usize) -> usize {
        if let Some(head) = read_batch_head(self.bytes, self.number, at) {
            self.last = Some(head);
            return at + BATCH_HEAD_BYTES;
        }
        match read_record_head(self.bytes, self.number, at) {
            RecordHead::Sound(kind, payload) => {
                let end = at + RECORD_HEAD_BYTES + payload.len();
                match Kind::from_number(kind) {
                    Some(kind) => self.records.push(Found { offset: at as u32, kind, payload }),
                    None => self.bad.push(at..end),
                }
                end
            }
            RecordHead::BadPayload(end) => {
                self.bad.push(at..end);
                end
            }
            RecordHead::Unsound => {
                let next = (at + 1..self.bytes.len()).find(|next| self.begins_at(*next));
                let end = next.unwrap_or(self.bytes.len());
                self.bad.push(at..end);
                end
            }
        }
    }

    /// Tells whether something sound begins there. A void is too little to be told from zeros.
    fn begins_at(&self, at: usize) -> bool {
        read_batch_head(self.bytes, self.number, at).is_some()
            || matches!(read_record_head(self.bytes, self.number, at), RecordHead::Sound(kind, _) if kind != 0)
    }

    fn judge(&self, bad: &Range<usize>, length: usize, is_complete: bool) -> Fault {
        let is_synced = self.last.is_some_and(|head| bad.end as u64 <= head.synced);
        // The header was synced before the first batch was written.
        let is_old_header = bad.start == 0 && (self.last.is_some() || !self.records.is_empty());
        if is_complete || is_synced || is_old_header {
            return Fault::Damage;
        }
        let batch_end = self.last.map_or(HEADER_BYTES as u64, |head| head.end);
        let is_short = match (bad.start as u64) < batch_end {
            true => batch_end > length as u64,
            false => length as u64 - batch_end < BATCH_HEAD_BYTES as u64,
        };
        if is_short { Fault::Torn } else { Fault::Undecided }
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::ShellId;

    use super::*;

    const NUMBER: u32 = 7;

    /// Two batches of three records each.
    fn file() -> Vec<u8> {
        let mut bytes = header(NUMBER, 5).to_vec();
        let mut batch = BatchWriter::default();
        for first in [0, 3] {
            batch.begin(NUMBER, bytes.len() as u32);
            for sequence in first..first + 3 {
                batch.push(&Record::Lost(ShellId::default(), sequence));
            }
            bytes.extend_from_slice(batch.finish(false));
        }
        bytes
    }

    fn sequences(scan: &Scan<'_>) -> Vec<u8> {
        scan.records.iter().map(|found| found.payload[16]).collect()
    }

    #[test]
    fn what_was_written_is_read() {
        let bytes = file();
        let found = scan(&bytes, NUMBER, false);
        assert_eq!((sequences(&found), found.faults), (vec![0, 1, 2, 3, 4, 5], vec![]));
        assert_eq!(found.header, Header::Ours);
        assert!(!found.is_closed);
        assert_eq!(sequences(&scan(&bytes, NUMBER + 1, false)), Vec::<u8>::new());
    }

    #[test]
    fn a_cut_tail_is_torn_and_what_is_whole_stays() {
        let bytes = file();
        let second = HEADER_BYTES + BATCH_HEAD_BYTES + 3 * (RECORD_HEAD_BYTES + 17);
        for length in 0..bytes.len() {
            let found = scan(&bytes[..length], NUMBER, false);
            let is_whole = length == second || length == HEADER_BYTES || length == 0;
            assert_eq!(found.faults.is_empty(), is_whole, "{length}");
            assert!(found.faults.iter().all(|(_, fault)| *fault == Fault::Torn), "{length}");
            assert!(length < second || sequences(&found).starts_with(&[0, 1, 2]));
        }
    }

    #[test]
    fn every_changed_byte_is_named_and_costs_one_record_at_most() {
        let bytes = file();
        let second = HEADER_BYTES + BATCH_HEAD_BYTES + 3 * (RECORD_HEAD_BYTES + 17);
        for at in 0..bytes.len() {
            let mut damaged = bytes.clone();
            damaged[at] ^= 0x41;
            let found = scan(&damaged, NUMBER, false);
            let [(range, fault)] = found.faults.as_slice() else { panic!("one fault at {at}") };
            assert!(range.contains(&(at as u64)), "{range:?} for {at}");
            assert_eq!(*fault, if at < second { Fault::Damage } else { Fault::Undecided }, "{at}");
            assert!(found.records.len() >= 5);
            assert!(sequences(&found).is_sorted());
            assert_eq!(scan(&damaged, NUMBER, true).faults[0].1, Fault::Damage);
        }
    }
}
