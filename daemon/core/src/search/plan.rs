//! What a filter comes down to: sets of small numbers, and a few comparisons for a row.
//!
//! Rows are judged in strips, one column after the other; texts come last, for the rows that are
//! left.

use std::ops::{ControlFlow, Range};

use karo_protocol::query::{Directory, Exit, Order};
use karo_protocol::{Filter, State};

use super::beside::Places;
use super::change::Position;
use super::chunk::{CATEGORY_BITS, Chunk, NO_EXIT, RowKey, STATE_BITS, WIDE_EXIT};
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
    only: Option<Places<&'a [Position]>>,
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
    pub(super) fn new(columns: &'a Columns, filter: &Filter, only: Option<&'a [Position]>) -> Self {
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
        Self {
            columns,
            started: last.map_or((i64::MAX, i64::MIN), |last| (first, last)),
            kind_bits,
            kind,
            exit: filter.exit,
            cwds: directories(columns, filter.directory.as_ref()),
            shells: shells(columns, filter),
            only: only.map(Places::new),
            words: WordSearch::new(&columns.texts, filter.words.iter().map(|word| &word.0[..])),
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
        if is_empty(&self.cwds) || is_empty(&self.shells) || self.only.as_ref().is_some_and(Places::is_empty)
        {
            return;
        }
        let columns = self.columns;
        let mut selected = [false; STRIP_ROWS];
        for place in 0..columns.chunks.len() {
            let number = match order {
                Order::OldestFirst => place,
                Order::NewestFirst => columns.chunks.len() - 1 - place,
            };
            let chunk = &columns.chunks[number];
            let range = self.rows(chunk, order, after);
            for strip in strips(range, order) {
                let selected = &mut selected[..strip.len()];
                self.select(chunk, strip.clone(), selected);
                if show_selected(chunk, strip.start, selected, order, &mut show).is_break()
                    || self.is_hopeless()
                {
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

    /// Marks the rows of a strip that are meant.
    fn select(&mut self, chunk: &Chunk, strip: Range<usize>, selected: &mut [bool]) {
        match self.kind_bits {
            0 => selected.fill(true),
            bits => assign(selected, &chunk.kind[strip.clone()], |kind| kind & bits == self.kind),
        }
        if let Some(exit) = self.exit {
            self.select_exits(exit, chunk, strip.clone(), selected);
        }
        self.cwds.narrow(selected, &chunk.cwd[strip.clone()]);
        self.shells.narrow(selected, &chunk.shell[strip.clone()]);
        if let Some(only) = &self.only {
            narrow(selected, &chunk.position[strip.clone()], |position| only.contains(Position(position)));
        }
        if let Some(words) = &mut self.words {
            words.narrow(selected, &chunk.text[strip]);
        }
    }

    fn select_exits(&self, exit: Exit, chunk: &Chunk, strip: Range<usize>, selected: &mut [bool]) {
        let exits = &chunk.exit[strip.clone()];
        match exit {
            Exit::Ok => narrow(selected, exits, |exit| exit == 0),
            Exit::Failed => narrow(selected, exits, |exit| exit != 0 && exit != NO_EXIT),
            Exit::Code(code) => match u8::try_from(code) {
                Ok(code) if code < WIDE_EXIT => narrow(selected, exits, |exit| exit == code),
                Ok(_) | Err(_) => {
                    for (row, is_selected) in strip.zip(selected) {
                        *is_selected &= self.columns.exit(chunk, row) == Some(code);
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

    fn narrow(&self, selected: &mut [bool], numbers: &[u32]) {
        match self {
            Self::All => {}
            Self::None => selected.fill(false),
            Self::One(member) => narrow(selected, numbers, |number| number == *member),
            Self::Many(is_member) => narrow(selected, numbers, |number| is_member[number as usize]),
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

/// Cuts rows into strips, in the order in which they are shown.
fn strips(range: Range<usize>, order: Order) -> impl Iterator<Item = Range<usize>> {
    let strips = range.len().div_ceil(STRIP_ROWS);
    (0..strips).map(move |strip| match order {
        Order::OldestFirst => {
            let start = range.start + strip * STRIP_ROWS;
            start..range.end.min(start + STRIP_ROWS)
        }
        Order::NewestFirst => {
            let end = range.end - strip * STRIP_ROWS;
            range.start.max(end.saturating_sub(STRIP_ROWS))..end
        }
    })
}

fn show_selected<'a>(
    chunk: &'a Chunk,
    start: usize,
    selected: &[bool],
    order: Order,
    show: &mut impl FnMut(&'a Chunk, usize) -> ControlFlow<()>,
) -> ControlFlow<()> {
    // Most strips of a rare word are empty, and this sees it in a few instructions.
    if !selected.contains(&true) {
        return ControlFlow::Continue(());
    }
    let mut show = |(row, is_selected): (usize, &bool)| match is_selected {
        true => show(chunk, start + row),
        false => ControlFlow::Continue(()),
    };
    match order {
        Order::OldestFirst => selected.iter().enumerate().try_for_each(&mut show),
        Order::NewestFirst => selected.iter().enumerate().rev().try_for_each(&mut show),
    }
}

fn assign<T: Copy>(selected: &mut [bool], values: &[T], is_meant: impl Fn(T) -> bool) {
    for (is_selected, value) in selected.iter_mut().zip(values) {
        *is_selected = is_meant(*value);
    }
}

fn narrow<T: Copy>(selected: &mut [bool], values: &[T], is_meant: impl Fn(T) -> bool) {
    for (is_selected, value) in selected.iter_mut().zip(values) {
        *is_selected &= is_meant(*value);
    }
}
