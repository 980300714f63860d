//! How a peer is found again by what somebody typed.

use karo_protocol::node::NODE_ID_PREFIX;

use super::Peer;

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
