//! The look at a payload before it is decoded: well formed, bounded, and nothing behind it.
//!
//! A decoder trusts what a payload declares. Bare `rmp-serde` accepts trailing bytes, and five bytes
//! can make it ask for a mebibyte. So every payload is walked once, without recursion and without
//! allocation, and only what passes is decoded. Extension types are refused: no word of ours uses them.

use std::fmt;

use crate::limits::{DEPTH_MAX, ITEMS_MAX};

/// Why a payload is not decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ScanError {
    /// It ends within a value, or declares more than is there.
    Truncated,
    /// Bytes follow the value.
    Trailing,
    /// It nests deeper than [`DEPTH_MAX`].
    TooDeep,
    /// It holds more than [`ITEMS_MAX`] items.
    TooManyItems,
    /// It holds a byte that begins no value of ours.
    Unsupported(u8),
}

impl fmt::Display for ScanError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Truncated => f.write_str("payload declares more than it holds"),
            Self::Trailing => f.write_str("payload has trailing bytes"),
            Self::TooDeep => write!(f, "payload nests deeper than {DEPTH_MAX}"),
            Self::TooManyItems => write!(f, "payload holds more than {ITEMS_MAX} items"),
            Self::Unsupported(byte) => write!(f, "payload holds unsupported type byte {byte:#04x}"),
        }
    }
}

impl std::error::Error for ScanError {}

/// What the first byte of a value says about the rest of it.
enum Shape {
    /// So many bytes follow, and the value is complete.
    Scalar(usize),
    /// A length of so many bytes follows, and then that many bytes.
    Sized(usize),
    /// So many items follow.
    Items(u32),
    /// A count of so many bytes follows, and then that many items, each taken so many times.
    Counted(usize, u32),
}

const fn shape(first: u8) -> Option<Shape> {
    Some(match first {
        0x00..=0x7f | 0xe0..=0xff | 0xc0 | 0xc2 | 0xc3 => Shape::Scalar(0),
        0x80..=0x8f => Shape::Items((first & 0x0f) as u32 * 2),
        0x90..=0x9f => Shape::Items((first & 0x0f) as u32),
        0xa0..=0xbf => Shape::Scalar((first & 0x1f) as usize),
        0xc4 | 0xd9 => Shape::Sized(1),
        0xc5 | 0xda => Shape::Sized(2),
        0xc6 | 0xdb => Shape::Sized(4),
        0xcc | 0xd0 => Shape::Scalar(1),
        0xcd | 0xd1 => Shape::Scalar(2),
        0xca | 0xce | 0xd2 => Shape::Scalar(4),
        0xcb | 0xcf | 0xd3 => Shape::Scalar(8),
        0xdc => Shape::Counted(2, 1),
        0xdd => Shape::Counted(4, 1),
        0xde => Shape::Counted(2, 2),
        0xdf => Shape::Counted(4, 2),
        0xc1 | 0xc7..=0xc9 | 0xd4..=0xd8 => return None,
    })
}

/// Takes `length` bytes off the front.
const fn take<'a>(rest: &mut &'a [u8], length: usize) -> Result<&'a [u8], ScanError> {
    match rest.split_at_checked(length) {
        Some((taken, left)) => {
            *rest = left;
            Ok(taken)
        }
        None => Err(ScanError::Truncated),
    }
}

fn number(rest: &mut &[u8], width: usize) -> Result<u32, ScanError> {
    Ok(take(rest, width)?.iter().fold(0, |number, byte| number << 8 | u32::from(*byte)))
}

/// Walks one MessagePack value and tells whether it may be decoded.
///
/// # Errors
///
/// The first thing that is wrong with it.
pub fn scan(payload: &[u8]) -> Result<(), ScanError> {
    let mut rest = payload;
    // How many items are still to come on each level; the outermost is the payload itself.
    let mut open = [0_u32; DEPTH_MAX + 1];
    open[0] = 1;
    let mut depth = 0;
    let mut items_total = 0_u32;
    loop {
        while open[depth] == 0 {
            if depth == 0 {
                return if rest.is_empty() { Ok(()) } else { Err(ScanError::Trailing) };
            }
            depth -= 1;
        }
        open[depth] -= 1;
        let first = take(&mut rest, 1)?[0];
        let items = match shape(first).ok_or(ScanError::Unsupported(first))? {
            Shape::Scalar(length) => {
                take(&mut rest, length)?;
                continue;
            }
            Shape::Sized(width) => {
                let length = number(&mut rest, width)? as usize;
                take(&mut rest, length)?;
                continue;
            }
            Shape::Items(items) => items,
            Shape::Counted(width, each) => number(&mut rest, width)?.saturating_mul(each),
        };
        // Every item takes a byte at least.
        if items as usize > rest.len() {
            return Err(ScanError::Truncated);
        }
        items_total = items_total.saturating_add(items);
        if items_total > ITEMS_MAX {
            return Err(ScanError::TooManyItems);
        }
        if depth == DEPTH_MAX {
            return Err(ScanError::TooDeep);
        }
        depth += 1;
        open[depth] = items;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nested(depth: usize) -> Vec<u8> {
        let mut bytes = vec![0x91; depth];
        bytes.push(0xc0);
        bytes
    }

    #[test]
    fn bounds_hold() {
        let check = |bytes: &[u8], expected| assert_eq!(scan(bytes), expected, "{bytes:02x?}");
        check(&[0xc0], Ok(()));
        check(&[0x92, 0x01, 0xa2, b'h', b'i'], Ok(()));
        check(&[0x81, 0xa1, b'k', 0x90], Ok(()));
        check(&[], Err(ScanError::Truncated));
        check(&[0xc0, 0xc0], Err(ScanError::Trailing));
        check(&[0xdd, 0xff, 0xff, 0xff, 0xff], Err(ScanError::Truncated));
        check(&[0xdf, 0xff, 0xff, 0xff, 0xff, 0], Err(ScanError::Truncated));
        check(&[0xc6, 0xff, 0xff, 0xff, 0xff, 0], Err(ScanError::Truncated));
        check(&[0xc1], Err(ScanError::Unsupported(0xc1)));
        check(&[0xd4, 0, 0], Err(ScanError::Unsupported(0xd4)));
        check(&nested(DEPTH_MAX), Ok(()));
        check(&nested(DEPTH_MAX + 1), Err(ScanError::TooDeep));
        check(&nested(100_000), Err(ScanError::TooDeep));
    }

    #[test]
    fn items_are_counted_over_the_whole_payload() {
        let array = |items: u32| {
            let mut bytes = vec![0xdd];
            bytes.extend(items.to_be_bytes());
            bytes.resize(bytes.len() + items as usize, 0xc0);
            bytes
        };
        assert_eq!(scan(&array(ITEMS_MAX)), Ok(()));
        assert_eq!(scan(&array(ITEMS_MAX + 1)), Err(ScanError::TooManyItems));
        let mut two = vec![0x92];
        two.extend(array(ITEMS_MAX / 2));
        two.extend(array(ITEMS_MAX / 2));
        assert_eq!(scan(&two), Err(ScanError::TooManyItems));
    }
}
