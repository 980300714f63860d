//! The journal, by `tracing-journald`: one layer for each entry.
//!
//! That layer sends on the thread that speaks, over a socket that blocks, and ignores what was not taken: with a journald
//! that was stopped (SIGSTOP) and net.unix.max_dgram_qlen entries waiting, everybody who speaks would stand still. So
//! only the thread of the log has one; a frozen journald holds up that thread, and nobody else. The fields of
//! an event have one prefix or none, so that `MESSAGE_ID` could not stand beside `KARO_PEER`: they go as the layer's
//! custom fields, and a layer is made anew for each entry. Making it asks journald whether it is there, which is
//! how one that is away or was restarted is noticed. An entry that journald ends upon between the two is lost.
//!
//! Each field is written with its length (systemd.io/JOURNAL_NATIVE_PROTOCOL), so no value can make another field.

use std::fmt;

use karo_protocol::Timestamp;
use karo_protocol::logs::Severity;
use tracing::callsite::{Callsite, Identifier};
use tracing::field::{FieldSet, Value};
use tracing::metadata::Kind;
use tracing::subscriber::Interest;
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_journald::{Priority, PriorityMappings};
use tracing_subscriber::Registry;
use tracing_subscriber::layer::SubscriberExt;

use super::entry::Entry;

/// Where journald takes entries.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// What people and filters know the program by.
const IDENTIFIER: &str = "karod";

/// Entries that are delivered later than this say when they were made: the journal dates by their coming.
const LATE_US: u64 = 1_000_000;

/// Characters of a field's name, at most: journald drops longer ones.
const NAME_MAX: usize = 64;

/// Nobody is there who takes entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Away;

/// Takes entries.
pub trait Journal: fmt::Debug + Send {
    /// Takes one; may wait for as long as whoever reads them is frozen.
    ///
    /// # Errors
    ///
    /// [`Away`]: it was not taken.
    fn send(&mut self, entry: &Entry, now: Timestamp) -> Result<(), Away>;
}

/// This machine's journald.
#[derive(Debug)]
pub struct Journald;

impl Journal for Journald {
    fn send(&mut self, entry: &Entry, now: Timestamp) -> Result<(), Away> {
        // Every entry is an event of the same place in the source; its priority is that of the one level it has.
        let mappings = PriorityMappings { info: priority(entry.severity), ..PriorityMappings::new() };
        let layer = tracing_journald::layer()
            .map_err(|_| Away)?
            .with_syslog_identifier(IDENTIFIER.to_owned())
            .with_priority_mappings(mappings)
            .with_custom_fields(fields(entry, now));
        let message = METADATA.fields().field(MESSAGE).expect("an event has its message");
        let values = [(&message, Some(&entry.message as &dyn Value))];
        let event = METADATA.fields().value_set(&values);
        Registry::default().with(layer).event(&Event::new(&METADATA, &event));
        Ok(())
    }
}

const MESSAGE: &str = "message";

/// What is said of each entry by its event: where it was said is among its own fields.
static METADATA: Metadata<'static> = Metadata::new(
    "entry",
    IDENTIFIER,
    Level::INFO,
    None,
    None,
    None,
    FieldSet::new(&[MESSAGE], Identifier(&Place)),
    Kind::EVENT,
);

/// Where the events of [`METADATA`] come from.
struct Place;

impl Callsite for Place {
    fn set_interest(&self, _: Interest) {}

    fn metadata(&self) -> &Metadata<'_> {
        &METADATA
    }
}

const fn priority(severity: Severity) -> Priority {
    match severity {
        Severity::Error => Priority::Error,
        Severity::Warn => Priority::Warning,
        Severity::Notice => Priority::Notice,
        Severity::Info => Priority::Informational,
        Severity::Debug | Severity::Trace => Priority::Debug,
    }
}

/// Returns the fields of an entry beside its message, priority and identifier.
fn fields(entry: &Entry, now: Timestamp) -> Vec<(String, String)> {
    let mut fields = Vec::new();
    let mut put = |name: &str, value: &str| fields.push((name.to_owned(), value.to_owned()));
    if let Some(class) = entry.class {
        put("MESSAGE_ID", &format!("{:032x}", class.id()));
        put("KARO_EVENT", class.name());
    }
    if let Some((file, line)) = entry.place {
        put("CODE_FILE", file);
        put("CODE_LINE", &line.to_string());
    }
    if let Some(peer) = &entry.peer {
        put("KARO_PEER", peer);
    }
    if let Some(query) = &entry.query {
        put("KARO_QUERY", query);
    }
    for (name, value) in &entry.fields {
        put(&field_name(name), value);
    }
    if now.since(entry.at).0 > LATE_US {
        put("KARO_AT_US", &entry.at.as_micros().to_string());
    }
    fields
}

/// Returns what a field of the source is called in the journal: `KARO_`, then capitals, digits and underscores.
pub fn field_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "KARO_".chars().chain(name.chars().map(allowed)).take(NAME_MAX).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::logging::Class;

    fn entry(message: &str) -> Entry {
        Entry::about_the_log(Class::PeerTwice, Timestamp::from_micros(5), message)
            .with("peer", "7a31-04c2")
            .with("query", 7)
            .with("failure.message", "no room")
    }

    #[test]
    fn an_entry_has_the_fields_that_are_documented() {
        let id = format!("{:032x}", Class::PeerTwice.id());
        let expected = [
            ("MESSAGE_ID", id.as_str()),
            ("KARO_EVENT", "peer-twice"),
            ("KARO_PEER", "7a31-04c2"),
            ("KARO_QUERY", "7"),
            ("KARO_FAILURE_MESSAGE", "no room"),
        ];
        let found = fields(&entry("both links are down"), Timestamp::from_micros(6));
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
        assert_eq!(priority(Class::PeerTwice.severity()), Priority::Error);
    }

    #[test]
    fn what_comes_late_says_when_it_was() {
        let late: BTreeMap<_, _> =
            fields(&entry("late"), Timestamp::from_micros(2_000_000)).into_iter().collect();
        assert_eq!(late["KARO_AT_US"], "5");
    }

    #[test]
    fn names_are_such_as_the_journal_takes() {
        assert_eq!(field_name("within_ms"), "KARO_WITHIN_MS");
        assert_eq!(field_name("a=b\n.c"), "KARO_A_B__C");
        assert_eq!(field_name(&"x".repeat(100)).len(), NAME_MAX);
    }
}
