//! How everything is: asks each actor for its part, and waits for none of them for long.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use actix::Recipient;
use karo_protocol::Timestamp;
use karo_protocol::local::{Status, StoreStatus};
use karo_protocol::mesh::MeshStatus;
use tokio::time::timeout;

use crate::actors::rules::RulesDesk;
use crate::actors::{audit, peers, query, spool, store};
use crate::clock;
use crate::counters::Counters;

/// How long an actor may take to say how it is; a writer in a slow sync takes longer.
const PATIENCE: Duration = Duration::from_millis(250);

/// What can be asked for the state of the daemon.
pub struct StatusDesk {
    /// What is the same for all of its life.
    pub identity: Identity,
    /// What is counted.
    pub counters: Arc<Counters>,
    /// Sessions there may be.
    pub sessions_max: Arc<AtomicU32>,
    /// The writer.
    pub store: Recipient<store::Report>,
    /// The search.
    pub query: Recipient<query::Report>,
    /// The spools.
    pub spool: Recipient<spool::Report>,
    /// The rules.
    pub rules: RulesDesk,
    /// The peers.
    pub peers: Recipient<peers::Report>,
    /// The audit.
    pub audit: Recipient<audit::Standing>,
}

/// What is the same for all of a daemon's life.
#[derive(Debug, Clone)]
pub struct Identity {
    /// When it started.
    pub started_at: Timestamp,
    /// The account it works for.
    pub user: String,
    /// The machine it runs on.
    pub host: String,
    /// Where its data lies.
    pub data: PathBuf,
    /// Where its socket lies.
    pub socket: PathBuf,
}

impl StatusDesk {
    /// Asks everybody, and says who did not answer.
    pub async fn report(&self) -> Status {
        let mut notices = Vec::new();
        let (store, found, spools, mesh, stood) = tokio::join!(
            timeout(PATIENCE, self.store.send(store::Report)),
            timeout(PATIENCE, self.query.send(query::Report)),
            timeout(PATIENCE, self.spool.send(spool::Report)),
            timeout(PATIENCE, self.peers.send(peers::Report)),
            timeout(PATIENCE, self.audit.send(audit::Standing)),
        );
        let mut store: StoreStatus = answered(store, "the store", &mut notices).unwrap_or_default();
        // Without an answer nothing is known to be searchable.
        let unknown = query::Found { partial_since: Some(Timestamp::MAX), ..query::Found::default() };
        let found = answered(found, "the search", &mut notices).unwrap_or(unknown);
        let spools = answered(spools, "the spool", &mut notices).unwrap_or_default();
        let mesh = answered(mesh, "the mesh", &mut notices).unwrap_or_default();
        let stood = answered(stood, "the audit", &mut notices).unwrap_or_default();
        notices.extend(mesh.notices);
        notices.extend(stood.faults.iter().map(|fault| format!("the audit: {fault}")));
        let mesh = MeshStatus { audit_size: stood.size, audit_witnessed: stood.witnessed, ..mesh.status };
        store.events = found.events;
        store.texts = found.texts;
        store.oldest = found.oldest;
        store.newest = found.newest;
        store.partial_since = found.partial_since;
        if let Some(since) = found.partial_since.filter(|_| !found.is_loading) {
            notices.push(format!(
                "the whole history takes more memory than the unit allows: what started before {} µs cannot be found; \
                 raise MemoryHigh= and MemoryMax=",
                since.as_micros()
            ));
        }
        let rules = self.rules.newest().map(|loaded| loaded.status()).unwrap_or_default();
        store.rules_version = rules.version;
        if let Some(reason) = &store.refusing {
            notices.push(format!("nothing is accepted: {reason}"));
        }
        if store.damage > 0 {
            notices.push(format!("{} damaged places in the log; run karoctl store verify", store.damage));
        }
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            started_at: self.identity.started_at,
            now: clock::now(),
            user: self.identity.user.clone(),
            host: self.identity.host.clone(),
            data_dir: self.identity.data.display().to_string(),
            socket: self.identity.socket.display().to_string(),
            spools,
            intake: self.counters.intake(),
            store,
            sessions: self.counters.sessions.load(Ordering::Relaxed),
            sessions_max: self.sessions_max.load(Ordering::Relaxed),
            refused_foreign: self.counters.refused_foreign.count(),
            malformed: self.counters.malformed.count(),
            resident_bytes: resident_bytes(),
            notices,
            rules,
            mesh,
        }
    }
}

/// Returns the answer, or none with a notice of who did not give it.
fn answered<T, E>(
    answer: Result<Result<T, E>, tokio::time::error::Elapsed>,
    who: &str,
    notices: &mut Vec<String>,
) -> Option<T> {
    match answer {
        Ok(Ok(answer)) => Some(answer),
        Ok(Err(_)) => {
            notices.push(format!("{who} has stopped"));
            None
        }
        Err(_) => {
            notices.push(format!("{who} is busy and did not answer within {} ms", PATIENCE.as_millis()));
            None
        }
    }
}

/// Returns the memory that is the daemon's own; zero where the system does not say.
pub fn resident_bytes() -> u64 {
    let Ok(status) = std::fs::read_to_string("/proc/self/status") else { return 0 };
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.and_then(|rest| rest.trim().trim_end_matches(" kB").parse::<u64>().ok());
    kib.unwrap_or(0) * 1024
}
