//! What rules say of an event, packed into one string: few events have a risk, and those that have share
//! it with many others.
//!
//! | bytes | field |
//! | --- | --- |
//! | 0   | low half: index of the level plus 1, or 0 for none; high half: the same of the axis |
//! | 1.. | ids of the rules, separated by NUL |
//!
//! A string of zeros says nothing of an event, which is what the dictionary leaves of a forgotten one.

use karo_protocol::{Axis, Filter, Risk};

use super::change::Entry;

/// What rules say of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Assessment<'a> {
    /// The highest level.
    pub(super) risk: Option<Risk>,
    /// The axis of the rule that gave it.
    pub(super) axis: Option<Axis>,
    rules: &'a [u8],
}

impl<'a> Assessment<'a> {
    /// Takes from an entry what rules say of it.
    pub(super) const fn of(entry: &Entry<'a>) -> Self {
        Self { risk: entry.risk, axis: entry.axis, rules: entry.rules }
    }

    /// Packs it, after emptying `packed`.
    pub(super) fn pack(&self, packed: &mut Vec<u8>) {
        packed.clear();
        let level = self.risk.map_or(0, |risk| risk.index() + 1);
        packed.push(level | self.axis.map_or(0, |axis| axis.index() + 1) << 4);
        packed.extend_from_slice(self.rules);
    }

    /// Reads what [`pack`](Self::pack) wrote.
    pub(super) fn unpack(packed: &'a [u8]) -> Self {
        let (head, rules) = packed.split_first().map_or((0, packed), |(head, rules)| (*head, rules));
        Self {
            risk: (head & 0x0f).checked_sub(1).and_then(Risk::from_index),
            axis: (head >> 4).checked_sub(1).and_then(Axis::from_index),
            rules,
        }
    }

    /// Returns the ids of the rules, separated by NUL.
    pub(super) const fn rules(&self) -> &'a [u8] {
        self.rules
    }

    /// Tells whether a filter means the events of which this is said.
    pub(super) fn is_meant(&self, filter: &Filter) -> bool {
        filter.risk.is_none_or(|least| self.risk.is_some_and(|risk| risk >= least))
            && filter.axis.is_none_or(|axis| self.axis == Some(axis))
            && filter.rule.as_ref().is_none_or(|rule| self.has_rule(rule.as_bytes()))
    }

    fn has_rule(&self, wanted: &[u8]) -> bool {
        !wanted.is_empty() && self.rules.split(|byte| *byte == 0).any(|rule| rule == wanted)
    }
}

/// Tells whether a filter asks for anything that rules say.
pub(super) const fn is_asked(filter: &Filter) -> bool {
    filter.risk.is_some() || filter.axis.is_some() || filter.rule.is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_assessment_comes_back() {
        let risks = || Risk::ALL.iter().copied().map(Some).chain([None]);
        let axes = || Axis::ALL.iter().copied().map(Some).chain([None]);
        let mut packed = Vec::new();
        for (risk, axis) in risks().flat_map(|risk| axes().map(move |axis| (risk, axis))) {
            let assessment = Assessment { risk, axis, rules: b"a\0b" };
            assessment.pack(&mut packed);
            assert_eq!(Assessment::unpack(&packed), assessment);
        }
    }

    #[test]
    fn what_is_forgotten_says_nothing() {
        let nothing = Assessment { risk: None, axis: None, rules: b"" };
        assert_eq!(Assessment::unpack(b""), nothing);
        let forgotten = Assessment::unpack(&[0; 9]);
        assert_eq!((forgotten.risk, forgotten.axis), (None, None));
        assert!(!forgotten.has_rule(b"") && !forgotten.has_rule(b"a"));
    }
}
