//! Machines of their own, with a real systemd: what holds of every one, and one file per part of Karo in them.

mod accounts;
mod clocks;
mod faults;
mod followed;
mod idle;
mod itself;
mod memory;
mod namespaces;
mod packages;
mod places;
mod sandbox;
mod served;
mod sessions;
mod setup;
mod shells;
mod spelling;
mod template;
mod terminal;
mod units;
mod upgraded;

use karo_protocol::Observation;
use karo_protocol::event::Event;
use karo_protocol::query::Filter;
use karo_tests::Session;
use karo_tests::binaries::checkout;
use karo_tests::machine::Machine;

/// Where the daemon of a user unit is reached by that user.
const SOCKET: &str = "$XDG_RUNTIME_DIR/karo/karod.sock";

/// Delivers observations in one session and demands that each is kept.
fn keep(session: &mut Session, observations: impl IntoIterator<Item = Observation>) {
    for observation in observations {
        let verdict = session.observe(observation).expect("the daemon answers");
        assert_eq!(verdict, karo_protocol::local::Verdict::Committed);
    }
}

/// Returns the texts of all events that are in that user's log by now, the earliest first.
fn texts(machine: &Machine, user: &str, socket: &str) -> Vec<String> {
    let text = |event: &Event| String::from_utf8_lossy(event.command.as_bytes()).into_owned();
    machine.session(user, socket).events(Filter::default()).iter().map(text).collect()
}

/// Returns the text that `docs/service.md` has for a file, from a line on.
fn documented(first: &str) -> String {
    let text = std::fs::read_to_string(checkout().join("docs/service.md")).expect("there are docs");
    let start = text.find(first).unwrap_or_else(|| panic!("{first} is documented"));
    let end = text[start..].find("```").expect("a block ends");
    text[start..start + end].to_owned()
}
