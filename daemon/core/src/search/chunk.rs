//! A run of rows in order, one array for each field.

use std::ops::Range;

use karo_protocol::{Category, State};

use super::change::Position;
use super::column::{Column, Growth, Slim};

/// Rows in a chunk at most: a row that comes into the middle moves 2.5 MB at the worst.
///
/// Tests have small ones, so that a handful of events lies in several.
pub(super) const CHUNK_ROWS: usize = if cfg!(test) { 16 } else { 64 * 1024 };

/// No exit status is known.
pub(super) const NO_EXIT: u8 = 255;
/// The status is none of 0 to 253 and lies beside the columns.
pub(super) const WIDE_EXIT: u8 = 254;
/// No duration is known.
pub(super) const NO_DURATION: u32 = u32::MAX;
/// The duration is 71 minutes or more and lies beside the columns.
pub(super) const LONG_DURATION: u32 = u32::MAX - 1;
/// The sequence number is that or more and lies beside the columns.
pub(super) const HIGH_SEQUENCE: u32 = u32::MAX;
/// The outcome lies in the record of the event itself.
pub(super) const NO_POSITION: u32 = u32::MAX;

/// Where a row belongs among all others.
pub(super) type RowKey = (i64, Position);

macro_rules! chunk {
    ($($(#[$doc:meta])* $column:ident: $type:ty,)*) => {
        /// Rows ordered by (start, position).
        #[derive(Debug, Clone, Default)]
        pub(super) struct Chunk {
            $($(#[$doc])* pub(super) $column: $type,)*
        }

        impl Chunk {
            /// Makes a chunk with room for that many rows.
            pub(super) fn with_room(rows: usize) -> Self {
                Self { outcome: Vec::new(), ..Self { $($column: Column::with_room(rows),)* } }
            }

            /// Moves the rows from `at` on into a chunk of their own.
            pub(super) fn split_off(&mut self, at: usize) -> Self {
                Self { $($column: Column::split_off(&mut self.$column, at),)* }
            }

            /// Adds rows that come after all that are there.
            pub(super) fn append(&mut self, rows: &Self, range: Range<usize>, growth: Growth) {
                self.make_room_for_outcomes(rows);
                $(Column::append(&mut self.$column, &rows.$column, range.clone(), growth);)*
                self.fill_outcomes();
            }

            /// Adds rows in order, wherever they belong.
            pub(super) fn splice(&mut self, rows: &Self, range: Range<usize>, growth: Growth) {
                let places: Vec<usize> = range.clone().map(|row| self.row_from(rows.key(row))).collect();
                self.make_room_for_outcomes(rows);
                let outcomes = self.outcome.len();
                $(Column::splice(&mut self.$column, &places, &rows.$column, range.start, growth);)*
                if self.outcome.len() == outcomes && outcomes > 0 {
                    let none = vec![NO_POSITION; places.len()];
                    Column::splice(&mut self.outcome, &places, &none, 0, growth);
                }
            }

            /// Brings the rows into the order of these places.
            fn permute(&mut self, order: &[u32]) {
                $(Column::permute(&mut self.$column, order);)*
            }

            /// Takes the marked rows out and returns them.
            pub(super) fn take(&mut self, is_taken: &[bool]) -> Self {
                Self { $($column: Column::take(&mut self.$column, is_taken),)* }
            }

            /// Gives back the memory that no row needs.
            pub(super) fn shrink(&mut self) {
                $(Column::shrink(&mut self.$column);)*
            }

            /// Returns name and size in bytes of each column.
            pub(super) fn sizes(&self) -> Vec<(&'static str, usize)> {
                vec![$((stringify!($column), Column::size(&self.$column)),)*]
            }
        }
    };
}

chunk! {
    /// Start, in microseconds since the epoch.
    started: Vec<i64>,
    /// Where the event lies in the log.
    position: Vec<u32>,
    /// Number in [`Texts`](super::texts::Texts).
    text: Vec<u32>,
    /// Microseconds, or [`NO_DURATION`] or [`LONG_DURATION`].
    duration: Vec<u32>,
    /// Status, or [`NO_EXIT`] or [`WIDE_EXIT`].
    exit: Vec<u8>,
    /// Category and state, see [`kind`].
    kind: Vec<u8>,
    /// Number in [`Shells`](super::shells::Shells).
    shell: Slim,
    /// Number in its shell, or [`HIGH_SEQUENCE`].
    sequence: Slim,
    /// Number in the dictionary of directories.
    cwd: Slim,
    /// Number in the dictionary of lists of programs.
    tools: Slim,
    /// Number in the dictionary of [assessments](super::assessment::Assessment).
    assessment: Slim,
    /// Where the outcome lies in the log, or [`NO_POSITION`]; empty while no row has one.
    outcome: Vec<u32>,
}

/// Bits of the category in a kind.
pub(super) const CATEGORY_BITS: u8 = 0x1f;
/// Bits of the state in a kind.
pub(super) const STATE_BITS: u8 = 0x60;

/// Packs category and state into one byte: the category in the low five bits, then the state.
pub(super) const fn kind(category: Category, state: State) -> u8 {
    category.index() | state.index() << 5
}

/// Returns the state of a kind.
pub(super) fn state_of(kind: u8) -> State {
    State::from_index((kind & STATE_BITS) >> 5).expect("a kind is made of a state")
}

impl Chunk {
    pub(super) fn len(&self) -> usize {
        self.started.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.started.is_empty()
    }

    /// Returns where a row belongs.
    pub(super) fn key(&self, row: usize) -> RowKey {
        (self.started[row], Position(self.position[row]))
    }

    pub(super) fn first(&self) -> RowKey {
        self.key(0)
    }

    pub(super) fn last(&self) -> RowKey {
        self.key(self.len() - 1)
    }

    /// Returns the first row that is not before `key`.
    pub(super) fn row_from(&self, key: RowKey) -> usize {
        let mut row = self.started.partition_point(|started| *started < key.0);
        let ties = self.started[row..].partition_point(|started| *started == key.0);
        row += self.position[row..row + ties].partition_point(|position| *position < key.1.0);
        row
    }

    /// Tells whether the rows are in order.
    pub(super) fn is_sorted(&self) -> bool {
        (1..self.len()).all(|row| self.key(row - 1) < self.key(row))
    }

    /// Brings the rows into order.
    pub(super) fn sort(&mut self) {
        if !self.is_sorted() {
            let mut order: Vec<u32> = (0..self.len() as u32).collect();
            order.sort_unstable_by_key(|row| self.key(*row as usize));
            self.permute(&order);
        }
    }

    /// Notes how far an event has come.
    pub(super) fn set_state(&mut self, row: usize, state: State) {
        self.kind[row] = self.kind[row] & CATEGORY_BITS | state.index() << 5;
    }

    /// Returns where the outcome of a row lies, if in a record of its own.
    pub(super) fn outcome_position(&self, row: usize) -> Option<Position> {
        self.outcome.get(row).filter(|position| **position != NO_POSITION).map(|position| Position(*position))
    }

    /// Notes where the outcome of a row lies.
    pub(super) fn set_outcome_position(&mut self, row: usize, position: Option<Position>) {
        if position.is_some() && self.outcome.is_empty() {
            self.outcome = vec![NO_POSITION; self.len()];
        }
        if let Some(outcome) = self.outcome.get_mut(row) {
            *outcome = position.map_or(NO_POSITION, |position| position.0);
        }
    }

    /// Makes the column that many chunks do without, when the rows to come have it.
    fn make_room_for_outcomes(&mut self, rows: &Self) {
        if self.outcome.is_empty() && !rows.outcome.is_empty() {
            self.outcome = vec![NO_POSITION; self.len()];
        }
    }

    /// Completes that column after rows came that do without.
    fn fill_outcomes(&mut self) {
        if !self.outcome.is_empty() {
            self.outcome.resize(self.started.len(), NO_POSITION);
        }
    }
}
