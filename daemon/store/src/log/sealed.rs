//! Sealed segments as bytes: how one is made, and how it is read, whole or in part.
//!
//! Layouts are drawn in [`records`](crate::records). Nothing here touches the disk.

use std::ops::Range;
use std::sync::Arc;

use karo_protocol::{EventId, Shell, ShellId, Timestamp};
use zstd::bulk::Compressor;

use super::footer::{BlockPlace, Footer, put_shells, read_shells};
use super::known::Put;
use super::raw::Header;
use super::table::{Shared, Span};
use crate::fields::{Fields, put_number};
use crate::payload::{self, Base};
use crate::records::{FORMAT, Kind, Record};

/// Bytes of a segment's header.
pub(super) const HEADER_BYTES: usize = 96;
/// Bytes of a block's head.
pub(super) const BLOCK_HEAD_BYTES: usize = 64;
/// Bytes of the trailer.
pub(super) const TRAILER_BYTES: usize = 16;
/// Records in a block: what one event costs to be read, and what one damaged byte costs at most.
const BLOCK_RECORDS: u16 = 128;
/// Unpacked bytes of a block: 128 records of the greatest length, with room; more is no block of ours.
const UNPACKED_BYTES_MAX: u32 = 64 << 20;

/// Level of zstd. Measured on typical commands: higher ones save less than two bytes an event.
const LEVEL: i32 = 3;

const SEGMENT_MAGIC: &[u8; 8] = b"KAROSEG\n";
const BLOCK_MAGIC: &[u8; 4] = b"KBLK";
const TRAILER_MAGIC: &[u8; 4] = b"KEND";

/// What a block holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
pub(super) enum BlockKind {
    Records = 1,
    Shells = 2,
    Footer = 3,
}

/// A segment on its way to being sealed.
pub(super) struct Sealer {
    number: u32,
    bytes: Vec<u8>,
    block: Vec<u8>,
    base: Base,
    place: BlockPlace,
    block_span: Span,
    previous: Option<u16>,
    footer: Footer,
    /// One for all blocks: its tables are larger than they are.
    compressor: Compressor<'static>,
}

impl Sealer {
    /// Begins the segment of that number, whose records name these shells by their places.
    pub(super) fn begin(number: u32, shells: Vec<Arc<Shell>>) -> Self {
        Self {
            number,
            bytes: vec![0; HEADER_BYTES],
            block: Vec::new(),
            base: Base::default(),
            place: BlockPlace::default(),
            block_span: Span::default(),
            previous: None,
            footer: Footer { shells, ..Footer::default() },
            compressor: Compressor::new(LEVEL).expect("zstd has this level"),
        }
    }

    /// Adds a record; ordinals must rise.
    pub(super) fn push(&mut self, ordinal: u16, record: &Record<'_>) {
        if self.place.count == BLOCK_RECORDS {
            self.end_block();
        }
        if self.place.count == 0 {
            self.place.first = ordinal;
            self.previous = None;
        }
        let gap = self.previous.map_or(0, |previous| ordinal - previous - 1);
        put_number(&mut self.block, u64::from(gap));
        self.block.push(record.kind() as u8);
        let start = self.block.len();
        payload::put(&mut self.block, record, &mut self.base);
        let length = self.block.len() - start;
        put_number(&mut self.block, length as u64);
        // The length goes before the payload, and is known behind it.
        let width = self.block.len() - start - length;
        self.block[start..].rotate_right(width);
        self.previous = Some(ordinal);
        self.place.count += 1;
        self.count(ordinal, record);
    }

    fn count(&mut self, ordinal: u16, record: &Record<'_>) {
        self.footer.records += 1;
        let mut shell = None;
        if let Record::Event(event) = record {
            shell = self.footer.shells.get(event.shell as usize).map(|shell| shell.id);
            self.block_span.add(event.started_at, event.id);
            self.footer.span.add(event.started_at, event.id);
        }
        if let Record::Ended(shell, sequence, _) | Record::Lost(shell, sequence) = record {
            self.footer.outlying.push(((*shell, *sequence), ordinal));
        }
        self.footer.contents.add(ordinal, record, shell);
    }

    fn end_block(&mut self) {
        if self.place.count == 0 {
            return;
        }
        let ids = self.block_span.ids;
        let block = std::mem::take(&mut self.block);
        let placed = self.put_block(BlockKind::Records, &block);
        self.footer.blocks.push(BlockPlace { ids: (prefix(ids.0), prefix(ids.1)), ..placed });
        self.block = block;
        self.block.clear();
        (self.base, self.place, self.block_span) = (Base::default(), BlockPlace::default(), Span::default());
    }

    fn put_block(&mut self, kind: BlockKind, unpacked: &[u8]) -> BlockPlace {
        let offset = self.bytes.len();
        let packed =
            self.compressor.compress(unpacked).expect("memory is a destination that takes everything");
        let mut head = [0; BLOCK_HEAD_BYTES];
        head[..4].copy_from_slice(BLOCK_MAGIC);
        head[4] = kind as u8;
        head[6..8].copy_from_slice(&self.place.count.to_be_bytes());
        head[8..10].copy_from_slice(&self.place.first.to_be_bytes());
        head[12..16].copy_from_slice(&(unpacked.len() as u32).to_be_bytes());
        head[16..20].copy_from_slice(&(packed.len() as u32).to_be_bytes());
        head[20..24].copy_from_slice(&(offset as u32).to_be_bytes());
        head[24..32].copy_from_slice(&self.block_span.started.0.as_micros().to_be_bytes());
        head[32..40].copy_from_slice(&self.block_span.started.1.as_micros().to_be_bytes());
        let hash = block_hash(self.number, &head, &packed);
        head[48..].copy_from_slice(&hash);
        self.bytes.extend_from_slice(&head);
        self.bytes.extend_from_slice(&packed);
        let bytes = (self.bytes.len() - offset) as u32;
        BlockPlace { offset: offset as u32, bytes, unpacked: unpacked.len() as u32, ..self.place }
    }

    /// Adds what is known of events that cannot be read any more, so that they never count as new.
    pub(super) fn remember(&mut self, shell: ShellId, marks: &super::known::Marks) {
        self.footer.contents.marks.entry(shell).or_default().extend(marks);
    }

    /// Adds a value whose record cannot be read any more.
    pub(super) fn remember_put(&mut self, put: Put) {
        self.footer.contents.puts.push(put);
    }

    /// Returns the bytes of the whole file, and its footer.
    pub(super) fn finish(mut self, sealed_at: Timestamp, replaces: Vec<u32>) -> (Vec<u8>, Footer) {
        self.end_block();
        self.footer.replaces = replaces;
        let mut shells = Vec::new();
        put_shells(&mut shells, &self.footer.shells);
        self.footer.shell_block = self.put_block(BlockKind::Shells, &shells);
        let mut footer = Vec::new();
        self.footer.put(&mut footer);
        let place = self.put_block(BlockKind::Footer, &footer);
        let mut trailer = [0; TRAILER_BYTES];
        trailer[..4].copy_from_slice(TRAILER_MAGIC);
        trailer[4..8].copy_from_slice(&place.offset.to_be_bytes());
        trailer[8..12].copy_from_slice(&place.bytes.to_be_bytes());
        let check = trailer_check(self.number, &trailer);
        trailer[12..].copy_from_slice(&check);
        self.bytes.extend_from_slice(&trailer);
        let header = header(self.number, sealed_at, &self.footer);
        self.bytes[..HEADER_BYTES].copy_from_slice(&header);
        (self.bytes, self.footer)
    }
}

fn header(number: u32, sealed_at: Timestamp, footer: &Footer) -> [u8; HEADER_BYTES] {
    let mut header = [0; HEADER_BYTES];
    let (started, ids) = (footer.span.started, footer.span.ids);
    header[..8].copy_from_slice(SEGMENT_MAGIC);
    header[8..10].copy_from_slice(&FORMAT.to_be_bytes());
    header[12..16].copy_from_slice(&number.to_be_bytes());
    header[16..24].copy_from_slice(&sealed_at.as_micros().to_be_bytes());
    header[24..32].copy_from_slice(&started.0.as_micros().to_be_bytes());
    header[32..40].copy_from_slice(&started.1.as_micros().to_be_bytes());
    header[40..56].copy_from_slice(ids.0.as_bytes());
    header[56..72].copy_from_slice(ids.1.as_bytes());
    header[72..76].copy_from_slice(&footer.records.to_be_bytes());
    let hash = half(blake3::hash(&header[..80]));
    header[80..].copy_from_slice(&hash);
    header
}

/// Reads the header of the segment of that number.
pub(super) fn read_header(bytes: &[u8], number: u32) -> Header {
    let Some(header) = bytes.first_chunk::<HEADER_BYTES>() else {
        return Header::Unsound;
    };
    let is_sound = header.starts_with(SEGMENT_MAGIC)
        && half(blake3::hash(&header[..80])) == header[80..]
        && number.to_be_bytes() == header[12..16];
    match u16::from_be_bytes([header[8], header[9]]) {
        _ if !is_sound => Header::Unsound,
        version => Header::of(version),
    }
}

/// Returns the first 64 bits of an event id.
pub(super) fn prefix(id: EventId) -> u64 {
    (u128::from_be_bytes(*id.as_bytes()) >> 64) as u64
}

fn half(hash: blake3::Hash) -> [u8; 16] {
    let mut half = [0; 16];
    half.copy_from_slice(&hash.as_bytes()[..16]);
    half
}

fn block_hash(number: u32, head: &[u8; BLOCK_HEAD_BYTES], packed: &[u8]) -> [u8; 16] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(&number.to_be_bytes()).update(&head[..48]).update(packed);
    half(hasher.finalize())
}

fn trailer_check(number: u32, trailer: &[u8]) -> [u8; 4] {
    crc32c::crc32c_append(crc32c::crc32c(&number.to_be_bytes()), &trailer[..12]).to_be_bytes()
}

/// Returns where the footer block begins and how long it is, by the last bytes of a file.
pub(super) fn read_trailer(trailer: &[u8; TRAILER_BYTES], number: u32) -> Option<(u32, u32)> {
    let word =
        |at: usize| u32::from_be_bytes([trailer[at], trailer[at + 1], trailer[at + 2], trailer[at + 3]]);
    let is_sound = trailer.starts_with(TRAILER_MAGIC) && trailer_check(number, trailer) == trailer[12..];
    is_sound.then(|| (word(4), word(8)))
}

/// A block as it was written, unpacked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Block {
    pub(super) kind: u8,
    pub(super) place: BlockPlace,
    pub(super) bytes: Vec<u8>,
}

/// Reads a block of head and frame that begins `bytes`; `None` when it is not as it was written there.
pub(super) fn read_block(bytes: &[u8], number: u32, offset: u32) -> Option<Block> {
    let head = bytes.first_chunk::<BLOCK_HEAD_BYTES>()?;
    let word = |at: usize| u32::from_be_bytes([head[at], head[at + 1], head[at + 2], head[at + 3]]);
    let half_word = |at: usize| u16::from_be_bytes([head[at], head[at + 1]]);
    if !head.starts_with(BLOCK_MAGIC) || word(20) != offset {
        return None;
    }
    let (unpacked, packed) = (word(12), word(16));
    let frame = bytes.get(BLOCK_HEAD_BYTES..)?.get(..packed as usize)?;
    if block_hash(number, head, frame) != head[48..] || unpacked > UNPACKED_BYTES_MAX {
        return None;
    }
    let unpacked_bytes = zstd::bulk::decompress(frame, unpacked as usize).ok()?;
    let place = BlockPlace {
        first: half_word(8),
        count: half_word(6),
        offset,
        bytes: BLOCK_HEAD_BYTES as u32 + packed,
        unpacked,
        ids: (0, u64::MAX),
    };
    (unpacked_bytes.len() == unpacked as usize).then_some(Block {
        kind: head[4],
        place,
        bytes: unpacked_bytes,
    })
}

impl Block {
    /// Hands over each record with its ordinal, in order, until told to stop; `None` when something in
    /// the block is no record.
    pub(super) fn for_each<'a>(&'a self, mut take: impl FnMut(u16, Record<'a>) -> bool) -> Option<()> {
        let mut fields = Fields(&self.bytes);
        let mut base = Base::default();
        let mut next = u32::from(self.place.first);
        while !fields.is_empty() {
            next += fields.small::<u32>("gap").ok().filter(|gap| *gap <= u32::from(u16::MAX))?;
            let ordinal = u16::try_from(next).ok()?;
            let kind = Kind::from_number(fields.byte("kind").ok()?)?;
            let record = payload::read(kind, fields.bytes("record").ok()?, &mut base).ok()?;
            if !take(ordinal, record) {
                return Some(());
            }
            next += 1;
        }
        Some(())
    }
}

/// All of a file, read as far as it can be.
#[derive(Debug, Default)]
pub(super) struct Survey {
    /// The blocks of records that are as they were written, in order.
    pub(super) blocks: Vec<Block>,
    pub(super) shells: Option<Vec<Arc<Shell>>>,
    shell_block: BlockPlace,
    pub(super) footer: Option<Footer>,
    /// What is not as it was written, in order.
    pub(super) bad: Vec<Range<u64>>,
}

/// Reads a whole file, block by block, without trusting its footer.
///
/// Every byte is either part of what was written, or named as bad.
pub(super) fn survey(bytes: &[u8], number: u32) -> Survey {
    let mut survey = Survey::default();
    let blocks_end = bytes.len().saturating_sub(TRAILER_BYTES);
    let mut at = HEADER_BYTES.min(blocks_end);
    if read_header(bytes, number) == Header::Unsound {
        survey.bad.push(0..at as u64);
    }
    while at < blocks_end {
        let Some(block) = read_block(&bytes[at..blocks_end], number, at as u32) else {
            let starts = |next: &usize| {
                bytes[*next..].starts_with(BLOCK_MAGIC)
                    && read_block(&bytes[*next..blocks_end], number, *next as u32).is_some()
            };
            let next = (at + 1..blocks_end).find(starts).unwrap_or(blocks_end);
            survey.bad.push(at as u64..next as u64);
            at = next;
            continue;
        };
        let end = at + block.place.bytes as usize;
        if !survey.take(block) {
            survey.bad.push(at as u64..end as u64);
        }
        at = end;
    }
    let trailer = bytes.last_chunk::<TRAILER_BYTES>().and_then(|trailer| read_trailer(trailer, number));
    if trailer.is_none() {
        survey.bad.push(blocks_end as u64..bytes.len() as u64);
    }
    survey
}

impl Survey {
    fn take(&mut self, block: Block) -> bool {
        const RECORDS: u8 = BlockKind::Records as u8;
        const SHELLS: u8 = BlockKind::Shells as u8;
        const FOOTER: u8 = BlockKind::Footer as u8;
        match block.kind {
            RECORDS if block.for_each(|_, _| true).is_some() => self.blocks.push(block),
            SHELLS => match read_shells(&block.bytes) {
                Ok(shells) => (self.shells, self.shell_block) = (Some(shells), block.place),
                Err(_) => return false,
            },
            FOOTER => match Footer::read(&block.bytes, true) {
                Ok(footer) => self.footer = Some(footer),
                Err(_) => return false,
            },
            _ => return false,
        }
        true
    }

    /// Notes every place that is not as it was written.
    pub(super) fn note_bad(&self, shared: &Shared, name: &str) {
        for range in &self.bad {
            let reason = format!("{} bytes are not as they were written", range.end - range.start);
            shared.note_damage(name, range.start, &reason);
        }
    }

    /// Returns the shells, from the one place or the other.
    pub(super) fn shells(&self) -> Vec<Arc<Shell>> {
        let spare = || self.footer.as_ref().map(|footer| footer.shells.clone());
        self.shells.clone().or_else(spare).unwrap_or_default()
    }

    /// Makes a footer of what can be read, for a file whose own cannot.
    pub(super) fn rebuilt_footer(&self) -> Footer {
        let (shells, shell_block) = (self.shells(), self.shell_block);
        let mut footer = Footer { shells, shell_block, ..Footer::default() };
        for block in &self.blocks {
            let mut ids = Span::default();
            let read = block.for_each(|ordinal, record| {
                let mut shell = None;
                if let Record::Event(event) = &record {
                    shell = footer.shells.get(event.shell as usize).map(|shell| shell.id);
                    ids.add(event.started_at, event.id);
                    footer.span.add(event.started_at, event.id);
                }
                if let Record::Ended(shell, sequence, _) | Record::Lost(shell, sequence) = &record {
                    footer.outlying.push(((*shell, *sequence), ordinal));
                }
                footer.contents.add(ordinal, &record, shell);
                footer.records += 1;
                true
            });
            debug_assert!(read.is_some(), "a block was read when it was taken");
            footer.blocks.push(BlockPlace { ids: (prefix(ids.ids.0), prefix(ids.ids.1)), ..block.place });
        }
        footer
    }
}
