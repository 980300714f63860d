//! One of every message that peers exchange, and of every object that they sign.

mod sharing;

use karo_protocol::NodeId;
use karo_protocol::audit::{ConsistencyProof, Head};
use karo_protocol::node::{Hash, Nonce, Signature};
use karo_protocol::pair::{PairCommit, PairDone, PairEnd, PairMessage, PairNonce, PairRefusal, PairYes};
use karo_protocol::peer::{
    AuditAsk, AuditProof, Capabilities, Control, Goodbye, Hello, HelloAck, KeyRotationAck, Object, Parting,
    Ping, Pong, Rotation,
};

use crate::samples::at;
use crate::samples::mesh::{NODE, entry, signed};
use crate::samples::sharing::{group_file, summary};

/// What peers say to each other, each under the name of its golden frame.
pub(crate) fn controls() -> Vec<(&'static str, Control)> {
    let hello = Hello {
        versions: (1, 3),
        run: Nonce([7; 16]),
        now: at(8),
        next_key: Hash([9; 32]),
        program: "karod 0.1.0".to_owned(),
    };
    let ask = AuditAsk { log: Nonce([4; 16]), old_size: 100, new_size: 200 };
    let proof = AuditProof { ask, proof: Some(ConsistencyProof { hashes: vec![Hash([5; 32])] }) };
    let capabilities = Capabilities { names: vec!["audit".to_owned()] };
    let mut controls = vec![
        ("peer-hello", Control::Hello(hello)),
        ("peer-hello-ack", Control::HelloAck(HelloAck { version: 1, run: Nonce([7; 16]) })),
        ("peer-capabilities", Control::Capabilities(capabilities)),
        ("peer-ping", Control::Ping(Ping { number: 3, now: at(8), head: Some(signed()) })),
        ("peer-pong", Control::Pong(Pong { number: 3, now: at(9), run: Nonce([7; 16]), head: None })),
        (
            "peer-goodbye",
            Control::Goodbye(Goodbye { reason: Parting::Clock, message: "set the clock".to_owned() }),
        ),
        ("peer-rotation", Control::KeyRotation(signed())),
        ("peer-rotation-ack", Control::KeyRotationAck(KeyRotationAck { key: NODE, is_accepted: true })),
        ("peer-audit-ask", Control::AuditAsk(ask)),
        ("peer-audit-proof", Control::AuditProof(proof)),
        ("peer-audit-seen", Control::AuditSeen(signed())),
    ];
    controls.extend(sharing::controls());
    controls
}

/// What strangers say in a pairing, each under the name of its golden frame.
pub(crate) fn pairing() -> Vec<(&'static str, PairMessage)> {
    let commit = PairCommit { code: "k7m2qd".to_owned(), commitment: Hash([5; 32]) };
    let yes = PairYes { next_key: Hash([9; 32]), port: 9238, signature: Signature([0x22; 64]) };
    vec![
        ("pair-commit", PairMessage::Commit(commit)),
        ("pair-nonce", PairMessage::Nonce(PairNonce { nonce: Hash([6; 32]) })),
        ("pair-yes", PairMessage::Yes(yes)),
        ("pair-done", PairMessage::Done(PairDone {})),
        ("pair-end", PairMessage::End(PairEnd { reason: PairRefusal::Late })),
    ]
}

/// Objects that are signed, each under the name of its golden bytes.
pub(crate) fn objects() -> Vec<(&'static str, Vec<u8>)> {
    fn object<T: serde::Serialize>(body: T) -> Vec<u8> {
        let object = Object {
            issuer: NODE,
            audience: Some(NodeId([0x12; 32])),
            created: at(1),
            expires: at(2),
            id: Nonce([3; 16]),
            body,
        };
        rmp_serde::to_vec(&object).expect("an object can be written")
    }
    let head = Head { log: Nonce([4; 16]), size: 200, root: Hash([8; 32]) };
    let rotation = Rotation { key: NODE, next_key: Hash([9; 32]), proof: Signature([0x22; 64]) };
    vec![
        ("object-head", object(head)),
        ("object-rotation", object(rotation)),
        ("object-group", object(group_file())),
        ("object-atom", object(sharing::atom())),
        ("object-atom-seal", object(sharing::atom_seal())),
        ("object-atom-report", object(sharing::report())),
        ("object-summary", object(summary())),
        ("audit-entry", rmp_serde::to_vec(&entry()).expect("an entry can be written")),
    ]
}
