//! What a link costs, beside bare TLS 1.3 over TCP in the same run: the same configurations (ring, mutual, the key
//! pinned), the same two threads, in turn.
//!
//! `cargo bench -p karo-fabric --bench link [-- connects|round-trips|frames|bulk|idle]...`. The dialler and the listener have a thread and a runtime each. The
//! floor of a round trip with signatures is that of bare TLS and two signs and two verifies of ring.

#![expect(clippy::print_stdout, reason = "a benchmark is read by people")]
#![expect(clippy::unwrap_used, reason = "a benchmark that cannot run says where")]

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_fabric::link::{Authenticated, ConnectionId, LinkEvent, Loss, Machine, Moment, Output, Settings};
use karo_fabric::net::control::{Receiver, Sender};
use karo_fabric::net::{Connection, Dialled, Link, Listening, Tcp, accept, dial};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{Capabilities, Control};
use karo_protocol::{NodeId, Timestamp};
use karo_trust::roster::Refusal;
use karo_trust::tls::{self, Gate};
use karo_trust::{Identity, Signer, System, verify};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector, client};

const PATIENCE: Duration = Duration::from_secs(10);
const CONNECTS: usize = 400;
const ROUND_TRIPS: usize = 4000;
const FRAMES: usize = 20_000;
const BULK_BYTES: usize = 512 * 1024 * 1024;
const LINKS: usize = 200;
const CHUNK: usize = 64 * 1024;

#[derive(Debug)]
struct Anybody;

impl Gate for Anybody {
    fn admits(&self, _: NodeId) -> Result<(), Refusal> {
        Ok(())
    }
}

/// What a listener does with a connection.
#[derive(Debug, Clone, Copy)]
enum Role {
    /// Bare TLS: echoes.
    Echo,
    /// Bare TLS: swallows, and answers one byte at the end.
    Sink,
    /// A link: its machine, until it is lost.
    Link,
    /// A link without a machine: echoes control frames, swallows streams.
    Raw,
}

/// Both ends' identities, and where each role is played.
struct World {
    dialler: Arc<Identity>,
    listener: Arc<Identity>,
    config: Arc<rustls::ClientConfig>,
    addresses: Vec<SocketAddr>,
}

fn main() {
    let identity = || Arc::new(Identity::generate(&mut System::default(), Timestamp::from_micros(0)));
    let (dialler, listener) = (identity(), identity());
    let addresses = serve(&listener);
    let config = tls::client_config(dialler.as_ref(), listener.node_id());
    let world = World { dialler, listener, config, addresses };
    runtime().block_on(async {
        if is_wanted("connects") {
            connects(&world).await;
        }
        if is_wanted("round-trips") {
            round_trips(&world).await;
        }
        if is_wanted("frames") {
            frames(&world).await;
        }
        if is_wanted("bulk") {
            bulk(&world).await;
        }
        if is_wanted("idle") {
            idle(&world).await;
        }
    });
}

/// Whether a part is named in the arguments, or none is.
fn is_wanted(part: &str) -> bool {
    let mut named = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).peekable();
    named.peek().is_none() || named.any(|argument| argument == part)
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

/// Listens on a thread of its own, a port for each role.
fn serve(identity: &Arc<Identity>) -> Vec<SocketAddr> {
    let (tell, told) = std::sync::mpsc::channel();
    let identity = Arc::clone(identity);
    std::thread::spawn(move || {
        runtime().block_on(async {
            for role in [Role::Echo, Role::Sink, Role::Link, Role::Raw] {
                let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
                tell.send(socket.local_addr().unwrap()).unwrap();
                tokio::spawn(listen(socket, role, Arc::clone(&identity)));
            }
            std::future::pending::<()>().await;
        });
    });
    told.iter().take(4).collect()
}

async fn listen(socket: TcpListener, role: Role, identity: Arc<Identity>) {
    let config = tls::server_config(&identity, Arc::new(Anybody));
    loop {
        let (tcp, address) = socket.accept().await.unwrap();
        let (config, identity) = (Arc::clone(&config), Arc::clone(&identity));
        tokio::spawn(async move {
            if let Role::Echo | Role::Sink = role {
                tcp.set_nodelay(true).unwrap();
                let Ok(tls) = TlsAcceptor::from(config).accept(tcp).await else { return };
                return if let Role::Echo = role { echo(tls).await } else { sink(tls).await };
            }
            let listening = Listening::links(identity.node_id(), config);
            let Ok(connection) = accept(&listening, tcp, address, PATIENCE).await else { return };
            match role {
                Role::Raw => raw(connection, identity).await,
                Role::Echo | Role::Sink | Role::Link => {
                    let mut shell = Shell::begin(connection, identity).await;
                    while shell.step().await.is_ok() {}
                }
            }
        });
    }
}

async fn echo(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let mut buffer = vec![0; CHUNK];
    while let Ok(read @ 1..) = io.read(&mut buffer).await {
        io.write_all(&buffer[..read]).await.unwrap();
        io.flush().await.unwrap();
    }
}

async fn sink(mut io: impl AsyncRead + AsyncWrite + Unpin) {
    let (mut buffer, mut left) = (vec![0; CHUNK], BULK_BYTES);
    while left > 0 {
        let Ok(read @ 1..) = io.read(&mut buffer).await else { return };
        left -= read;
    }
    io.write_all(&[1]).await.unwrap();
    io.shutdown().await.unwrap();
}

async fn raw(connection: Connection, identity: Arc<Identity>) {
    let (link, mut sender, mut receiver) = connection.start(identity);
    link.admit();
    let frames = async {
        while let Ok(received) = receiver.next().await {
            // A frame without a name is not echoed: it is counted.
            match received.control {
                Some(Control::Capabilities(capabilities)) if capabilities.names.is_empty() => {}
                Some(control) => sender.send(1, &control).await.unwrap(),
                None => {}
            }
        }
    };
    let streams = async {
        while let Ok(stream) = link.accept().await {
            sink(stream).await;
        }
    };
    tokio::join!(frames, streams);
}

/// A link with its machine, as an actor holds it.
struct Shell {
    machine: Machine,
    link: Tcp,
    sender: Sender,
    receiver: Receiver,
    is_pinged: bool,
}

fn moment() -> Moment {
    Moment { now: Instant::now(), wall: Timestamp::from_micros(0) }
}

impl Shell {
    async fn begin(connection: Connection, identity: Arc<Identity>) -> Self {
        let remote = connection.remote().clone();
        let settings = Settings::new(Nonce([1; 16]), Hash([2; 32]), "karod 0.1.0".to_owned());
        let mut machine = Machine::new(settings, 1, moment());
        let who = Authenticated {
            connection: ConnectionId(0),
            own: remote.own,
            peer: remote.peer,
            is_dialled: remote.is_dialled,
            address: remote.address.to_string(),
        };
        let (link, sender, receiver) = connection.start(identity);
        let outputs = machine.on_connected(who, moment());
        let mut shell = Self { machine, link, sender, receiver, is_pinged: false };
        shell.carry_out(outputs).await.unwrap();
        shell
    }

    async fn carry_out(&mut self, outputs: Vec<Output>) -> Result<(), Loss> {
        for output in outputs {
            match output {
                Output::Send { version, control, .. } => self.sender.send(version, &control).await?,
                Output::Admit(_) => self.link.admit(),
                Output::Close { .. } => return Err(Loss::Closed),
                Output::Tell(event) => self.is_pinged |= matches!(event, LinkEvent::Pinged { .. }),
                Output::Dial | Output::Abandon => {}
            }
        }
        Ok(())
    }

    async fn step(&mut self) -> Result<(), Loss> {
        let received = self.receiver.next().await.map_err(|_| Loss::Closed)?;
        let outputs = self.machine.on_control(ConnectionId(0), received.version, received.control, moment());
        self.carry_out(outputs).await
    }
}

impl World {
    async fn bare(&self, role: Role) -> client::TlsStream<TcpStream> {
        let tcp = TcpStream::connect(self.addresses[role as usize]).await.unwrap();
        tcp.set_nodelay(true).unwrap();
        let name = tls::server_name(self.listener.node_id());
        TlsConnector::from(Arc::clone(&self.config)).connect(name, tcp).await.unwrap()
    }

    async fn dial(&self, role: Role) -> Connection {
        let dialled =
            Dialled::peer(self.listener.node_id(), self.dialler.node_id(), Arc::clone(&self.config));
        dial(&dialled, &[self.addresses[role as usize]], PATIENCE, |_| {}).await.unwrap()
    }

    async fn link(&self) -> Shell {
        let mut shell = Shell::begin(self.dial(Role::Link).await, Arc::clone(&self.dialler)).await;
        while !shell.is_pinged {
            shell.step().await.unwrap();
        }
        shell
    }
}

fn median(mut spans: Vec<Duration>) -> f64 {
    spans.sort_unstable();
    spans[spans.len() / 2].as_secs_f64() * 1e6
}

async fn connects(world: &World) {
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..CONNECTS {
        let start = Instant::now();
        let mut bare = world.bare(Role::Echo).await;
        bare.write_all(&[1]).await.unwrap();
        bare.read_u8().await.unwrap();
        floor.push(start.elapsed());
        drop(bare);
        let start = Instant::now();
        let shell = world.link().await;
        ours.push(start.elapsed());
        drop(shell);
    }
    let (ours, floor) = (median(ours), median(floor));
    println!(
        "cold connect to the first answered ping: {ours:.0} µs; bare TLS to the first byte: {floor:.0} µs; {:.2} x",
        ours / floor
    );
}

/// Measures ring: a sign and a verify of a frame of that size, in µs.
fn signatures(identity: &Identity, size: usize) -> (f64, f64) {
    let message = vec![7; size + 57];
    let (mut signs, mut verifies) = (Vec::new(), Vec::new());
    for _ in 0..2000 {
        let start = Instant::now();
        let signature = identity.sign(&message);
        signs.push(start.elapsed());
        let start = Instant::now();
        assert!(verify(&identity.node_id(), &message, &signature));
        verifies.push(start.elapsed());
    }
    (median(signs), median(verifies))
}

async fn round_trips(world: &World) {
    let control = Control::Capabilities(Capabilities { names: vec!["x".repeat(1000)] });
    let size = control.encode(1).unwrap().len();
    let mut bare = world.bare(Role::Echo).await;
    let (link, mut sender, mut receiver) =
        world.dial(Role::Raw).await.start(Arc::clone(&world.dialler) as Arc<dyn Signer>);
    let mut bytes = vec![7; size + 64];
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..ROUND_TRIPS {
        let start = Instant::now();
        bare.write_all(&bytes).await.unwrap();
        bare.read_exact(&mut bytes).await.unwrap();
        floor.push(start.elapsed());
        let start = Instant::now();
        sender.send(1, &control).await.unwrap();
        receiver.next().await.unwrap();
        ours.push(start.elapsed());
    }
    drop(link);
    let (sign, verify) = signatures(&world.dialler, size);
    let (ours, bare) = (median(ours), median(floor));
    let floor = bare + 2.0 * (sign + verify);
    println!(
        "round trip of a signed frame of {size} bytes: {ours:.0} µs; bare TLS {bare:.0} µs, sign {sign:.0} µs, \
         verify {verify:.0} µs, together {floor:.0} µs; {:.2} x",
        ours / floor
    );
}

async fn frames(world: &World) {
    let (link, mut sender, mut receiver) =
        world.dial(Role::Raw).await.start(Arc::clone(&world.dialler) as Arc<dyn Signer>);
    let silent = Control::Capabilities(Capabilities::default());
    let last = Control::Capabilities(Capabilities { names: vec!["last".to_owned()] });
    let start = Instant::now();
    for _ in 0..FRAMES {
        sender.send(1, &silent).await.unwrap();
    }
    sender.send(1, &last).await.unwrap();
    receiver.next().await.unwrap();
    let per_second = FRAMES as f64 / start.elapsed().as_secs_f64();
    println!("small frames signed, sent and verified: {per_second:.0} a second, a thread each side");
    drop(link);
}

async fn bulk(world: &World) {
    let chunk = vec![7; CHUNK];
    let (mut ours, mut floor) = (Vec::new(), Vec::new());
    for _ in 0..3 {
        floor.push(pour(world.bare(Role::Sink).await, &chunk).await);
        let (link, mut sender, _receiver) =
            world.dial(Role::Raw).await.start(Arc::clone(&world.dialler) as Arc<dyn Signer>);
        sender.send(1, &Control::Capabilities(Capabilities::default())).await.unwrap();
        ours.push(pour(link.open().await.unwrap(), &chunk).await);
    }
    let rate = |spans| BULK_BYTES as f64 / median(spans);
    let (ours, floor) = (rate(ours), rate(floor));
    println!("bulk over a stream: {ours:.0} MB/s; bare TLS: {floor:.0} MB/s; {:.2} x", ours / floor);
}

async fn pour(mut io: impl AsyncRead + AsyncWrite + Unpin, chunk: &[u8]) -> Duration {
    let start = Instant::now();
    for _ in 0..BULK_BYTES / chunk.len() {
        io.write_all(chunk).await.unwrap();
    }
    io.flush().await.unwrap();
    io.read_u8().await.unwrap();
    start.elapsed()
}

/// Resident memory of this process, in KiB; both ends of every link live in it.
fn resident_kib() -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

async fn idle(world: &World) {
    let before = resident_kib();
    let start = Instant::now();
    let mut shells = Vec::new();
    for _ in 0..LINKS {
        shells.push(world.link().await);
    }
    let took = start.elapsed();
    let each = (resident_kib() - before) / (2 * LINKS) as f64;
    println!("{LINKS} links up in {took:.0?}; {each:.0} KiB an idle end (both ends are in this process)");
}
