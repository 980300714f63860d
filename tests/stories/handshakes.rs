//! Handshakes that are none, at the port of a real daemon: what each says, and how it is said.

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, TcpStream};
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_protocol::peer::{ALPN, ALPN_PAIR};
use karo_protocol::{NodeId, Timestamp};
use karo_tests::PATIENCE;
use karo_trust::identity::Key;
use karo_trust::{Identity, System, tls};
use rcgen::{CertificateParams, KeyPair, PKCS_ECDSA_P256_SHA256, SanType};
use rustls::client::{ResolvesClientCert, Resumption};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::sign::{CertifiedKey, SigningKey};
use rustls::{ClientConfig, ClientConnection, SignatureScheme, StreamOwned};

/// What `openssl` made for the tests of handshakes in memory.
const RSA_KEY: &[u8] = include_bytes!("../../daemon/trust/tests/data/rsa.key.der");
const RSA_CERTIFICATE: &[u8] = include_bytes!("../../daemon/trust/tests/data/rsa.certificate.der");
const TLS_12_HELLO: &[u8] = include_bytes!("../../daemon/trust/tests/data/tls12.hello");

/// A handshake that must come to nothing.
pub(crate) enum Wrong {
    /// These bytes, and then the end.
    Bytes(Vec<u8>),
    /// TLS, with something about it that is not right.
    Tls(Arc<ClientConfig>, ServerName<'static>),
}

/// Makes an identity that no daemon has.
pub(crate) fn somebody() -> Identity {
    Identity::generate(&mut System::default(), Timestamp::default())
}

/// Tells whether the other side has not closed a connection that it says nothing over.
pub(crate) fn is_held(tcp: &TcpStream) -> bool {
    tcp.set_nonblocking(true).expect("a socket can be asked without waiting");
    let mut bytes = [0; 4096];
    loop {
        match (&*tcp).read(&mut bytes) {
            Ok(0) => return false,
            Ok(_) => {}
            Err(error) => return error.kind() == ErrorKind::WouldBlock,
        }
    }
}

/// Sends a byte a second for as long as it is called: many times in each.
pub(crate) fn trickle(mut tcp: impl Write, mut bytes: &[u8]) -> impl FnMut() {
    let mut last = Instant::now();
    move || {
        if last.elapsed() >= Duration::from_secs(1) {
            last = Instant::now();
            if let Some((byte, rest)) = bytes.split_first() {
                // Whether the other side is still there is for the story to find out.
                drop(tcp.write_all(&[*byte]));
                bytes = rest;
            }
        }
    }
}

/// A connection over which the daemon has said something.
pub(crate) type Greeted = StreamOwned<ClientConnection, TcpStream>;

/// What strangers know of the daemon that they are at.
pub(crate) struct Target<'a> {
    /// Where it listens.
    pub(crate) address: &'a str,
    /// Its key.
    pub(crate) node: NodeId,
    /// A node that it trusts: its certificate is known to everybody, its key is not.
    pub(crate) trusted: NodeId,
    /// Of keys that it knows and refuses; they may hold sessions of better days.
    pub(crate) refused: Vec<(&'static str, Arc<ClientConfig>)>,
}

impl Target<'_> {
    /// Connects.
    pub(crate) fn connect(&self) -> TcpStream {
        let tcp = TcpStream::connect(self.address).expect("the daemon listens");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a socket has a timeout");
        tcp
    }

    /// Returns the first bytes of an honest handshake.
    pub(crate) fn hello(&self) -> Vec<u8> {
        let config = tls::client_config(&somebody(), self.node);
        let mut connection =
            ClientConnection::new(config, tls::server_name(self.node)).expect("the name is one");
        let mut bytes = Vec::new();
        connection.write_tls(&mut bytes).expect("memory takes bytes");
        bytes
    }

    /// Makes what takes sessions up again and sends data early, where it is let.
    pub(crate) fn eager(&self, identity: &Identity) -> Arc<ClientConfig> {
        changed(&tls::client_config(identity, self.node), |config| {
            config.resumption = Resumption::in_memory_sessions(8);
            config.enable_early_data = true;
        })
    }

    /// Shakes hands, and reads the first byte behind that; `None` where there is none.
    pub(crate) fn greeted(&self, config: &Arc<ClientConfig>) -> Option<Greeted> {
        self.shake(Arc::clone(config), tls::server_name(self.node))
    }

    /// Shakes hands as whoever wants to pair, and says nothing; `None` where nobody waits to be paired with.
    pub(crate) fn meets(&self, identity: &Identity) -> Option<Greeted> {
        let config = tls::pair_client_config(identity);
        let connection = ClientConnection::new(config, tls::pair_server_name()).expect("the name is one");
        let mut stream = StreamOwned::new(connection, self.connect());
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock).ok()?;
        }
        Some(stream)
    }

    fn shake(&self, config: Arc<ClientConfig>, name: ServerName<'static>) -> Option<Greeted> {
        let connection = ClientConnection::new(config, name).expect("the configuration is one");
        let mut stream = StreamOwned::new(connection, self.connect());
        // In TLS 1.3 a client is done before it is judged: only what the daemon says then is a session.
        matches!(stream.read(&mut [0; 1]), Ok(1)).then_some(stream)
    }

    /// Tells whether a handshake that must come to nothing makes a session; returns when the daemon has closed it.
    pub(crate) fn lets_in(&self, wrong: Wrong) -> bool {
        match wrong {
            Wrong::Tls(config, name) => self.shake(config, name).is_some(),
            Wrong::Bytes(bytes) => {
                let mut tcp = self.connect();
                // It may close before it has heard all.
                let said = tcp.write_all(&bytes).and_then(|()| tcp.shutdown(Shutdown::Write));
                let heard = said.and_then(|()| tcp.read_to_end(&mut Vec::new()));
                assert!(heard.is_ok() || heard.is_err_and(|error| error.raw_os_error().is_some()));
                false
            }
        }
    }

    /// Returns handshakes that must come to nothing, each with what is wrong with it.
    pub(crate) fn wrong(&self) -> Vec<(&'static str, Wrong)> {
        let bytes = self.wrong_bytes().into_iter().map(|(what, bytes)| (what, Wrong::Bytes(bytes)));
        bytes.chain(self.wrong_tls()).collect()
    }

    fn wrong_bytes(&self) -> Vec<(&'static str, Vec<u8>)> {
        let hello = self.hello();
        let mut flipped = hello.clone();
        flipped[60] ^= 1;
        let mut longer = hello.clone();
        longer[4] = longer[4].wrapping_add(1);
        vec![
            ("nothing", Vec::new()),
            ("one byte", vec![0x16]),
            ("HTTP", b"GET / HTTP/1.1\r\nHost: karo\r\n\r\n".to_vec()),
            ("SSH", b"SSH-2.0-OpenSSH_9.2\r\n".to_vec()),
            ("zeros", vec![0; 4096]),
            ("a hello of TLS 1.2", TLS_12_HELLO.to_vec()),
            ("a hello of SSL 2", vec![0x80, 0x2e, 0x01, 0x00, 0x02, 0x00, 0x15]),
            ("the head of a record", hello[..5].to_vec()),
            ("half a hello", hello[..hello.len() / 2].to_vec()),
            ("a hello and the end", hello.clone()),
            ("a hello twice", [&hello[..], &hello[..]].concat()),
            ("a hello with a flipped bit and the end", flipped),
            ("a hello of another length", longer),
            ("a record of 64 KiB", [&[0x16, 3, 1, 0xff, 0xff][..], &[1; 1024]].concat()),
            ("an alert", vec![0x15, 3, 3, 0, 2, 2, 40]),
            ("data of the application", [&[0x17, 3, 3, 0, 16][..], &[7; 16]].concat()),
            ("a frame without TLS", b"KARO\x00\x01\x00\x01\x00\x00\x00\x00".to_vec()),
            ("a frame of yamux without TLS", vec![0, 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]),
        ]
    }

    fn wrong_tls(&self) -> Vec<(&'static str, Wrong)> {
        let me = somebody();
        let name = || tls::server_name(self.node);
        let shows = |key| {
            let resolver = Arc::new(Shows(Some(key)));
            changed(&tls::client_config(&me, self.node), |config| config.client_auth_cert_resolver = resolver)
        };
        let speaks = |protocols: &[&[u8]]| {
            let protocols = protocols.iter().map(|protocol| protocol.to_vec()).collect();
            changed(&tls::client_config(&me, self.node), |config| config.alpn_protocols = protocols)
        };
        let with = |change: fn(&mut ClientConfig)| changed(&tls::client_config(&me, self.node), change);
        let honest = || tls::client_config(&me, self.node);
        let own: Arc<dyn SigningKey> = Arc::new(me.current().clone());
        let single = |names| Arc::new(CertifiedKey::new(vec![named(me.current(), names)], Arc::clone(&own)));
        let mine = || dns(&me.node_id().server_name());
        let right = named(me.current(), vec![mine()]);
        let theirs = dns(&self.trusted.server_name());
        let asked = |text: &str| ServerName::try_from(text.to_owned()).expect("a name of DNS");
        let mut wrong = vec![
            ("a stranger", honest(), name()),
            ("a trusted name over another key", shows(single(vec![theirs])), name()),
            ("no name", shows(single(Vec::new())), name()),
            ("two names", shows(single(vec![mine(), dns("karo.example")])), name()),
            ("two certificates", shows(Arc::new(CertifiedKey::new(vec![right.clone(), right], own))), name()),
            ("an RSA key", shows(rsa()), name()),
            ("an ECDSA key", shows(ecdsa(&self.trusted.server_name())), name()),
            (
                "no certificate",
                with(|config| config.client_auth_cert_resolver = Arc::new(Shows(None))),
                name(),
            ),
            ("no protocol", speaks(&[]), name()),
            ("HTTP/2", speaks(&[b"h2"]), name()),
            ("the protocol of pairings", speaks(&[ALPN_PAIR]), name()),
            ("two protocols", speaks(&[ALPN, b"h2"]), name()),
            ("a later protocol", speaks(&[b"karo/2"]), name()),
            ("nobody asked for", with(|config| config.enable_sni = false), name()),
            ("a pairing asked for", honest(), tls::pair_server_name()),
            ("another name asked for", honest(), asked("karo.example")),
            ("another node asked for", honest(), tls::server_name(me.node_id())),
        ];
        wrong.extend(self.refused.iter().map(|(what, config)| (*what, Arc::clone(config), name())));
        wrong.into_iter().map(|(what, config, name)| (what, Wrong::Tls(config, name))).collect()
    }
}

/// A configuration with something else about it.
fn changed(config: &Arc<ClientConfig>, change: impl FnOnce(&mut ClientConfig)) -> Arc<ClientConfig> {
    let mut config = (**config).clone();
    change(&mut config);
    Arc::new(config)
}

/// Shows this certificate, or none, whatever is asked for.
#[derive(Debug)]
struct Shows(Option<Arc<CertifiedKey>>);

impl ResolvesClientCert for Shows {
    fn resolve(&self, _: &[&[u8]], _: &[SignatureScheme]) -> Option<Arc<CertifiedKey>> {
        self.0.clone()
    }

    fn has_certs(&self) -> bool {
        self.0.is_some()
    }
}

fn dns(name: &str) -> SanType {
    SanType::DnsName(name.try_into().expect("a name of DNS"))
}

/// A certificate of a key with names of the story's choice.
fn named(key: &Key, names: Vec<SanType>) -> CertificateDer<'static> {
    let mut params = CertificateParams::default();
    params.subject_alt_names = names;
    params.self_signed(key).expect("a key signs its certificate").der().clone()
}

fn rsa() -> Arc<CertifiedKey> {
    let key = PrivateKeyDer::Pkcs8(PrivatePkcs8KeyDer::from(RSA_KEY));
    let key = any_supported_type(&key).expect("an RSA key");
    Arc::new(CertifiedKey::new(vec![CertificateDer::from(RSA_CERTIFICATE)], key))
}

fn ecdsa(name: &str) -> Arc<CertifiedKey> {
    let pair = KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256).expect("the system has randomness");
    let mut params = CertificateParams::default();
    params.subject_alt_names = vec![dns(name)];
    let certificate = params.self_signed(&pair).expect("a key signs its certificate").der().clone();
    let key = PrivateKeyDer::Pkcs8(pair.serialize_der().into());
    let key = any_supported_type(&key).expect("an ECDSA key");
    Arc::new(CertifiedKey::new(vec![certificate], key))
}
