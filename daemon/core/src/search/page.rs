//! Answers with events: a page at a time, or all their names.

use std::ops::ControlFlow;
use std::sync::Arc;

use karo_protocol::query::{Order, Row};
use karo_protocol::{Filter, Query, Shell};

use super::change::{Key, Position};
use super::chunk::{Chunk, RowKey};
use super::columns::Columns;
use super::plan::Plan;

/// Some events, in order.
#[derive(Debug, Clone)]
pub struct Page {
    /// The events.
    pub hits: Vec<Hit>,
    /// Where to go on; `None` when there is nothing more. The page behind it may be empty.
    pub next: Option<Cursor>,
}

/// One event that was found.
#[derive(Debug, Clone)]
pub struct Hit {
    /// Where the event lies in the log.
    pub position: Position,
    /// Where its outcome lies, if in a record of its own.
    pub outcome_position: Option<Position>,
    /// Where it was typed.
    pub shell: Arc<Shell>,
    /// Its number there.
    pub sequence: u64,
    /// What a table shows of it.
    pub row: Row,
}

/// Where a page ended; good for the same question only.
///
/// Events that come in between two pages may or may not be shown, none is shown twice and none left
/// out. Only where records were moved in between, one with exactly the start of the last shown may.
#[derive(Debug, Clone)]
pub struct Cursor {
    last: RowKey,
    shown: u32,
    unique: Unique,
}

/// How a text is shown once only.
#[derive(Debug, Clone)]
enum Unique {
    /// It is not.
    No,
    /// The texts that were shown, while walking from their newest events.
    Shown { texts: Bits, generation: u64 },
    /// The newest events of all texts, oldest last, and how many are left: towards newer ones, only
    /// the end of the walk tells which event of a text is its newest.
    Listed { newest: Arc<[RowKey]>, left: usize },
}

/// Events that are listed before any is dropped or more room is made.
const LISTED_MIN: usize = if cfg!(test) { 4 } else { 4096 };

/// A set of small numbers.
#[derive(Debug, Clone, Default)]
struct Bits(Vec<u64>);

impl Columns {
    /// Returns the events of a question, at most `rows_max`, from its beginning or from where the
    /// page before ended.
    ///
    /// `only` holds the positions of the events that the filter names by id, sorted; without ids,
    /// `None`. The question's own limit holds for all its pages together.
    pub fn page(
        &self,
        query: &Query,
        cursor: Option<Cursor>,
        rows_max: usize,
        only: Option<&[Position]>,
    ) -> Page {
        let shown = cursor.as_ref().map_or(0, |cursor| cursor.shown);
        let left = query.limit.map_or(usize::MAX, |limit| limit.saturating_sub(shown) as usize);
        let rows_max = rows_max.min(left);
        if left == 0 || rows_max == 0 {
            return Page { hits: Vec::new(), next: cursor.filter(|_| left > 0) };
        }
        let plan = Plan::new(self, &query.filter, only, rows_wanted(query, rows_max));
        let page = match (query.is_unique, query.order) {
            (false, order) => self.page_of_all(plan, order, cursor.as_ref(), rows_max),
            (true, Order::NewestFirst) => self.page_of_newest(plan, cursor, rows_max),
            (true, Order::OldestFirst) => self.page_of_listed(plan, cursor, rows_max, query.limit),
        };
        let is_last = page.hits.len() == left;
        Page { next: page.next.filter(|_| !is_last), ..page }
    }

    /// Returns the name and the position of every event that is meant, oldest first.
    pub fn keys(&self, filter: &Filter, only: Option<&[Position]>) -> Vec<(Key, Position)> {
        let mut keys = Vec::new();
        Plan::new(self, filter, only, usize::MAX).walk(Order::OldestFirst, None, |chunk, row| {
            let shell = self.shells.id(chunk.shell.at(row));
            keys.push(((shell, self.sequence(chunk, row)), Position(chunk.position[row])));
            ControlFlow::Continue(())
        });
        keys
    }

    /// Returns how many events are meant.
    pub fn total(&self, filter: &Filter, only: Option<&[Position]>) -> u64 {
        if filter.is_empty() && only.is_none() {
            return self.len() as u64;
        }
        let mut total = 0;
        Plan::new(self, filter, only, usize::MAX).walk(Order::NewestFirst, None, |_, _| {
            total += 1;
            ControlFlow::Continue(())
        });
        total
    }

    fn page_of_all(
        &self,
        mut plan: Plan<'_>,
        order: Order,
        cursor: Option<&Cursor>,
        rows_max: usize,
    ) -> Page {
        let mut page = Rows::new(self, rows_max);
        plan.walk(order, cursor.map(|cursor| cursor.last), |chunk, row| page.show(chunk, row));
        page.end(cursor, Unique::No)
    }

    fn page_of_newest(&self, mut plan: Plan<'_>, cursor: Option<Cursor>, rows_max: usize) -> Page {
        let last = cursor.as_ref().map(|cursor| cursor.last);
        let before = cursor.as_ref().map(|cursor| Cursor { unique: Unique::No, ..*cursor });
        let mut texts = self.shown_texts(&mut plan, cursor);
        let mut page = Rows::new(self, rows_max);
        plan.walk(Order::NewestFirst, last, |chunk, row| match texts.insert(chunk.text[row]) {
            true => page.show(chunk, row),
            false => ControlFlow::Continue(()),
        });
        page.end(before.as_ref(), Unique::Shown { texts, generation: self.generation })
    }

    /// Returns the texts that the pages before have shown.
    fn shown_texts(&self, plan: &mut Plan<'_>, cursor: Option<Cursor>) -> Bits {
        let Some(cursor) = cursor else { return Bits::default() };
        match cursor.unique {
            Unique::Shown { texts, generation } if generation == self.generation => texts,
            // The texts have new numbers: what was shown is what lies before the page.
            Unique::Shown { .. } | Unique::No | Unique::Listed { .. } => {
                let mut texts = Bits::default();
                plan.walk(Order::NewestFirst, None, |chunk, row| {
                    if chunk.key(row) < cursor.last {
                        return ControlFlow::Break(());
                    }
                    texts.insert(chunk.text[row]);
                    ControlFlow::Continue(())
                });
                texts
            }
        }
    }

    fn page_of_listed(
        &self,
        mut plan: Plan<'_>,
        cursor: Option<Cursor>,
        rows_max: usize,
        limit: Option<u32>,
    ) -> Page {
        let before = cursor.as_ref().map(|cursor| Cursor { unique: Unique::No, ..*cursor });
        let (newest, mut left) = match cursor.map(|cursor| cursor.unique) {
            Some(Unique::Listed { newest, left }) => (newest, left),
            Some(Unique::No | Unique::Shown { .. }) | None => {
                let newest = self.newest_of_each(&mut plan, limit.map_or(usize::MAX, |limit| limit as usize));
                let left = newest.len();
                (newest, left)
            }
        };
        let mut page = Rows::new(self, rows_max);
        while left > 0 {
            left -= 1;
            // What was deleted meanwhile is not shown.
            let Some((chunk, row)) = self.find(newest[left]) else { continue };
            if page.show(chunk, row).is_break() {
                break;
            }
        }
        let page = page.end(before.as_ref(), Unique::Listed { newest, left });
        Page { next: page.next.filter(|_| left > 0), ..page }
    }

    /// Returns where the newest event of each text lies, newest first; the last `kept` alone.
    fn newest_of_each(&self, plan: &mut Plan<'_>, kept: usize) -> Arc<[RowKey]> {
        let mut texts = Bits(vec![0; self.texts.len().div_ceil(64)]);
        let mut newest = vec![(0, Position(0)); LISTED_MIN];
        let mut listed = 0;
        plan.walk(Order::NewestFirst, None, |chunk, row| {
            if listed == newest.len() {
                match kept <= listed / 2 {
                    true => {
                        newest.copy_within(listed - kept.., 0);
                        listed = kept;
                    }
                    false => newest.resize(listed * 2, (0, Position(0))),
                }
            }
            newest[listed] = chunk.key(row);
            // Added, not branched on: whether a text is new is as good as a coin's throw.
            listed += usize::from(texts.insert(chunk.text[row]));
            ControlFlow::Continue(())
        });
        newest[listed.saturating_sub(kept)..listed].into()
    }
}

/// Returns how many rows have to be looked at to fill a page, roughly.
const fn rows_wanted(query: &Query, rows_max: usize) -> usize {
    match (query.is_unique, query.order) {
        (false, _) => rows_max,
        // Two rows in three repeat a text.
        (true, Order::NewestFirst) => rows_max.saturating_mul(3),
        (true, Order::OldestFirst) => usize::MAX,
    }
}

/// A page in the making.
struct Rows<'a> {
    columns: &'a Columns,
    hits: Vec<Hit>,
    rows_max: usize,
    last: Option<RowKey>,
    /// The shell of the last row: neighbours come from the same more often than not.
    shell: Option<(u32, Arc<Shell>)>,
}

impl<'a> Rows<'a> {
    const fn new(columns: &'a Columns, rows_max: usize) -> Self {
        Self { columns, hits: Vec::new(), rows_max, last: None, shell: None }
    }

    fn show(&mut self, chunk: &Chunk, row: usize) -> ControlFlow<()> {
        let shell = self.shell(chunk.shell.at(row));
        self.hits.push(Hit {
            position: Position(chunk.position[row]),
            outcome_position: chunk.outcome_position(row),
            shell,
            sequence: self.columns.sequence(chunk, row),
            row: self.columns.row(chunk, row),
        });
        self.last = Some(chunk.key(row));
        match self.hits.len() < self.rows_max {
            true => ControlFlow::Continue(()),
            false => ControlFlow::Break(()),
        }
    }

    fn shell(&mut self, number: u32) -> Arc<Shell> {
        let shell = match self.shell.take() {
            Some((last, shell)) if last == number => shell,
            Some(_) | None => self.columns.shells.shell(number),
        };
        self.shell = Some((number, Arc::clone(&shell)));
        shell
    }

    /// Ends the page: a full one may have more behind it.
    fn end(self, before: Option<&Cursor>, unique: Unique) -> Page {
        let shown = before.map_or(0, |cursor| cursor.shown).saturating_add(self.hits.len() as u32);
        let last = self.last.filter(|_| self.hits.len() == self.rows_max);
        Page { next: last.map(|last| Cursor { last, shown, unique }), hits: self.hits }
    }
}

impl Bits {
    /// Adds a number and tells whether it was not there.
    fn insert(&mut self, number: u32) -> bool {
        let (word, bit) = (number as usize / 64, 1 << (number % 64));
        if word >= self.0.len() {
            self.0.resize(word + 1, 0);
        }
        let is_new = self.0[word] & bit == 0;
        self.0[word] |= bit;
        is_new
    }
}
