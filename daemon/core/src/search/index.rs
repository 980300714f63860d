//! Finds numbered things by their hash: open addressing over bare numbers, five bytes a slot.
//!
//! It holds neither keys nor hashes: who asks compares, and who lets it grow hashes again.

const EMPTY: u8 = 0;
const GONE: u8 = 1;
/// Tags of living slots have this bit, so that they are neither [`EMPTY`] nor [`GONE`].
const LIVING: u8 = 0x80;

/// Numbers by the hash of what they stand for.
#[derive(Debug, Clone, Default)]
pub(super) struct Index {
    /// Seven bits of each hash: most unequal things are told apart without a look at them.
    tags: Vec<u8>,
    ids: Vec<u32>,
    /// Slots that are not empty, living or gone.
    used: usize,
}

impl Index {
    /// Returns the number under that hash for which `is_same` holds.
    pub(super) fn find(&self, hash: u64, mut is_same: impl FnMut(u32) -> bool) -> Option<u32> {
        self.slot(hash, &mut is_same).map(|slot| self.ids[slot])
    }

    fn slot(&self, hash: u64, is_same: &mut impl FnMut(u32) -> bool) -> Option<usize> {
        if self.tags.is_empty() {
            return None;
        }
        let mask = self.tags.len() - 1;
        let mut slot = hash as usize & mask;
        while self.tags[slot] != EMPTY {
            if self.tags[slot] == tag(hash) && is_same(self.ids[slot]) {
                return Some(slot);
            }
            slot = (slot + 1) & mask;
        }
        None
    }

    /// Adds a number that is not there; `hash_of` hashes the others again when the index grows.
    pub(super) fn insert(&mut self, hash: u64, id: u32, hash_of: impl Fn(u32) -> u64) {
        // Seven of eight: a probe stays within a cache line or two of tags.
        if (self.used + 1) * 8 > self.tags.len() * 7 {
            self.rebuild(hash_of);
        }
        self.place(hash, id);
    }

    /// Forgets a number, if it is there.
    pub(super) fn remove(&mut self, hash: u64, id: u32) {
        if let Some(slot) = self.slot(hash, &mut |other| other == id) {
            self.tags[slot] = GONE;
        }
    }

    /// Returns the bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.tags.capacity() + self.ids.capacity() * 4
    }

    fn place(&mut self, hash: u64, id: u32) {
        let mask = self.tags.len() - 1;
        let mut slot = hash as usize & mask;
        while self.tags[slot] != EMPTY {
            slot = (slot + 1) & mask;
        }
        self.tags[slot] = tag(hash);
        self.ids[slot] = id;
        self.used += 1;
    }

    fn rebuild(&mut self, hash_of: impl Fn(u32) -> u64) {
        let slots = self.tags.iter().zip(&self.ids);
        let mut living: Vec<u32> = slots.filter(|(tag, _)| **tag & LIVING != 0).map(|(_, id)| *id).collect();
        // What the numbers stand for lies in their order: read like that it is five times as fast.
        living.sort_unstable();
        // What is left after the gone ones may fit as it is.
        let slots = ((living.len() + 1) * 3 / 2).next_power_of_two().max(16);
        *self = Self { tags: vec![EMPTY; slots], ids: vec![0; slots], used: 0 };
        living.into_iter().for_each(|id| self.place(hash_of(id), id));
    }
}

fn tag(hash: u64) -> u8 {
    (hash >> 56) as u8 | LIVING
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_put_is_found_and_what_was_removed_is_not() {
        let hash_of = |id: u32| u64::from(id % 7).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut index = Index::default();
        assert_eq!(index.find(hash_of(1), |_| true), None);
        for id in 0..1000 {
            index.insert(hash_of(id), id, hash_of);
        }
        for id in (0..1000).filter(|id| id % 3 == 0) {
            index.remove(hash_of(id), id);
        }
        for id in 1000..1400 {
            index.insert(hash_of(id), id, hash_of);
        }
        for id in 0..1400 {
            let expected = (id >= 1000 || id % 3 != 0).then_some(id);
            assert_eq!(index.find(hash_of(id), |other| other == id), expected);
        }
    }
}
