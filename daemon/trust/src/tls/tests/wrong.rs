//! Wrong handshakes: none of them makes a session, and the door is asked about nobody who has not proven a key.

use super::*;

#[test]
fn a_key_that_is_not_admitted_is_refused_within_the_handshake() {
    let pair = Pair::new();
    let node = pair.dialler.node_id();
    pair.door.refuse(node);
    let meeting = pair.meet(pair.client(), pair.server());
    assert_eq!(meeting.seen_by_server(), None);
    assert!(meeting.server.is_handshaking());
    let refusal = Refusal::Revoked { node };
    assert_eq!(meeting.refused_by_server(), Some(&Refused::Gate { node, refusal }));
    assert!(matches!(meeting.client_error, Some(Error::AlertReceived(_))));
}

#[test]
fn another_key_than_the_dialled_one_is_refused() {
    let pair = Pair::new();
    let other = Identity::generate(&mut Dice(7), Timestamp::default());
    let lying = Presented {
        offered: vec![(pair.listener.node_id().server_name(), other.current().certified())],
        alpn: ALPN,
    };
    let meeting = pair.meet(pair.client(), server(lying, Checked { expected: Expected::Anybody }));
    let expected = pair.listener.node_id();
    assert_eq!(meeting.refused_by_client(), Some(&Refused::Another { expected, found: other.node_id() }));
    assert_eq!(meeting.seen_by_server(), None);
}
