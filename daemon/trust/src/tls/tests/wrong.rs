//! Wrong handshakes: none of them makes a session, and the door is asked about nobody who has not proven a key.

use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::HandshakeKind;
use rustls::client::ClientSessionMemoryCache;
use rustls::crypto::ring::Ticketer;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{PrivateKeyDer, PrivatePkcs8KeyDer};
use rustls::server::ServerSessionMemoryCache;
use rustls::sign::SigningKey;

use super::*;

/// An RSA key of 2,048 bits and its certificate, and the first flight of a client that speaks TLS 1.2 alone:
/// `openssl req -x509 -newkey rsa:2048`, `openssl pkcs8 -topk8`, `openssl s_client -tls1_2 -alpn karo/1`, 3.0.19.
const RSA_KEY: &[u8] = include_bytes!("../../../tests/data/rsa.key.der");
const RSA_CERTIFICATE: &[u8] = include_bytes!("../../../tests/data/rsa.certificate.der");
const TLS_12_HELLO: &[u8] = include_bytes!("../../../tests/data/tls12.hello");

/// A certificate that says another node than the one it was made for.
fn with_node(certificate: &[u8], made_for: &NodeId, other: &NodeId) -> Vec<u8> {
    let mut bytes = certificate.to_vec();
    for (old, new) in [
        (made_for.as_bytes().to_vec(), other.as_bytes().to_vec()),
        (made_for.server_name().into_bytes(), other.server_name().into_bytes()),
    ] {
        let place = bytes.windows(old.len()).position(|window| window == old).unwrap();
        bytes[place..place + old.len()].copy_from_slice(&new);
    }
    bytes
}

fn other() -> Identity {
    Identity::generate(&mut Dice(7), Timestamp::default())
}

/// A certificate of a key with names of the test's choice.
fn named(key: &Key, names: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.self_signed(key).unwrap().der().clone()
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().unwrap())
}

fn own_name(key: &Key) -> SanType {
    dns(&key.node_id().server_name())
}

/// Shows these certificates and signs with this key, whether they belong together or not.
fn shown(certificates: Vec<CertificateDer<'static>>, key: Arc<dyn SigningKey>) -> Arc<CertifiedKey> {
    Arc::new(CertifiedKey::new(certificates, key))
}

fn rsa() -> Arc<CertifiedKey> {
    let key = any_supported_type(&PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(RSA_KEY))).unwrap();
    shown(vec![CertificateDer::from(RSA_CERTIFICATE)], key)
}

fn ecdsa(name: &str) -> Arc<CertifiedKey> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).unwrap();
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![dns(name)];
    let certificate = params.self_signed(&pair).unwrap().der().clone();
    let key = any_supported_type(&PrivateKeyDer::Pkcs8(pair.serialize_der().into())).unwrap();
    shown(vec![certificate], key)
}

/// What a side shows that is not right, with a name for the failure message.
fn wrong_certificates(key: &Key) -> Vec<(&'static str, Arc<CertifiedKey>)> {
    let own: Arc<dyn SigningKey> = Arc::new(key.clone());
    let right = key.certified().cert[0].clone();
    let name = || own_name(key);
    let url = SanType::URI("https://karo.example".try_into().unwrap());
    let mail = SanType::Rfc822Name("root@karo.example".try_into().unwrap());
    let address = SanType::IpAddress([10, 0, 0, 2].into());
    let single = |names| shown(vec![named(key, names)], Arc::clone(&own));
    let raw = |bytes: Vec<u8>| shown(vec![bytes.into()], Arc::clone(&own));
    let weak = NodeId([0; 32]);
    let weak = with_node(&right, &key.node_id(), &weak);
    vec![
        ("an RSA key", rsa()),
        ("an ECDSA key", ecdsa("karo.example")),
        ("an ECDSA key with a node's name", ecdsa(&key.node_id().server_name())),
        ("another node's name", single(vec![own_name(other().current())])),
        ("no name", single(Vec::new())),
        ("a second name", single(vec![name(), dns("karo.example")])),
        ("a second name before it", single(vec![dns("karo.example"), name()])),
        ("its name twice", single(vec![name(), name()])),
        ("an address besides", single(vec![name(), address])),
        ("a URI besides", single(vec![name(), url])),
        ("a mailbox besides", single(vec![name(), mail])),
        ("a name in capitals", single(vec![dns(&key.node_id().server_name().to_uppercase())])),
        ("two certificates", shown(vec![right.clone(), right.clone()], Arc::clone(&own))),
        ("a long certificate", single(vec![name(), dns(&"a.".repeat(500))])),
        ("no certificate's bytes", raw(vec![0x30, 0x03, 0x02, 0x01, 0x00])),
        ("a cut certificate", raw(right[..right.len() - 1].to_vec())),
        ("a certificate and a byte", raw([&right[..], &[0]].concat())),
        ("a key of small order", raw(weak)),
        ("a key that it does not hold", shown(vec![other().current().certified().cert[0].clone()], own)),
    ]
}

/// A configuration with something else about it.
fn changed<Config: Clone>(config: &Arc<Config>, change: impl FnOnce(&mut Config)) -> Arc<Config> {
    let mut config = (**config).clone();
    change(&mut config);
    Arc::new(config)
}

fn client_that_shows(pair: &Pair, key: Arc<CertifiedKey>) -> Arc<ClientConfig> {
    changed(&pair.client(), |config| config.client_auth_cert_resolver = Arc::new(Own(key)))
}

fn client_that_speaks(pair: &Pair, protocols: &[&[u8]]) -> Arc<ClientConfig> {
    let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
    changed(&pair.client(), |config| config.alpn_protocols = protocols)
}

/// A listener that lets everybody in who holds a key, and shows what it is told to.
fn server_that_shows(pair: &Pair, key: Arc<CertifiedKey>) -> Arc<ServerConfig> {
    let offered = vec![(pair.listener.node_id().server_name(), key)];
    server(Presented { offered, alpn: ALPN }, Checked { expected: Expected::Anybody })
}

#[test]
fn a_dialler_that_shows_something_else_gets_nowhere() {
    let pair = Pair::new();
    for (what, key) in wrong_certificates(pair.dialler.current()) {
        let meeting = pair.meet(client_that_shows(&pair, key), pair.server());
        assert_eq!(meeting.seen_by_server(), None, "{what}");
        assert!(meeting.server.is_handshaking(), "{what}");
        assert!(meeting.server_error.is_some(), "{what}");
    }
    assert!(pair.door.asked().is_empty(), "nobody has proven a key");
    assert!(pair.meet(pair.client(), pair.server()).seen_by_server().is_some());
}

#[test]
fn a_listener_that_shows_something_else_gets_nowhere() {
    let pair = Pair::new();
    for (what, key) in wrong_certificates(pair.listener.current()) {
        let meeting = pair.meet(pair.client(), server_that_shows(&pair, key));
        assert_eq!(meeting.seen_by_client(), None, "{what}");
        assert_eq!(meeting.seen_by_server(), None, "{what}: no certificate was sent to a stranger");
        assert!(meeting.client.is_handshaking(), "{what}");
    }
    let honest = server_that_shows(&pair, pair.listener.current().certified());
    assert!(pair.meet(pair.client(), honest).seen_by_client().is_some());
}

#[test]
fn another_key_than_the_dialled_one_is_refused() {
    let pair = Pair::new();
    let other = other();
    let meeting = pair.meet(pair.client(), server_that_shows(&pair, other.current().certified()));
    let expected = pair.listener.node_id();
    assert_eq!(meeting.refused_by_client(), Some(&Refused::Another { expected, found: other.node_id() }));
    assert_eq!(meeting.seen_by_server(), None);
}

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

/// Otherwise a stranger could ask, key by key, whom a node trusts, and be audited under another's name.
#[test]
fn the_door_is_asked_about_proven_keys_alone() {
    let pair = Pair::new();
    let theirs = other().current().certified().cert[0].clone();
    let stranger = client_that_shows(&pair, shown(vec![theirs], Arc::new(pair.dialler.current().clone())));
    for is_trusted in [true, false] {
        if !is_trusted {
            pair.door.refuse(other().node_id());
        }
        let meeting = pair.meet(Arc::clone(&stranger), pair.server());
        assert_eq!(meeting.refused_by_server(), Some(&Refused::Signature));
        assert!(pair.door.asked().is_empty());
    }
}

#[test]
fn a_dialler_without_a_certificate_gets_nowhere() {
    let pair = Pair::new();
    let anonymous = changed(&pair.client(), |config| config.client_auth_cert_resolver = Arc::new(Nothing));
    let meeting = pair.meet(anonymous, pair.server());
    assert_eq!(meeting.seen_by_server(), None);
    assert!(meeting.server.is_handshaking() && pair.door.asked().is_empty());
}

#[derive(Debug)]
struct Nothing;

impl ResolvesClientCert for Nothing {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        None
    }

    fn has_certs(&self) -> bool {
        false
    }
}

#[test]
fn a_dialler_of_another_protocol_gets_nowhere() {
    let pair = Pair::new();
    let wrong: [&[&[u8]]; 6] =
        [&[], &[b"h2"], &[ALPN_PAIR], &[b"karo/2"], &[b"KARO/1"], &[ALPN, b"http/1.1"]];
    for protocols in wrong {
        let meeting = pair.meet(client_that_speaks(&pair, protocols), pair.server());
        assert_eq!(meeting.seen_by_server(), None, "{protocols:?}");
        assert!(meeting.server.is_handshaking() && meeting.client.is_handshaking(), "{protocols:?}");
    }
    assert!(pair.door.asked().is_empty());
}

#[test]
fn a_listener_that_names_no_protocol_is_left() {
    let pair = Pair::new();
    let mut silent = ServerConfig::builder_with_details(provider(), Arc::new(Timeless))
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap()
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(
            pair.listener.current().certified(),
        )));
    silent.alpn_protocols = Vec::new();
    let meeting = pair.meet(pair.client(), Arc::new(silent));
    assert!(!meeting.client.is_handshaking(), "rustls goes on, and so it is ours to look");
    assert_eq!(settled(&meeting.client, ALPN), Err(Refused::Protocol));
}

#[test]
fn a_dialler_that_asks_for_another_gets_nowhere() {
    let pair = Pair::new();
    for name in
        [other().node_id().server_name(), PAIR_NAME.to_owned(), "karo".to_owned(), "10.0.0.2".to_owned()]
    {
        let name = ServerName::try_from(name).unwrap();
        let meeting = Meeting::of(pair.client(), name.clone(), pair.server());
        assert_eq!(meeting.seen_by_server(), None, "{name:?}");
        assert!(meeting.server.is_handshaking(), "{name:?}");
    }
    let nameless = changed(&pair.client(), |config| config.enable_sni = false);
    assert_eq!(pair.meet(nameless, pair.server()).seen_by_server(), None);
}

/// A dialler that would take up a session again, and send data early, if it were let.
fn eager(pair: &Pair) -> Arc<ClientConfig> {
    changed(&pair.client(), |eager| {
        eager.resumption = Resumption::store(Arc::new(ClientSessionMemoryCache::new(8)));
        eager.enable_early_data = true;
    })
}

/// A listener as rustls makes them: sessions are kept, and tickets given.
fn generous(pair: &Pair, early_bytes: u32) -> Arc<ServerConfig> {
    changed(&pair.server(), |generous| {
        generous.session_storage = ServerSessionMemoryCache::new(8);
        generous.send_tls13_tickets = 2;
        generous.max_early_data_size = early_bytes;
    })
}

#[test]
fn a_revoked_key_does_not_come_back_by_its_session() {
    let pair = Pair::new();
    let (client, server) = (eager(&pair), pair.server());
    let first = pair.meet(Arc::clone(&client), Arc::clone(&server));
    assert!(first.seen_by_server().is_some());
    assert_eq!(first.client.tls13_tickets_received(), 0);
    pair.door.refuse(pair.dialler.node_id());
    let second = pair.meet(client, server);
    assert_eq!(second.seen_by_server(), None);
    assert_eq!(pair.door.asked().len(), 2);

    // The same with a listener of rustls's defaults: this is what the lines in `server` are for.
    let pair = Pair::new();
    let (client, server) = (eager(&pair), generous(&pair, 0));
    pair.meet(Arc::clone(&client), Arc::clone(&server));
    pair.door.refuse(pair.dialler.node_id());
    assert!(pair.meet(client, server).seen_by_server().is_some());
}

#[test]
fn our_dialler_takes_up_no_session() {
    let pair = Pair::new();
    let (client, server) = (pair.client(), generous(&pair, 0));
    for _ in 0..2 {
        let meeting = pair.meet(Arc::clone(&client), Arc::clone(&server));
        assert_eq!(meeting.client.handshake_kind(), Some(HandshakeKind::Full));
    }
}

#[test]
fn early_data_are_not_taken() {
    let pair = Pair::new();
    let (client, generous) = (eager(&pair), generous(&pair, 1024));
    let early = |client: &Arc<ClientConfig>, server: Arc<ServerConfig>| {
        let mut client = ClientConnection::new(Arc::clone(client), pair.name()).unwrap();
        let offered = client.early_data().map(|mut early| early.write(b"early").unwrap());
        let mut server = ServerConnection::new(server).unwrap();
        for _ in 0..4 {
            assert_eq!(carry(&mut client, &mut server).or(carry(&mut server, &mut client)), None);
        }
        (offered, client.is_early_data_accepted(), server.handshake_kind())
    };
    assert_eq!(early(&client, Arc::clone(&generous)), (None, false, Some(HandshakeKind::Full)));
    assert_eq!(early(&client, pair.server()), (Some(5), false, Some(HandshakeKind::Full)));
    // And ours gives nothing that they could come with the next time.
    let (client, ours) = (eager(&pair), pair.server());
    for _ in 0..2 {
        assert_eq!(early(&client, Arc::clone(&ours)), (None, false, Some(HandshakeKind::Full)));
    }
}

#[test]
fn a_ticket_is_worth_nothing() {
    let pair = Pair::new();
    let ticketer = Ticketer::new().unwrap();
    let giving = changed(&generous(&pair, 0), |config| config.ticketer = ticketer);
    let client = eager(&pair);
    pair.meet(Arc::clone(&client), Arc::clone(&giving));
    let resumed = pair.meet(Arc::clone(&client), giving);
    assert_eq!(resumed.server.handshake_kind(), Some(HandshakeKind::Resumed));
    let ours = pair.meet(client, pair.server());
    assert_eq!(ours.server.handshake_kind(), Some(HandshakeKind::Full));
}

/// Gives a listener these bytes and nothing else; tells whether it has a session, or ever might.
fn heard(server: &Arc<ServerConfig>, mut bytes: &[u8]) -> Result<bool, Error> {
    let mut connection = ServerConnection::new(Arc::clone(server)).unwrap();
    while !bytes.is_empty() && connection.wants_read() {
        connection.read_tls(&mut bytes).unwrap();
        connection.process_new_packets()?;
    }
    Ok(!connection.is_handshaking())
}

#[test]
fn what_is_no_handshake_gets_nowhere() {
    let pair = Pair::new();
    let server = pair.server();
    let refused: [(&str, &[u8]); 6] = [
        ("TLS 1.2", TLS_12_HELLO),
        ("HTTP", b"GET / HTTP/1.1\r\nHost: karo\r\n\r\n"),
        ("SSH", b"SSH-2.0-OpenSSH_9.2p1\r\n"),
        ("zeros", &[0; 4096]),
        ("a long record", &[0x16, 0x03, 0x01, 0xff, 0xff, 0x01]),
        ("data before a handshake", &[0x17, 0x03, 0x03, 0x00, 0x01, 0x00]),
    ];
    for (what, bytes) in refused {
        assert!(heard(&server, bytes).is_err(), "{what}");
    }
    let mut client = ClientConnection::new(pair.client(), pair.name()).unwrap();
    let mut hello = Vec::new();
    client.write_tls(&mut hello).unwrap();
    for length in 0..=hello.len() {
        assert_eq!(heard(&server, &hello[..length]), Ok(false), "{length} bytes");
    }
}

/// Runs a handshake in which one byte of what the dialler sends is changed; `None` past the end of it.
fn meets_through_noise(
    client: &Arc<ClientConfig>,
    server: &Arc<ServerConfig>,
    pair: &Pair,
    place: usize,
) -> Option<bool> {
    let mut dialler = ClientConnection::new(Arc::clone(client), pair.name()).unwrap();
    let mut listener = ServerConnection::new(Arc::clone(server)).unwrap();
    let mut sent = 0;
    for _ in 0..3 {
        let mut bytes = Vec::new();
        while dialler.wants_write() {
            dialler.write_tls(&mut bytes).unwrap();
        }
        if let Some(byte) = place.checked_sub(sent).and_then(|place| bytes.get_mut(place)) {
            *byte ^= 1 << (place % 8);
        }
        sent += bytes.len();
        let mut rest = &bytes[..];
        while !rest.is_empty() {
            listener.read_tls(&mut rest).unwrap();
            if listener.process_new_packets().is_err() {
                return Some(false);
            }
        }
        carry(&mut listener, &mut dialler);
    }
    (place < sent).then(|| settled(&listener, ALPN).is_ok())
}

/// Each byte of what a dialler sends, in turn, on its way to the listener. What passes is one byte of each of its
/// three records that TLS 1.3 says nobody reads: the lower one of the version (RFC 8446, section 5.1).
#[test]
fn a_handshake_that_was_changed_on_its_way_gets_nowhere() {
    let pair = Pair::new();
    let (client, server) = (pair.client(), pair.server());
    let outcomes: Vec<bool> =
        (0..).map_while(|place| meets_through_noise(&client, &server, &pair, place)).collect();
    let passed = outcomes.iter().filter(|is_session| **is_session).count();
    assert!(outcomes.len() > 500, "{} handshakes", outcomes.len());
    assert_eq!(passed, 3);
}

#[test]
fn a_certificate_is_read_as_what_it_is() {
    let identity = other();
    let right = identity.current().certified().cert[0].clone();
    assert_eq!(peer_of(std::slice::from_ref(&right)), Ok(identity.node_id()));
    assert!(right.len() < crate::certificate::CERTIFICATE_BYTES_MAX / 2, "{} bytes", right.len());
    let weak = with_node(&right, &identity.node_id(), &NodeId([0; 32]));
    assert_eq!(peer_of(&[weak.into()]), Err(BadCertificate::WeakKey));
    let sound = with_node(&right, &identity.node_id(), &NodeId([2; 32]));
    assert_eq!(peer_of(&[sound.into()]), Ok(NodeId([2; 32])), "the certificate's own signature says nothing");
    assert_eq!(peer_of(&[]), Err(BadCertificate::None));
    assert_eq!(peer_of(&[right.clone(), right]), Err(BadCertificate::Several(2)));
    assert_eq!(peer_of(&rsa().cert), Err(BadCertificate::NotEd25519));
    assert_eq!(peer_of(&[vec![0x30; 1025].into()]), Err(BadCertificate::TooLong(1025)));
}
