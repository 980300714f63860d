//! Tokens that can be told by their own look: a prefix, or a piece in their midst, that only their vendor uses.
//!
//! The table is `vendors.tsv`; [`Shape`] says how its patterns are written.

use std::borrow::Cow;
use std::sync::LazyLock;

use karo_protocol::event::Secret;

use super::Found;
use super::found::Rank;
use super::scan::{is_inside_word, step};
use super::shape::Shape;

/// One form of token: a row of the table.
pub(super) struct Vendor {
    kind: Secret,
    /// Whose token it is, for people.
    pub(super) name: &'static str,
    /// Any of these stands before the body, or between its two parts.
    pub(super) prefixes: Vec<&'static str>,
    pub(super) shape: Shape,
    /// What follows the prefix of something that is no token.
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) near_miss: &'static str,
}

/// The rows, and where to look for them.
pub(super) struct Vendors {
    pub(super) rows: Vec<Vendor>,
    /// By first byte: prefixes and the rows that they belong to, in the order of the rows.
    buckets: Vec<Vec<(&'static [u8], usize)>>,
    /// The pairs of bytes that any prefix begins with: most places are passed over by a look at them.
    pairs: Vec<u64>,
}

pub(super) static VENDORS: LazyLock<Vendors> = LazyLock::new(|| Vendors::read(include_str!("vendors.tsv")));

impl Vendors {
    fn read(table: &'static str) -> Self {
        let lines = table.lines().filter(|line| !line.starts_with('#'));
        let mut vendors = Self {
            rows: lines.filter_map(row).collect(),
            buckets: vec![Vec::new(); 256],
            pairs: vec![0; 1024],
        };
        for (index, row) in vendors.rows.iter().enumerate() {
            for prefix in row.prefixes.iter().map(|prefix| prefix.as_bytes()) {
                let first = usize::from(prefix[0]);
                vendors.buckets[first].push((prefix, index));
                let seconds =
                    prefix.get(1).map_or(0..256, |second| usize::from(*second)..usize::from(*second) + 1);
                for pair in seconds.map(|second| first << 8 | second) {
                    vendors.pairs[pair >> 6] |= 1 << (pair & 63);
                }
            }
        }
        vendors
    }

    fn may_begin(&self, first: u8, second: u8) -> bool {
        let pair = usize::from(first) << 8 | usize::from(second);
        self.pairs[pair >> 6] >> (pair & 63) & 1 != 0
    }
}

fn row(line: &'static str) -> Option<Vendor> {
    let mut fields = line.split('\t');
    let mut field = || fields.next();
    let (kind, name, prefixes, shape, near_miss) = (field()?, field()?, field()?, field()?, field()?);
    Some(Vendor {
        kind: kind.parse().ok()?,
        name,
        prefixes: prefixes.split(' ').collect(),
        shape: Shape::read(shape)?,
        near_miss,
    })
}

/// Finds the tokens of all rows; goes over the text once.
pub(super) fn find(found: &mut Found<'_>) {
    let text = found.text;
    let vendors = &*VENDORS;
    // Where a row failed on a long run of bytes it fails on the rest of that run, too.
    let mut failed: Vec<(usize, usize)> = Vec::new();
    let mut at = 0;
    step(text.len());
    while at + 1 < text.len() {
        if !vendors.may_begin(text[at], text[at + 1]) {
            at += 1;
            continue;
        }
        at = token_at(found, vendors, at, &mut failed).unwrap_or(at + 1);
    }
}

/// Notes the token whose prefix begins at `at`, and returns its end.
fn token_at(
    found: &mut Found<'_>,
    vendors: &Vendors,
    at: usize,
    failed: &mut Vec<(usize, usize)>,
) -> Option<usize> {
    let text = found.text;
    let rest = &text[at..];
    let begins_word = !is_inside_word(text, at);
    for (prefix, index) in &vendors.buckets[usize::from(rest[0])] {
        step(1);
        let row = &vendors.rows[*index];
        if !(rest.starts_with(prefix) && (begins_word || row.shape.has_head())) {
            continue;
        }
        if failed.iter().any(|(row, until)| row == index && at < *until) {
            continue;
        }
        match row.shape.read_at(text, at, at + prefix.len()) {
            Ok(token) => {
                let reason = || Cow::Owned(format!("looks like: {}", row.name));
                let end = token.end;
                found.push(token, row.kind, Rank::Vendor, reason);
                return Some(end);
            }
            Err(looked_to) if looked_to > at + 64 => failed.push((*index, looked_to)),
            Err(_) => {}
        }
    }
    None
}
