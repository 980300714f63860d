//! What was understood, remembered by a hash of its text, in memory that has an end.
//!
//! A table of sets, each of [`WAYS`] slots: a hash tells the set, and a set that is full gives up a slot that was
//! not asked for lately (not recently used: one bit a slot; when all of a set are used, all but the last are not).
//! No answer depends on what is remembered. The hash is 128 bits of BLAKE3: nobody can make two texts of one hash,
//! so that what is understood of one is never said of another.

use std::collections::BTreeMap;
use std::sync::Arc;

use karo_protocol::event::Understanding;

use crate::risk::{Reads, Surroundings};

/// Texts remembered: as many as a busy person types in some years, in 5 MiB, which are taken as they are needed.
pub const CACHE_TEXTS_MAX: usize = 256 * 1024;

/// Distinct understandings remembered; real histories have one for some ten distinct texts. With one more, all is
/// forgotten.
pub const CACHE_UNDERSTANDINGS_MAX: usize = 16 * 1024;

/// What these understandings may take together, in bytes.
pub const CACHE_UNDERSTANDING_BYTES_MAX: usize = 4 << 20;

/// Slots in a set.
const WAYS: usize = 8;

/// Sets of the first table, which becomes twice as large whenever a set is full.
const SETS_FIRST: usize = 128;

/// Which texts a key is one of.
///
/// A stored text may hold a secret that the finders of its day did not know: that it was judged does not say that it
/// is clean.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// Looked through for secrets, and without any.
    Clean = 0,
    /// Judged as it was stored.
    Stored = 1,
}

/// What a text is remembered by: a hash of it, and of that of its surroundings which rules ask for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Key([u32; 4]);

impl Key {
    pub(super) fn of(origin: Origin, text: &[u8], surroundings: Surroundings<'_>, reads: Reads) -> Self {
        let parts = [
            (reads.cwd, surroundings.cwd),
            (reads.user, surroundings.user.as_bytes()),
            (reads.shell, surroundings.shell.as_bytes()),
        ];
        let mut hasher = blake3::Hasher::new();
        hasher.update(&[origin as u8]);
        // A number of bytes stands before each part, so that no two lists of parts are the same bytes.
        for (_, part) in parts.into_iter().filter(|(is_read, _)| *is_read) {
            hasher.update(&(part.len() as u64).to_be_bytes()).update(part);
        }
        let hash = hasher.update(text).finalize();
        let word = |at: usize| std::array::from_fn(|byte| hash.as_bytes()[4 * at + byte]);
        Self(std::array::from_fn(|at| u32::from_le_bytes(word(at))))
    }
}

/// One text: 20 bytes.
#[derive(Debug, Clone, Copy)]
struct Slot {
    key: Key,
    /// Which understanding it is, or [`FREE`].
    understanding: u16,
    is_used: bool,
}

/// No understanding has this number.
const FREE: u16 = u16::MAX;

const _: () = assert!(CACHE_UNDERSTANDINGS_MAX <= FREE as usize);

impl Slot {
    const EMPTY: Self = Self { key: Key([0; 4]), understanding: FREE, is_used: false };

    const fn is_free(&self) -> bool {
        self.understanding == FREE
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Cache {
    slots: Vec<Slot>,
    understandings: Vec<Arc<Understanding>>,
    /// The same, each with its number.
    numbers: BTreeMap<Arc<Understanding>, u16>,
    /// Bytes of all understandings, roughly.
    bytes: usize,
}

impl Cache {
    pub(super) fn find(&mut self, key: Key) -> Option<Arc<Understanding>> {
        let set = set_of(&mut self.slots, key)?;
        let way = set.iter().position(|slot| !slot.is_free() && slot.key == key)?;
        touch(set, way);
        Some(Arc::clone(&self.understandings[usize::from(set[way].understanding)]))
    }

    /// Remembers what was understood of a text.
    pub(super) fn keep(&mut self, key: Key, understanding: &Understanding) {
        let understanding = self.number(understanding);
        let is_crowded = set_of(&mut self.slots, key).is_none_or(|set| !set.iter().any(Slot::is_free));
        if is_crowded && self.slots.len() < CACHE_TEXTS_MAX {
            self.grow();
        }
        self.place(Slot { key, understanding, is_used: true });
    }

    /// Returns the number of an understanding, a new one if it was not there.
    fn number(&mut self, understanding: &Understanding) -> u16 {
        if let Some(number) = self.numbers.get(understanding) {
            return *number;
        }
        let size = size(understanding);
        let is_full = self.understandings.len() >= CACHE_UNDERSTANDINGS_MAX
            || self.bytes + size > CACHE_UNDERSTANDING_BYTES_MAX;
        if is_full {
            // So many different ones come of no history that we know: to begin anew is simple, and cheap enough.
            *self = Self::default();
        }
        let (number, understanding) = (self.understandings.len() as u16, Arc::new(understanding.clone()));
        self.understandings.push(Arc::clone(&understanding));
        self.numbers.insert(understanding, number);
        self.bytes += size;
        number
    }

    fn grow(&mut self) {
        let slots = (2 * self.slots.len()).clamp(SETS_FIRST * WAYS, CACHE_TEXTS_MAX);
        let old = std::mem::replace(&mut self.slots, vec![Slot::EMPTY; slots]);
        old.into_iter().filter(|slot| !slot.is_free()).for_each(|slot| self.place(slot));
    }

    fn place(&mut self, slot: Slot) {
        let Some(set) = set_of(&mut self.slots, slot.key) else { return };
        let known = set.iter().position(|other| !other.is_free() && other.key == slot.key);
        let place = known.or_else(|| set.iter().position(Slot::is_free));
        let way = place.or_else(|| set.iter().position(|other| !other.is_used)).unwrap_or(0);
        set[way] = slot;
        if slot.is_used {
            touch(set, way);
        }
    }
}

/// Returns the slots that a key may lie in; `None` as long as there are none at all.
fn set_of(slots: &mut [Slot], key: Key) -> Option<&mut [Slot]> {
    // The number of sets is a power of two.
    let sets = slots.len() / WAYS;
    let first = (key.0[0] as usize & sets.checked_sub(1)?) * WAYS;
    slots.get_mut(first..first + WAYS)
}

/// Notes that a slot was used; when all of its set are, the others are not any more.
fn touch(set: &mut [Slot], way: usize) {
    set[way].is_used = true;
    if set.iter().all(|slot| slot.is_used) {
        set.iter_mut().for_each(|slot| slot.is_used = false);
        set[way].is_used = true;
    }
}

/// Returns the bytes that an understanding takes here, roughly.
fn size(understanding: &Understanding) -> usize {
    let names = understanding.tools.iter().chain(&understanding.rules);
    size_of::<Understanding>() + 64 + names.map(|name| size_of::<String>() + 16 + name.len()).sum::<usize>()
}

#[cfg(test)]
mod tests {
    use karo_protocol::Category;

    use super::*;

    fn key(text: &str) -> Key {
        Key::of(Origin::Clean, text.as_bytes(), Surroundings::default(), Reads::default())
    }

    fn understanding(tools: &[&str]) -> Understanding {
        Understanding {
            category: Category::Other,
            categories: [Category::Other].into_iter().collect(),
            tools: tools.iter().map(|tool| (*tool).to_owned()).collect(),
            risk: None,
            rules: Vec::new(),
            version: 1,
            axis: None,
        }
    }

    #[test]
    fn it_stays_within_its_bounds_and_spares_what_is_used() {
        let (mut cache, ls, make) = (Cache::default(), understanding(&["ls"]), understanding(&["make"]));
        let (used, last) = (key("make test"), CACHE_TEXTS_MAX * 3 / 2);
        cache.keep(used, &make);
        for n in 0..=last {
            cache.keep(key(&format!("ls {n}")), &ls);
            assert_eq!(cache.find(used).as_deref(), Some(&make), "{n}");
        }
        assert_eq!(cache.slots.len(), CACHE_TEXTS_MAX);
        assert_eq!(cache.understandings.len(), 2);
        let held = |cache: &mut Cache, all: std::ops::Range<usize>| {
            all.filter(|n| cache.find(key(&format!("ls {n}"))).is_some()).count()
        };
        assert_eq!(held(&mut cache, last..last + 1), 1);
        assert!(held(&mut cache, 0..1000) < held(&mut cache, last - 1000..last));
    }

    #[test]
    fn a_small_one_forgets_nothing() {
        let (mut cache, ls) = (Cache::default(), understanding(&["ls"]));
        for n in 0..400 {
            cache.keep(key(&format!("ls {n}")), &ls);
        }
        assert!((0..400).all(|n| cache.find(key(&format!("ls {n}"))).is_some()));
        assert!(cache.slots.len() < CACHE_TEXTS_MAX / 64);
    }

    #[test]
    fn too_many_understandings_begin_anew() {
        let name = "a".repeat(60);
        let mut cache = Cache::default();
        for n in 0..CACHE_UNDERSTANDINGS_MAX * 5 / 4 {
            let tool = format!("{name}{n}");
            let many: Vec<&str> = std::iter::repeat_n(tool.as_str(), n % 4).collect();
            let understanding = understanding(&many);
            cache.keep(key(&tool), &understanding);
            assert_eq!(cache.find(key(&tool)).as_deref(), Some(&understanding));
            assert!(cache.understandings.len() <= CACHE_UNDERSTANDINGS_MAX);
            assert!(cache.bytes <= CACHE_UNDERSTANDING_BYTES_MAX);
        }
        let held: usize = cache.understandings.iter().map(|held| size(held)).sum();
        assert_eq!((held, cache.numbers.len()), (cache.bytes, cache.understandings.len()));
    }

    #[test]
    fn parts_are_told_apart_and_only_those_that_are_asked_for_count() {
        let all = Reads { cwd: true, user: true, shell: true };
        let of = |text: &str, cwd: &str, user, reads| {
            let surroundings = Surroundings { cwd: cwd.as_bytes(), user, shell: "" };
            Key::of(Origin::Clean, text.as_bytes(), surroundings, reads)
        };
        assert_ne!(of("ls", "/a", "b", all), of("ls", "/", "ab", all));
        assert_ne!(of("ls", "/a", "", all), of("/a.ls", "", "", all));
        assert_ne!(of("cd", "/a", "", all), of("/acd", "", "", all));
        assert_ne!(of("ls", "/a", "", all), of("ls", "/b", "", all));
        let user = Reads { user: true, ..Reads::default() };
        assert_eq!(of("ls", "/a", "x", user), of("ls", "/b", "x", user));
        assert_ne!(of("ls", "/a", "x", user), of("ls", "/a", "y", user));
    }
}
