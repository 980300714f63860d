//! The code by which a dialler finds the session that was meant.

use std::fmt;
use std::str::FromStr;

use karo_protocol::pair::PAIR_CODE_LETTERS;
use thiserror::Error;

use crate::Chance;

/// Digits and letters without `i`, `l`, `o` and `u`: none of them looks like another (Crockford's base 32).
const LETTERS: &[u8; 32] = b"0123456789abcdefghjkmnpqrstvwxyz";

/// Finds a session, and proves nothing: it goes over the wire before anybody is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Code([u8; PAIR_CODE_LETTERS]);

/// Why a text is no code.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a code has {PAIR_CODE_LETTERS} digits and letters, none of them i, l, o or u")]
pub struct NotACode;

impl Code {
    /// Draws one.
    pub fn draw(chance: &mut impl Chance) -> Self {
        Self(chance.draw().map(|byte: u8| LETTERS[usize::from(byte) % LETTERS.len()]))
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|letter| write!(f, "{}", char::from(*letter)))
    }
}

impl FromStr for Code {
    type Err = NotACode;

    /// Reads a code as a person may have typed it: in capitals too.
    fn from_str(text: &str) -> Result<Self, NotACode> {
        let letters: [u8; PAIR_CODE_LETTERS] = text.as_bytes().try_into().map_err(|_| NotACode)?;
        let letters = letters.map(|letter| letter.to_ascii_lowercase());
        if letters.iter().all(|letter| LETTERS.contains(letter)) { Ok(Self(letters)) } else { Err(NotACode) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    #[test]
    fn what_is_drawn_can_be_typed() {
        for seed in 0..100 {
            let code = Code::draw(&mut Dice(seed));
            assert_eq!(code.to_string().parse(), Ok(code));
            assert_eq!(code.to_string().to_uppercase().parse(), Ok(code));
        }
        for text in ["", "k7m2q", "k7m2qdd", "k7m2qi", "k7m2q\u{e9}", "k7 2qd"] {
            assert_eq!(text.parse::<Code>(), Err(NotACode), "{text}");
        }
    }
}
