//! What a peer may be called, and how it is found again.

use karo_protocol::mesh::PEER_NAME_BYTES_MAX;
use karo_protocol::node::NODE_ID_PREFIX;

use super::Peer;

/// Why a text is no name or owner.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BadName {
    /// There is nothing.
    #[error("a name is empty")]
    Empty,
    /// It has too many bytes.
    #[error("a name of {0} bytes; at most {PEER_NAME_BYTES_MAX} are taken")]
    TooLong(usize),
    /// It would look like an option or a path, or be cut where it is printed.
    #[error("a name begins with a letter or a digit")]
    Beginning,
    /// It has a character that a terminal may obey, or that cannot be seen.
    #[error("a name has the character {0:?}; letters, digits and `-_.@+` are taken")]
    Character(char),
    /// It would be taken for a node id.
    #[error("a name does not begin with `karo:`")]
    NodeId,
}

/// Marks that a name may have besides letters and digits.
const MARKS: &str = "-_.@+";

/// Checks what a peer is called.
pub(super) fn check_name(name: &str) -> Result<(), BadName> {
    check(name, MARKS)
}

/// Checks whose machine it is: as a name, with spaces within.
///
/// # Errors
///
/// [`BadName`] says what is wrong with it.
pub fn check_owner(owner: &str) -> Result<(), BadName> {
    match owner.chars().next_back() {
        Some(' ') => Err(BadName::Character(' ')),
        Some(_) | None => check(owner, "-_.@+ '"),
    }
}

/// What is neither a letter, a digit nor a mark is refused as a whole: control characters, which a terminal obeys,
/// and those that cannot be seen or turn the direction of writing are among it.
fn check(text: &str, marks: &str) -> Result<(), BadName> {
    if text.len() > PEER_NAME_BYTES_MAX {
        return Err(BadName::TooLong(text.len()));
    }
    if text.starts_with("karo:") {
        return Err(BadName::NodeId);
    }
    let first = text.chars().next().ok_or(BadName::Empty)?;
    if let Some(hostile) = text.chars().find(|letter| !letter.is_alphanumeric() && !marks.contains(*letter)) {
        return Err(BadName::Character(hostile));
    }
    if !first.is_alphanumeric() {
        return Err(BadName::Beginning);
    }
    Ok(())
}

/// Tells whether a name has the form of a fingerprint: only that of its own key may.
pub(super) fn is_short_form(name: &str) -> bool {
    let groups: Vec<&str> = name.split('-').collect();
    groups.len() == 4
        && groups.iter().all(|group| group.len() == 4 && group.bytes().all(|digit| digit.is_ascii_hexdigit()))
}

/// What somebody typed to name a peer.
pub(super) struct Wanted<'a> {
    text: &'a str,
    /// As a fingerprint is written: in small letters.
    lower: String,
}

impl<'a> Wanted<'a> {
    /// Returns `None` for what would fit every peer: nothing, or what all node ids begin with.
    pub(super) fn new(text: &'a str) -> Option<Self> {
        (!NODE_ID_PREFIX.starts_with(text)).then(|| Self { text, lower: text.to_ascii_lowercase() })
    }

    /// Tells whether the whole of a peer's name, node id or fingerprint was typed.
    pub(super) fn is(&self, peer: &Peer) -> bool {
        peer.name == self.text
            || peer.node_id.to_string() == self.text
            || peer.fingerprint().to_string() == self.lower
    }

    /// Tells whether the beginning of one of these was.
    pub(super) fn begins(&self, peer: &Peer) -> bool {
        peer.name.starts_with(self.text)
            || peer.node_id.to_string().starts_with(self.text)
            || peer.fingerprint().to_string().starts_with(&self.lower)
    }
}
