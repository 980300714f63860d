//! Several daemons on one machine that can trust each other: each listens on a loopback address of its own.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::process;
use std::sync::atomic::{AtomicU32, Ordering};

use karo_protocol::audit::{AuditFilter, AuditRow, AuditVerified, Deed, LogVerified, Reason};
use karo_protocol::local::{Failure, Reply, Request};
use karo_protocol::mesh::{
    Change, IdentityShown, LinkState, PeerAdd, PeerChange, PeerRow, PeerShown, PeersAsk, Pinged,
};
use karo_protocol::{NodeId, Trust};

use crate::karo::Karo;
use crate::wait::until;

/// Meshes that this process has made: their addresses differ by it.
static NODES: AtomicU32 = AtomicU32::new(0);

/// Port that the daemons of stories listen on.
pub const PORT: u16 = 9238;

/// A daemon with an address of its own.
#[derive(Debug)]
pub struct Node {
    /// Its places.
    pub karo: Karo,
    /// Where it listens, as `HOST:PORT`.
    pub address: String,
}

impl Node {
    /// Makes the places of a daemon that will listen on a loopback address that no other one has.
    pub fn new() -> Self {
        // All of 127.0.0.0/8 is this machine: the process and a counter keep stories apart that run side by side.
        let (process, node) = (process::id(), NODES.fetch_add(1, Ordering::Relaxed));
        let [.., high, low] = process.to_be_bytes();
        let address = format!("127.{}.{}.{}:{PORT}", 64 + (high & 0x7f), low, 1 + node % 250);
        let node = Self { karo: Karo::new(), address };
        node.configure("");
        node
    }

    /// Makes one and starts it.
    pub fn running() -> Self {
        let mut node = Self::new();
        node.karo.launch();
        node
    }

    /// Writes its configuration: where it listens, and what else is said.
    pub fn configure(&self, more: &str) {
        self.karo.configure(&format!("[mesh]\nlisten = \"{}\"\n{more}", self.address));
    }

    /// Listens elsewhere from its next start on.
    pub fn configure_at(&mut self, address: &str) {
        address.clone_into(&mut self.address);
        self.configure("");
    }

    /// Asks and returns the first answer.
    ///
    /// # Panics
    ///
    /// When there is none.
    pub fn ask(&self, request: &Request) -> Reply {
        match self.karo.session().ask(request) {
            Ok(reply) => reply,
            Err(error) => panic!("{request:?}: {error}\n{}", self.karo.log()),
        }
    }

    /// Asks for what will be refused, and returns why.
    ///
    /// # Panics
    ///
    /// When it is not.
    pub fn refusal(&self, request: &Request) -> Failure {
        match self.ask(request) {
            Reply::Failure(failure) => failure,
            other => panic!("{request:?} was not refused but answered {other:?}"),
        }
    }

    /// Returns who it is.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub fn identity(&self) -> IdentityShown {
        match self.ask(&Request::Identity(())) {
            Reply::Identity(identity) => *identity,
            other => panic!("no identity but {other:?}"),
        }
    }

    /// Returns its key.
    pub fn node_id(&self) -> NodeId {
        self.identity().node_id
    }

    /// Changes a peer's trust so often: each change is an entry of the audit, and each hundred have a signed head.
    pub fn do_much(&self, times: usize) {
        let somebody = NodeId([7; 32]);
        if self.peer(somebody).is_none() {
            self.trust(somebody, &[], Trust::Member);
        }
        let name = self.peer(somebody).expect("it was added").name;
        for time in 0..times {
            let trust = if time % 2 == 0 { Trust::ShareTo } else { Trust::Member };
            self.change(&name, Change::Trust(trust));
        }
    }

    /// Tells whether a notice of its status says that.
    pub fn notices(&self, text: &str) -> bool {
        self.karo.status().notices.iter().any(|notice| notice.contains(text))
    }

    /// Counts what was done so, as its audit has it.
    pub fn count(&self, deed: Deed, reason: Option<Reason>) -> usize {
        let rows = self.audit(AuditFilter { deeds: vec![deed], ..AuditFilter::default() });
        let entries = rows.into_iter().filter_map(|row| row.entry);
        entries.filter(|entry| reason.is_none_or(|reason| entry.reason == reason)).count()
    }

    /// Puts another node's data, as it lies on its disk, in the place of its own. Neither of the two may run.
    ///
    /// # Panics
    ///
    /// When it cannot be copied.
    pub fn copy_data(&self, from: &Path) {
        let own = self.karo.data();
        fs::remove_dir_all(&own).expect("it is ours");
        copy(from, &own);
    }

    /// Returns the file that holds its key.
    pub fn key_file(&self) -> PathBuf {
        self.karo.data().join("identity.key")
    }

    /// Returns the table of its peers.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub fn peers(&self) -> Vec<PeerRow> {
        match self.ask(&Request::Peers(PeersAsk::default())) {
            Reply::Peers(table) => table.rows,
            other => panic!("no peers but {other:?}"),
        }
    }

    /// Returns the row of the peer of that name or key, if there is one.
    pub fn peer(&self, node: NodeId) -> Option<PeerRow> {
        self.peers().into_iter().find(|row| row.node_id == node)
    }

    /// Trusts another node.
    ///
    /// # Panics
    ///
    /// When that is refused.
    pub fn trust(&self, node: NodeId, addresses: &[&str], trust: Trust) -> PeerRow {
        let addresses = addresses.iter().map(ToString::to_string).collect();
        let add = PeerAdd { node_id: node, addresses, trust, name: None, owner: None, expires_at: None };
        match self.ask(&Request::PeerAdd(add)) {
            Reply::Peer(row) => *row,
            other => panic!("the peer was not added: {other:?}"),
        }
    }

    /// Changes what is known of a peer.
    ///
    /// # Panics
    ///
    /// When that is refused.
    pub fn change(&self, peer: &str, change: Change) -> PeerRow {
        match self.ask(&Request::PeerChange(PeerChange { peer: peer.to_owned(), change })) {
            Reply::Peer(row) => *row,
            other => panic!("the peer was not changed: {other:?}"),
        }
    }

    /// Waits until the link to a node is in that state, and returns its row.
    pub fn wait_for(&self, node: NodeId, state: LinkState) -> PeerRow {
        until(&format!("the link is {state}"), || self.peer(node).filter(|row| row.state == state))
    }

    /// Returns the entries of its audit that the filter lets through, in their order.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub fn audit(&self, filter: AuditFilter) -> Vec<AuditRow> {
        let mut session = self.karo.session();
        let id = session.send(&Request::Audit(filter)).expect("the daemon reads");
        let mut rows = Vec::new();
        loop {
            match session.receive() {
                Ok((answered, Reply::AuditRows(page))) if answered == id => rows.extend(page),
                Ok((answered, Reply::End(_))) if answered == id => return rows,
                other => panic!("no audit but {other:?}"),
            }
        }
    }

    /// Returns how many deeds of that kind, and for that reason if one is given, its audit tells of.
    pub fn audited(&self, deed: Deed, reason: Option<Reason>) -> u64 {
        let rows = self.audit(AuditFilter { deeds: vec![deed], ..AuditFilter::default() });
        let entries = rows.into_iter().filter_map(|row| row.entry);
        entries
            .filter(|entry| reason.is_none_or(|reason| entry.reason == reason))
            .map(|entry| entry.count.max(1))
            .sum()
    }

    /// Pings a peer.
    ///
    /// # Errors
    ///
    /// Why there was no answer.
    ///
    /// # Panics
    ///
    /// When the daemon says something else.
    pub fn ping(&self, peer: &str) -> Result<Pinged, Failure> {
        match self.ask(&Request::PeerPing(peer.to_owned())) {
            Reply::Pinged(pinged) => Ok(pinged),
            Reply::Failure(failure) => Err(failure),
            other => panic!("neither pinged nor refused: {other:?}"),
        }
    }

    /// Returns all that is known of a peer.
    ///
    /// # Panics
    ///
    /// When the daemon does not say.
    pub fn shown(&self, peer: &str) -> PeerShown {
        match self.ask(&Request::PeerShow(peer.to_owned())) {
            Reply::PeerShown(shown) => *shown,
            other => panic!("nothing is shown of {peer}: {other:?}"),
        }
    }

    /// Tells whether a link to that peer was up since the daemon started, as far back as is remembered.
    pub fn was_connected(&self, peer: &str) -> bool {
        self.shown(peer).history.iter().any(|moment| moment.state == LinkState::Connected)
    }

    /// Demands that nothing is wrong with its audit.
    ///
    /// # Panics
    ///
    /// When something is.
    pub fn check_audit(&self) {
        let verified = self.audit_verified();
        let is_whole = |log: &LogVerified| log.bad.is_empty() && log.faults.is_empty();
        assert!(verified.logs.iter().all(is_whole), "{verified:?}");
    }

    /// Has the audit checked.
    ///
    /// # Panics
    ///
    /// When it does not say.
    pub fn audit_verified(&self) -> AuditVerified {
        match self.ask(&Request::AuditVerify(())) {
            Reply::AuditVerified(verified) => verified,
            other => panic!("the audit was not checked: {other:?}"),
        }
    }
}

impl Default for Node {
    fn default() -> Self {
        Self::new()
    }
}

/// Copies a directory and all in it, with its modes.
///
/// # Panics
///
/// When that is not possible.
pub fn copy(from: &Path, to: &Path) {
    DirBuilder::new().mode(0o700).create(to).expect("there is nothing yet");
    for entry in fs::read_dir(from).expect("it is ours") {
        let entry = entry.expect("it is ours");
        let target = to.join(entry.file_name());
        match entry.file_type().expect("it is there").is_dir() {
            true => copy(&entry.path(), &target),
            // Modes are copied with it.
            false => drop(fs::copy(entry.path(), target).expect("there is room")),
        }
    }
}

/// Makes two nodes trust each other and waits for the link.
pub fn link(one: &Node, other: &Node, trust: Trust) {
    let (first, second) = (one.node_id(), other.node_id());
    one.trust(second, &[&other.address], trust);
    other.trust(first, &[&one.address], trust);
    one.wait_for(second, LinkState::Connected);
    other.wait_for(first, LinkState::Connected);
}
