//! Numbers and byte strings in the payload of a record: written one behind another, read in the same order.

use std::fmt;

/// Bytes that are no record of ours, and which part of them is not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Malformed(pub &'static str);

impl fmt::Display for Malformed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cannot be read", self.0)
    }
}

impl std::error::Error for Malformed {}

/// Appends a number: seven bits a byte, least first, the high bit set on all but the last.
pub fn put_number(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends a number that may be negative: 0, -1, 1, -2 … become 0, 1, 2, 3 ….
pub fn put_signed(out: &mut Vec<u8>, value: i64) {
    put_number(out, (value << 1 ^ value >> 63) as u64);
}

/// Appends a byte string behind its length.
pub fn put_bytes(out: &mut Vec<u8>, bytes: &[u8]) {
    put_number(out, bytes.len() as u64);
    out.extend_from_slice(bytes);
}

/// What is left to be read.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a>(pub &'a [u8]);

impl<'a> Fields<'a> {
    /// Tells whether everything was read.
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Takes so many bytes.
    ///
    /// # Errors
    ///
    /// When fewer are left.
    pub fn take(&mut self, length: usize, what: &'static str) -> Result<&'a [u8], Malformed> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or(Malformed(what))?;
        self.0 = rest;
        Ok(taken)
    }

    /// Takes an array.
    ///
    /// # Errors
    ///
    /// When too few bytes are left.
    pub fn array<const N: usize>(&mut self, what: &'static str) -> Result<[u8; N], Malformed> {
        let (taken, rest) = self.0.split_first_chunk().ok_or(Malformed(what))?;
        self.0 = rest;
        Ok(*taken)
    }

    /// Takes one byte.
    ///
    /// # Errors
    ///
    /// When none is left.
    pub fn byte(&mut self, what: &'static str) -> Result<u8, Malformed> {
        let (first, rest) = self.0.split_first().ok_or(Malformed(what))?;
        self.0 = rest;
        Ok(*first)
    }

    /// Takes what [`put_number`] wrote.
    ///
    /// # Errors
    ///
    /// When the bytes end within the number, or it has more than 64 bits.
    pub fn number(&mut self, what: &'static str) -> Result<u64, Malformed> {
        let mut value = 0;
        for shift in (0..64).step_by(7) {
            let byte = self.byte(what)?;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                break;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err(Malformed(what))
    }

    /// Takes a number that must fit `T`.
    ///
    /// # Errors
    ///
    /// As [`number`](Self::number), and when it does not fit.
    pub fn small<T: TryFrom<u64>>(&mut self, what: &'static str) -> Result<T, Malformed> {
        self.number(what)?.try_into().map_err(|_| Malformed(what))
    }

    /// Takes what [`put_signed`] wrote.
    ///
    /// # Errors
    ///
    /// As [`number`](Self::number).
    pub fn signed(&mut self, what: &'static str) -> Result<i64, Malformed> {
        let value = self.number(what)?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    /// Takes what [`put_bytes`] wrote.
    ///
    /// # Errors
    ///
    /// When the bytes end before.
    pub fn bytes(&mut self, what: &'static str) -> Result<&'a [u8], Malformed> {
        let length = self.small(what)?;
        self.take(length, what)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let mut out = Vec::new();
        let signed = [0, 1, -1, 63, -64, 64, i64::MAX, i64::MIN];
        let plain = [0, 127, 128, 16_383, 16_384, u64::from(u32::MAX), u64::MAX];
        signed.iter().for_each(|value| put_signed(&mut out, *value));
        plain.iter().for_each(|value| put_number(&mut out, *value));
        let mut fields = Fields(&out);
        assert!(signed.iter().all(|value| fields.signed("n") == Ok(*value)));
        assert!(plain.iter().all(|value| fields.number("n") == Ok(*value)));
        assert!(fields.is_empty());
    }

    #[test]
    fn what_is_too_long_or_too_short_is_refused() {
        assert!(Fields(&[0x80]).number("n").is_err());
        assert!(Fields(&[0xff; 11]).number("n").is_err());
        assert!(Fields(&[5, 1]).bytes("b").is_err());
    }
}
