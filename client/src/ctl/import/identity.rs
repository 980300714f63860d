//! What makes a line of another history the same line at the next import.
//!
//! A history file grows at its end, and its shell cuts it at its beginning, rewrites it, or moves an old
//! copy aside. A name made of the file's hash, its path or the number of a line would change with each
//! of these, and every command would be taken in twice. So a line is named by what it says: a grown, cut
//! or copied file then adds only what is new. The price: of lines without a time that were cut away, a
//! later repetition is not told apart from the one that was known.
//!
//! | line | shell id is a hash of | sequence |
//! | --- | --- | --- |
//! | with a time | kind of shell, day since the epoch | second of the day << 28, and 28 bits of a hash |
//! | without | kind of shell, 8 bits of the hash | 62 bits of the hash |
//!
//! The hash is of time and texts, and of how many lines before it in the file say the same. The daemon
//! keeps an ordered set of sequences for each shell; days and the 8 bits keep each of them small, and
//! lines that come in the order of their time are added at its end.

use std::collections::HashMap;

use karo_protocol::{ShellId, ShellKind, Timestamp};

/// Bits of the hash in the sequence of a line with a time: two texts of one second share them once in
/// 268 million.
const HASH_BITS: u32 = 28;

const SECOND: i64 = 1_000_000;
const DAY: i64 = 86_400;

/// How one line is named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Name {
    /// The shell that it is said to be of.
    pub shell: ShellId,
    /// Its number there.
    pub sequence: u64,
}

/// Names the lines of one file.
#[derive(Default)]
pub struct Names {
    seen: HashMap<u64, u32>,
}

impl Names {
    /// Returns the name of the next line: the same at each import.
    ///
    /// `time` is what the file says; `parts` are the texts that tell lines apart.
    pub fn next(&mut self, kind: ShellKind, time: Option<Timestamp>, parts: &[&[u8]]) -> Name {
        let mut hasher = blake3::Hasher::new_derive_key("karo import 1: line");
        hasher.update(&[u8::from(time.is_some())]);
        hasher.update(&time.unwrap_or_default().as_micros().to_be_bytes());
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let repeated = self.seen.entry(number(&hasher)).or_default();
        let nth = *repeated;
        *repeated += 1;
        hasher.update(&nth.to_be_bytes());
        let hash = number(&hasher);
        match time.map(|time| time.as_micros().div_euclid(SECOND)) {
            Some(second) => {
                let sequence = second.rem_euclid(DAY).unsigned_abs() << HASH_BITS | hash >> (64 - HASH_BITS);
                Name { shell: shell_id(kind, "day", second.div_euclid(DAY)), sequence: sequence.max(1) }
            }
            None => {
                let shell = shell_id(kind, "untimed", (hash & 0xff) as i64);
                Name { shell, sequence: (hash >> 2).max(1) }
            }
        }
    }
}

fn shell_id(kind: ShellKind, part: &str, number: i64) -> ShellId {
    let mut hasher = blake3::Hasher::new_derive_key("karo import 1: shell");
    for text in [kind.name(), part] {
        hasher.update(text.as_bytes());
        hasher.update(&[0]);
    }
    hasher.update(&number.to_be_bytes());
    let mut bytes = [0; 16];
    hasher.finalize_xof().fill(&mut bytes);
    ShellId::from_bytes(bytes)
}

fn number(hasher: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(lines: &[(Option<i64>, &str)]) -> Vec<Name> {
        let mut names = Names::default();
        let at = |second: i64| Timestamp::from_micros(second * SECOND);
        lines
            .iter()
            .map(|(time, text)| names.next(ShellKind::Bash, time.map(at), &[text.as_bytes()]))
            .collect()
    }

    #[test]
    fn a_file_that_grows_keeps_its_lines() {
        let all = [(None, "ls"), (None, "ls"), (Some(5), "ls"), (Some(5), "ls"), (Some(6), "make")];
        let found = names(&all);
        let distinct: std::collections::BTreeSet<_> = found.iter().map(|name| name.sequence).collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(names(&all[..3]), found[..3]);
    }

    #[test]
    fn a_file_that_is_cut_keeps_its_lines_with_a_time() {
        let all = [(Some(1), "a"), (Some(2), "b"), (Some(3), "a"), (Some(-1), "c")];
        assert_eq!(names(&all[1..]), names(&all)[1..]);
    }

    #[test]
    fn sequences_of_a_day_are_in_the_order_of_time() {
        let found = names(&[
            (Some(86_400), "b"),
            (Some(86_401), "a"),
            (Some(2 * 86_400 - 1), "c"),
            (Some(2 * 86_400), "d"),
        ]);
        assert_eq!(found[0].shell, found[2].shell);
        assert_ne!(found[2].shell, found[3].shell);
        assert!(found[..3].is_sorted_by_key(|name| name.sequence));
    }

    #[test]
    fn names_do_not_change_with_the_version_of_karo() {
        let found = names(&[(None, "ls"), (Some(1_700_000_000), "ls")]);
        let texts: Vec<String> =
            found.iter().map(|name| format!("{} {}", name.shell, name.sequence)).collect();
        let expected = [
            "e98cf4824d353f4ec3afba6947daca23 2005858811484827816",
            "e2f092406ee9e178af0d6ff1e3efdd44 21475004027065",
        ];
        assert_eq!(texts, expected);
    }
}
