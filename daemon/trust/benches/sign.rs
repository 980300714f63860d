//! What it costs to sign and to verify a frame and an object, beside ring's own sign and verify of the same bytes.
//!
//! `cargo bench -p karo-trust --bench sign`. The ratio is to ring over as many bytes as are covered: what is above 1
//! is ours. Rounds alternate, and the median of each is shown, so that a busy machine slows both alike.
#![expect(
    clippy::disallowed_methods,
    clippy::print_stdout,
    reason = "a benchmark is run by hand: it reads the clock and prints a table"
)]

use std::hint::black_box;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_protocol::audit::Head;
use karo_protocol::frame::{Header, encode};
use karo_protocol::node::{Hash, Nonce, Signature};
use karo_protocol::{Bytes, Timestamp};
use karo_trust::frame::{Direction, Reader, Writer};
use karo_trust::object::{self, Expected};
use karo_trust::{Chance, Identity, System};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair, UnparsedPublicKey};

/// Rounds of each; the median is shown.
const ROUNDS: usize = 301;

/// Deeds in one round.
const EACH: usize = 10;

/// Payloads, in bytes: a heartbeat, a page, the most there is.
const PAYLOADS: [usize; 3] = [64, 16 * 1024, 1024 * 1024 - 5];

/// Bytes that a signature of a frame covers before the header.
const PLACE: usize = 57;

/// ring alone, with a key of its own.
struct Floor(Ed25519KeyPair);

impl Floor {
    fn sign(&self, covered: &[u8]) {
        black_box(self.0.sign(black_box(covered)));
    }

    fn verify(&self, covered: &[u8], signature: &[u8]) {
        let key = UnparsedPublicKey::new(&ED25519, self.0.public_key().as_ref());
        key.verify(black_box(covered), signature).expect("it is signed");
    }
}

fn main() {
    let floor =
        Ed25519KeyPair::from_seed_unchecked(&System::default().draw::<32>()).expect("32 bytes are a seed");
    let floor = Floor(floor);
    let identity = Arc::new(Identity::generate(&mut System::default(), Timestamp::MIN));
    println!("{:<28} {:>10} {:>10} {:>7} {:>12}", "µs", "ring", "karo", "ratio", "karo a second");
    for length in PAYLOADS {
        let rounds = if length > 100_000 { ROUNDS / 10 } else { ROUNDS };
        frames(&floor, &identity, length, rounds);
    }
    objects(&floor, &identity);
}

/// Returns the median time of one deed of either kind, in microseconds.
fn beside(rounds: usize, mut floor: impl FnMut(), mut ours: impl FnMut()) -> (f64, f64) {
    let (mut floors, mut all) = (Vec::new(), Vec::new());
    for _ in 0..rounds {
        let start = Instant::now();
        (0..EACH).for_each(|_| floor());
        let between = Instant::now();
        (0..EACH).for_each(|_| ours());
        floors.push(between - start);
        all.push(between.elapsed());
    }
    floors.sort_unstable();
    all.sort_unstable();
    let each = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e6 / EACH as f64;
    (each(&floors), each(&all))
}

fn row(name: &str, (floor, ours): (f64, f64)) {
    println!("{name:<28} {floor:>10.1} {ours:>10.1} {:>7.2} {:>12.0}", ours / floor, 1e6 / ours);
}

fn frames(ring: &Floor, identity: &Arc<Identity>, length: usize, rounds: usize) {
    let frame = encode(0x1004, &Bytes(vec![7; length])).expect("it fits a frame");
    let covered = vec![7_u8; PLACE + frame.len()];
    let mut writer = Writer::new(identity.clone(), [7; 32], 0, Direction::FromDialler);
    let floor = || ring.sign(&covered);
    let ours = || {
        black_box(writer.sign(black_box(frame.clone())).expect("there are numbers left"));
    };
    row(&format!("sign a frame of {length}"), beside(rounds, floor, ours));

    let mut writer = Writer::new(identity.clone(), [7; 32], 0, Direction::FromDialler);
    let signed = writer.sign(frame.clone()).expect("there are numbers left");
    let header = frame.first_chunk().expect("a frame has a header");
    let header = Header::parse(header, u32::MAX).expect("the header is ours");
    let payload = &signed[Header::SIZE..frame.len()];
    let signature = Signature(signed[frame.len()..].try_into().expect("a signature has 64 bytes"));
    let reader = Reader::new(identity.node_id(), [7; 32], 0, Direction::FromDialler);
    let bare = ring.0.sign(&covered);
    let floor = || ring.verify(&covered, bare.as_ref());
    let ours = || reader.clone().open(header, black_box(payload), &signature).expect("it is the first frame");
    row(&format!("verify a frame of {length}"), beside(rounds, floor, ours));
}

fn objects(ring: &Floor, identity: &Arc<Identity>) {
    let (created, expires) = (Timestamp::from_micros(0), Timestamp::from_micros(1));
    let head = Head { log: Nonce([4; 16]), size: 200, root: Hash([8; 32]) };
    let sign =
        || object::sign(&**identity, head, None, created, expires, Nonce([3; 16])).expect("it is short");
    let signed = sign();
    let floor = || ring.sign(&signed.bytes.0);
    let ours = || {
        black_box(sign());
    };
    row("sign a head", beside(ROUNDS, floor, ours));

    let bare = ring.0.sign(&signed.bytes.0);
    let node = identity.node_id();
    let expected = Expected { issuer: Some(node), audience: node, now: created };
    let floor = || ring.verify(&signed.bytes.0, bare.as_ref());
    let ours = || {
        black_box(object::open::<Head>(black_box(&signed), &expected).expect("it is in order"));
    };
    row("verify a head", beside(ROUNDS, floor, ours));
}
