//! Byte strings that many rows share, each kept once and known by a number.
//!
//! Made for directories and lists of programs: thousands, not millions.

use std::hash::Hasher;

use super::index::Index;

/// Distinct byte strings, numbered from zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Dictionary {
    bytes: Vec<u8>,
    ends: Vec<usize>,
    index: Index,
    gone: usize,
}

impl Dictionary {
    /// Returns the number of a string, a new one if it was not there.
    pub(super) fn intern(&mut self, string: &[u8]) -> u32 {
        let hash = hash(string);
        if let Some(id) = self.index.find(hash, |id| slice(&self.bytes, &self.ends, id) == string) {
            return id;
        }
        let id = self.ends.len() as u32;
        self.bytes.extend_from_slice(string);
        self.ends.push(self.bytes.len());
        self.index.insert(hash, id, |other| self::hash(slice(&self.bytes, &self.ends, other)));
        id
    }

    /// Returns the string of that number.
    pub(super) fn string(&self, id: u32) -> &[u8] {
        slice(&self.bytes, &self.ends, id)
    }

    /// Returns how many numbers are given out.
    pub(super) fn len(&self) -> usize {
        self.ends.len()
    }

    /// Returns every string in the order of the numbers; forgotten ones are all zeros.
    pub(super) fn iter(&self) -> impl Iterator<Item = &[u8]> {
        (0..self.ends.len() as u32).map(|id| self.string(id))
    }

    /// Overwrites a string that no row has any more, and does not find it again.
    pub(super) fn forget(&mut self, id: u32) {
        self.index.remove(hash(self.string(id)), id);
        let start = start(&self.ends, id);
        self.bytes[start..self.ends[id as usize]].fill(0);
        self.gone += 1;
    }

    /// Tells whether more numbers stand for nothing than for something.
    pub(super) const fn is_wasteful(&self) -> bool {
        self.gone * 2 > self.ends.len()
    }

    /// Keeps the marked strings alone and returns their new numbers by the old ones.
    pub(super) fn compact(&mut self, is_used: &[bool]) -> Vec<u32> {
        let old = std::mem::take(self);
        let mut renumbered = vec![u32::MAX; old.ends.len()];
        for id in (0..old.ends.len()).filter(|id| is_used[*id]) {
            renumbered[id] = self.intern(old.string(id as u32));
        }
        renumbered
    }

    /// Returns the bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.bytes.capacity() + self.ends.capacity() * size_of::<usize>() + self.index.size()
    }
}

fn start(ends: &[usize], id: u32) -> usize {
    id.checked_sub(1).map_or(0, |before| ends[before as usize])
}

fn slice<'a>(bytes: &'a [u8], ends: &[usize], id: u32) -> &'a [u8] {
    &bytes[start(ends, id)..ends[id as usize]]
}

fn hash(string: &[u8]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(string);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_string_keeps_its_number_until_it_is_compacted() {
        let mut dictionary = Dictionary::default();
        let ids = [&b"/a"[..], b"", b"/b", b"/a"].map(|string| dictionary.intern(string));
        assert_eq!(ids, [0, 1, 2, 0]);
        dictionary.forget(0);
        dictionary.forget(1);
        assert!(dictionary.is_wasteful());
        assert_eq!(dictionary.string(0), [0, 0]);
        assert_eq!(dictionary.compact(&[false, false, true]), [u32::MAX, u32::MAX, 0]);
        assert_eq!(dictionary.iter().collect::<Vec<_>>(), [b"/b"]);
    }
}
