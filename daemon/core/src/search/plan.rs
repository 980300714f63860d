//! What a filter comes down to: sets of small numbers, and a few comparisons for a row.
//!
//! Rows are judged in strips, one column after the other; texts come last, for the rows that are
//! left.

use std::ops::{ControlFlow, Range};

use karo_protocol::query::{Directory, Exit, Order};
use karo_protocol::{Filter, State};

use super::assessment::{self, Assessment};
use super::beside::Places;
use super::change::Position;
use super::chunk::{CATEGORY_BITS, Chunk, NO_EXIT, RowKey, STATE_BITS, WIDE_EXIT};
use super::column::Slim;
use super::columns::Columns;
use super::words::WordSearch;

/// Rows that are judged together: their marks stay in the nearest cache.
const STRIP_ROWS: usize = if cfg!(test) { 4 } else { 1024 };

/// A filter, ready for the rows as they are.
pub(super) struct Plan<'a> {
    columns: &'a Columns,
    /// First and last start that is meant, in microseconds.
    started: (i64, i64),
    kind_bits: u8,
    kind: u8,
    exit: Option<Exit>,
    cwds: Numbers,
    shells: Numbers,
    assessments: Numbers,
    only: Option<Places<&'a [Position]>>,
    /// Whether any of the fields above but the times says something.
    has_columns: bool,
    words: Option<WordSearch<'a>>,
}

/// Which numbers of a dictionary are meant.
enum Numbers {
    All,
    None,
    One(u32),
    Many(Vec<bool>),
}

impl<'a> Plan<'a> {
    /// Prepares for `wanted` rows: with more, reading all texts pays earlier.
    pub(super) fn new(
        columns: &'a Columns,
        filter: &Filter,
        only: Option<&'a [Position]>,
        wanted: usize,
    ) -> Self {
        let (mut kind_bits, mut kind) = (0, 0);
        if let Some(category) = filter.category {
            kind_bits |= CATEGORY_BITS;
            kind |= super::chunk::kind(category, State::Running) & CATEGORY_BITS;
        }
        if let Some(state) = filter.state {
            kind_bits |= STATE_BITS;
            kind |= state.index() << 5;
        }
        // Nothing starts before the least moment: an end there leaves nothing.
        let last = filter.until.map_or(Some(i64::MAX), |until| until.as_micros().checked_sub(1));
        let first = filter.since.map_or(i64::MIN, |since| since.as_micros());
        let cwds = directories(columns, filter.directory.as_ref());
        let shells = shells(columns, filter);
        let assessments = assessments(columns, filter);
        let has_numbers =
            !matches!((&cwds, &shells, &assessments), (Numbers::All, Numbers::All, Numbers::All));
        Self {
            columns,
            started: last.map_or((i64::MAX, i64::MIN), |last| (first, last)),
            kind_bits,
            kind,
            exit: filter.exit,
            cwds,
            shells,
            assessments,
            only: only.map(Places::new),
            has_columns: kind_bits != 0 || filter.exit.is_some() || has_numbers || only.is_some(),
            words: WordSearch::new(&columns.texts, filter.words.iter().map(|word| &word.0[..]), wanted),
        }
    }

    /// Shows every row that is meant, in order, from the first or the one behind `after`, until
    /// told to stop.
    pub(super) fn walk(
        &mut self,
        order: Order,
        after: Option<RowKey>,
        mut show: impl FnMut(&'a Chunk, usize) -> ControlFlow<()>,
    ) {
        let is_empty = |numbers: &Numbers| matches!(numbers, Numbers::None);
        let is_futile = [&self.cwds, &self.shells, &self.assessments].into_iter().any(is_empty);
        if is_futile || self.only.as_ref().is_some_and(Places::is_empty) {
            return;
        }
        let columns = self.columns;
        let mut rows = Vec::with_capacity(STRIP_ROWS);
        for place in 0..columns.chunks.len() {
            let number = match order {
                Order::OldestFirst => place,
                Order::NewestFirst => columns.chunks.len() - 1 - place,
            };
            let chunk = &columns.chunks[number];
            for strip in strips(self.rows(chunk, order, after), order) {
                self.select(chunk, strip.clone(), &mut rows);
                let mut show = |row: &u16| show(chunk, strip.start + usize::from(*row));
                let shown = match order {
                    Order::OldestFirst => rows.iter().try_for_each(&mut show),
                    Order::NewestFirst => rows.iter().rev().try_for_each(&mut show),
                };
                if shown.is_break() || self.is_hopeless() {
                    return;
                }
            }
        }
    }

    /// Returns the rows of a chunk that the times and the place to go on from leave.
    fn rows(&self, chunk: &Chunk, order: Order, after: Option<RowKey>) -> Range<usize> {
        let (first, last) = self.started;
        let mut start = chunk.started.partition_point(|started| *started < first);
        let mut end = chunk.started.partition_point(|started| *started <= last);
        match (order, after) {
            (Order::NewestFirst, Some(key)) => end = end.min(chunk.row_from(key)),
            (Order::OldestFirst, Some((at, Position(position)))) => {
                start = start.max(chunk.row_from((at, Position(position.saturating_add(1)))));
            }
            (Order::NewestFirst | Order::OldestFirst, None) => {}
        }
        start..end.max(start)
    }

    /// Lists the rows of a strip that are meant, counted from its start.
    fn select(&mut self, chunk: &Chunk, strip: Range<usize>, rows: &mut Vec<u16>) {
        rows.clear();
        if self.words.as_ref().is_some_and(|words| words.is_none_of(&chunk.text[strip.clone()])) {
            return;
        }
        let mut marks = [true; STRIP_ROWS];
        let marks = &mut marks[..strip.len()];
        if self.has_columns {
            self.select_by_columns(chunk, strip.clone(), marks);
        }
        let texts = &chunk.text[strip];
        match (&mut self.words, self.has_columns) {
            (None, false) => rows.extend(0..marks.len() as u16),
            (None, true) => list(marks, rows),
            (Some(words), false) if words.mark(marks, texts) => list(marks, rows),
            (Some(words), _) => {
                list(marks, rows);
                words.narrow(rows, texts);
            }
        }
    }

    /// Marks the rows of a strip that are meant as far as all columns but the text tell.
    fn select_by_columns(&self, chunk: &Chunk, strip: Range<usize>, marks: &mut [bool]) {
        if self.kind_bits != 0 {
            narrow(marks, &chunk.kind[strip.clone()], |kind| kind & self.kind_bits == self.kind);
        }
        if let Some(exit) = self.exit {
            self.select_exits(exit, chunk, strip.clone(), marks);
        }
        self.cwds.narrow(&chunk.cwd, strip.clone(), marks);
        self.shells.narrow(&chunk.shell, strip.clone(), marks);
        self.assessments.narrow(&chunk.assessment, strip.clone(), marks);
        if let Some(only) = &self.only {
            narrow(marks, &chunk.position[strip], |position| only.contains(Position(position)));
        }
    }

    fn select_exits(&self, exit: Exit, chunk: &Chunk, strip: Range<usize>, marks: &mut [bool]) {
        let exits = &chunk.exit[strip.clone()];
        match exit {
            Exit::Ok => narrow(marks, exits, |exit| exit == 0),
            Exit::Failed => narrow(marks, exits, |exit| exit != 0 && exit != NO_EXIT),
            Exit::Code(code) => match u8::try_from(code) {
                Ok(code) if code < WIDE_EXIT => narrow(marks, exits, |exit| exit == code),
                Ok(_) | Err(_) => {
                    for (row, mark) in strip.zip(marks) {
                        *mark &= self.columns.exit(chunk, row) == Some(code);
                    }
                }
            },
        }
    }

    fn is_hopeless(&self) -> bool {
        self.words.as_ref().is_some_and(WordSearch::is_hopeless)
    }
}

impl Numbers {
    fn of(is_member: Vec<bool>) -> Self {
        let mut members =
            is_member.iter().enumerate().filter(|(_, is_member)| **is_member).map(|(id, _)| id as u32);
        match (members.next(), members.next()) {
            (None, _) => Self::None,
            (Some(member), None) => Self::One(member),
            (Some(_), Some(_)) => Self::Many(is_member),
        }
    }

    fn narrow(&self, column: &Slim, rows: Range<usize>, marks: &mut [bool]) {
        match self {
            Self::All => {}
            Self::None => marks.fill(false),
            Self::One(member) if !column.has(rows.clone(), *member) => marks.fill(false),
            Self::One(member) => column.narrow(rows, marks, |number| number == *member),
            Self::Many(is_member) => column.narrow(rows, marks, |number| is_member[number as usize]),
        }
    }
}

/// Returns the directories that are meant.
fn directories(columns: &Columns, directory: Option<&Directory>) -> Numbers {
    let is_under = |cwd: &[u8], top: &[u8]| match cwd.strip_prefix(top) {
        Some(rest) => rest.is_empty() || rest.starts_with(b"/") || top.ends_with(b"/"),
        None => false,
    };
    match directory {
        None => Numbers::All,
        Some(Directory::Exactly(wanted)) => {
            Numbers::of(columns.cwds.iter().map(|cwd| *cwd == **wanted).collect())
        }
        Some(Directory::Under(top)) => {
            Numbers::of(columns.cwds.iter().map(|cwd| is_under(cwd, top)).collect())
        }
    }
}

/// Returns the shells that are meant.
fn shells(columns: &Columns, filter: &Filter) -> Numbers {
    let Filter { shell, shell_id, host, user, .. } = filter;
    if shell.is_none() && shell_id.is_none() && host.is_none() && user.is_none() {
        return Numbers::All;
    }
    Numbers::of(columns.shells.matching(*shell_id, *shell, host.as_deref(), user.as_deref()))
}

/// Returns the assessments that are meant.
fn assessments(columns: &Columns, filter: &Filter) -> Numbers {
    if !assessment::is_asked(filter) {
        return Numbers::All;
    }
    let packed = columns.assessments.iter();
    Numbers::of(packed.map(|packed| Assessment::unpack(packed).is_meant(filter)).collect())
}

/// Cuts rows into strips, in the order in which they are shown.
fn strips(mut range: Range<usize>, order: Order) -> impl Iterator<Item = Range<usize>> {
    std::iter::from_fn(move || {
        let length = range.len().min(STRIP_ROWS);
        let strip = match order {
            Order::OldestFirst => range.start..range.start + length,
            Order::NewestFirst => range.end - length..range.end,
        };
        match order {
            Order::OldestFirst => range.start = strip.end,
            Order::NewestFirst => range.end = strip.start,
        }
        (length > 0).then_some(strip)
    })
}

/// Lists the places of the marks that are set, after none.
fn list(marks: &[bool], places: &mut Vec<u16>) {
    // Most strips of a rare question are empty, and this sees it in a few instructions.
    if !marks.contains(&true) {
        return;
    }
    places.resize(marks.len(), 0);
    let mut listed = 0;
    for (place, mark) in marks.iter().enumerate() {
        places[listed] = place as u16;
        // Added, not branched on: a mark is as good as a coin's throw.
        listed += usize::from(*mark);
    }
    places.truncate(listed);
}

fn narrow<T: Copy>(marks: &mut [bool], values: &[T], is_meant: impl Fn(T) -> bool) {
    for (mark, value) in marks.iter_mut().zip(values) {
        *mark &= is_meant(*value);
    }
}
