//! A peer that is in the roster, speaks the real link, and says on it whatever it likes.
//!
//! It is made of what honest nodes are made of, and has no daemon: what it hears and says are the messages
//! themselves, after TLS and before anything judged them.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use karo_core::group::Group;
use karo_core::sum::seal::SealingSecret;
use karo_core::sum::{Closing, Contribution, Output, Window};
use karo_fabric::net::control::{Receiver, Sender};
use karo_fabric::net::{Dialled, Link, dial};
use karo_protocol::atom::{
    Atom, AtomId, AtomReason, AtomSays, AtomSeal, AtomTalk, Band, ClosedAtom, Released, Report,
};
use karo_protocol::group::{Card, GroupFile, Member};
use karo_protocol::local::Request;
use karo_protocol::mesh::LinkState;
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::{
    Capabilities, Control, Hello, HelloAck, PEER_VERSION, Ping, Pong, Signed, SignedBody,
};
use karo_protocol::{NodeId, Timestamp};
use karo_tests::groups::{GROUP, accept, card, member, yesterday};
use karo_tests::{Node, until};
use karo_trust::{Chance, Identity, Signer, System, card as cards, key_hash, object, tls};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, WeakUnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;

/// How long a handshake may take.
const DIAL_PATIENCE: Duration = Duration::from_secs(30);

/// What a group file and an atom are good until.
pub(crate) const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

/// A node that has a key and no daemon.
pub(crate) struct Foe {
    identity: Arc<Identity>,
    sealing: SealingSecret,
}

/// Returns the wall clock.
pub(crate) fn now() -> Timestamp {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970");
    Timestamp::from_micros(i64::try_from(now.as_micros()).expect("it is before the year 200 000"))
}

/// Draws random bytes.
pub(crate) fn drawn<const LENGTH: usize>() -> [u8; LENGTH] {
    System::default().draw()
}

impl Foe {
    pub(crate) fn new() -> Self {
        let identity = Arc::new(Identity::generate(&mut System::default(), now()));
        let sealing = SealingSecret::derive(&identity.sealing_secret());
        Self { identity, sealing }
    }

    pub(crate) fn node(&self) -> NodeId {
        self.identity.node_id()
    }

    pub(crate) fn card(&self) -> Card {
        cards::issue(self.identity.as_ref(), self.sealing.public())
    }

    /// Signs whatever it is.
    pub(crate) fn sign<T: SignedBody>(&self, body: T) -> Signed {
        self.sign_as(body, Nonce(drawn()))
    }

    /// Signs for somebody, or nobody in particular, as of a time and until another.
    pub(crate) fn sign_for<T: SignedBody>(
        &self,
        body: T,
        audience: Option<NodeId>,
        (created, expires): (Timestamp, Timestamp),
    ) -> Signed {
        let id = Nonce(drawn());
        object::sign(self.identity.as_ref(), body, audience, created, expires, id)
            .expect("it is short enough")
    }

    fn sign_as<T: SignedBody>(&self, body: T, id: Nonce) -> Signed {
        object::sign(self.identity.as_ref(), body, None, now(), NEVER, id).expect("it is short enough")
    }

    /// Connects to a daemon, and reads all that it says.
    pub(crate) fn dial(&self, node: &Node) -> Line {
        self.dial_as(node, true)
    }

    /// Connects to a daemon, and reads nothing behind the greeting.
    pub(crate) fn dial_and_stare(&self, node: &Node) -> Line {
        self.dial_as(node, false)
    }

    fn dial_as(&self, node: &Node, is_reading: bool) -> Line {
        let peer = node.node_id();
        let address: SocketAddr = node.address.parse().expect("it listens on an address");
        let identity = Arc::clone(&self.identity);
        let (sender, says) = unbounded_channel();
        let mut line = Line {
            says: Some(sender.clone()),
            heard: Arc::default(),
            is_up: Arc::default(),
            is_over: Arc::default(),
            thread: None,
        };
        let ear = Ear {
            answers: sender,
            run: Nonce(drawn()),
            heard: Arc::clone(&line.heard),
            is_up: Arc::clone(&line.is_up),
            is_reading,
        };
        let is_over = Arc::clone(&line.is_over);
        line.thread = Some(thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            let runtime = runtime.expect("there is room for another thread");
            runtime.block_on(talk(identity, peer, address, ear, says));
            is_over.store(true, Ordering::Release);
        }));
        until("the foe is connected", || {
            assert!(!line.is_over(), "the daemon did not let the foe in:\n{}", node.karo.log());
            line.is_up.load(Ordering::Acquire).then_some(())
        });
        node.wait_for(self.node(), LinkState::Connected);
        line
    }

    /// Makes the report that an honest contributor with nothing to tell would give.
    pub(crate) fn report(&self, group: &Arc<Group>, day: i32) -> AtomSays {
        let closing = Closing::new(Arc::clone(group), day).expect("the group has two who add up");
        let vectors = group.parts().into_iter().flat_map(|part| [part.values(), part.owners()]);
        let numbers: Vec<Vec<u128>> = vectors.map(|length| vec![0; length]).collect();
        let (chance, at) = ((Nonce(drawn()), drawn()), (Window::ByHand, Instant::now()));
        let made = Contribution::new(closing, self.node(), &numbers, Hash([7; 32]), chance, at);
        let (mut contribution, outputs) = made.expect("it is a contributor");
        let Some(Output::SignReport { id, report, .. }) = outputs.into_iter().next() else {
            panic!("a report is signed first");
        };
        let signed = self.sign_as::<Report>(report, id);
        match contribution.on_signed(signed, Instant::now()).into_iter().next() {
            Some(Output::Send { says, .. }) => says,
            other => panic!("a report is given but {other:?}"),
        }
    }
}

/// A connection of a foe. Dropped, it is cut.
pub(crate) struct Line {
    says: Option<UnboundedSender<Control>>,
    heard: Arc<Mutex<Vec<Control>>>,
    is_up: Arc<AtomicBool>,
    is_over: Arc<AtomicBool>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Line {
    /// Says something; a daemon that has hung up hears nothing.
    pub(crate) fn say(&self, control: Control) {
        if let Some(says) = &self.says {
            drop(says.send(control));
        }
    }

    /// Says something of an atom.
    pub(crate) fn of(&self, atom: AtomId, says: AtomSays) {
        self.say(Control::Atom(AtomTalk { atom, says }));
    }

    /// Tells whether the connection is no more.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    /// Returns everything that it has heard.
    pub(crate) fn heard(&self) -> Vec<Control> {
        self.heard.lock().expect("nobody panics with it").clone()
    }

    /// Returns what it has heard of an atom.
    pub(crate) fn heard_of(&self, atom: AtomId) -> Vec<AtomSays> {
        let of = |control| match control {
            Control::Atom(talk) if talk.atom == atom => Some(talk.says),
            _ => None,
        };
        self.heard().into_iter().filter_map(of).collect()
    }

    /// Waits until it has heard that.
    pub(crate) fn hears<T>(&self, what: &str, mut wanted: impl FnMut(&Control) -> Option<T>) -> T {
        until(&format!("the foe hears {what}"), || {
            self.heard.lock().expect("nobody panics with it").iter().find_map(&mut wanted)
        })
    }

    /// Waits until it has heard that of an atom.
    pub(crate) fn hears_of<T>(
        &self,
        atom: AtomId,
        what: &str,
        mut wanted: impl FnMut(&AtomSays) -> Option<T>,
    ) -> T {
        self.hears(what, |control| match control {
            Control::Atom(talk) if talk.atom == atom => wanted(&talk.says),
            _ => None,
        })
    }

    /// Waits until it is refused its atom for that reason.
    pub(crate) fn is_declined(&self, atom: AtomId, reason: AtomReason) {
        self.hears_of(atom, &format!("that it gets nothing, because {reason}"), |says| {
            (*says == AtomSays::Decline(reason)).then_some(())
        });
    }

    /// Waits until what it said of atoms before was looked at: a group that nobody is in is declined in its turn.
    pub(crate) fn settle(&self) {
        let atom = AtomId { group: Hash(drawn()), day: yesterday() };
        self.of(atom, AtomSays::Invite { by_hand: true });
        self.is_declined(atom, AtomReason::OtherGroup);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.says = None;
        self.is_up.store(false, Ordering::Release);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// What a connection does with what it hears.
struct Ear {
    answers: UnboundedSender<Control>,
    run: Nonce,
    heard: Arc<Mutex<Vec<Control>>>,
    is_up: Arc<AtomicBool>,
    is_reading: bool,
}

async fn talk(
    identity: Arc<Identity>,
    peer: NodeId,
    address: SocketAddr,
    ear: Ear,
    mut says: UnboundedReceiver<Control>,
) {
    let dialled = Dialled::peer(peer, identity.node_id(), tls::client_config(identity.as_ref(), peer));
    let Ok(connection) = dial(&dialled, &[address], DIAL_PATIENCE, |_| {}).await else { return };
    let (link, mut sender, mut receiver) = connection.start(Arc::clone(&identity) as Arc<dyn Signer>);
    if greet(&ear, &mut sender, &mut receiver).await.is_none() {
        return;
    }
    link.admit();
    let is_up = Arc::clone(&ear.is_up);
    is_up.store(true, Ordering::Release);
    let (is_reading, answers) = (ear.is_reading, ear.answers.downgrade());
    let (hearing, _unread) = match is_reading {
        true => (Some(tokio::spawn(hear(ear, answers, receiver))), None),
        false => (None, Some(receiver)),
    };
    let speaking = async {
        while let Some(control) = says.recv().await {
            if sender.send(PEER_VERSION, &control).await.is_err() {
                return;
            }
        }
    };
    // A daemon that hears no more must not keep the story waiting: it looks up now and then.
    let given_up = async {
        while is_up.load(Ordering::Acquire) && !hearing.as_ref().is_some_and(JoinHandle::is_finished) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::select! {
        () = speaking => {}
        () = given_up => {}
    }
    link.close();
    if let Some(hearing) = hearing {
        hearing.abort();
    }
}

/// Greets as a dialler does.
async fn greet(ear: &Ear, sender: &mut Sender, receiver: &mut Receiver) -> Option<()> {
    let hello = Hello {
        versions: (PEER_VERSION, PEER_VERSION),
        run: ear.run,
        now: now(),
        next_key: key_hash(&NodeId([9; 32])),
        program: "foe".to_owned(),
    };
    sender.send(PEER_VERSION, &Control::Hello(hello)).await.ok()?;
    let Some(Control::Hello(theirs)) = receiver.next().await.ok()?.control else { return None };
    let ack = HelloAck { version: PEER_VERSION, run: theirs.run };
    sender.send(PEER_VERSION, &Control::HelloAck(ack)).await.ok()?;
    let Some(Control::HelloAck(_)) = receiver.next().await.ok()?.control else { return None };
    let ping = Ping { number: 0, now: now(), head: None };
    sender.send(PEER_VERSION, &Control::Ping(ping)).await.ok()?;
    let capabilities = Capabilities::default();
    sender.send(PEER_VERSION, &Control::Capabilities(capabilities)).await.ok()
}

async fn hear(ear: Ear, answers: WeakUnboundedSender<Control>, mut receiver: Receiver) {
    let Ear { run, heard, answers: own, .. } = ear;
    // Only the story's own end keeps the line open.
    drop(own);
    while let Ok(received) = receiver.next().await {
        let Some(control) = received.control else { continue };
        if let (Control::Ping(ping), Some(answers)) = (&control, answers.upgrade()) {
            drop(answers.send(Control::Pong(Pong { number: ping.number, now: now(), run, head: None })));
        }
        heard.lock().expect("nobody panics with it").push(control);
    }
}

/// What the real machine of a [`Circle`] is on each of its days.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rank {
    /// It contributes, and two foes add up.
    Gives,
    /// It is rank 1, a foe is rank 2.
    Leads,
    /// A foe is rank 1, it is rank 2.
    Helps,
}

/// A group of one daemon and of foes.
pub(crate) struct Circle {
    /// The daemon, of `owner-0`.
    pub(crate) node: Node,
    /// Everybody else; `foes[N]` is of `owner-(N + 1)`. What the daemon does not add up, the first two do.
    pub(crate) foes: Vec<Foe>,
    /// The group, as its file says.
    pub(crate) group: Arc<Group>,
    /// The file, which the daemon has accepted.
    pub(crate) file: Signed,
}

/// Days on which the ranks of a [`Circle`] are as wished: to yesterday's day before, yesterday and today.
pub(crate) fn days() -> [i32; 3] {
    [yesterday() - 1, yesterday(), yesterday() + 1]
}

/// Makes a member of a group file.
pub(crate) fn machine(card: Card, owner: usize, may_aggregate: bool) -> Member {
    Member {
        name: format!("node-{owner}"),
        card,
        owner: format!("owner-{owner}"),
        contributes: true,
        may_aggregate,
        addresses: Vec::new(),
    }
}

/// Makes a group file of these members.
pub(crate) fn group_file(mut members: Vec<Member>) -> GroupFile {
    members.sort_by_key(|member| member.card.node);
    GroupFile {
        name: GROUP.to_owned(),
        lineage: Nonce(drawn()),
        version: 1,
        zone: "UTC".to_owned(),
        smallest_cohort: 5,
        members,
        tools: Vec::new(),
        rules: Vec::new(),
    }
}

/// Reads a group file, whoever signed it.
pub(crate) fn group_of(signed: &Signed) -> Arc<Group> {
    let file = object::read::<GroupFile>(signed, None).expect("it is a group file").body;
    let id = Hash(*blake3::hash(&signed.bytes.0).as_bytes());
    Arc::new(Group::check(id, file).expect("it keeps the rules"))
}

impl Circle {
    /// Makes one in which the daemon has that rank.
    pub(crate) fn of(rank: Rank) -> Self {
        Self::with(rank, |_, _| {})
    }

    /// As [`of`](Self::of), with a change of the file: it is given the daemon's card.
    pub(crate) fn with(rank: Rank, change: impl FnOnce(&mut GroupFile, NodeId)) -> Self {
        let node = member();
        let foes: Vec<Foe> = (0..5).map(|_| Foe::new()).collect();
        let own = node.node_id();
        let mut members = vec![machine(card(&node), 0, rank != Rank::Gives)];
        let may = |place: usize| match rank {
            Rank::Gives => place < 2,
            Rank::Leads => place == 1,
            Rank::Helps => place == 0,
        };
        members
            .extend(foes.iter().enumerate().map(|(place, foe)| machine(foe.card(), place + 1, may(place))));
        let mut file = group_file(members);
        change(&mut file, own);
        let ranks = match rank {
            Rank::Gives => (foes[0].node(), foes[1].node()),
            Rank::Leads => (own, foes[1].node()),
            Rank::Helps => (foes[0].node(), own),
        };
        // Whoever makes a file can make it until the ranks are as they like: that is why two must always agree.
        let file = std::iter::repeat_with(|| foes[4].sign(file.clone()))
            .find(|signed| {
                let group = group_of(signed);
                days().iter().all(|day| group.aggregators(*day) == Some(ranks))
            })
            .expect("it never ends");
        accept(&node, &file);
        let group = group_of(&file);
        Self { node, foes, group, file }
    }

    /// Names the atom of a day.
    pub(crate) fn atom(&self, day: i32) -> AtomId {
        AtomId { group: self.group.id(), day }
    }

    /// Connects one of the foes.
    pub(crate) fn dial(&self, foe: usize) -> Line {
        self.foes[foe].dial(&self.node)
    }

    /// Makes the empty table of a day, signed by two of the foes: genuine if they are the two who add up.
    pub(crate) fn closed(&self, day: i32, by: (usize, usize)) -> ClosedAtom {
        self.closed_as(self.table(day), by)
    }

    /// Signs a table as two of the foes.
    pub(crate) fn closed_as(&self, atom: Atom, by: (usize, usize)) -> ClosedAtom {
        let table = self.foes[by.0].sign(atom);
        let seal = AtomSeal { atom: Hash(*blake3::hash(&table.bytes.0).as_bytes()) };
        ClosedAtom { table, seal: self.foes[by.1].sign(seal) }
    }

    /// Makes the empty table of a day.
    pub(crate) fn table(&self, day: i32) -> Atom {
        let hidden = |part: karo_protocol::atom::Part| Released {
            part,
            values: vec![None; part.values()],
            owners: vec![Band::Hidden; part.owners()],
        };
        Atom {
            group: self.group.id(),
            day,
            aggregators: self.group.aggregators(day).expect("there are two"),
            contributors: 5,
            owners: u16::try_from(self.group.owners()).expect("there are few"),
            parts: self.group.parts().into_iter().map(hidden).collect(),
        }
    }

    /// Returns all days that the daemon tells anything of, each with its row.
    pub(crate) fn rows(&self) -> BTreeMap<i32, karo_protocol::answer::AtomRow> {
        match self.node.ask(&Request::GroupAtoms(None)) {
            karo_protocol::local::Reply::Atoms(rows) => rows.into_iter().map(|row| (row.day, row)).collect(),
            other => panic!("no days but {other:?}"),
        }
    }
}
