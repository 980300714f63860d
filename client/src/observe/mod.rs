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
use karo_protocol::RequestId;
use karo_protocol::frame::{decode, encode};
use karo_protocol::local::{Observe, Verdict};
use karo_protocol::places::Places;

use crate::connection::{Connection, ConnectionError, Patience};
use crate::surroundings;

use self::given::Given;

/// From the start until the daemon is given up and the record is spooled.
pub const BUDGET: Duration = Duration::from_millis(500);

/// The one request of a session.
const ID: RequestId = RequestId(1);

/// Frame type of [`Request::Observe`](karo_protocol::local::Request::Observe).
const OBSERVE: u16 = 0x0001;

/// Frame type of [`Reply::Observed`](karo_protocol::local::Reply::Observed).
const OBSERVED: u16 = 0x0101;

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
///
/// Only this one request is written and only this one reply is read: whoever can read all of them is
/// three times as large, and is loaded at each prompt.
fn deliver(observation: &Observation, to: &Destination, deadline: Instant) -> Result<(), ConnectionError> {
    let left = || deadline.saturating_duration_since(Instant::now());
    let patience = Patience { connect: left(), answer: left() };
    let mut connection = Connection::open(&to.places, surroundings::uid(), patience)?;
    let observe = Observe::new(observation.clone());
    let frame = encode(OBSERVE, &(ID, observe)).map_err(ConnectionError::Malformed)?;
    connection.wait_for_answers(left());
    connection.send_frame(&frame)?;
    connection.wait_for_answers(left());
    let (kind, payload) = connection.receive_frame()?;
    if kind != OBSERVED {
        return Err(ConnectionError::Unexpected("about the observation"));
    }
    let (answered, verdict): (RequestId, Verdict) = decode(&payload).map_err(ConnectionError::Malformed)?;
    if answered == ID && verdict.is_settled() {
        Ok(())
    } else {
        Err(ConnectionError::Unexpected("a promise to keep it"))
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::local::{Reply, Request};
    use karo_protocol::spool;

    use super::*;

    #[test]
    fn the_frame_is_that_of_the_protocol() {
        let record =
            b"karo 1\0shell_id=000102030405060708090a0b0c0d0e0f\0seq=3\0phase=start\0started_us=17\0\
            cwd=/\0command=true\0end\n";
        let observation = spool::decode(record).expect("it is whole");
        let request = Request::Observe(Observe::new(observation.clone()));
        assert_eq!(request.kind(), OBSERVE);
        assert_eq!(request.encode(ID), encode(OBSERVE, &(ID, Observe::new(observation))));
        assert_eq!(Reply::Observed(Verdict::Busy).kind(), OBSERVED);
    }
}
