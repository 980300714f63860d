//! The layout of the views' tree: every key and every value, drawn once.
//!
//! One tree; the first byte of a key says what it is. Numbers in keys are big-endian, so that the
//! order of bytes is their order. Numbers in cells are varints: seven bits a byte, the least
//! significant first, the high bit set on all but the last; signed ones are zigzagged before.
//!
//! | prefix | what | key | value |
//! | --- | --- | --- | --- |
//! | `m` | what the tree is, and how far it has come | [`META`] | [`Meta`] |
//! | `r` | a roll-up cell | [`cell_key`] | [`cell_value`] |
//!
//! Nothing is kept per event, and a cell is one value: each small key costs sled some 190 bytes.
//! Beside the tree's files lies [`Seal`], drawn here too.

use std::collections::BTreeMap;

use karo_core::rollup::{Cell, CellStart, Tally};
use karo_protocol::{Axis, Category, Risk, Timestamp};

use crate::views::LogPosition;

/// Version of this layout; a tree of another version is made anew from the log.
pub(crate) const FORMAT: u16 = 2;

/// The key of [`Meta`].
pub(crate) const META: &[u8] = b"m";

const CELL: u8 = b'r';

/// Bytes of [`cell_key`].
const CELL_KEY_BYTES: usize = 9;

/// The first key of no cell any more.
pub(crate) const CELLS_END: &[u8] = &[CELL + 1];

/// Key of a roll-up cell: 9 bytes, so that byte order is time order.
///
/// | bytes | field | unit |
/// | --- | --- | --- |
/// | 0    | prefix `r` | |
/// | 1..9 | start of the cell, its sign bit flipped | µs since the epoch, UTC |
pub(crate) fn cell_key(start: CellStart) -> [u8; CELL_KEY_BYTES] {
    bound_key(start.at())
}

/// Returns the key that no cell before that moment reaches.
pub(crate) fn bound_key(at: Timestamp) -> [u8; CELL_KEY_BYTES] {
    let mut key = [CELL; CELL_KEY_BYTES];
    key[1..].copy_from_slice(&(at.as_micros() as u64 ^ 1 << 63).to_be_bytes());
    key
}

/// Reads the key of a cell; `None` when it is none that [`cell_key`] makes.
pub(crate) fn parse_cell_key(key: &[u8]) -> Option<CellStart> {
    let (prefix, start) = key.split_first()?;
    let micros = (u64::from_be_bytes(start.try_into().ok()?) ^ 1 << 63) as i64;
    let start = CellStart::of(Timestamp::from_micros(micros));
    (*prefix == CELL && start.at().as_micros() == micros).then_some(start)
}

/// Value of a roll-up cell: three lists, each in the order of its keys and none of its tallies zero.
///
/// | list | entries |
/// | --- | --- |
/// | categories | index in the taxonomy u8, tally |
/// | risks      | index of the level u8, index of the axis plus one u8 or 0 for none, tally |
/// | tools      | index of the event's category u8, length varint, name, tally |
///
/// A list is the number of its entries and then these. A tally is six signed varints: events, ok,
/// failed, timed, sum of the durations in µs, sum of their logarithms.
pub(crate) fn cell_value(cell: &Cell) -> Vec<u8> {
    let mut value = Vec::new();
    write_number(&mut value, cell.categories.len() as u128);
    for (category, tally) in &cell.categories {
        value.push(category.index());
        write_tally(&mut value, tally);
    }
    write_number(&mut value, cell.risks.len() as u128);
    for ((risk, axis), tally) in &cell.risks {
        value.extend([risk.index(), axis.map_or(0, |axis| axis.index() + 1)]);
        write_tally(&mut value, tally);
    }
    write_number(&mut value, cell.tools().count() as u128);
    for (category, tool, tally) in cell.tools() {
        value.push(category.index());
        write_number(&mut value, tool.len() as u128);
        value.extend_from_slice(tool);
        write_tally(&mut value, tally);
    }
    value
}

/// Reads the value of a cell; `None` when it is none that [`cell_value`] makes.
pub(crate) fn parse_cell_value(value: &[u8]) -> Option<Cell> {
    let mut rest = value;
    let categories = read_list(&mut rest, |rest| Category::from_index(read_byte(rest)?))?;
    let risks = read_list(&mut rest, |rest| Some((Risk::from_index(read_byte(rest)?)?, read_axis(rest)?)))?;
    let named = read_list(&mut rest, |rest| {
        let category = Category::from_index(read_byte(rest)?)?;
        let length = usize::try_from(read_number(rest)?).ok()?;
        Some((category, Box::<[u8]>::from(take(rest, length)?)))
    })?;
    let mut tools: BTreeMap<Category, BTreeMap<Box<[u8]>, Tally>> = BTreeMap::new();
    for ((category, tool), tally) in named {
        tools.entry(category).or_default().insert(tool, tally);
    }
    rest.is_empty().then_some(Cell { categories, risks, tools })
}

fn read_axis(rest: &mut &[u8]) -> Option<Option<Axis>> {
    match read_byte(rest)? {
        0 => Some(None),
        index => Axis::from_index(index - 1).map(Some),
    }
}

fn read_list<K: Ord>(
    rest: &mut &[u8],
    mut read_key: impl FnMut(&mut &[u8]) -> Option<K>,
) -> Option<BTreeMap<K, Tally>> {
    let entries = read_number(rest)?;
    let mut list = BTreeMap::new();
    for _ in 0..entries {
        // Whatever a damaged count says, every entry takes some bytes, and these run out.
        list.insert(read_key(rest)?, read_tally(rest)?);
    }
    Some(list)
}

fn write_tally(value: &mut Vec<u8>, tally: &Tally) {
    for number in [tally.events, tally.ok, tally.failed, tally.timed] {
        write_signed(value, number.into());
    }
    write_signed(value, tally.duration_us);
    write_signed(value, tally.duration_log2.into());
}

fn read_tally(rest: &mut &[u8]) -> Option<Tally> {
    let mut small = || read_signed(rest).and_then(|number| i64::try_from(number).ok());
    let (events, ok, failed, timed) = (small()?, small()?, small()?, small()?);
    let duration_us = read_signed(rest)?;
    let duration_log2 = i64::try_from(read_signed(rest)?).ok()?;
    Some(Tally { events, ok, failed, timed, duration_us, duration_log2 })
}

fn write_number(value: &mut Vec<u8>, mut number: u128) {
    while number > 0x7f {
        value.push(number as u8 | 0x80);
        number >>= 7;
    }
    value.push(number as u8);
}

fn read_number(rest: &mut &[u8]) -> Option<u128> {
    let mut number = 0_u128;
    for shift in (0..u128::BITS).step_by(7) {
        let byte = read_byte(rest)?;
        number |= u128::from(byte & 0x7f) << shift;
        if byte & 0x80 == 0 {
            return Some(number);
        }
    }
    None
}

fn write_signed(value: &mut Vec<u8>, number: i128) {
    write_number(value, (number << 1 ^ number >> 127) as u128);
}

fn read_signed(rest: &mut &[u8]) -> Option<i128> {
    let number = read_number(rest)?;
    Some((number >> 1) as i128 ^ -((number & 1) as i128))
}

fn read_byte(rest: &mut &[u8]) -> Option<u8> {
    let (first, left) = rest.split_first()?;
    *rest = left;
    Some(*first)
}

fn take<'a>(rest: &mut &'a [u8], length: usize) -> Option<&'a [u8]> {
    let (taken, left) = rest.split_at_checked(length)?;
    *rest = left;
    Some(taken)
}

/// Why a stamped value is of no use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BadStamp {
    /// It is whole, and of another version of this layout.
    Format(u16),
    /// It is not as it was written.
    Damaged,
}

/// Puts [`FORMAT`] before some fields, and behind them the first sixteen bytes of BLAKE3 over both.
///
/// Every version begins and ends so, and another one can be told from damage.
fn stamp(fields: &[&[u8]]) -> Vec<u8> {
    let mut bytes = FORMAT.to_be_bytes().to_vec();
    fields.iter().for_each(|field| bytes.extend_from_slice(field));
    let check = checksum(&bytes);
    bytes.extend(check);
    bytes
}

/// Returns the fields between the version and the checksum, both being right.
fn unstamp(bytes: &[u8]) -> Result<&[u8], BadStamp> {
    let (rest, check) = bytes.split_last_chunk().ok_or(BadStamp::Damaged)?;
    if *check != checksum(rest) {
        return Err(BadStamp::Damaged);
    }
    let (format, fields) = rest.split_first_chunk().ok_or(BadStamp::Damaged)?;
    match u16::from_be_bytes(*format) {
        FORMAT => Ok(fields),
        other => Err(BadStamp::Format(other)),
    }
}

fn checksum(bytes: &[u8]) -> [u8; 16] {
    *blake3::hash(bytes).as_bytes().first_chunk().expect("a hash has 32 bytes")
}

/// A position in the log: 24 bytes, big-endian.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..8   | erasures so far |
/// | 8..16  | segment |
/// | 16..24 | offset in it, in bytes |
fn position_bytes(position: LogPosition) -> [u8; 24] {
    let mut bytes = [0; 24];
    bytes[..8].copy_from_slice(&position.erasures.to_be_bytes());
    bytes[8..16].copy_from_slice(&position.segment.to_be_bytes());
    bytes[16..].copy_from_slice(&position.offset.to_be_bytes());
    bytes
}

fn parse_position(bytes: &[u8; 24]) -> LogPosition {
    let (numbers, _) = bytes.as_chunks();
    let number = |place: usize| numbers.get(place).copied().map_or(0, u64::from_be_bytes);
    LogPosition { erasures: number(0), segment: number(1), offset: number(2) }
}

/// What the tree is, and how far it has come: 42 bytes.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..2   | [`FORMAT`], big-endian |
/// | 2..26  | position in the log |
/// | 26..42 | checksum of the bytes before |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Meta {
    pub(crate) position: LogPosition,
}

impl Meta {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        stamp(&[&position_bytes(self.position)])
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadStamp> {
        let fields = unstamp(bytes)?.try_into().map_err(|_| BadStamp::Damaged)?;
        Ok(Self { position: parse_position(fields) })
    }
}

/// The file that stands beside sled's while nobody writes to them: 74 bytes.
///
/// | bytes | field |
/// | --- | --- |
/// | 0..2   | [`FORMAT`], big-endian |
/// | 2..26  | position in the log |
/// | 26..58 | BLAKE3 over all of sled's files |
/// | 58..74 | checksum of the bytes before |
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Seal {
    pub(crate) position: LogPosition,
    pub(crate) files: [u8; 32],
}

impl Seal {
    pub(crate) fn to_bytes(self) -> Vec<u8> {
        stamp(&[&position_bytes(self.position), &self.files])
    }

    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, BadStamp> {
        let (position, files) = unstamp(bytes)?.split_first_chunk().ok_or(BadStamp::Damaged)?;
        let files = files.try_into().map_err(|_| BadStamp::Damaged)?;
        Ok(Self { position: parse_position(position), files })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    prop_compose! {
        fn any_tally()(
            counts in any::<[i64; 4]>(), duration_us in any::<i128>(), duration_log2 in any::<i64>()
        ) -> Tally {
            let [events, ok, failed, timed] = counts;
            Tally { events, ok, failed, timed, duration_us, duration_log2 }
        }
    }

    prop_compose! {
        fn any_cell()(
            categories in prop::collection::btree_map(prop::sample::select(Category::ALL), any_tally(), 0..5),
            risks in prop::collection::btree_map(
                (prop::sample::select(Risk::ALL), prop::option::of(prop::sample::select(Axis::ALL))), any_tally(), 0..5
            ),
            named in prop::collection::btree_map(
                (prop::sample::select(Category::ALL), prop::collection::vec(any::<u8>(), 0..200)), any_tally(), 0..5
            ),
        ) -> Cell {
            let mut tools: BTreeMap<Category, BTreeMap<Box<[u8]>, Tally>> = BTreeMap::new();
            for ((category, tool), tally) in named {
                tools.entry(category).or_default().insert(tool.into(), tally);
            }
            Cell { categories, risks, tools }
        }
    }

    #[test]
    fn a_cell_is_laid_out_as_drawn() {
        let tally = Tally { events: 2, ok: 1, failed: 1, timed: 2, duration_us: 300, duration_log2: 14 };
        let cell = Cell {
            categories: [(Category::Vcs, tally)].into(),
            risks: [((Risk::High, Some(Axis::Threat)), tally.negated())].into(),
            tools: [(Category::Vcs, [(b"git"[..].into(), tally)].into())].into(),
        };
        let expected = b"\x01\x05\x04\x02\x02\x04\xd8\x04\x1c\x01\x03\x01\x03\x01\x01\x03\xd7\x04\x1b\
            \x01\x05\x03git\x04\x02\x02\x04\xd8\x04\x1c";
        assert_eq!(cell_value(&cell), expected);
        assert_eq!(parse_cell_value(expected), Some(cell));
    }

    #[test]
    fn the_order_of_keys_is_the_order_of_time() {
        let times = [i64::MIN, -900_000_000, 0, 900_000_000, 1_700_000_100_000_000];
        let keys = times.map(|at| cell_key(CellStart::of(Timestamp::from_micros(at))));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| parse_cell_key(&key).map(|start| start.at().as_micros())), times.map(Some));
        assert_eq!(parse_cell_key(&bound_key(Timestamp::from_micros(1))), None);
        assert!(keys.iter().all(|key| key.as_slice() < CELLS_END && META < key.as_slice()));
    }

    #[test]
    fn a_stamp_of_another_version_is_told_from_damage() {
        let position = LogPosition { erasures: 3, segment: 1, offset: 2 };
        let (meta, seal) = (Meta { position }, Seal { position, files: [7; 32] });
        assert_eq!((meta.to_bytes().len(), seal.to_bytes().len()), (42, 74));
        assert_eq!(Meta::parse(&meta.to_bytes()), Ok(meta));
        assert_eq!(Seal::parse(&seal.to_bytes()), Ok(seal));
        assert_eq!(Meta::parse(&seal.to_bytes()), Err(BadStamp::Damaged));
        assert_eq!(Seal::parse(&meta.to_bytes()), Err(BadStamp::Damaged));
        for place in 0..74 {
            let mut damaged = seal.to_bytes();
            damaged[place] ^= 1;
            assert_eq!(Seal::parse(&damaged), Err(BadStamp::Damaged), "at {place}");
            assert_eq!(Seal::parse(&seal.to_bytes()[..place]), Err(BadStamp::Damaged), "cut at {place}");
        }
        let mut newer = (FORMAT + 1).to_be_bytes().to_vec();
        newer.extend(checksum(&newer));
        assert_eq!(Meta::parse(&newer), Err(BadStamp::Format(FORMAT + 1)));
    }

    proptest! {
        #[test]
        fn cells_read_back(cell in any_cell()) {
            prop_assert_eq!(parse_cell_value(&cell_value(&cell)), Some(cell));
        }

        #[test]
        fn any_bytes_are_a_cell_or_none(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse_cell_value(&bytes);
            let _ = (parse_cell_key(&bytes), Meta::parse(&bytes).is_ok(), Seal::parse(&bytes).is_ok());
        }
    }
}
