//! A seeded world: every node of a group with its machines, its disk and its clock, and the network between them.

mod demands;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use karo_protocol::atom::{Atom, AtomReason, AtomSays, AtomSeal, ClosedAtom, Part, Report};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_protocol::{Bytes, NodeId};

use super::signed::{proven, proven_in, sign};
use super::steps::step;
use crate::group::Group;
use crate::group::tests::group_of;
use crate::sum::closing::Closing;
use crate::sum::seal::SealingSecret;
use crate::sum::shares::{Scheme, Shape};
use crate::sum::{AggregatorRecord, Contribution, Fault, Helper, Leader, Output, Window, Work, Wrong};

/// The day that is closed.
pub(super) const DAY: i32 = 20_000;

/// Bits of a value here, so that two hundred worlds take seconds.
pub(super) const BITS: usize = 4;

/// Dice of a seed: SplitMix64 (Steele, Lea and Flood, 2014). Anything but secret.
#[derive(Debug, Clone)]
pub(super) struct Dice(pub(super) u64);

impl Dice {
    pub(super) fn throw(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = (self.0 ^ self.0 >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ mixed >> 31
    }

    pub(super) fn below(&mut self, bound: usize) -> usize {
        (self.throw() % bound as u64) as usize
    }

    pub(super) fn draw<const LENGTH: usize>(&mut self) -> [u8; LENGTH] {
        std::array::from_fn(|_| self.throw() as u8)
    }
}

/// What the network does, out of a hundred messages.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Weather {
    pub(super) lost: usize,
    pub(super) doubled: usize,
    /// The longest way of a message; it overtakes others.
    pub(super) delay: Duration,
}

/// A message on its way.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub(super) from: NodeId,
    pub(super) to: NodeId,
    pub(super) says: AtomSays,
}

/// One node: what is in its memory, and what is on its disk.
struct Node {
    secret: Arc<SealingSecret>,
    numbers: Vec<Vec<u128>>,
    declines: Option<AtomReason>,
    is_up: bool,
    leader: Option<Leader>,
    helper: Option<Helper>,
    contribution: Option<Contribution>,
    record: Option<AggregatorRecord>,
    given: Option<(Signed, [Bytes; 2])>,
    closed: Vec<ClosedAtom>,
    ended: Vec<AtomReason>,
    tabled: Option<Signed>,
}

/// Says something more when something is said.
type Whisper = Box<dyn Fn(&Message) -> Option<Message>>;

/// Changes, or swallows, a message on its way.
type Meddler = Box<dyn FnMut(&mut Message, &mut Dice) -> bool>;

pub(super) struct World {
    pub(super) closing: Arc<Closing>,
    pub(super) dice: Dice,
    began: Instant,
    pub(super) now: Instant,
    pub(super) weather: Weather,
    pub(super) window: Window,
    /// Whether contributors keep what they gave on disk.
    pub(super) keeps_given: bool,
    nodes: BTreeMap<NodeId, Node>,
    network: BTreeMap<(Instant, u64), Message>,
    ups: BTreeMap<(Instant, u64), (NodeId, bool)>,
    number: u64,
    owners: BTreeMap<Nonce, NodeId>,
    faults: Vec<(NodeId, Fault)>,
    pub(super) meddler: Option<Meddler>,
    /// Who goes down at the first message of a step that is said by or to them, and how long for.
    pub(super) dies: Option<(&'static str, NodeId, Option<Duration>)>,
    /// What is said besides, by whom it may be, before the first message of a step.
    pub(super) whisper: Option<(&'static str, Whisper)>,
    /// Whether all reports have one id.
    pub(super) same_ids: bool,
    closed_at: Option<Instant>,
    pub(super) said: Vec<Message>,
    pub(super) keeps_said: bool,
}

impl World {
    /// Makes a world of so many owners.
    pub(super) fn new(owners: usize, seed: u64) -> Self {
        let mut dice = Dice(seed);
        let mut file = group_of(owners);
        let mut secrets = BTreeMap::new();
        for member in &mut file.members {
            let secret = SealingSecret::derive(&dice.draw());
            member.card.sealing = secret.public();
            secrets.insert(member.card.node, Arc::new(secret));
        }
        let group = Arc::new(Group::check(Hash(dice.draw()), file).expect("a group"));
        let closing = closing(&group);
        let nodes = secrets.into_iter().map(|(id, secret)| {
            let numbers = numbers(&mut dice);
            (id, Node::new(secret, numbers))
        });
        let nodes = nodes.collect();
        let now = beginning();
        Self {
            closing,
            dice,
            began: now,
            now,
            weather: Weather::default(),
            window: Window::Daily(now + Duration::from_secs(12 * 3600)),
            keeps_given: true,
            nodes,
            network: BTreeMap::new(),
            ups: BTreeMap::new(),
            number: 0,
            owners: BTreeMap::new(),
            faults: Vec::new(),
            meddler: None,
            dies: None,
            whisper: None,
            same_ids: false,
            closed_at: None,
            said: Vec::new(),
            keeps_said: false,
        }
    }

    pub(super) fn leader(&self) -> NodeId {
        self.closing.leader()
    }

    pub(super) fn helper(&self) -> NodeId {
        self.closing.helper()
    }

    /// Returns the node of that place.
    pub(super) fn node(&self, place: usize) -> NodeId {
        *self.nodes.keys().nth(place).expect("there are so many nodes")
    }

    /// Returns a contributor that is no aggregator.
    pub(super) fn bystander(&self) -> NodeId {
        let is_other = |node: &&NodeId| **node != self.leader() && **node != self.helper();
        *self.nodes.keys().find(is_other).expect("three are no aggregators")
    }

    pub(super) fn record(&self, node: NodeId) -> Option<&AggregatorRecord> {
        self.nodes[&node].record.as_ref()
    }

    pub(super) fn decline(&mut self, place: usize, reason: AtomReason) {
        let node = self.node(place);
        self.nodes.get_mut(&node).expect("a node").declines = Some(reason);
    }

    pub(super) fn ended(&self, node: NodeId) -> &[AtomReason] {
        &self.nodes[&node].ended
    }

    /// Returns the tables that were closed: each once.
    pub(super) fn closed(&self) -> Vec<Atom> {
        let mut atoms: Vec<Atom> = Vec::new();
        for closed in self.nodes.values().flat_map(|node| &node.closed) {
            let atom = proven::<Atom>(&closed.table).expect("a table is signed").body;
            if !atoms.contains(&atom) {
                atoms.push(atom);
            }
        }
        atoms
    }

    pub(super) fn has_closed(&self, node: NodeId) -> bool {
        !self.nodes[&node].closed.is_empty()
    }

    /// Returns what was wrong, and who is said to have done it.
    pub(super) fn faults(&self) -> Vec<(NodeId, Option<NodeId>, Wrong)> {
        self.faults.iter().map(|(_, fault)| (fault.from, fault.contributor, fault.wrong)).collect()
    }

    /// Returns how long it takes.
    pub(super) fn elapsed(&self) -> Duration {
        self.now.duration_since(self.began)
    }

    /// Returns how long it took until rank 1 had both signatures.
    pub(super) fn closed_after(&self) -> Option<Duration> {
        self.closed_at.map(|at| at.duration_since(self.began))
    }

    /// Begins at rank 1.
    pub(super) fn open(&mut self) {
        self.begin_leader(self.leader());
    }

    /// Takes a node down, or brings it back, at that time from now.
    pub(super) fn plan(&mut self, after: Duration, node: NodeId, is_up: bool) {
        self.number += 1;
        self.ups.insert((self.now + after, self.number), (node, is_up));
    }

    /// Runs until nothing is left to happen.
    pub(super) fn run(&mut self) {
        for _ in 0..400_000 {
            if !self.step() {
                return;
            }
        }
        panic!("a world does not end");
    }

    /// Lets the next thing happen; tells whether there was one.
    fn step(&mut self) -> bool {
        let message = self.network.first_key_value().map(|(key, _)| key.0);
        let up = self.ups.first_key_value().map(|(key, _)| key.0);
        let timer = self.timer();
        let next = [message, up, timer.map(|(when, _)| when)].into_iter().flatten().min();
        let Some(next) = next else { return false };
        self.now = self.now.max(next);
        if up == Some(next) {
            let (_, (node, is_up)) = self.ups.pop_first().expect("it is there");
            self.switch(node, is_up);
        } else if message == Some(next) {
            let (_, message) = self.network.pop_first().expect("it is there");
            self.deliver(message);
        } else if let Some((_, node)) = timer {
            self.time_out(node);
        }
        true
    }

    fn timer(&self) -> Option<(Instant, NodeId)> {
        self.nodes.iter().filter_map(|(id, node)| Some((node.deadline()?, *id))).min()
    }

    fn time_out(&mut self, id: NodeId) {
        let now = self.now;
        let is_due = |deadline: Option<Instant>| deadline.is_some_and(|deadline| deadline <= now);
        let node = self.nodes.get_mut(&id).expect("a node");
        let mut out = Vec::new();
        if let Some(leader) = node.leader.as_mut().filter(|leader| is_due(leader.deadline())) {
            out.extend(leader.on_timeout(now));
        }
        if let Some(helper) = node.helper.as_mut().filter(|helper| is_due(helper.deadline())) {
            out.extend(helper.on_timeout(now));
        }
        if let Some(contribution) = node.contribution.as_mut().filter(|given| is_due(given.deadline())) {
            out.extend(contribution.on_timeout(now));
        }
        self.carry_out(id, out);
    }

    fn switch(&mut self, id: NodeId, is_up: bool) {
        let node = self.nodes.get_mut(&id).expect("a node");
        node.is_up = is_up;
        (node.leader, node.helper, node.contribution, node.tabled) = (None, None, None, None);
        let has_record = node.record.is_some() && node.closed.is_empty();
        if !is_up {
            return;
        }
        if has_record && id == self.leader() {
            self.begin_leader(id);
        } else if has_record && id == self.helper() {
            self.begin_helper(id);
        }
        let others: Vec<NodeId> = self.nodes.keys().copied().collect();
        for other in others {
            self.connect(other, id);
        }
    }

    fn connect(&mut self, id: NodeId, to: NodeId) {
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a node");
        let mut out = Vec::new();
        if let Some(leader) = &mut node.leader {
            out.extend(leader.on_connected(to, now));
        }
        if let Some(contribution) = &mut node.contribution {
            out.extend(contribution.on_connected(to, now));
        }
        self.carry_out(id, out);
    }

    fn begin_leader(&mut self, id: NodeId) {
        let record = self.record_of(id);
        let (closing, window, now) = (Arc::clone(&self.closing), self.window, self.now);
        let node = self.nodes.get_mut(&id).expect("a node");
        let (leader, out) = Leader::new(closing, Arc::clone(&node.secret), record, window, now);
        node.leader = Some(leader);
        self.carry_out(id, out);
    }

    fn begin_helper(&mut self, id: NodeId) {
        let record = self.record_of(id);
        let (closing, window, now) = (Arc::clone(&self.closing), self.window, self.now);
        let node = self.nodes.get_mut(&id).expect("a node");
        let (helper, out) = Helper::new(closing, Arc::clone(&node.secret), record, window, now);
        node.helper = Some(helper);
        self.carry_out(id, out);
    }

    fn record_of(&mut self, id: NodeId) -> AggregatorRecord {
        let atom = self.closing.atom();
        let (half, blind) = (Hash(self.dice.draw()), Hash(self.dice.draw()));
        self.nodes[&id].record.clone().unwrap_or_else(|| AggregatorRecord::new(atom, half, blind))
    }

    fn deliver(&mut self, message: Message) {
        let Message { from, to, says } = message;
        if !self.nodes[&to].is_up || self.falls(to, &says) {
            return;
        }
        let now = self.now;
        if matches!(says, AtomSays::Open { .. }) && self.nodes[&to].helper.is_none() {
            if !self.nodes[&to].closed.is_empty() || to != self.helper() {
                return;
            }
            self.begin_helper(to);
        }
        if let AtomSays::Invite { .. } = says {
            self.invite(to);
        }
        let proven = proven_in(&says);
        let node = self.nodes.get_mut(&to).expect("a node");
        let mut out = Vec::new();
        if let Some(contribution) = &mut node.contribution {
            out.extend(contribution.on(from, &says, now));
        }
        if let AtomSays::Table(table) = &says {
            node.tabled = Some(table.clone());
        }
        if let Some(leader) = &mut node.leader {
            out.extend(leader.on(from, says.clone(), proven.clone(), now));
        }
        if let Some(helper) = &mut node.helper {
            out.extend(helper.on(from, says, proven, now));
        }
        self.carry_out(to, out);
    }

    fn invite(&mut self, id: NodeId) {
        let drawn = Nonce(self.dice.draw());
        let chance = (if self.same_ids { Nonce([7; 16]) } else { drawn }, self.dice.draw());
        let (leader, closing, when) = (self.leader(), Arc::clone(&self.closing), (self.window, self.now));
        let node = self.nodes.get_mut(&id).expect("a node");
        if node.contribution.is_some() {
            return;
        }
        if let Some(reason) = node.declines {
            return self.carry_out(id, vec![Output::Send { to: leader, says: AtomSays::Decline(reason) }]);
        }
        if let Some((signed, boxes)) = node.given.clone() {
            let object = proven::<Report>(&signed).expect("it is signed");
            let again = Contribution::again(closing, id, (signed, &object), boxes, when);
            node.contribution = Some(again.expect("it is its own report of that day"));
            return;
        }
        let begun = Contribution::new(closing, id, &node.numbers, Hash([1; 32]), chance, when);
        let (contribution, out) = begun.expect("its numbers are in range");
        node.contribution = Some(contribution);
        self.carry_out(id, out);
    }

    fn carry_out(&mut self, id: NodeId, out: Vec<Output>) {
        for output in out {
            self.carry_out_one(id, output);
        }
    }

    /// Lets a node go down at the step at which it is to; tells whether it did.
    fn falls(&mut self, id: NodeId, says: &AtomSays) -> bool {
        let is_now = |(name, node, _): &(&str, NodeId, _)| *node == id && *name == step(says);
        let Some((_, _, back)) = self.dies.filter(is_now) else { return false };
        self.dies = None;
        self.switch(id, false);
        if let Some(back) = back {
            self.plan(back, id, true);
        }
        true
    }

    fn carry_out_one(&mut self, id: NodeId, output: Output) {
        let now = self.now;
        if !self.nodes[&id].is_up {
            return;
        }
        match output {
            Output::Record(record) => self.nodes.get_mut(&id).expect("a node").record = Some(record),
            Output::Send { to, says } => {
                if let AtomSays::Report { report, leader_box, helper_box } = &says
                    && self.keeps_given
                {
                    let given = (report.clone(), [leader_box.clone(), helper_box.clone()]);
                    self.nodes.get_mut(&id).expect("a node").given = Some(given);
                }
                if !self.falls(id, &says) {
                    self.send(Message { from: id, to, says });
                }
            }
            Output::Work(work) => self.work(id, work),
            Output::SignReport { id: report, table: _, report: body } => {
                self.owners.insert(report, id);
                let signed = sign(id, report, body);
                let contribution = self.nodes.get_mut(&id).expect("a node").contribution.as_mut();
                let out = contribution.map(|given| given.on_signed(signed, now)).unwrap_or_default();
                self.carry_out(id, out);
            }
            Output::Sign(atom) => {
                let signed = sign(id, Nonce(self.dice.draw()), atom);
                let leader = self.nodes.get_mut(&id).expect("a node").leader.as_mut();
                let out = leader.map(|leader| leader.on_signed(signed, now)).unwrap_or_default();
                self.carry_out(id, out);
            }
            Output::SignSeal(atom) => {
                let seal = sign(id, Nonce(self.dice.draw()), AtomSeal { atom });
                let node = self.nodes.get_mut(&id).expect("a node");
                let table = node.tabled.clone().expect("it was said");
                let out =
                    node.helper.as_mut().map(|helper| helper.on_sealed(table, seal)).unwrap_or_default();
                self.carry_out(id, out);
            }
            Output::Closed(closed) => {
                if id == self.leader() {
                    self.closed_at = Some(now);
                }
                self.nodes.get_mut(&id).expect("a node").closed.push(closed);
            }
            Output::Ended(reason) => self.nodes.get_mut(&id).expect("a node").ended.push(reason),
            Output::Fault(fault) => self.faults.push((id, fault)),
        }
    }

    fn work(&mut self, id: NodeId, work: Work) {
        let worked = work.run();
        let now = self.now;
        let node = self.nodes.get_mut(&id).expect("a node");
        let out = if id == self.closing.leader() {
            node.leader.as_mut().map(|leader| leader.on_worked(worked, now))
        } else {
            node.helper.as_mut().map(|helper| helper.on_worked(worked))
        };
        self.carry_out(id, out.unwrap_or_default());
    }

    fn send(&mut self, mut message: Message) {
        self.check_recorded(&message);
        if self.keeps_said {
            self.said.push(message.clone());
        }
        if let Some(mut meddler) = self.meddler.take() {
            let passes = meddler(&mut message, &mut self.dice);
            self.meddler = Some(meddler);
            if !passes {
                return;
            }
        }
        if let Some((_, whisper)) = self.whisper.take_if(|(name, _)| *name == step(&message.says))
            && let Some(said) = whisper(&message)
        {
            self.put(said);
        }
        if message.from != message.to && self.dice.below(100) < self.weather.lost {
            return;
        }
        let copies = if self.dice.below(100) < self.weather.doubled { 2 } else { 1 };
        for _ in 0..copies {
            self.put(message.clone());
        }
    }

    /// Puts a message on its way.
    pub(super) fn put(&mut self, message: Message) {
        self.number += 1;
        let delay = self.dice.below(self.weather.delay.as_millis() as usize + 1) as u64;
        self.network.insert((self.now + Duration::from_millis(delay), self.number), message);
    }
}

impl Node {
    fn new(secret: Arc<SealingSecret>, numbers: Vec<Vec<u128>>) -> Self {
        Self {
            secret,
            numbers,
            declines: None,
            is_up: true,
            leader: None,
            helper: None,
            contribution: None,
            record: None,
            given: None,
            closed: Vec::new(),
            ended: Vec::new(),
            tabled: None,
        }
    }

    fn deadline(&self) -> Option<Instant> {
        let leader = self.leader.as_ref().and_then(Leader::deadline);
        let helper = self.helper.as_ref().and_then(Helper::deadline);
        let contribution = self.contribution.as_ref().and_then(Contribution::deadline);
        leader.into_iter().chain(helper).chain(contribution).min()
    }
}

/// Returns a moment to count from: nothing asks for another.
#[expect(
    clippy::disallowed_methods,
    reason = "a moment cannot be made of nothing; what follows from it is the same"
)]
fn beginning() -> Instant {
    Instant::now()
}

/// The closing of a group with small values.
pub(super) fn closing(group: &Arc<Group>) -> Arc<Closing> {
    let atom = karo_protocol::atom::AtomId { group: group.id(), day: DAY };
    let shape = |part: Part| Shape { part, values: part.values(), bits: BITS, owners: part.owners() };
    let shapes: Vec<Shape> = group.parts().into_iter().map(shape).collect();
    Closing::of(Arc::clone(group), DAY, Scheme::shaped(atom, &shapes)).expect("two may add up")
}

/// One owner's numbers: something in most cells, so that some are visible and some are not.
fn numbers(dice: &mut Dice) -> Vec<Vec<u128>> {
    let marks: Vec<u128> = (0..Part::Main.owners()).map(|_| u128::from(dice.below(8) > 0)).collect();
    let values = (0..Part::Main.values()).map(|_| dice.below(1 << BITS) as u128).collect();
    vec![values, marks]
}
