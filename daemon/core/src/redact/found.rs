//! The secrets found in one text so far, and the markers that it holds already.

use std::borrow::Cow;
use std::ops::Range;

use karo_protocol::event::{Cut, Secret, markers};

use super::Reasoned;
use super::user::Allowed;

/// How telling a finder is: where secrets overlap, the most telling one gives the kind and the reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Rank {
    Random,
    Name,
    Place,
    Url,
    Vendor,
    User,
}

/// A secret: a range of the text, what it is, and why.
#[derive(Debug, Clone)]
pub(super) struct Hit {
    pub(super) range: Range<usize>,
    pub(super) kind: Secret,
    pub(super) rank: Rank,
    pub(super) reason: Cow<'static, str>,
}

/// The secrets found in one text so far.
pub(super) struct Found<'a> {
    pub(super) text: &'a [u8],
    /// Where markers stand in the text already, in order.
    markers: Vec<Range<usize>>,
    allowed: Allowed<'a>,
    hits: Vec<Hit>,
    /// Where words begin whose names say nothing here.
    spared: Vec<usize>,
    /// Where words begin that anyone may know, whatever they look like.
    public: Vec<usize>,
    /// Places of secrets that a substitution fills.
    asked: Vec<Range<usize>>,
}

impl<'a> Found<'a> {
    pub(super) fn new(text: &'a [u8], allowed: Allowed<'a>) -> Self {
        Self {
            text,
            markers: places_of_markers(text),
            allowed,
            hits: Vec::new(),
            spared: Vec::new(),
            public: Vec::new(),
            asked: Vec::new(),
        }
    }

    pub(super) const fn has_markers(&self) -> bool {
        !self.markers.is_empty()
    }

    /// Notes a secret; markers at either end of it are left standing, and an empty one is none.
    pub(super) fn push(
        &mut self,
        mut range: Range<usize>,
        kind: Secret,
        rank: Rank,
        reason: impl FnOnce() -> Cow<'static, str>,
    ) {
        range.end = range.end.min(self.text.len());
        while let Some(at) = marker_at(&self.markers, range.start) {
            range.start = at.end;
        }
        while let Some(at) = range.end.checked_sub(1).and_then(|last| marker_at(&self.markers, last)) {
            range.end = at.start;
        }
        if range.start >= range.end || self.allowed.is_allowed(self.text, &range) {
            return;
        }
        self.hits.push(Hit { range, kind, rank, reason: reason() });
    }

    /// Notes that the name in the word that begins at `at` says nothing: `gcloud --secret=NAME`.
    pub(super) fn spare(&mut self, at: usize) {
        const SPARED_MAX: usize = 32;
        if self.spared.len() < SPARED_MAX {
            self.spared.push(at);
        }
    }

    /// Notes that a substitution stands where a secret would: `-p $(echo X)`.
    pub(super) fn ask(&mut self, place: Range<usize>) {
        const ASKED_MAX: usize = 32;
        if self.asked.len() < ASKED_MAX {
            self.asked.push(place);
        }
    }

    /// Tells whether a place lies within such a substitution.
    pub(super) fn is_asked(&self, place: &Range<usize>) -> bool {
        self.asked.iter().any(|asked| asked.start < place.start && place.end < asked.end)
    }

    /// Tells whether the last secret that was noted lies there.
    pub(super) fn covers(&self, place: &Range<usize>) -> bool {
        self.hits.last().is_some_and(|hit| hit.range.start < place.end && place.start < hit.range.end)
    }

    /// Notes that the word that begins at `at` is an address or a public key.
    pub(super) fn publish(&mut self, at: usize) {
        const PUBLIC_MAX: usize = 32;
        if self.public.len() < PUBLIC_MAX {
            self.public.push(at);
        }
    }

    /// Tells whether a word that begins there is one.
    pub(super) fn is_public(&self, place: &Range<usize>) -> bool {
        self.public.contains(&place.start)
    }

    /// Tells whether a word that begins there was spared.
    pub(super) fn is_spared(&self, place: &Range<usize>) -> bool {
        self.spared.contains(&place.start)
    }

    /// Returns another list for a text that stands in this one.
    pub(super) fn within<'b>(&self, text: &'b [u8]) -> Found<'b>
    where
        'a: 'b,
    {
        Found::new(text, self.allowed)
    }

    /// Takes over what was found in a text whose bytes stand where `place` says.
    pub(super) fn take(&mut self, inner: Found<'_>, place: impl Fn(Range<usize>) -> Range<usize>) {
        for hit in inner.hits {
            self.push(place(hit.range), hit.kind, hit.rank, || hit.reason);
        }
    }

    /// Returns what was found, in order; what overlaps is one.
    pub(super) fn merged(self) -> Vec<Hit> {
        merged(self.hits)
    }
}

/// Sorts hits and joins those that overlap.
pub(super) fn merged(mut hits: Vec<Hit>) -> Vec<Hit> {
    hits.sort_by_key(|hit| (hit.range.start, hit.range.end));
    hits.dedup_by(|next, kept| {
        let overlaps = next.range.start < kept.range.end;
        let is_chance = |hit: &Hit| hit.rank == Rank::Random;
        if overlaps && is_chance(next) != is_chance(kept) {
            // What is told by more than chance says better where it begins and ends.
            if is_chance(kept) {
                std::mem::swap(next, kept);
            }
        } else if overlaps {
            let end = kept.range.end.max(next.range.end);
            if next.rank > kept.rank {
                std::mem::swap(next, kept);
                kept.range.start = next.range.start;
            }
            kept.range.end = end;
        }
        overlaps
    });
    hits
}

impl Hit {
    pub(super) const fn cut(&self) -> Cut {
        Cut { start: self.range.start, end: self.range.end, kind: self.kind }
    }

    pub(super) fn reasoned(self) -> Reasoned {
        Reasoned { cut: self.cut(), reason: self.reason.into_owned() }
    }

    /// A hit that takes all of a text.
    pub(super) const fn everything(length: usize) -> Self {
        let reason = Cow::Borrowed("too long or too tangled to tell what of it is secret");
        Self { range: 0..length, kind: Secret::Key, rank: Rank::User, reason }
    }
}

/// Returns where markers stand in a text, in order.
pub(super) fn places_of_markers(text: &[u8]) -> Vec<Range<usize>> {
    let may_hold = memchr::memchr2(0xe2, b'[', text).is_some();
    if may_hold { markers(text).into_iter().map(|(place, _)| place).collect() } else { Vec::new() }
}

/// Returns the marker that covers the byte at `at`.
pub(super) fn marker_at(markers: &[Range<usize>], at: usize) -> Option<Range<usize>> {
    let after = markers.partition_point(|marker| marker.start <= at);
    let last = markers.get(after.checked_sub(1)?)?;
    last.contains(&at).then(|| last.clone())
}
