//! One message of every type about identity, peers and audit.

use karo_protocol::audit::{
    AuditEntry, AuditExport, AuditFilter, AuditRow, AuditVerified, Deed, InclusionProof, LogVerified, Reason,
};
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{
    Candidate, Change, IdentityBackup, IdentityRestore, IdentityShown, LinkMoment, LinkState, MeshStatus,
    Pair, PairAnswer, PairSide, Pairing, Passphrase, PeerAdd, PeerChange, PeerRow, PeerShown, PeersAsk,
    PeersTable, Pinged, TestStep,
};
use karo_protocol::node::{Hash, Nonce, Signature};
use karo_protocol::peer::Signed;
use karo_protocol::{Bytes, Fingerprint, NodeId, Trust};

use super::at;

pub(crate) const NODE: NodeId = NodeId([0x11; 32]);

pub(crate) fn signed() -> Signed {
    Signed { bytes: Bytes::from("object"), signature: Signature([0x22; 64]) }
}

pub(crate) fn mesh_status() -> MeshStatus {
    MeshStatus {
        node_id: Some(NODE),
        fingerprint: Some(Fingerprint([1; 8])),
        listening: vec!["10.0.0.1:9238".to_owned()],
        peers: 3,
        connected: 2,
        audit_size: 200,
        audit_witnessed: Some(190),
    }
}

fn row() -> PeerRow {
    PeerRow {
        name: "laptop".to_owned(),
        node_id: NODE,
        fingerprint: Fingerprint([1, 2, 3, 4, 5, 6, 7, 8]),
        state: LinkState::Connected,
        since: at(5),
        reason: Some("dialled".to_owned()),
        address: Some("10.0.0.2:9238".to_owned()),
        trust: Trust::Peer,
        owner: Some("ada".to_owned()),
        rtt_us: Some(400),
        skew_us: Some(-1200),
        version: Some("karod 0.1.0".to_owned()),
        expires_at: Some(at(9)),
        is_configured: true,
    }
}

pub(crate) fn entry() -> AuditEntry {
    AuditEntry {
        at: at(7),
        deed: Deed::Refused,
        peer: Some(NODE),
        count: 3,
        trust: Some(Trust::Member),
        day: Some(20_000),
        reason: Reason::Flood,
        other: Some(Hash([9; 32])),
    }
}

fn add() -> PeerAdd {
    PeerAdd {
        node_id: NODE,
        addresses: vec!["10.0.0.2:9238".to_owned()],
        trust: Trust::ShareTo,
        name: Some("laptop".to_owned()),
        owner: Some("ada".to_owned()),
        expires_at: Some(at(9)),
    }
}

fn pair(side: PairSide) -> Request {
    Request::Pair(Pair {
        side,
        trust: Trust::Member,
        name: Some("laptop".to_owned()),
        owner: Some("ada".to_owned()),
    })
}

fn change(change: Change) -> Request {
    Request::PeerChange(PeerChange { peer: "laptop".to_owned(), change })
}

fn filter() -> AuditFilter {
    AuditFilter {
        since: Some(at(1)),
        until: Some(at(2)),
        deeds: vec![Deed::Connected, Deed::Refused],
        peer: Some("laptop".to_owned()),
        limit: Some(10),
    }
}

pub(crate) fn requests() -> Vec<(&'static str, Request)> {
    let passphrase = || Passphrase("correct horse".to_owned());
    let restore = IdentityRestore { backup: Bytes::from("sealed"), passphrase: passphrase(), replace: true };
    let dial = PairSide::Dial { code: "4711".to_owned(), address: "10.0.0.2:9239".to_owned() };
    vec![
        ("request-identity", Request::Identity(())),
        ("request-identity-backup", Request::IdentityBackup(IdentityBackup { passphrase: passphrase() })),
        ("request-identity-restore", Request::IdentityRestore(restore)),
        ("request-identity-rotate", Request::IdentityRotate(())),
        ("request-peers", Request::Peers(PeersAsk { unless: Some(4) })),
        ("request-peer-add", Request::PeerAdd(add())),
        ("request-peer-trust", change(Change::Trust(Trust::QueryFrom))),
        ("request-peer-rename", change(Change::Rename("desk".to_owned()))),
        ("request-peer-remove", change(Change::Remove)),
        ("request-peer-revoke", change(Change::Revoke)),
        ("request-peer-confirm", change(Change::Confirm)),
        ("request-peer-show", Request::PeerShow("lap".to_owned())),
        ("request-peer-ping", Request::PeerPing("lap".to_owned())),
        ("request-peer-test", Request::PeerTest("lap".to_owned())),
        ("request-candidates", Request::Candidates(())),
        ("request-pair-listen", pair(PairSide::Listen { address: Some("0.0.0.0:9239".to_owned()) })),
        ("request-pair-dial", pair(dial)),
        ("request-pair-answer", Request::PairAnswer(PairAnswer { is_yes: true })),
        ("request-audit", Request::Audit(filter())),
        ("request-audit-verify", Request::AuditVerify(())),
        ("request-audit-head", Request::AuditHead(())),
        ("request-audit-export", Request::AuditExport(filter())),
    ]
}

fn shown() -> PeerShown {
    let moment = LinkMoment {
        at: at(3),
        state: LinkState::TimedOut,
        reason: Some("nothing heard for 45 s".to_owned()),
        address: Some("10.0.0.2:9238".to_owned()),
    };
    PeerShown {
        row: row(),
        addresses: vec!["10.0.0.2:9238".to_owned()],
        history: vec![moment],
        next_try_at: Some(at(8)),
        advice: vec!["start karod there".to_owned()],
        witnessed: Some(120),
        capabilities: vec!["audit".to_owned()],
    }
}

fn pairings() -> Vec<(&'static str, Reply)> {
    let waiting = Pairing::Waiting {
        code: "4711".to_owned(),
        addresses: vec!["10.0.0.1:9239".to_owned()],
        seconds: 120,
    };
    let words = Pairing::Words {
        words: ["four", "words", "are", "seen"].map(str::to_owned).to_vec(),
        node_id: NODE,
        fingerprint: Fingerprint([1; 8]),
    };
    vec![
        ("reply-pairing-waiting", Reply::Pairing(waiting)),
        ("reply-pairing-words", Reply::Pairing(words)),
        ("reply-pairing-waited", Reply::Pairing(Pairing::Waited)),
        ("reply-pairing-paired", Reply::Pairing(Pairing::Paired(Box::new(row())))),
        (
            "reply-pairing-failed",
            Reply::Pairing(Pairing::Failed { reason: "the other side said no".to_owned() }),
        ),
    ]
}

fn audits() -> Vec<(&'static str, Reply)> {
    let audit = AuditRow {
        log: Nonce([4; 16]),
        index: 7,
        entry: Some(entry()),
        peer_name: Some("laptop".to_owned()),
    };
    let expired = AuditRow { entry: None, peer_name: None, ..audit };
    let verified = LogVerified {
        log: Nonce([4; 16]),
        size: 200,
        expired: 3,
        bad: vec![17],
        bad_count: 1,
        faults: vec!["the head is not of this log".to_owned()],
        witnessed: Some((190, NODE)),
        head: Some(signed()),
    };
    let proof = InclusionProof { hashes: vec![Hash([5; 32])] };
    let export = AuditExport {
        node: NODE,
        head: signed(),
        entries: [(7, (Nonce([6; 16]), Bytes::from("entry"), proof))].into(),
    };
    vec![
        ("reply-audit-rows", Reply::AuditRows(vec![audit, expired])),
        ("reply-audit-verified", Reply::AuditVerified(AuditVerified { logs: vec![verified] })),
        ("reply-audit-head", Reply::AuditHead(Some(signed()))),
        ("reply-audit-export", Reply::AuditExport(Box::new(export))),
    ]
}

pub(crate) fn replies() -> Vec<(&'static str, Reply)> {
    let identity = IdentityShown {
        node_id: NODE,
        fingerprint: Fingerprint([1; 8]),
        created_at: at(1),
        path: "/home/ada/.local/share/karo/identity.key".to_owned(),
        rotated_at: Some(at(2)),
        listening: vec!["10.0.0.1:9238".to_owned()],
        silent_because: Some("there are no peers".to_owned()),
    };
    let pinged =
        Pinged { name: "laptop".to_owned(), rtt_us: 300, skew_us: -5, path: "tcp 10.0.0.2:9238".to_owned() };
    let step = TestStep {
        step: "TLS handshake".to_owned(),
        took_us: 800,
        error: Some("refused".to_owned()),
        advice: Some("add this node there".to_owned()),
    };
    let candidate = Candidate {
        fingerprint: Some(Fingerprint([1; 8])),
        name: "desk".to_owned(),
        addresses: vec!["10.0.0.3:9238".to_owned()],
        version: Some("1".to_owned()),
        source: "mdns".to_owned(),
        seen_at: at(4),
        peer: Some("laptop".to_owned()),
    };
    let mut replies = vec![
        ("reply-identity", Reply::Identity(Box::new(identity))),
        ("reply-identity-backup", Reply::IdentityBackup(Bytes::from("sealed"))),
        ("reply-peers", Reply::Peers(PeersTable { change: 4, rows: vec![row()] })),
        ("reply-peer", Reply::Peer(Box::new(row()))),
        ("reply-peer-shown", Reply::PeerShown(Box::new(shown()))),
        ("reply-pinged", Reply::Pinged(pinged)),
        ("reply-peer-tested", Reply::PeerTested(vec![step])),
        ("reply-candidates", Reply::Candidates(vec![candidate])),
    ];
    replies.extend(pairings());
    replies.extend(audits());
    replies
}
