//! One field of the rows of a chunk: an array, or a narrow one as long as all its numbers are small.

use std::ops::Range;

/// How much room a column gets when it is full.
#[derive(Debug, Clone, Copy)]
pub(super) enum Growth {
    /// For the rows that came.
    Exact,
    /// For a fifth more, up to that many rows in all: what is never used still counts as memory.
    Roomy(usize),
}

/// What chunks do with each of their columns.
pub(super) trait Column {
    /// Makes room for that many rows.
    fn with_room(rows: usize) -> Self;

    /// Moves the rows from `at` on into a column of their own.
    fn split_off(&mut self, at: usize) -> Self;

    /// Adds rows at the end.
    fn append(&mut self, rows: &Self, range: Range<usize>, growth: Growth);

    /// Adds rows from `from` on, one for each place: before the row that was there.
    fn splice(&mut self, places: &[usize], rows: &Self, from: usize, growth: Growth);

    /// Brings the rows into the order of these places.
    fn permute(&mut self, order: &[u32]);

    /// Takes the marked rows out and returns them.
    fn take(&mut self, is_taken: &[bool]) -> Self;

    /// Gives back the memory that no row needs.
    fn shrink(&mut self);

    /// Returns the bytes it takes.
    fn size(&self) -> usize;
}

/// A column of numbers of things.
pub(super) trait Numbers {
    /// Shows every number in order.
    fn each(&self, show: impl FnMut(u32));

    /// Puts another number, not greater, in the place of every one.
    fn renumber(&mut self, other: impl Fn(u32) -> u32);
}

impl<T: Copy> Column for Vec<T> {
    fn with_room(rows: usize) -> Self {
        Self::with_capacity(rows)
    }

    fn split_off(&mut self, at: usize) -> Self {
        let tail = self.get(at..).map_or_else(Self::new, <[T]>::to_vec);
        self.truncate(at);
        self.shrink_to_fit();
        tail
    }

    fn append(&mut self, rows: &Self, range: Range<usize>, growth: Growth) {
        if let Some(rows) = rows.get(range) {
            reserve(self, rows.len(), growth);
            self.extend_from_slice(rows);
        }
    }

    fn splice(&mut self, places: &[usize], rows: &Self, from: usize, growth: Growth) {
        let Some(rows) = rows.get(from..from + places.len()) else { return };
        reserve(self, rows.len(), growth);
        let mut tail = self.len();
        self.extend_from_slice(rows);
        // From the back, so that each old row moves once, straight to its place.
        for (before, place) in places.iter().enumerate().rev() {
            self.copy_within(*place..tail, place + before + 1);
            self[place + before] = rows[before];
            tail = *place;
        }
    }

    fn permute(&mut self, order: &[u32]) {
        if !self.is_empty() {
            *self = order.iter().map(|row| self[*row as usize]).collect();
        }
    }

    fn take(&mut self, is_taken: &[bool]) -> Self {
        let taken = self.iter().zip(is_taken).filter(|(_, taken)| **taken).map(|(value, _)| *value).collect();
        let mut marks = is_taken.iter();
        self.retain(|_| !marks.next().copied().unwrap_or(false));
        taken
    }

    fn shrink(&mut self) {
        self.shrink_to_fit();
    }

    fn size(&self) -> usize {
        self.capacity() * size_of::<T>()
    }
}

impl Numbers for Vec<u32> {
    fn each(&self, mut show: impl FnMut(u32)) {
        self.iter().for_each(|number| show(*number));
    }

    fn renumber(&mut self, other: impl Fn(u32) -> u32) {
        self.iter_mut().for_each(|number| *number = other(*number));
    }
}

fn reserve<T>(column: &mut Vec<T>, added: usize, growth: Growth) {
    let needed = column.len() + added;
    if needed > column.capacity() {
        let room = match growth {
            Growth::Exact => needed,
            Growth::Roomy(rows_max) => (needed + needed / 5 + 16).min(rows_max).max(needed),
        };
        column.reserve_exact(room - column.len());
    }
}

/// Numbers that take two bytes each until one comes that needs four.
#[derive(Debug, Clone)]
pub(super) enum Slim {
    /// None is greater than [`NARROW_MAX`].
    Narrow(Vec<u16>),
    /// Any.
    Wide(Vec<u32>),
}

/// The greatest number that a narrow column holds; tests have a small one, to see both kinds.
const NARROW_MAX: u32 = if cfg!(test) { 5 } else { u16::MAX as u32 };

impl Default for Slim {
    fn default() -> Self {
        Self::Narrow(Vec::new())
    }
}

impl Slim {
    /// Returns the number of a row.
    pub(super) fn at(&self, row: usize) -> u32 {
        match self {
            Self::Narrow(numbers) => u32::from(numbers[row]),
            Self::Wide(numbers) => numbers[row],
        }
    }

    /// Returns the number of the last row.
    pub(super) fn last(&self) -> Option<u32> {
        match self {
            Self::Narrow(numbers) => numbers.last().map(|number| u32::from(*number)),
            Self::Wide(numbers) => numbers.last().copied(),
        }
    }

    /// Adds a row.
    pub(super) fn push(&mut self, number: u32) {
        match self {
            Self::Narrow(numbers) if number <= NARROW_MAX => numbers.push(number as u16),
            Self::Narrow(_) | Self::Wide(_) => self.widen().push(number),
        }
    }

    /// Tells whether one of the rows has that number.
    pub(super) fn has(&self, rows: Range<usize>, number: u32) -> bool {
        match self {
            Self::Narrow(numbers) => u16::try_from(number).is_ok_and(|number| has(&numbers[rows], number)),
            Self::Wide(numbers) => has(&numbers[rows], number),
        }
    }

    /// Takes back the marks of those rows whose number is not meant.
    pub(super) fn narrow(&self, rows: Range<usize>, marks: &mut [bool], is_meant: impl Fn(u32) -> bool) {
        match self {
            Self::Narrow(numbers) => {
                let pairs = marks.iter_mut().zip(&numbers[rows]);
                pairs.for_each(|(mark, number)| *mark &= is_meant(u32::from(*number)));
            }
            Self::Wide(numbers) => {
                let pairs = marks.iter_mut().zip(&numbers[rows]);
                pairs.for_each(|(mark, number)| *mark &= is_meant(*number));
            }
        }
    }

    fn widen(&mut self) -> &mut Vec<u32> {
        if let Self::Narrow(numbers) = self {
            *self = Self::Wide(widened(numbers));
        }
        match self {
            Self::Wide(numbers) => numbers,
            Self::Narrow(_) => unreachable!("a narrow column was made wide above"),
        }
    }
}

/// Tells whether a number is among others.
///
/// All are compared, although the first that is equal would do: without a way out of the loop,
/// several are compared in one instruction.
pub(super) fn has<T: Copy + PartialEq>(numbers: &[T], wanted: T) -> bool {
    numbers.iter().fold(false, |has, number| has | (*number == wanted))
}

fn widened(numbers: &[u16]) -> Vec<u32> {
    numbers.iter().map(|number| u32::from(*number)).collect()
}

impl Column for Slim {
    fn with_room(rows: usize) -> Self {
        Self::Narrow(Vec::with_capacity(rows))
    }

    fn split_off(&mut self, at: usize) -> Self {
        match self {
            Self::Narrow(numbers) => Self::Narrow(Column::split_off(numbers, at)),
            Self::Wide(numbers) => Self::Wide(Column::split_off(numbers, at)),
        }
    }

    fn append(&mut self, rows: &Self, range: Range<usize>, growth: Growth) {
        match (&mut *self, rows) {
            (Self::Narrow(numbers), Self::Narrow(rows)) => Column::append(numbers, rows, range, growth),
            (_, Self::Narrow(rows)) => {
                let rows = widened(&rows[range]);
                Column::append(self.widen(), &rows, 0..rows.len(), growth);
            }
            (_, Self::Wide(rows)) => Column::append(self.widen(), rows, range, growth),
        }
    }

    fn splice(&mut self, places: &[usize], rows: &Self, from: usize, growth: Growth) {
        match (&mut *self, rows) {
            (Self::Narrow(numbers), Self::Narrow(rows)) => {
                Column::splice(numbers, places, rows, from, growth)
            }
            (_, Self::Narrow(rows)) => {
                let rows = widened(&rows[from..from + places.len()]);
                Column::splice(self.widen(), places, &rows, 0, growth);
            }
            (_, Self::Wide(rows)) => Column::splice(self.widen(), places, rows, from, growth),
        }
    }

    fn permute(&mut self, order: &[u32]) {
        match self {
            Self::Narrow(numbers) => numbers.permute(order),
            Self::Wide(numbers) => numbers.permute(order),
        }
    }

    fn take(&mut self, is_taken: &[bool]) -> Self {
        match self {
            Self::Narrow(numbers) => Self::Narrow(numbers.take(is_taken)),
            Self::Wide(numbers) => Self::Wide(numbers.take(is_taken)),
        }
    }

    fn shrink(&mut self) {
        match self {
            Self::Narrow(numbers) => numbers.shrink(),
            Self::Wide(numbers) => numbers.shrink(),
        }
    }

    fn size(&self) -> usize {
        match self {
            Self::Narrow(numbers) => numbers.size(),
            Self::Wide(numbers) => numbers.size(),
        }
    }
}

impl Numbers for Slim {
    fn each(&self, mut show: impl FnMut(u32)) {
        match self {
            Self::Narrow(numbers) => numbers.iter().for_each(|number| show(u32::from(*number))),
            Self::Wide(numbers) => numbers.iter().for_each(|number| show(*number)),
        }
    }

    fn renumber(&mut self, other: impl Fn(u32) -> u32) {
        match self {
            Self::Narrow(numbers) => {
                numbers.iter_mut().for_each(|number| *number = other(u32::from(*number)) as u16);
            }
            Self::Wide(numbers) => numbers.iter_mut().for_each(|number| *number = other(*number)),
        }
    }
}
