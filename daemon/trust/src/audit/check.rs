//! Whether a stored log is as it was written: every line, every tile, every head that was signed.

use karo_protocol::audit::Head;
use karo_protocol::node::{Hash, Nonce};

use super::log::{AuditLog, Line};
use super::stored::Stored;
use super::tree::TILE_BITS;

/// Bad places that are named; the others are counted.
const NAMED_MAX: usize = 100;

/// What a check found of one log.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Checked {
    /// Entries that are past their retention, of which only the hashes are left.
    pub expired: u64,
    /// Places of entries that are not as they were written, or lost; the first hundred.
    pub bad: Vec<u64>,
    /// How many such places there are.
    pub bad_count: u64,
    /// What else is wrong, each a sentence without a full stop.
    pub faults: Vec<String>,
}

impl Checked {
    /// Tells whether nothing is wrong.
    pub const fn is_sound(&self) -> bool {
        self.bad_count == 0 && self.faults.is_empty()
    }

    fn name(&mut self, index: u64) {
        self.bad_count += 1;
        if self.bad.len() < NAMED_MAX {
            self.bad.push(index);
        }
    }

    fn fault(&mut self, fault: String) {
        if self.faults.len() < NAMED_MAX {
            self.faults.push(fault);
        }
    }
}

/// Checks a log of so many entries, of which those below `first` are past their retention.
///
/// `line` returns a stored line, `heads` are the own signed ones, in the order of their sizes. The tree is made
/// anew, entry by entry, and compared with all of them; so between two heads is known where it was rewritten,
/// even if lines and tiles fit each other.
pub fn check(
    log: Nonce,
    size: u64,
    first: u64,
    stored: &impl Stored,
    line: impl Fn(u64) -> Option<Line>,
    heads: &[Head],
) -> Checked {
    let mut checked = Checked::default();
    let mut anew = AuditLog::begin(log);
    let mut tile: Option<(u64, Vec<Hash>)> = None;
    let mut sound_up_to = 0;
    for index in 0..size {
        let number = index >> TILE_BITS;
        if tile.as_ref().is_none_or(|(at, _)| *at != number) {
            tile = stored.tile(0, number).map(|hashes| (number, hashes));
        }
        let tiled = tile.as_ref().and_then(|(_, hashes)| hashes.get((index % (1 << TILE_BITS)) as usize));
        let Some(hash) = leaf(index, first, tiled, &line, &mut checked) else {
            checked.fault(format!("the hash of entry {index} is lost: what follows it cannot be checked"));
            return checked;
        };
        for made in anew.push(hash) {
            if stored.tile(made.level, made.index).is_some_and(|stored| stored != made.hashes) {
                checked
                    .fault(format!("tile {} of level {} is not as it was written", made.index, made.level));
            }
        }
        for head in heads.iter().filter(|head| head.log == log && head.size == anew.size()) {
            match head.root == anew.root() {
                true => sound_up_to = head.size,
                false => checked.fault(format!(
                    "the entries below {} are not those that were signed; up to {sound_up_to} they are",
                    head.size
                )),
            }
        }
    }
    for head in heads.iter().filter(|head| head.log == log && head.size > size) {
        checked.fault(format!("a head of {} entries was signed, and there are {size}", head.size));
    }
    checked
}

/// Returns the hash of an entry to go on with: by its line if that is sound, else by its tile.
fn leaf(
    index: u64,
    first: u64,
    tiled: Option<&Hash>,
    line: &impl Fn(u64) -> Option<Line>,
    checked: &mut Checked,
) -> Option<Hash> {
    if index < first {
        checked.expired += 1;
        return tiled.copied();
    }
    let line = line(index);
    let is_sound =
        line.as_ref().is_some_and(|line| line.is_sound() && tiled.is_none_or(|tiled| *tiled == line.hash));
    if !is_sound {
        checked.name(index);
    }
    tiled.copied().or_else(|| line.map(|line| line.hash))
}
