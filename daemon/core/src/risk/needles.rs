//! Which rules can match an event at all, found by one pass over its text.
//!
//! The words that rules need are an Aho-Corasick automaton for each text that is searched. Each rule has a set of words and fields of which one at
//! least is hit whenever its need holds; when one is, and then only, its need is looked at in full, and only when that
//! holds the rule itself.
//!
//! Aho, Corasick: Efficient String Matching, 1975.

use std::collections::{BTreeMap, BTreeSet};

use aho_corasick::{AhoCorasick, AhoCorasickBuilder, AhoCorasickKind};

use super::fields::Fields;
use super::needs::{Need, Place};

/// The words of all rules.
#[derive(Debug)]
pub(super) struct Needles {
    /// For each place the automaton of its words; none where it could not be built.
    automata: Vec<Option<AhoCorasick>>,
    /// For each place the number of its first word.
    firsts: Vec<usize>,
    /// What each rule needs, its words by their numbers.
    tests: Vec<Test>,
    /// For each word the rules that it calls.
    by_word: Vec<Vec<u16>>,
    /// For each field, by its bit, the rules that it calls.
    by_field: Vec<(Fields, Vec<u16>)>,
    /// Rules that nothing calls: they are looked at for every event.
    always: Vec<u16>,
}

/// A need, with numbers for words.
#[derive(Debug)]
enum Test {
    Nothing,
    Never,
    Word(usize),
    Fields(Fields),
    Length(usize),
    All(Vec<Self>),
    Least(usize, Vec<Self>),
}

/// Room for what one event hits, used again for the next.
#[derive(Debug)]
pub(super) struct Hits {
    /// Words that the whole line's programs hit.
    names: Vec<u64>,
    words: Vec<u64>,
    is_called: Vec<bool>,
    called: Vec<u16>,
}

impl Needles {
    /// Makes the automaton of what the rules need, which come in their order.
    pub(super) fn new(needs: &[Need]) -> Self {
        let mut named = BTreeSet::new();
        needs.iter().for_each(|need| words(need, &mut named));
        let numbers: Numbers<'_> = named.into_iter().zip(0..).collect();
        let of = |place| numbers.keys().filter(move |(one, _)| *one == place).map(|(_, word)| *word);
        let mut needles = Self {
            automata: Place::ALL.iter().map(|place| automaton(of(*place))).collect(),
            firsts: Place::ALL
                .iter()
                .map(|place| numbers.keys().filter(|(one, _)| one < place).count())
                .collect(),
            tests: needs.iter().map(|need| Test::of(need, &numbers)).collect(),
            by_word: vec![Vec::new(); numbers.len()],
            by_field: Fields::each().map(|field| (field, Vec::new())).collect(),
            always: Vec::new(),
        };
        for (need, rule) in needs.iter().zip(0_u16..) {
            needles.call(rule, need, &numbers);
        }
        needles
    }

    fn call(&mut self, rule: u16, need: &Need, numbers: &Numbers<'_>) {
        let Some(calls) = calls(need) else { return self.always.push(rule) };
        for call in calls.atoms {
            match call {
                Atom::Word(place, word) => self.by_word[numbers[&(place, word)]].push(rule),
                Atom::Field(field) => {
                    self.by_field
                        .iter_mut()
                        .filter(|(one, _)| field.holds(*one))
                        .for_each(|(_, rules)| rules.push(rule));
                }
            }
        }
    }

    /// Makes the room that [`find`](Self::find) needs. `names` is the text of the programs' names.
    pub(super) fn hits(&self, names: &str) -> Hits {
        let room = vec![0; self.by_word.len().div_ceil(64)];
        let mut hits = Hits {
            names: room.clone(),
            words: room,
            is_called: vec![false; self.tests.len()],
            called: Vec::new(),
        };
        self.search(Place::Names, names, &mut hits);
        hits.names.copy_from_slice(&hits.words);
        hits
    }

    /// Forgets the words of the event before, but for those of the programs' names.
    pub(super) fn begin(&self, hits: &mut Hits) {
        hits.words.copy_from_slice(&hits.names);
    }

    /// Returns the rules, in order, that can match an event with these fields and as much text, whose texts were
    /// [searched](Self::search); of those alone that are meant.
    pub(super) fn find<'h>(
        &self,
        length: usize,
        fields: Fields,
        hits: &'h mut Hits,
        is_meant: impl Fn(usize) -> bool,
    ) -> &'h [u16] {
        hits.called.clear();
        let by_word = ones(&hits.words).filter_map(|word| self.by_word.get(word)).flatten();
        let by_field =
            self.by_field.iter().filter(|(field, _)| fields.holds(*field)).flat_map(|(_, rules)| rules);
        for rule in by_word.chain(by_field).chain(&self.always) {
            if !std::mem::replace(&mut hits.is_called[usize::from(*rule)], true) {
                hits.called.push(*rule);
            }
        }
        hits.called.iter().for_each(|rule| hits.is_called[usize::from(*rule)] = false);
        let event = Held { words: &hits.words, fields, length };
        hits.called.retain(|rule| {
            let rule = usize::from(*rule);
            is_meant(rule) && self.tests[rule].holds(&event)
        });
        hits.called.sort_unstable();
        &hits.called
    }

    /// Finds the words of a text.
    pub(super) fn search(&self, place: Place, text: &str, hits: &mut Hits) {
        let Some(automaton) = &self.automata[place as usize] else { return hits.words.fill(u64::MAX) };
        let first = self.firsts[place as usize];
        for found in automaton.find_overlapping_iter(text) {
            let word = first + found.pattern().as_usize();
            hits.words[word / 64] |= 1 << (word % 64);
        }
    }
}

/// Numbers of words, each with its place.
type Numbers<'n> = BTreeMap<(Place, &'n str), usize>;

fn automaton<'n>(words: impl Iterator<Item = &'n str>) -> Option<AhoCorasick> {
    AhoCorasickBuilder::new()
        .kind(Some(AhoCorasickKind::ContiguousNFA))
        .ascii_case_insensitive(true)
        .build(words)
        .ok()
}

/// Returns the numbers of the bits that are set, but for those beyond the last word.
fn ones(bits: &[u64]) -> impl Iterator<Item = usize> {
    bits.iter().zip(0..).flat_map(|(bits, place)| {
        let mut left = *bits;
        std::iter::from_fn(move || {
            let next = (left != 0).then(|| left.trailing_zeros() as usize)?;
            left &= left - 1;
            Some(place * 64 + next)
        })
    })
}

/// What an event has.
struct Held<'h> {
    words: &'h [u64],
    fields: Fields,
    length: usize,
}

impl Test {
    fn of(need: &Need, numbers: &Numbers<'_>) -> Self {
        let each = |parts: &[Need]| parts.iter().map(|part| Self::of(part, numbers)).collect();
        match need {
            Need::Nothing => Self::Nothing,
            Need::Never => Self::Never,
            Need::Word(place, word) => Self::Word(numbers[&(*place, word.as_str())]),
            Need::Fields(fields) => Self::Fields(*fields),
            Need::Length(length) => Self::Length(*length),
            Need::All(parts) => {
                // What is least to be expected is looked at first.
                let mut parts: Vec<&Need> = parts.iter().collect();
                parts.sort_by_cached_key(|part| calls(part).map_or(u32::MAX, |calls| calls.cost));
                Self::All(parts.into_iter().map(|part| Self::of(part, numbers)).collect())
            }
            Need::Least(count, parts) => Self::Least(*count, each(parts)),
        }
    }

    fn holds(&self, event: &Held<'_>) -> bool {
        match self {
            Self::Nothing => true,
            Self::Never => false,
            Self::Word(word) => event.words[word / 64] & 1 << (word % 64) != 0,
            Self::Fields(fields) => event.fields.holds(*fields),
            Self::Length(length) => event.length >= *length,
            Self::All(parts) => parts.iter().all(|part| part.holds(event)),
            Self::Least(count, parts) => {
                parts.iter().filter(|part| part.holds(event)).take(*count).count() == *count
            }
        }
    }
}

/// Collects the words of a need.
fn words<'n>(need: &'n Need, found: &mut BTreeSet<(Place, &'n str)>) {
    match need {
        Need::Word(place, word) => {
            found.insert((*place, word));
        }
        Need::All(parts) | Need::Least(_, parts) => parts.iter().for_each(|part| words(part, found)),
        Need::Nothing | Need::Never | Need::Fields(_) | Need::Length(_) => {}
    }
}

/// What calls a rule, and how often that is to be expected.
struct Calls<'n> {
    atoms: Vec<Atom<'n>>,
    cost: u32,
}

enum Atom<'n> {
    Word(Place, &'n str),
    Field(Fields),
}

/// Returns words and fields of which one at least is hit whenever a need holds; `None` where there are none.
fn calls(need: &Need) -> Option<Calls<'_>> {
    match need {
        Need::Nothing | Need::Length(_) => None,
        Need::Never => Some(Calls { atoms: Vec::new(), cost: 0 }),
        Need::Word(place, word) => {
            Some(Calls { atoms: vec![Atom::Word(*place, word)], cost: cost_of_word(word) })
        }
        Need::Fields(fields) => Some(Calls { atoms: vec![Atom::Field(*fields)], cost: fields.cost() }),
        Need::All(parts) => parts.iter().filter_map(calls).min_by_key(|calls| calls.cost),
        Need::Least(count, parts) => {
            // Of so many parts that hold, one is among any that leave out one less: the dearest are left out.
            let mut parts: Vec<_> = parts.iter().map(calls).collect();
            parts.sort_by_key(|calls| calls.as_ref().map_or(u32::MAX, |calls| calls.cost));
            parts.truncate((parts.len() + 1).saturating_sub(*count));
            let parts: Option<Vec<_>> = parts.into_iter().collect();
            let (atoms, costs): (Vec<_>, Vec<_>) =
                parts?.into_iter().map(|calls| (calls.atoms, calls.cost)).unzip();
            Some(Calls { atoms: atoms.into_iter().flatten().collect(), cost: costs.iter().sum() })
        }
    }
}

/// Of a million events, those that are expected to hold a word: the letters and digits in it tell.
fn cost_of_word(word: &str) -> u32 {
    match word.bytes().filter(|byte| !matches!(byte, b' ' | b'\n' | b'/' | b'-')).count() {
        0 => 500_000,
        1 => 100_000,
        2 => 30_000,
        3 => 8_000,
        4 => 3_000,
        _ => 1_000,
    }
}
