//! What `karo-observe` does: gathers one observation, tries the daemon, else spools.
//!
//! | file | does |
//! | --- | --- |
//! | `given` | reads options, environment and standard input |
//! | `found` | finds out what the hook did not say |
//! | `spooled` | writes a file into a spool |
//!
//! The whole of it takes at most [`BUDGET`] and a moment; nothing is retried, as the spool is safe.

mod found;
mod given;
mod spooled;

use std::fmt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use karo_protocol::Observation;
use karo_protocol::local::{Observe, Reply, Request};
use karo_protocol::places::Places;

use crate::connection::{Connection, ConnectionError, Patience};
use crate::surroundings;

use self::given::Given;

/// From the start until the daemon is given up and the record is spooled.
pub const BUDGET: Duration = Duration::from_millis(500);

/// Delivers the observation that the process was started for.
pub fn run() {
    let deadline = Instant::now() + BUDGET;
    let given = match Given::read() {
        Ok(given) => given,
        Err(reason) => return explain(format_args!("{reason}")),
    };
    let observation = match given.observation() {
        Ok(observation) => observation,
        Err(error) => return explain(format_args!("nothing to deliver: {error}")),
    };
    let places = match Destination::of(&given) {
        Ok(places) => places,
        Err(error) => return explain(format_args!("no place to deliver to: {error}")),
    };
    let Err(reason) = deliver(&observation, &places, deadline) else { return };
    explain(format_args!("spooling: {reason}"));
    for spool in &places.spools {
        match spooled::write(spool, &observation) {
            Ok(path) => return explain(format_args!("wrote {}", path.display())),
            Err(error) => explain(format_args!("{}: {error}", spool.display())),
        }
    }
    explain(format_args!("lost: there is no place to write to"));
}

/// Says something to a person who set `KARO_DEBUG=1`; never a command's text.
pub fn explain(what: fmt::Arguments<'_>) {
    use std::io::Write as _;

    if std::env::var_os("KARO_DEBUG").is_some_and(|value| value == "1") {
        // Whoever closed standard error does not want to know.
        _ = writeln!(std::io::stderr(), "karo-observe: {what}");
    }
}

/// Where the observation may go, in the order in which it is tried.
struct Destination {
    places: Places,
    spools: Vec<PathBuf>,
}

impl Destination {
    /// Takes what the hook has baked in, else the table of places.
    fn of(given: &Given) -> Result<Self, String> {
        if let (Some(socket), [first, ..]) = (&given.socket, given.spools.as_slice()) {
            let places = Places {
                config: PathBuf::new(),
                data: PathBuf::new(),
                hook_spool: first.clone(),
                client_spool: first.clone(),
                socket: socket.clone(),
                other_sockets: Vec::new(),
            };
            return Ok(Self { places, spools: given.spools.clone() });
        }
        let mut places = surroundings::places().map_err(|error| error.to_string())?;
        if let Some(socket) = &given.socket {
            places.socket.clone_from(socket);
            places.other_sockets.clear();
        }
        let spools = match given.spools.as_slice() {
            [] => vec![places.client_spool.clone(), places.hook_spool.clone()],
            given => given.to_vec(),
        };
        Ok(Self { places, spools })
    }
}

/// Hands the observation to the daemon; an error says why it must be spooled.
fn deliver(observation: &Observation, to: &Destination, deadline: Instant) -> Result<(), ConnectionError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let patience = Patience { connect: left(), answer: left() };
    let mut connection = Connection::open(&to.places, surroundings::uid(), patience)?;
    connection.wait_for_answers(left());
    let id = connection.send(&Request::Observe(Observe::new(observation.clone())))?;
    connection.wait_for_answers(left());
    match connection.receive(id)? {
        Reply::Observed(verdict) if verdict.is_settled() => Ok(()),
        Reply::Observed(_) => Err(ConnectionError::Unexpected("a promise to keep it")),
        Reply::Rows(_)
        | Reply::Events(_)
        | Reply::End(_)
        | Reply::Tallies(_)
        | Reply::Deleted(_)
        | Reply::Imported(_)
        | Reply::Status(_)
        | Reply::Verified(_)
        | Reply::Compacted(_)
        | Reply::Failure(_) => Err(ConnectionError::Unexpected("about the observation")),
    }
}
