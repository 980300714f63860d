//! What of summaries and the policy is on disk, and its limits.
//!
//! Keys of [`SENT`](shelves::SENT) and [`RECEIVED`](shelves::RECEIVED), 41 bytes:
//!
//! | bytes | field |
//! | --- | --- |
//! | 0..32  | the peer's key |
//! | 32     | index of the period |
//! | 33..41 | its beginning, µs since the epoch, sign bit flipped, big-endian |
//!
//! Values of a shelf are in memory as well, so all of this has a limit in bytes; what is oldest goes first.

use std::collections::BTreeMap;

use karo_core::summary::{Told, days_before, kept_days};
use karo_protocol::category::CategorySet;
use karo_protocol::node::Hash;
use karo_protocol::peer::Signed;
use karo_protocol::policy::PolicySet;
use karo_protocol::summary::{Period, SummaryId};
use karo_protocol::{NodeId, Timestamp};
use karo_store::{Entry, Store};
use serde::{Deserialize, Serialize};

use crate::logging::say;
use crate::shelves;

/// Bytes of all summaries of peers: some hundred a week of each are 700 bytes each.
pub(super) const RECEIVED_BYTES_MAX: usize = 4 << 20;

/// Bytes of all own summaries as they were sent.
pub(super) const SENT_BYTES_MAX: usize = 4 << 20;

/// What a record takes beside the object in it, roughly.
const RECORD_BYTES: usize = 256;

/// The key of [`PolicySet`] on its shelf.
const POLICY_KEY: &[u8] = b"set";

/// A summary that was made for a peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// In which version.
    pub version: u64,
    /// Of what it says, whatever its version is.
    pub digest: Hash,
    /// The end of its period.
    pub end: Timestamp,
    /// Seconds east of UTC at its beginning.
    pub offset_s: i32,
    /// What was kept back of it.
    pub kept_back: CategorySet,
    /// When it was made.
    pub at: Timestamp,
    /// Whether the peer said that it has it.
    pub is_taken: bool,
    /// The object.
    pub signed: Signed,
}

impl Sent {
    /// Returns what was told by it.
    pub const fn told(&self) -> Told {
        Told { version: self.version, digest: self.digest }
    }
}

/// A summary that a peer told.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Received {
    /// In which version.
    pub version: u64,
    /// The end of its period.
    pub end: Timestamp,
    /// When it came.
    pub at: Timestamp,
    /// The object, as it came.
    pub signed: Signed,
}

/// What takes room by its object and grows old.
pub trait Record: Serialize + for<'de> Deserialize<'de> {
    /// The shelf it is on.
    const SHELF: u8;

    /// Returns the object in it.
    fn signed(&self) -> &Signed;

    /// Returns the end of its period.
    fn end(&self) -> Timestamp;
}

impl Record for Sent {
    const SHELF: u8 = shelves::SENT;

    fn signed(&self) -> &Signed {
        &self.signed
    }

    fn end(&self) -> Timestamp {
        self.end
    }
}

impl Record for Received {
    const SHELF: u8 = shelves::RECEIVED;

    fn signed(&self) -> &Signed {
        &self.signed
    }

    fn end(&self) -> Timestamp {
        self.end
    }
}

/// Summaries by peer and period, each on disk under its name.
#[derive(Debug, Clone)]
pub struct Shelf<T> {
    of: BTreeMap<NodeId, BTreeMap<SummaryId, T>>,
    bytes: usize,
}

impl<T> Default for Shelf<T> {
    fn default() -> Self {
        Self { of: BTreeMap::new(), bytes: 0 }
    }
}

impl<T: Record> Shelf<T> {
    /// Takes up what is on disk; what cannot be read is left where it is, and not shown.
    pub fn restore(kept: Vec<(Vec<u8>, Vec<u8>)>) -> Self {
        let mut shelf = Self::default();
        for (key, value) in kept {
            if let Some(((node, id), record)) = parse_key(&key).zip(rmp_serde::from_slice(&value).ok()) {
                shelf.insert(node, id, record);
            }
        }
        shelf
    }

    /// Returns what is there of a peer, in the order of period and time.
    pub fn of(&self, node: &NodeId) -> impl Iterator<Item = (&SummaryId, &T)> {
        self.of.get(node).into_iter().flatten()
    }

    /// Returns the peers of whom there is something.
    pub fn peers(&self) -> Vec<NodeId> {
        self.of.keys().copied().collect()
    }

    /// Returns one.
    pub fn at(&self, node: &NodeId, id: &SummaryId) -> Option<&T> {
        self.of.get(node)?.get(id)
    }

    /// Puts one in its place; it is on disk, or about to be.
    pub fn insert(&mut self, node: NodeId, id: SummaryId, record: T) {
        self.bytes += size(&record);
        if let Some(before) = self.of.entry(node).or_default().insert(id, record) {
            self.bytes -= size(&before);
        }
    }

    /// Takes one away, and returns what has to be written for it.
    pub fn remove(&mut self, node: &NodeId, id: &SummaryId) -> Option<Entry> {
        let of_peer = self.of.get_mut(node)?;
        let gone = of_peer.remove(id)?;
        if of_peer.is_empty() {
            self.of.remove(node);
        }
        self.bytes -= size(&gone);
        Some(Entry::Remove { shelf: T::SHELF, key: key(node, id) })
    }

    /// Takes away all of a peer, and returns what has to be written for that.
    pub fn drop_peer(&mut self, node: &NodeId) -> Vec<Entry> {
        let gone: Vec<SummaryId> = self.of(node).map(|(id, _)| *id).collect();
        gone.iter().filter_map(|id| self.remove(node, id)).collect()
    }

    /// Puts all of a peer under another key of it, and returns what has to be written for that.
    pub fn rename(&mut self, node: &NodeId, to: NodeId) -> Vec<Entry>
    where
        T: Clone,
    {
        let moved: Vec<(SummaryId, T)> = self.of(node).map(|(id, record)| (*id, record.clone())).collect();
        let mut entries = self.drop_peer(node);
        for (id, record) in moved {
            entries.push(put(&to, &id, &record));
            self.insert(to, id, record);
        }
        entries
    }

    /// Takes away what is past its time, and the oldest of whoever has the most while there is more than room for
    /// `bytes_max`; returns what has to be written for that.
    pub fn forget_old(&mut self, now: Timestamp, bytes_max: usize) -> Vec<Entry> {
        let is_old = |(id, record): &(&SummaryId, &T)| {
            let kept_since = days_before(now, kept_days(id.period));
            record.end() < kept_since
        };
        let peers = self.peers();
        let of =
            |node: NodeId| self.of(&node).filter(is_old).map(move |(id, _)| (node, *id)).collect::<Vec<_>>();
        let old: Vec<(NodeId, SummaryId)> = peers.into_iter().flat_map(of).collect();
        let mut entries: Vec<Entry> = old.iter().filter_map(|(node, id)| self.remove(node, id)).collect();
        while self.bytes > bytes_max {
            let Some((node, id)) = self.least_missed() else { break };
            entries.extend(self.remove(&node, &id));
        }
        entries
    }

    /// Returns the oldest of the peer that has the most: one who tells too much loses its own and nobody else's.
    fn least_missed(&self) -> Option<(NodeId, SummaryId)> {
        let (node, of_peer) = self.of.iter().max_by_key(|(_, of_peer)| of_peer.len())?;
        let (id, _) = of_peer.iter().min_by_key(|(id, record)| (record.end(), id.period))?;
        Some((*node, *id))
    }
}

/// Returns what has to be written for a record.
pub(super) fn put<T: Record>(node: &NodeId, id: &SummaryId, record: &T) -> Entry {
    let value = rmp_serde::to_vec(record).expect("a record in memory can be written");
    Entry::Put { shelf: T::SHELF, key: key(node, id), value }
}

fn size<T: Record>(record: &T) -> usize {
    record.signed().bytes.0.len() + RECORD_BYTES
}

fn key(node: &NodeId, id: &SummaryId) -> Vec<u8> {
    let start = (id.start.as_micros() as u64 ^ 1 << 63).to_be_bytes();
    [&node.0[..], &[id.period.index()], &start].concat()
}

fn parse_key(key: &[u8]) -> Option<(NodeId, SummaryId)> {
    let (node, rest) = key.split_first_chunk::<32>()?;
    let (period, start) = rest.split_first()?;
    let micros = (u64::from_be_bytes(start.try_into().ok()?) ^ 1 << 63) as i64;
    let id = SummaryId { period: Period::from_index(*period)?, start: Timestamp::from_micros(micros) };
    Some((NodeId(*node), id))
}

/// What was set of the policy by command, on disk.
#[derive(Debug, Clone, Default)]
pub struct PolicyKept(pub PolicySet);

impl PolicyKept {
    /// Takes up what is on disk.
    pub fn restore(store: &Store) -> Self {
        let kept = store.kept(shelves::POLICY);
        let value = kept.into_iter().find(|(key, _)| key == POLICY_KEY).map(|(_, value)| value);
        let Some(value) = value else { return Self::default() };
        rmp_serde::from_slice(&value).map(Self).unwrap_or_else(|error| {
            // What cannot be read may have been a denial: then nothing goes to anybody.
            say!(Class::PolicyUnreadable, %error, "the policy cannot be read; nothing is shared until it is set again");
            let off = Some(false);
            Self(PolicySet { summaries: off, groups: off, health: off, ..PolicySet::default() })
        })
    }

    /// Returns what has to be written for it.
    pub fn entry(set: &PolicySet) -> Entry {
        let value = rmp_serde::to_vec(set).expect("a policy in memory can be written");
        Entry::Put { shelf: shelves::POLICY, key: POLICY_KEY.to_vec(), value }
    }
}

/// Everything that is kept, as the start finds it.
#[derive(Debug, Default)]
pub struct Kept {
    /// Own summaries.
    pub sent: Shelf<Sent>,
    /// Summaries of peers.
    pub received: Shelf<Received>,
    /// The policy.
    pub policy: PolicyKept,
}

impl Kept {
    /// Takes up what is on disk.
    pub fn restore(store: &Store) -> Self {
        Self {
            sent: Shelf::restore(store.kept(shelves::SENT)),
            received: Shelf::restore(store.kept(shelves::RECEIVED)),
            policy: PolicyKept::restore(store),
        }
    }
}

#[cfg(test)]
mod tests {
    use karo_protocol::Bytes;
    use karo_protocol::node::Signature;

    use super::*;

    const DAY: i64 = 86_400_000_000;

    fn received(day: i64, bytes: usize) -> (SummaryId, Received) {
        let id = SummaryId { period: Period::Daily, start: Timestamp::from_micros(day * DAY) };
        let signed = Signed { bytes: Bytes(vec![0; bytes]), signature: Signature([0; 64]) };
        let end = Timestamp::from_micros((day + 1) * DAY);
        (id, Received { version: 1, end, at: end, signed })
    }

    fn starts(shelf: &Shelf<Received>, node: &NodeId) -> Vec<i64> {
        shelf.of(node).map(|(id, _)| id.start.as_micros() / DAY).collect()
    }

    #[test]
    fn names_read_back() {
        let (id, _) = received(-3, 0);
        let node = NodeId([9; 32]);
        assert_eq!(parse_key(&key(&node, &id)), Some((node, id)));
        assert_eq!(key(&node, &id).len(), 41);
        assert!(key(&node, &received(-3, 0).0) < key(&node, &received(2, 0).0));
        assert_eq!(parse_key(b"short"), None);
    }

    #[test]
    fn what_is_past_its_time_goes() {
        let (node, mut shelf) = (NodeId([1; 32]), Shelf::default());
        for day in [0, 33, 35, 400] {
            let (id, record) = received(day, 10);
            shelf.insert(node, id, record);
        }
        let now = Timestamp::from_micros(400 * DAY);
        assert_eq!(shelf.forget_old(now, usize::MAX).len(), 2);
        assert_eq!(starts(&shelf, &node), [35, 400]);
    }

    #[test]
    fn whoever_tells_too_much_loses_its_own() {
        let (modest, loud) = (NodeId([1; 32]), NodeId([2; 32]));
        let mut shelf = Shelf::default();
        let (id, record) = received(0, 100);
        shelf.insert(modest, id, record);
        for day in 1..=20 {
            let (id, record) = received(day, 100);
            shelf.insert(loud, id, record);
        }
        let gone = shelf.forget_old(Timestamp::from_micros(30 * DAY), 4 * (100 + RECORD_BYTES));
        assert_eq!(gone.len(), 17);
        assert_eq!((starts(&shelf, &modest), starts(&shelf, &loud)), (vec![0], vec![18, 19, 20]));
    }

    #[test]
    fn a_peer_goes_with_all_that_is_there_of_it() {
        let (node, mut shelf) = (NodeId([1; 32]), Shelf::default());
        for day in 0..3 {
            let (id, record) = received(day, 1);
            shelf.insert(node, id, record);
        }
        let to = NodeId([3; 32]);
        assert_eq!(shelf.rename(&node, to).len(), 6);
        assert_eq!((starts(&shelf, &node).len(), starts(&shelf, &to).len()), (0, 3));
        assert_eq!(shelf.drop_peer(&to).len(), 3);
        assert_eq!((shelf.bytes, shelf.peers().len()), (0, 0));
    }
}
