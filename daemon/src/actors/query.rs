//! Answers questions: owns the columns in memory, and reads details from the log.
//!
//! It lives alone on its arbiter, for a search over millions takes milliseconds. A long answer is
//! asked for page by page, so nobody waits for another's export.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Apply`] | store, after each commit | what it means for roll-ups, when it can be found |
//! | [`Load`] | loader, at the start | when it can be found |
//! | [`Whole`] | store | what all events add up to |
//! | [`NextPage`] | session | some hits, and where to go on |
//! | [`Tallying`] | session | counts |
//! | [`Select`] | session, before a deletion | the events meant |
//! | [`Running`] | root, once everything is loaded | what has no outcome |
//! | [`Unusual`] | session | what was unusual about our own days |
//! | [`Report`] | session | what can be found |

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResponse, MessageResult};
use karo_core::atom::counts::DayCounts;
use karo_core::atom::layout::Layout;
use karo_core::rollup::{Delta, Rollup};
use karo_core::search::{Change, Columns, Cursor, Hit, Key, Position, UnusualDay};
use karo_protocol::answer::SignalRow;
use karo_protocol::category::CategorySet;
use karo_protocol::local::Tallies;
use karo_protocol::query::{Count, Detail, Filter, Query, Row, Zone, keep_greatest};
use karo_protocol::{Event, Shell, Timestamp};
use karo_store::Reader;

use crate::lease::Lease;
use crate::logging::say;

/// Questions that may wait: one per session, most of the time.
const MAILBOX: usize = 512;

/// Changes of what can be found. Sent by the store after each commit.
///
/// Answered, when they can be found, with what they mean for roll-ups; `None` when that cannot be
/// told before everything is loaded.
#[derive(Debug, Message)]
#[rtype(result = "Option<Vec<Delta>>")]
pub struct Apply(pub Vec<Change>);

/// What the log holds already. Sent by the loader, from the newest end.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Load {
    /// Some of it.
    pub changes: Vec<Change>,
    /// From when on everything can be found with it; `None` when all of it can.
    pub since: Option<Timestamp>,
    /// Whether nothing follows: all is loaded, or there is no room for more.
    pub is_last: bool,
}

/// What all events add up to. Sent by the store, which waits for it.
#[derive(Debug, Message)]
#[rtype(result = "Rollup")]
pub struct Whole;

/// The next hits of a question. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Page")]
pub struct NextPage {
    /// The question.
    pub query: Arc<Query>,
    /// Where the last page ended; `None` for the first.
    pub cursor: Option<Cursor>,
    /// Hits on the page at the most.
    pub rows_max: usize,
}

/// Some hits.
#[derive(Debug, Default, MessageResponse)]
pub struct Page {
    /// What a table shows; empty when events were asked for.
    pub rows: Vec<Row>,
    /// Everything; empty when rows were asked for.
    pub events: Vec<Event>,
    /// Events that could not be read back.
    pub unreadable: u64,
    /// Where to go on; `None` at the end.
    pub next: Option<Cursor>,
    /// From when on everything was searched.
    pub partial_since: Option<Timestamp>,
}

/// Counts. Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Tallies")]
pub struct Tallying(pub Count);

/// The events that a filter means. Sent by sessions, before a deletion.
#[derive(Debug, Message)]
#[rtype(result = "Selection")]
pub struct Select(pub Filter);

/// The events that a filter means.
#[derive(Debug, Clone, Default, MessageResponse)]
pub struct Selection {
    /// Name and place of each.
    pub events: Vec<(Key, Position)>,
    /// From when on everything was looked at.
    pub partial_since: Option<Timestamp>,
    /// Whether the rest is on its way.
    pub is_loading: bool,
}

/// One owner's counts of a day, as a group counts them. Sent by [`groups`](crate::actors::groups).
///
/// Answered with nothing while older events than that day are still being loaded.
#[derive(Debug, Message)]
#[rtype(result = "Option<DayCounts>")]
pub struct Tabulate {
    /// Which cells there are.
    pub layout: Arc<Layout>,
    /// Where the day begins.
    pub since: Timestamp,
    /// Where it ends.
    pub until: Timestamp,
    /// Its hours.
    pub zone: Zone,
    /// Categories that are not told of.
    pub kept_back: CategorySet,
}

/// What was unusual about our own days? Sent by sessions; the newest first.
#[derive(Debug, Message)]
#[rtype(result = "Vec<SignalRow>")]
pub struct Unusual {
    /// From that day on, in days since 1970-01-01.
    pub first: i32,
    /// Before that day.
    pub end: i32,
    /// Where days begin.
    pub zone: Zone,
}

/// The events that have no outcome. Sent by the root, once everything is loaded.
#[derive(Debug, Message)]
#[rtype(result = "Vec<(Arc<Shell>, u64)>")]
pub struct Running;

/// What can be found? Sent by sessions.
#[derive(Debug, Message)]
#[rtype(result = "Found")]
pub struct Report;

/// What can be found.
#[derive(Debug, Clone, Default, MessageResponse)]
pub struct Found {
    /// Events.
    pub events: u64,
    /// Distinct texts.
    pub texts: u64,
    /// When the first of them started.
    pub oldest: Option<Timestamp>,
    /// When the last of them started.
    pub newest: Option<Timestamp>,
    /// From when on everything can be found.
    pub partial_since: Option<Timestamp>,
    /// Whether the rest is on its way.
    pub is_loading: bool,
}

/// The actor. See the module.
pub struct QueryActor {
    columns: Columns,
    is_loading: bool,
    reader: Reader,
    _lease: Lease,
}

impl QueryActor {
    /// Makes the actor with nothing loaded.
    pub fn new(reader: Reader, lease: Lease) -> Self {
        let mut columns = Columns::new();
        columns.set_partial_since(Some(Timestamp::MAX));
        Self { columns, is_loading: true, reader, _lease: lease }
    }

    /// Finds the positions of events that are asked for by id.
    fn only(&self, filter: &Filter) -> Option<Vec<Position>> {
        (!filter.ids.is_empty()).then(|| {
            let mut positions = self.reader.find(&filter.ids);
            positions.sort_unstable();
            positions
        })
    }

    /// Reads the events of hits from the log; one that cannot be read is counted.
    fn read(&self, hits: &[Hit]) -> (Vec<Event>, u64) {
        let places: Vec<_> = hits.iter().map(|hit| (hit.position, hit.outcome_position)).collect();
        let mut events = Vec::with_capacity(hits.len());
        let mut unreadable = 0;
        for found in self.reader.events(&places) {
            match found {
                Ok(event) => events.push(event),
                Err(error) => {
                    unreadable += 1;
                    say!(Class::LogDamaged, %error, "an event cannot be read back");
                }
            }
        }
        (events, unreadable)
    }
}

impl Actor for QueryActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Apply> for QueryActor {
    type Result = MessageResult<Apply>;

    fn handle(&mut self, Apply(changes): Apply, _: &mut Self::Context) -> Self::Result {
        let mut deltas = Some(Vec::new());
        for change in changes {
            // Every change is applied, whether or not those before could be told.
            let meant = self.columns.apply_counted(change);
            deltas = deltas.zip(meant).map(|(deltas, meant)| [deltas, meant].concat());
        }
        MessageResult(deltas)
    }
}

impl Handler<Load> for QueryActor {
    type Result = ();

    fn handle(&mut self, Load { changes, since, is_last }: Load, _: &mut Self::Context) {
        changes.into_iter().for_each(|change| self.columns.apply(change));
        self.columns.set_partial_since(since);
        self.is_loading = !is_last;
    }
}

impl Handler<Whole> for QueryActor {
    type Result = MessageResult<Whole>;

    fn handle(&mut self, _: Whole, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.columns.rollup())
    }
}

impl Handler<NextPage> for QueryActor {
    type Result = Page;

    fn handle(&mut self, NextPage { query, cursor, rows_max }: NextPage, _: &mut Self::Context) -> Page {
        let only = self.only(&query.filter);
        let found = self.columns.page(&query, cursor, rows_max, only.as_deref());
        let (rows, (events, unreadable)) = match query.detail {
            Detail::Row => (found.hits.into_iter().map(|hit| hit.row).collect(), Default::default()),
            Detail::Event => (Vec::new(), self.read(&found.hits)),
        };
        Page { rows, events, unreadable, next: found.next, partial_since: self.columns.partial_since() }
    }
}

impl Handler<Tallying> for QueryActor {
    type Result = MessageResult<Tallying>;

    fn handle(&mut self, Tallying(count): Tallying, _: &mut Self::Context) -> Self::Result {
        let only = self.only(&count.filter);
        let mut tallies = self.columns.count(&count, only.as_deref());
        let left_out = keep_greatest(&mut tallies);
        MessageResult(Tallies { tallies, partial_since: self.columns.partial_since(), left_out })
    }
}

impl Handler<Unusual> for QueryActor {
    type Result = MessageResult<Unusual>;

    fn handle(&mut self, Unusual { first, end, zone }: Unusual, _: &mut Self::Context) -> Self::Result {
        let days = self.columns.unusual_days(first, end, &zone);
        let shown = |text: Vec<u8>| String::from_utf8_lossy(&text).into_owned();
        let row = |one: UnusualDay| SignalRow {
            day: one.day,
            signal: one.unusual.signal,
            because: one.unusual.because,
            causes: one.causes.into_iter().map(shown).collect(),
        };
        MessageResult(days.into_iter().map(row).collect())
    }
}

impl Handler<Tabulate> for QueryActor {
    type Result = MessageResult<Tabulate>;

    fn handle(&mut self, tabulate: Tabulate, _: &mut Self::Context) -> Self::Result {
        let Tabulate { layout, since, until, zone, kept_back } = tabulate;
        if self.columns.partial_since().is_some_and(|partial| partial > since) {
            return MessageResult(None);
        }
        let mut counts = DayCounts::new(layout);
        self.columns.count_day(&mut counts, since, until, &zone, kept_back);
        MessageResult(Some(counts))
    }
}

impl Handler<Select> for QueryActor {
    type Result = Selection;

    fn handle(&mut self, Select(filter): Select, _: &mut Self::Context) -> Selection {
        let only = self.only(&filter);
        Selection {
            events: self.columns.keys(&filter, only.as_deref()),
            partial_since: self.columns.partial_since(),
            is_loading: self.is_loading,
        }
    }
}

impl Handler<Running> for QueryActor {
    type Result = MessageResult<Running>;

    fn handle(&mut self, _: Running, _: &mut Self::Context) -> Self::Result {
        MessageResult(self.columns.running().map(|(shell, sequence, _)| (shell, sequence)).collect())
    }
}

impl Handler<Report> for QueryActor {
    type Result = Found;

    fn handle(&mut self, _: Report, _: &mut Self::Context) -> Found {
        let stats = self.columns.stats();
        Found {
            events: stats.events,
            texts: stats.texts,
            oldest: stats.oldest,
            newest: stats.newest,
            partial_since: self.columns.partial_since(),
            is_loading: self.is_loading,
        }
    }
}
