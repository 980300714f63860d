//! The journal: its own format, over its own socket.
//!
//! `tracing-journald` cannot do what is needed here. It sends on the thread that speaks, on a socket that blocks: with
//! a journald that was stopped (SIGSTOP) and net.unix.max_dgram_qlen entries waiting, the daemon stands still for good.
//! It ignores what it could not send, so an entry that journald's restart swallowed is nowhere. And its fields have
//! one prefix or none, so that `MESSAGE_ID` cannot stand beside `KARO_PEER`. What is left of it is this file.
//!
//! Each field is written with its length (systemd.io/JOURNAL_NATIVE_PROTOCOL), so no value can make another field.

use std::io::{self, ErrorKind};
use std::os::unix::net::UnixDatagram;
use std::path::{Path, PathBuf};
use std::time::Duration;

use karo_protocol::Timestamp;

use super::entry::Entry;

/// Where journald takes entries.
pub const SOCKET: &str = "/run/systemd/journal/socket";

/// What people and filters know the program by.
const IDENTIFIER: &str = "karod";

/// How long one attempt waits for room in the journal's queue.
const PATIENCE: Duration = Duration::from_millis(250);

/// Entries that are delivered later than this say when they were made: the journal dates by their coming.
const LATE_US: u64 = 1_000_000;

/// Characters of a field's name, at most: journald drops longer ones.
const NAME_MAX: usize = 64;

/// Why the journal did not take an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// Nobody is there.
    Away,
    /// Its queue is full: it is busy, or frozen.
    Full,
}

/// A way to the journal. Each entry looks its socket up anew, so a restarted journald is found again.
#[derive(Debug)]
pub struct Journal {
    path: PathBuf,
    socket: Option<UnixDatagram>,
}

impl Journal {
    /// Makes the way to a socket; nothing is sent.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), socket: None }
    }

    /// Returns where it leads.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Sends one encoded entry; waits for a quarter of a second at most.
    ///
    /// # Errors
    ///
    /// [`Refused`]: nothing was taken.
    pub fn send(&mut self, encoded: &[u8]) -> Result<(), Refused> {
        let socket = match self.socket.take() {
            Some(socket) => socket,
            // Without descriptors or memory the journal is as good as away.
            None => bounded().map_err(|_| Refused::Away)?,
        };
        let sent = socket.send_to(encoded, &self.path);
        self.socket = Some(socket);
        match sent {
            Ok(_) => Ok(()),
            Err(error) if is_full(&error) => Err(Refused::Full),
            Err(_) => Err(Refused::Away),
        }
    }
}

fn bounded() -> io::Result<UnixDatagram> {
    let socket = UnixDatagram::unbound()?;
    socket.set_write_timeout(Some(PATIENCE))?;
    Ok(socket)
}

fn is_full(error: &io::Error) -> bool {
    // macOS and the BSDs call a full queue ENOBUFS.
    matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut | ErrorKind::Interrupted)
        || error.raw_os_error() == Some(rustix::io::Errno::NOBUFS.raw_os_error())
}

/// Writes an entry as the journal takes it.
pub fn encode(entry: &Entry, now: Timestamp) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(512);
    put(&mut bytes, "MESSAGE", &entry.message);
    put(&mut bytes, "PRIORITY", &entry.severity.priority().to_string());
    put(&mut bytes, "SYSLOG_IDENTIFIER", IDENTIFIER);
    if let Some(class) = entry.class {
        put(&mut bytes, "MESSAGE_ID", &format!("{:032x}", class.id()));
        put(&mut bytes, "KARO_EVENT", class.name());
    }
    if let Some((file, line)) = entry.place {
        put(&mut bytes, "CODE_FILE", file);
        put(&mut bytes, "CODE_LINE", &line.to_string());
    }
    if let Some(peer) = &entry.peer {
        put(&mut bytes, "KARO_PEER", peer);
    }
    if let Some(query) = &entry.query {
        put(&mut bytes, "KARO_QUERY", query);
    }
    for (name, value) in &entry.fields {
        put(&mut bytes, &field_name(name), value);
    }
    if now.since(entry.at).0 > LATE_US {
        put(&mut bytes, "KARO_AT_US", &entry.at.as_micros().to_string());
    }
    bytes
}

/// Returns what a field of the source is called in the journal: `KARO_`, then capitals, digits and underscores.
pub fn field_name(name: &str) -> String {
    let allowed = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' };
    "KARO_".chars().chain(name.chars().map(allowed)).take(NAME_MAX).collect()
}

/// Appends a field by its length: whatever the value holds, the next field begins behind it.
fn put(bytes: &mut Vec<u8>, name: &str, value: &str) {
    bytes.extend_from_slice(name.as_bytes());
    bytes.push(b'\n');
    bytes.extend_from_slice(&(value.len() as u64).to_le_bytes());
    bytes.extend_from_slice(value.as_bytes());
    bytes.push(b'\n');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::logging::Class;

    /// Reads what was encoded, as the journal does.
    fn fields(mut bytes: &[u8]) -> BTreeMap<String, String> {
        let mut fields = BTreeMap::new();
        while !bytes.is_empty() {
            let end = bytes.iter().position(|byte| *byte == b'\n').expect("a name ends");
            let (name, rest) = (&bytes[..end], &bytes[end + 1..]);
            assert!(!name.contains(&b'='), "a field without its length");
            let (length, rest) = rest.split_first_chunk().expect("a length follows");
            let length = u64::from_le_bytes(*length) as usize;
            let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("it is text");
            assert_eq!(fields.insert(text(name), text(&rest[..length])), None, "each field comes once");
            assert_eq!(rest[length], b'\n');
            bytes = &rest[length + 1..];
        }
        fields
    }

    fn entry(message: &str) -> Entry {
        Entry::about_the_log(Class::PeerTwice, Timestamp::from_micros(5), message)
            .with("peer", "7a31-04c2")
            .with("query", 7)
            .with("failure.message", "no room")
    }

    #[test]
    fn an_entry_has_the_fields_that_are_documented() {
        let found = fields(&encode(&entry("both links are down"), Timestamp::from_micros(6)));
        let expected = [
            ("KARO_EVENT", "peer-twice"),
            ("KARO_FAILURE_MESSAGE", "no room"),
            ("KARO_PEER", "7a31-04c2"),
            ("KARO_QUERY", "7"),
            ("MESSAGE", "both links are down"),
            ("MESSAGE_ID", &format!("{:032x}", Class::PeerTwice.id())),
            ("PRIORITY", "3"),
            ("SYSLOG_IDENTIFIER", "karod"),
        ];
        assert_eq!(found, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    }

    #[test]
    fn no_value_makes_a_field() {
        let mut hostile = entry("");
        // As if nothing had been escaped.
        hostile.message = "x\nPRIORITY=0\nMESSAGE_ID\n\u{8}\0\0\0\0\0\0\0forged!!\n_UID=0\n".to_owned();
        hostile.peer = Some("a\nKARO_EVENT=paired".to_owned());
        let found = fields(&encode(&hostile, Timestamp::from_micros(6)));
        assert_eq!(found.len(), 8);
        assert_eq!(found["PRIORITY"], "3");
        assert_eq!(found["MESSAGE"], hostile.message);
    }

    #[test]
    fn what_comes_late_says_when_it_was() {
        let late = fields(&encode(&entry("late"), Timestamp::from_micros(2_000_000)));
        assert_eq!(late["KARO_AT_US"], "5");
    }

    #[test]
    fn names_are_such_as_the_journal_takes() {
        assert_eq!(field_name("within_ms"), "KARO_WITHIN_MS");
        assert_eq!(field_name("a=b\n.c"), "KARO_A_B__C");
        assert_eq!(field_name(&"x".repeat(100)).len(), NAME_MAX);
    }

    #[test]
    fn a_journal_that_takes_nothing_is_waited_for_briefly() {
        let directory = tempfile::tempdir().expect("there is room for a directory");
        let path = directory.path().join("socket");
        let mut journal = Journal::new(&path);
        assert_eq!(journal.send(b"A=1\n"), Err(Refused::Away));
        // One that is there and reads nothing, as a stopped journald does.
        let frozen = UnixDatagram::bind(&path).expect("the directory is ours");
        let full = (0..10_000).find_map(|_| journal.send(b"A=1\n").err());
        assert_eq!(full, Some(Refused::Full));
        drop(frozen);
        assert_eq!(journal.send(b"A=1\n"), Err(Refused::Away));
        std::fs::remove_file(&path).expect("the directory is ours");
        let back = UnixDatagram::bind(&path).expect("the directory is ours");
        assert_eq!(journal.send(b"A=1\n"), Ok(()));
        let mut taken = [0; 16];
        assert_eq!(back.recv(&mut taken).expect("one came"), 4);
    }
}
