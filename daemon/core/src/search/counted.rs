//! What changes of the columns mean for roll-ups.
//!
//! The columns hold all that a roll-up counts, so they say what a change adds and takes back, and
//! what everything adds up to. Both come from the same rows: a roll-up that lived through the changes
//! equals one that is made anew.

use karo_protocol::{Category, Timestamp};

use super::beside::Places;
use super::change::{Change, Position};
use super::chunk::{CATEGORY_BITS, Chunk};
use super::columns::Columns;
use crate::rollup::{Delta, Rollup, Sign};

impl Columns {
    /// Takes in a change as [`apply`](Self::apply) does, and returns what it means for roll-ups;
    /// `None` when that cannot be told, because the change is about an event that is not loaded yet.
    pub fn apply_counted(&mut self, change: Change) -> Option<Vec<Delta>> {
        match change {
            Change::Added(batch) => {
                let places: Vec<_> =
                    batch.iter().map(|entry| (entry.started_at.as_micros(), entry.position)).collect();
                self.apply(Change::Added(batch));
                let delta = |key| self.find(key).map(|(chunk, row)| self.delta(chunk, row, Sign::Added));
                places.into_iter().map(delta).collect()
            }
            Change::Outcome { key, outcome } => {
                let known = self.open_at(key);
                let place = known.map(|(started_at, position)| (started_at.as_micros(), position));
                let before = place.and_then(|key| self.find(key));
                let before = before.map(|(chunk, row)| self.delta(chunk, row, Sign::TakenBack));
                self.apply(Change::Outcome { key, outcome });
                let after = place.and_then(|key| self.find(key));
                let after = after.map(|(chunk, row)| self.delta(chunk, row, Sign::Added));
                Some(vec![before?, after?])
            }
            Change::Removed(mut positions) => {
                positions.sort_unstable();
                let deltas = self.taken_back(&positions);
                self.apply(Change::Removed(positions));
                Some(deltas)
            }
            Change::Revised(batch) => {
                let mut places: Vec<_> =
                    batch.iter().map(|entry| (entry.position, entry.started_at.as_micros())).collect();
                places.sort_unstable();
                let positions: Vec<Position> = places.iter().map(|(position, _)| *position).collect();
                let mut deltas = self.taken_back(&positions);
                let is_whole = deltas.len() == positions.len();
                self.apply(Change::Revised(batch));
                let rows = places.iter().filter_map(|(position, start)| self.find((*start, *position)));
                deltas.extend(rows.map(|(chunk, row)| self.delta(chunk, row, Sign::Added)));
                is_whole.then_some(deltas)
            }
            Change::Moved(moves) => {
                self.apply(Change::Moved(moves));
                Some(Vec::new())
            }
        }
    }

    /// Returns what all events add up to.
    pub fn rollup(&self) -> Rollup {
        let mut rollup = Rollup::default();
        for chunk in &self.chunks {
            (0..chunk.len()).for_each(|row| rollup.apply(&self.delta(chunk, row, Sign::Added)));
        }
        rollup
    }

    fn taken_back(&self, positions: &[Position]) -> Vec<Delta> {
        let places = Places::new(positions);
        let rows = self.chunks.iter().flat_map(|chunk| (0..chunk.len()).map(move |row| (chunk, row)));
        rows.filter(|(chunk, row)| places.contains(Position(chunk.position[*row])))
            .map(|(chunk, row)| self.delta(chunk, row, Sign::TakenBack))
            .collect()
    }

    fn delta(&self, chunk: &Chunk, row: usize, sign: Sign) -> Delta {
        let assessment = self.assessment(chunk, row);
        Delta {
            sign,
            started_at: Timestamp::from_micros(chunk.started[row]),
            category: Category::from_index(chunk.kind[row] & CATEGORY_BITS).unwrap_or(Category::Other),
            tools: self.tools.string(chunk.tools.at(row)).into(),
            risk: assessment.risk,
            axis: assessment.axis,
            exit: self.exit(chunk, row),
            duration: self.duration(chunk, row),
        }
    }
}
