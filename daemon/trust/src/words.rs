//! The words that two people compare: 1024 of them, ten bits each.
//!
//! They are in common use, have 4 to 8 letters, and any two differ in two letters at least and within their first
//! four, so that a word that was heard or typed half right is not taken for another.

/// The list, in order; a word's place is its number.
const LIST: &str = include_str!("words.txt");

/// How many words there are.
const COUNT: usize = 1024;

/// Bits that one word says.
const BITS_EACH: u32 = COUNT.ilog2();

/// Returns the word of that number, below [`COUNT`].
fn word(number: usize) -> &'static str {
    LIST.split_ascii_whitespace().nth(number).expect("the list holds every number of ten bits")
}

/// Says 40 bits, the highest first.
pub(crate) fn four(bits: [u8; 5]) -> [&'static str; 4] {
    let bits = bits.iter().fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    [3, 2, 1, 0].map(|place| word((bits >> (place * BITS_EACH)) as usize % COUNT))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// Counts the letters to insert, remove or change, or pairs to swap, until one word is the other.
    fn edits(one: &[u8], other: &[u8]) -> usize {
        let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
        for (i, a) in one.iter().enumerate() {
            let mut row = vec![i + 1];
            for (j, b) in other.iter().enumerate() {
                let changed = rows[i][j] + usize::from(a != b);
                let mut least = changed.min(rows[i][j + 1] + 1).min(row[j] + 1);
                if i > 0 && j > 0 && *a == other[j - 1] && one[i - 1] == *b {
                    least = least.min(rows[i - 1][j - 1] + 1);
                }
                row.push(least);
            }
            rows.push(row);
        }
        rows[one.len()][other.len()]
    }

    #[test]
    fn words_are_easily_told_apart() {
        let words: Vec<&str> = LIST.split_ascii_whitespace().collect();
        assert_eq!(words.len(), COUNT);
        assert!(words.is_sorted());
        let beginnings: BTreeSet<&str> = words.iter().map(|word| &word[..4]).collect();
        assert_eq!(beginnings.len(), COUNT);
        for (place, one) in words.iter().enumerate() {
            assert!((4..=8).contains(&one.len()) && one.bytes().all(|c| c.is_ascii_lowercase()), "{one}");
            for other in &words[..place] {
                assert!(edits(one.as_bytes(), other.as_bytes()) >= 2, "{one} and {other}");
            }
        }
    }

    #[test]
    fn forty_bits_are_four_words() {
        assert_eq!(four([0; 5]), [word(0); 4]);
        assert_eq!(four([0xff; 5]), [word(1023); 4]);
        assert_eq!(four([0, 0x40, 0x20, 0x0c, 0x04]), [word(1), word(2), word(3), word(4)]);
    }
}
