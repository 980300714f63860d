//! Which segments go: by age and by size, whole ones only. Decides and deletes nothing.

use karo_protocol::{Micros, Timestamp};

/// How long, and how much of it, the log is kept; without either, for good.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct RetentionRule {
    /// Events that started longer ago may go.
    pub age: Option<Micros>,
    /// Bytes that the segments may take, all told.
    pub bytes: Option<u64>,
}

/// What the decision needs to know of a segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SegmentSummary {
    /// Its number: greater ones were begun later.
    pub number: u64,
    /// Whether it is complete; the one that is written to never goes.
    pub is_sealed: bool,
    /// Bytes of its file.
    pub bytes: u64,
    /// The greatest start time of any event in it, and of any event whose outcome is in it; `None`
    /// when it holds nothing of any event.
    pub newest: Option<Timestamp>,
}

impl RetentionRule {
    /// Returns the numbers of the segments that go, in their order.
    ///
    /// A segment goes by age when everything in it is older: an event may stay for as long as its
    /// segment has younger ones, and none goes too early. By size, the ones whose newest event is the
    /// oldest go first, until the rest fits; an import of old events goes before younger ones that
    /// were written earlier. A segment without events takes part in neither: what it holds speaks of
    /// other segments, and compaction folds it away.
    pub fn expired(&self, segments: &[SegmentSummary], now: Timestamp) -> Vec<u64> {
        let mut candidates: Vec<(Timestamp, &SegmentSummary)> = segments
            .iter()
            .filter(|segment| segment.is_sealed)
            .filter_map(|segment| segment.newest.map(|newest| (newest, segment)))
            .collect();
        candidates.sort_by_key(|(newest, segment)| (*newest, segment.number));
        let mut bytes: u64 = segments.iter().map(|segment| segment.bytes).fold(0, u64::saturating_add);
        let mut expired = Vec::new();
        for (newest, segment) in candidates {
            let is_old = self.age.is_some_and(|age| now.since(newest) > age);
            let is_too_much = self.bytes.is_some_and(|bytes_max| bytes > bytes_max);
            if !is_old && !is_too_much {
                break;
            }
            bytes = bytes.saturating_sub(segment.bytes);
            expired.push(segment.number);
        }
        expired.sort_unstable();
        expired
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn segment(number: u64, newest: i64, bytes: u64) -> SegmentSummary {
        SegmentSummary { number, is_sealed: true, bytes, newest: Some(Timestamp::from_micros(newest)) }
    }

    fn check(age: Option<u64>, bytes: Option<u64>, segments: &[SegmentSummary], expected: &[u64]) {
        let rule = RetentionRule { age: age.map(Micros), bytes };
        assert_eq!(
            rule.expired(segments, Timestamp::from_micros(1000)),
            expected,
            "{rule:?} of {segments:?}"
        );
    }

    #[test]
    fn segments_go_by_age_and_by_size() {
        let three = [segment(1, 100, 10), segment(2, 200, 10), segment(3, 900, 10)];
        check(None, None, &three, &[]);
        check(Some(800), None, &three, &[1]);
        check(Some(900), None, &three, &[]);
        check(Some(0), None, &three, &[1, 2, 3]);
        check(None, Some(30), &three, &[]);
        check(None, Some(29), &three, &[1]);
        check(None, Some(0), &three, &[1, 2, 3]);
        check(Some(800), Some(10), &three, &[1, 2]);
        check(Some(700), Some(30), &three, &[1, 2]);
    }

    #[test]
    fn an_import_of_old_events_goes_before_younger_ones() {
        check(None, Some(10), &[segment(1, 500, 10), segment(2, 3, 10)], &[2]);
        check(Some(900), None, &[segment(1, 500, 10), segment(2, 3, 10)], &[2]);
    }

    #[test]
    fn the_live_segment_and_one_without_events_stay() {
        let live = SegmentSummary { is_sealed: false, ..segment(3, 1, 50) };
        let empty = SegmentSummary { newest: None, ..segment(2, 0, 50) };
        check(Some(1), Some(1), &[segment(1, 1, 10), empty, live], &[1]);
    }

    #[test]
    fn a_start_in_the_future_is_not_old() {
        check(Some(1), None, &[segment(1, 5000, 10)], &[]);
    }

    proptest! {
        #[test]
        fn no_more_goes_than_must(
            sizes in prop::collection::vec((0..2000_i64, 0..100_u64), 0..20),
            age in prop::option::of(0..2000_u64),
            bytes_max in prop::option::of(0..1000_u64),
        ) {
            let segments: Vec<SegmentSummary> =
                sizes.iter().enumerate().map(|(n, (newest, bytes))| segment(n as u64, *newest, *bytes)).collect();
            let now = Timestamp::from_micros(1000);
            let rule = RetentionRule { age: age.map(Micros), bytes: bytes_max };
            let expired = rule.expired(&segments, now);
            let kept: Vec<&SegmentSummary> = segments.iter().filter(|s| !expired.contains(&s.number)).collect();
            let kept_bytes: u64 = kept.iter().map(|s| s.bytes).sum();
            prop_assert!(bytes_max.is_none_or(|bytes_max| kept_bytes <= bytes_max));
            for segment in kept {
                prop_assert!(age.is_none_or(|age| now.since(segment.newest.unwrap()) <= Micros(age)));
            }
            // Bringing the youngest of those that went back would break a rule again.
            let youngest = segments.iter().filter(|s| expired.contains(&s.number)).max_by_key(|s| (s.newest, s.number));
            if let Some(youngest) = youngest {
                let is_old = age.is_some_and(|age| now.since(youngest.newest.unwrap()) > Micros(age));
                let is_too_much = bytes_max.is_some_and(|bytes_max| kept_bytes + youngest.bytes > bytes_max);
                prop_assert!(is_old || is_too_much);
            }
        }
    }
}
