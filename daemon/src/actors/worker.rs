//! Understands commands: ignores what the user wants ignored, cuts secrets out, classifies.
//!
//! A raw command ends here: what goes back holds redacted text only.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Understand`] | ingest | [`Understood`] |
//! | [`Ignore`] | root, after a reload | when it is in force |
//!
//! What it understands by comes from [`rules`](super::rules), and may be replaced between two messages.

use std::sync::Arc;

use actix::{Actor, Context, Handler, Message, MessageResponse};
use karo_core::risk::Surroundings;
use karo_core::understand::{Knowledge, Understood as Meaning};
use karo_protocol::config::RecordSettings;
use karo_protocol::event::{Outcome, Redaction, marker};
use karo_protocol::local::{ImportLine, Verdict};
use karo_protocol::{Event, Observation, Phase, RedactedCommand};

use tokio::sync::watch;

use super::JOBS_MAX;
use super::rules::{Loaded, RulesDesk};
use crate::lease::Lease;

/// Observations to understand. Sent by ingest.
#[derive(Debug, Message)]
#[rtype(result = "Understood")]
pub struct Understand {
    /// What was seen.
    pub arrivals: Vec<ImportLine>,
}

/// What became of observations so far.
#[derive(Debug, MessageResponse)]
pub struct Understood {
    /// The events to store; a nil id is drawn by the store.
    pub entries: Vec<Event>,
    /// For each observation, in its order: an event to come, or what became of it already.
    pub places: Vec<Place>,
}

/// Where the verdict on an observation comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// The next of the stored events decides. Holds what its hook could put nowhere.
    Stored {
        /// Records that the hook dropped.
        dropped: u32,
    },
    /// It is decided.
    Settled(Verdict),
}

impl Understood {
    /// Says that nothing could be understood.
    pub fn failed(count: usize) -> Self {
        Self { entries: Vec::new(), places: vec![Place::Settled(Verdict::Failed); count] }
    }
}

/// What the user wants ignored from now on. Sent by the root after a reload.
#[derive(Debug, Clone, Message)]
#[rtype(result = "()")]
pub struct Ignore(pub Arc<RecordSettings>);

/// The actor. See the module.
pub struct Worker {
    knowledge: Arc<Knowledge>,
    loaded: watch::Receiver<Arc<Loaded>>,
    ignore: Arc<RecordSettings>,
    _lease: Lease,
}

impl Worker {
    /// Makes a worker that ignores what the user wants ignored. Blocks until the rules are there.
    pub fn new(ignore: Arc<RecordSettings>, rules: &RulesDesk, lease: Lease) -> Self {
        let loaded = rules.wait();
        let knowledge = Arc::clone(&loaded.borrow().knowledge);
        Self { knowledge, loaded, ignore, _lease: lease }
    }

    /// Understands by what was loaded last; what was understood before is remembered no more.
    fn renew(&mut self) {
        // An error means that nobody loads rules any more: those that are there stay.
        if self.loaded.has_changed().unwrap_or(false) {
            self.knowledge = Arc::clone(&self.loaded.borrow_and_update().knowledge);
        }
    }

    fn understand(&self, line: ImportLine) -> Event {
        let Observation {
            shell, sequence, phase, command, cwd, is_cwd_truncated, started_at, precision, ..
        } = line.observation;
        let surroundings = Surroundings { cwd: &cwd.0, user: &shell.user, shell: shell.kind.name() };
        let Meaning { command, redactions, understanding } =
            self.knowledge.understand(&command, surroundings);
        let outcome = match phase {
            Phase::End(ending) => Outcome::Ended(ending),
            Phase::Start if line.is_lost => Outcome::Lost,
            Phase::Start => Outcome::Running,
        };
        let redactions = with_known(redactions, line.redactions, &command);
        let id = line.id.unwrap_or_default();
        Event {
            id,
            shell,
            sequence,
            command,
            redactions,
            cwd,
            is_cwd_truncated,
            started_at,
            precision,
            outcome,
            understanding,
        }
    }
}

/// Adds the markers that an imported line says it has, where they really stand.
fn with_known(mut found: Vec<Redaction>, known: Vec<Redaction>, command: &RedactedCommand) -> Vec<Redaction> {
    let stands = |redaction: &Redaction| {
        let range = redaction.start as usize..redaction.end as usize;
        command.as_bytes().get(range) == Some(marker(redaction.kind).as_bytes())
    };
    found.extend(known.into_iter().filter(stands));
    found.sort();
    found.dedup();
    found
}

impl Actor for Worker {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        // All jobs that ingest may have outstanding, so that none of them is ever refused here.
        ctx.set_mailbox_capacity(JOBS_MAX);
    }
}

impl Handler<Understand> for Worker {
    type Result = Understood;

    fn handle(&mut self, Understand { arrivals }: Understand, _: &mut Self::Context) -> Understood {
        let mut understood = Understood { entries: Vec::new(), places: Vec::with_capacity(arrivals.len()) };
        self.renew();
        for line in arrivals {
            let observation = &line.observation;
            if self.ignore.is_ignored(observation.command.as_bytes(), &observation.cwd) {
                understood.places.push(Place::Settled(Verdict::Ignored));
                continue;
            }
            understood.places.push(Place::Stored { dropped: observation.dropped });
            understood.entries.push(self.understand(line));
        }
        understood
    }
}

impl Handler<Ignore> for Worker {
    type Result = ();

    fn handle(&mut self, Ignore(ignore): Ignore, _: &mut Self::Context) {
        self.ignore = ignore;
    }
}
