//! What a backslash means in `$'…'`, in `printf` and in `echo -e`.

/// At most the four bytes of one character.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Bytes {
    bytes: [u8; 4],
    length: usize,
}

impl Bytes {
    fn one(byte: u8) -> Self {
        Self { bytes: [byte, 0, 0, 0], length: 1 }
    }

    fn character(code: u32) -> Self {
        let mut bytes = [0; 4];
        // What is no character, as half of a pair, becomes the sign for that.
        let length =
            char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER).encode_utf8(&mut bytes).len();
        Self { bytes, length }
    }

    pub(super) fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

/// Reads the escape at the start of a text that begins with a backslash: its length, and what it says.
///
/// An unknown one says itself, backslash included.
pub(super) fn ansi(text: &[u8]) -> (usize, Bytes) {
    let Some(&letter) = text.get(1) else { return (1, Bytes::one(b'\\')) };
    let plain = match letter {
        b'a' => 7,
        b'b' => 8,
        b'e' | b'E' => 27,
        b'f' => 12,
        b'n' => b'\n',
        b'r' => b'\r',
        b't' => b'\t',
        b'v' => 11,
        b'\\' | b'\'' | b'"' | b'?' => letter,
        b'c' => {
            return text.get(2).map_or((2, Bytes::one(b'c')), |byte| (3, Bytes::one(byte & 0x1f)));
        }
        b'0'..=b'7' => {
            // `\0NNN` of echo has a zero in front of its three digits.
            let most = if letter == b'0' { 4 } else { 3 };
            let (length, value) = number(&text[1..], 8, most);
            return (1 + length, Bytes::one((value & 0xff) as u8));
        }
        b'x' => return coded(text, 2, |value| Bytes::one((value & 0xff) as u8)),
        b'u' => return coded(text, 4, Bytes::character),
        b'U' => return coded(text, 8, Bytes::character),
        _ => return (2, Bytes { bytes: [b'\\', letter, 0, 0], length: 2 }),
    };
    (2, Bytes::one(plain))
}

/// Reads the hexadecimal digits behind `\x` and its like.
fn coded(text: &[u8], most: usize, bytes: impl Fn(u32) -> Bytes) -> (usize, Bytes) {
    let (length, value) = number(&text[2..], 16, most);
    if length == 0 {
        (2, Bytes { bytes: [b'\\', text[1], 0, 0], length: 2 })
    } else {
        (2 + length, bytes(value))
    }
}

fn number(text: &[u8], base: u32, most: usize) -> (usize, u32) {
    let digits = text.iter().take(most).map_while(|byte| char::from(*byte).to_digit(base));
    digits.fold((0, 0), |(length, value), digit| (length + 1, value.wrapping_mul(base).wrapping_add(digit)))
}
