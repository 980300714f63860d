//! What makes a line of another history the same line at the next import.
//!
//! A history file grows at its end, and its shell cuts it at its beginning, rewrites it, or moves an old
//! copy aside. A name made of the file's hash, its path or the number of a line would change with each
//! of these, and every command would be taken in twice. So a line is named by what it says: the kind of
//! shell is the shell's id, and the sequence is a hash of time and text, and of how many lines before it
//! say the same. A grown, cut or copied file then adds only what is new. The price: of lines without a
//! time that were cut away, a later repetition is not told apart from the one that was known.

use std::collections::HashMap;

use karo_protocol::{ShellId, ShellKind};

/// Returns the id under which lines of that kind of shell are imported.
pub fn shell_id(kind: ShellKind) -> ShellId {
    let hash = blake3::derive_key("karo import 1: shell", kind.name().as_bytes());
    let (id, _) = hash.split_at(16);
    ShellId::from_bytes(id.try_into().expect("half of 32 bytes is 16"))
}

/// Gives each line of one file its sequence.
#[derive(Default)]
pub struct Sequences {
    seen: HashMap<u64, u32>,
}

impl Sequences {
    /// Returns the sequence of a line: never zero, and the same at each import.
    ///
    /// `time` is what the file says, in whatever unit; `parts` are the texts that tell lines apart.
    pub fn next(&mut self, time: Option<i64>, parts: &[&[u8]]) -> u64 {
        let mut hasher = blake3::Hasher::new_derive_key("karo import 1: line");
        let time = time.map_or([0; 9], |time| {
            let mut bytes = [1; 9];
            bytes[1..].copy_from_slice(&time.to_be_bytes());
            bytes
        });
        hasher.update(&time);
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        let repeated = self.seen.entry(number(&hasher)).or_default();
        let nth = *repeated;
        *repeated += 1;
        hasher.update(&nth.to_be_bytes());
        number(&hasher).max(1)
    }
}

/// 63 bits, so that no language of a reader takes it for a negative number.
fn number(hasher: &blake3::Hasher) -> u64 {
    let mut bytes = [0; 8];
    hasher.finalize_xof().fill(&mut bytes);
    u64::from_be_bytes(bytes) >> 1
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sequences(lines: &[(Option<i64>, &str)]) -> Vec<u64> {
        let mut sequences = Sequences::default();
        lines.iter().map(|(time, text)| sequences.next(*time, &[text.as_bytes()])).collect()
    }

    #[test]
    fn a_file_that_grows_keeps_its_lines() {
        let all = [(None, "ls"), (None, "ls"), (Some(5), "ls"), (Some(5), "ls"), (Some(6), "make")];
        let names = sequences(&all);
        let distinct: std::collections::BTreeSet<_> = names.iter().collect();
        assert_eq!(distinct.len(), all.len());
        assert_eq!(sequences(&all[..3]), names[..3]);
    }

    #[test]
    fn a_file_that_is_cut_keeps_its_lines_with_a_time() {
        let all = [(Some(1), "a"), (Some(2), "b"), (Some(3), "a")];
        assert_eq!(sequences(&all[1..]), sequences(&all)[1..]);
    }

    #[test]
    fn names_do_not_change_with_the_version_of_karo() {
        assert_eq!(shell_id(ShellKind::Bash).to_string(), "5c214a4d814d4127a2aac8293cbca2a2");
        assert_eq!(
            sequences(&[(None, "ls"), (Some(1_700_000_000), "ls")]),
            [4_011_717_622_969_655_633, 7_617_698_440_748_053_208]
        );
    }
}
