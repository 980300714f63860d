//! What a year of a large group takes on disk and in memory, and how long it takes to read it again and to answer of it.
//!
//! `cargo test -p karo-daemon --release --lib kept::year -- --nocapture` says the figures; asserted are bounds of bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use karo_core::atom::answer::{Asked, ClosedDay, answer};
use karo_core::public::public;
use karo_core::sum::RecordedSet;
use karo_core::sum::seal::SealingSecret;
use karo_protocol::answer::Question;
use karo_protocol::atom::{AtomSeal, Band, Part, Released};
use karo_protocol::group::{GROUP_RULES_MAX, GROUP_TOOLS_MAX, Member, ToolName};
use karo_protocol::{Category, Risk};
use karo_store::{Options, RealDisk};
use karo_trust::{Chance, Identity, Signer, System, card};

use super::*;

const OWNERS: usize = 50;
const DAYS: i32 = 365;
const FIRST: i32 = 20_000;
const NOW: Timestamp = Timestamp::from_micros(1_790_000_000_000_000);
const NEVER: Timestamp = Timestamp::from_micros(i64::MAX);

fn bytes_below(path: &Path) -> u64 {
    let entries = fs::read_dir(path).into_iter().flatten().flatten();
    let size = |entry: fs::DirEntry| match entry.metadata() {
        Ok(found) if found.is_dir() => bytes_below(&entry.path()),
        Ok(found) => found.len(),
        Err(_) => 0,
    };
    entries.map(size).sum()
}

/// The largest group of fifty that there can be: with all tools and rules.
fn group(identities: &[Identity]) -> Group {
    let member = |(place, identity): (usize, &Identity)| Member {
        card: card::issue(identity, SealingSecret::derive(&identity.sealing_secret()).public()),
        name: format!("node-{place}"),
        owner: format!("owner-{place}"),
        contributes: true,
        may_aggregate: true,
        addresses: Vec::new(),
    };
    let mut members: Vec<Member> = identities.iter().enumerate().map(member).collect();
    members.sort_by_key(|member| member.card.node);
    let letters = || 'a'..='z';
    let words = letters().flat_map(|one| letters().map(move |two| format!("{one}{two}")));
    let words = words.chain(letters().flat_map(|one| {
        letters().flat_map(move |two| letters().map(move |three| format!("{one}{two}{three}")))
    }));
    let mut tools: Vec<ToolName> = words.filter_map(|word| public(&word)).collect();
    tools.sort();
    let file = GroupFile {
        name: "large".to_owned(),
        lineage: Nonce([1; 16]),
        version: 1,
        zone: "UTC".to_owned(),
        smallest_cohort: 8,
        members,
        tools: tools.into_iter().take(GROUP_TOOLS_MAX).map(|name| (name, Category::Other)).collect(),
        rules: (0..GROUP_RULES_MAX).map(|rule| (format!("rule-{rule:02}"), Risk::High)).collect(),
    };
    Group::check(Hash([7; 32]), file).expect("a group")
}

/// A day on which everything is shown, which takes the most.
fn closed(group: &Group, identities: &[Identity], day: i32) -> ClosedAtom {
    let released = |part: Part| Released {
        part,
        values: (0..part.values() as u64).map(|place| Some(60_000 + place * 977)).collect(),
        owners: vec![Band::Fifty; part.owners()],
    };
    let aggregators = group.aggregators(day).expect("there are two");
    let owners = OWNERS as u16;
    let parts = group.parts().into_iter().map(released).collect();
    let atom = Atom { group: group.id(), day, aggregators, contributors: owners, owners, parts };
    let by =
        |node: NodeId| identities.iter().find(|one| Signer::node_id(*one) == node).expect("it is a member");
    let draw = || Nonce(System::default().draw());
    let table = object::sign(by(aggregators.0), atom, None, NOW, NEVER, draw()).expect("it fits");
    let seal = AtomSeal { atom: Hash(blake3::hash(&table.bytes.0).into()) };
    let seal = object::sign(by(aggregators.1), seal, None, NOW, NEVER, draw()).expect("it fits");
    ClosedAtom { table, seal }
}

fn record(id: AtomId) -> AggregatorRecord {
    let reports = (0..OWNERS as u8).map(|owner| Nonce([owner; 16])).collect();
    AggregatorRecord {
        promised: Some(Hash([1; 32])),
        other_half: Some(Hash([2; 32])),
        set: Some(RecordedSet { reports, hash: Hash([3; 32]) }),
        commitment: Some(Hash([4; 32])),
        ..AggregatorRecord::new(id, Hash([5; 32]), Hash([6; 32]))
    }
}

#[test]
fn a_year_of_fifty_owners_takes_some_megabytes() {
    let mut chance = System::default();
    let identities: Vec<Identity> = (0..OWNERS).map(|_| Identity::generate(&mut chance, NOW)).collect();
    let group = Arc::new(group(&identities));
    let place = tempfile::tempdir().expect("temporary files can be made");
    let open = || Store::open(place.path(), Options::default(), Arc::new(RealDisk), NOW).expect("it opens").0;
    let mut store = open();
    let before = bytes_below(place.path());
    for day in FIRST..FIRST + DAYS {
        let id = AtomId { group: group.id(), day };
        let given =
            GivenDay { group: id.group, table: Hash([8; 32]), report: Nonce([9; 16]), at: NOW, fed: (1, 2) };
        let closed = closed(&group, &identities, day);
        let table = object::read::<Atom>(&closed.table, None).expect("it is signed").body;
        let outcome = Outcome::Closed(Box::new(closed), Arc::new(table), NOW);
        let mut batch = vec![given_entry(day, &given), outcome_entry(&id, &outcome)];
        // One of fifty adds up on two of fifty days.
        batch.extend((day % 25 == 0).then(|| aggregate_entry(&record(id))));
        store.append(batch, NOW).expect("there is room");
    }
    let kept =
        |shelf: u8| -> usize { store.kept(shelf).iter().map(|(key, value)| key.len() + value.len()).sum() };
    let [ledger, atoms, aggregates] = [shelves::LEDGER, shelves::ATOMS, shelves::AGGREGATES].map(kept);
    drop(store);
    let on_disk = bytes_below(place.path()) - before;
    let begun = Instant::now();
    let store = open();
    let opened = begun.elapsed();
    let begun = Instant::now();
    let kept = Kept::of(&store);
    let read = begun.elapsed();
    assert_eq!((kept.ledger.len(), kept.groups.outcomes.len()), (DAYS as usize, DAYS as usize));
    let (slowest, question) = slowest(&group, &kept);
    eprintln!(
        "{DAYS} days of {OWNERS} owners: ledger {ledger} bytes, atoms {atoms} bytes, aggregates {aggregates} bytes, \
         {on_disk} bytes on disk; opened in {opened:?}, read in {read:?}, {question} answered in {slowest:?}"
    );
    assert!(ledger < 64 * 1024, "{ledger} bytes of ledger");
    assert!(atoms < 4 << 20, "{atoms} bytes of atoms: three years have to fit into what a store keeps");
    assert!(on_disk < 8 << 20, "{on_disk} bytes on disk");
}

/// Asks everything over all days, and says what took the longest.
fn slowest(group: &Arc<Group>, kept: &Kept) -> (Duration, Question) {
    let closed: BTreeMap<i32, ClosedDay> = kept
        .groups
        .outcomes
        .iter()
        .filter_map(|(id, outcome)| match outcome {
            Outcome::Closed(_, atom, _) => {
                Some((id.day, ClosedDay { group: Arc::clone(group), atom: Arc::clone(atom) }))
            }
            Outcome::Ended(..) => None,
        })
        .collect();
    let ask = |question: &Question| {
        let days = FIRST..FIRST + DAYS;
        let asked = Asked { question: *question, days, compare: false, not_looked_for: BTreeSet::new() };
        let begun = Instant::now();
        let told = answer(&asked, &closed);
        assert_eq!(told.covered.len(), DAYS as usize);
        (begun.elapsed(), *question)
    };
    Question::ALL.iter().map(ask).max_by_key(|(took, _)| *took).expect("there are questions")
}
