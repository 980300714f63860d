//! What is known of this machine and its peers when the daemon starts: the key, the roster, the keys of peers.

use std::path::PathBuf;
use std::sync::Arc;

use karo_protocol::NodeId;
use karo_protocol::audit::{AuditEntry, Deed};
use karo_protocol::config::Settings;
use karo_protocol::places::Places;
use karo_store::{Entry, Store};
use karo_trust::fingerprint;
use karo_trust::identity::Identity;
use karo_trust::roster::{Roster, RosterChange};
use karo_trust::rotation::Succession;

use crate::actors::peers::{known_as, rotated_from, successions};
use crate::auditor::{Auditor, entry};
use crate::logging::say;
use crate::report_files::ReportFiles;
use crate::roster_desk::RosterDesk;
use crate::{clock, identity_file, shelves};

/// Name of the file that holds the key, in the data directory.
const IDENTITY_FILE: &str = "identity.key";

/// What was found.
pub struct Neighbourhood {
    /// This machine's identity, or why it cannot be used.
    pub own: Result<Arc<Identity>, String>,
    /// Who is trusted.
    pub roster: RosterDesk,
    /// The keys of peers.
    pub successions: Vec<Succession>,
    /// Where the key lies.
    pub identity_path: PathBuf,
    /// Where reports lie that were given for days that are not closed yet.
    pub report_files: ReportFiles,
    /// The key that the log remembers.
    pub known: Option<NodeId>,
}

impl Neighbourhood {
    /// Reads the key, or makes the first one, and what the store keeps of peers.
    pub fn found(places: &Places, store: &Store, settings: &Settings) -> Self {
        let identity_path = places.data.join(IDENTITY_FILE);
        let known = known(store);
        let opened = identity_file::open(&identity_path, known, clock::now());
        let is_new = opened.as_ref().is_ok_and(|opened| opened.is_new);
        let own = opened.map(|opened| Arc::new(opened.identity)).map_err(|refused| refused.to_string());
        match &own {
            Ok(identity) => {
                say!(Class::IdentityReady, fingerprint = %fingerprint(&identity.node_id()), is_new, "the identity is ready")
            }
            Err(reason) => say!(Class::IdentityUnusable, "no peers: {reason}"),
        }
        let roster = RosterDesk::new(roster(store, own.as_deref().ok(), settings));
        let successions = successions(store.kept(shelves::PEERS)).collect();
        let report_files = ReportFiles::below(&places.data);
        Self { own, roster, successions, identity_path, report_files, known }
    }

    /// Goes on with the audit, and writes down a new identity, and damage of the store if the start found any.
    pub fn auditor(&self, store: &mut Store, damage: u64) -> Auditor {
        let mut auditor = Auditor::restore(store, self.own.as_ref().ok().cloned());
        let (mut entries, mut deeds) = (Vec::new(), Vec::new());
        if damage > 0 {
            deeds.push(AuditEntry { count: damage, ..entry(Deed::Damage) });
        }
        if let Ok(identity) = &self.own {
            let node = identity.node_id();
            let deed = match self.known {
                Some(known) if known == node => None,
                // A crash came between the file and the log.
                Some(known) => Some(rotated_from(known)),
                None => Some(AuditEntry { peer: Some(node), ..entry(Deed::IdentityCreated) }),
            };
            entries.extend(deed.iter().map(|_| known_as(node)));
            deeds.extend(deed);
        }
        write_down(&mut auditor, store, entries, &deeds);
        auditor
    }
}

/// Writes down what the start has found. What cannot be written now is found again at the next start.
fn write_down(auditor: &mut Auditor, store: &mut Store, entries: Vec<Entry>, deeds: &[AuditEntry]) {
    if entries.is_empty() && deeds.is_empty() {
        return;
    }
    if let Err(error) = auditor.append(store, entries, deeds, clock::now()) {
        say!(Class::IdentityUnwritten, %error, "the identity could not be written into the log");
    }
}

/// Returns the key that the log remembers.
fn known(store: &Store) -> Option<NodeId> {
    let kept = store.kept(shelves::OWN);
    let (_, value) = kept.into_iter().find(|(key, _)| key == shelves::OWN_KEY)?;
    value.try_into().ok().map(NodeId)
}

fn roster(store: &Store, own: Option<&Identity>, settings: &Settings) -> Roster {
    // Without an identity nobody is spoken to, and the roster is only shown.
    let mut roster = Roster::new(own.map_or(NodeId([0; 32]), Identity::node_id));
    let changes = store.kept(shelves::ROSTER).into_iter();
    roster.restore(changes.filter_map(|(_, value)| rmp_serde::from_slice::<RosterChange>(&value).ok()));
    if let Err(error) = roster.configure(&settings.mesh.peers, &settings.mesh.subnets) {
        say!(Class::ConfigPeersRefused, %error, "the peers of the configuration are refused");
    }
    roster
}
