//! Own numbers: nothing leaves until it is switched on, then exactly what was shown, and less when the person says so.

use std::fs;
use std::path::Path;

use karo_protocol::answer::{SummaryAsk, SummaryOf, SummaryRow};
use karo_protocol::audit::Deed;
use karo_protocol::local::{Reply, Request};
use karo_protocol::mesh::{Change, LinkState};
use karo_protocol::policy::{PeerPolicy, PolicyChange, PolicyPreview, PolicyShown, Sharing};
use karo_protocol::query::Filter;
use karo_protocol::summary::{Period, Sums};
use karo_protocol::{Category, Trust};
use karo_tests::groups::{had, yesterday};
use karo_tests::mesh::link;
use karo_tests::{Node, until};
use memchr::memmem;

/// What a person did on a day: everything private in it has a canary.
const DAY: [(&str, i32); 5] = [
    ("git push", 0),
    ("git status", 0),
    ("make -j4 canary-target", 2),
    ("psql -h canary-host.example.org canarydb", 0),
    ("acme-canary-tool --merge /srv/canary", 0),
];

/// What must be in no summary.
const CANARY: &[u8] = b"canary";

fn node(summaries: bool) -> Node {
    let mut node = Node::new();
    node.configure(&format!("[sharing]\nsummaries = {summaries}\n"));
    node.karo.launch();
    node.karo.wait_until_searchable();
    node
}

fn summaries(node: &Node, of: SummaryOf) -> Vec<SummaryRow> {
    let ask = SummaryAsk { of, periods: vec![Period::Daily], since: None, until: None };
    let mut session = node.karo.session();
    let mut rows = Vec::new();
    let mut reply = session.ask(&Request::Summaries(ask)).expect("it answers");
    loop {
        match reply {
            Reply::Summaries(page) => rows.extend(page),
            Reply::End(_) => return rows,
            other => panic!("no summaries but {other:?}"),
        }
        reply = session.receive().expect("it goes on").1;
    }
}

pub(crate) fn received(node: &Node) -> Vec<SummaryRow> {
    summaries(node, SummaryOf::Received(None))
}

fn change(node: &Node, change: PolicyChange) -> PolicyShown {
    match node.ask(&Request::PolicyChange(change)) {
        Reply::Policy(shown) => *shown,
        other => panic!("the policy was not changed: {other:?}"),
    }
}

fn switch(node: &Node, is_on: bool) -> PolicyShown {
    change(node, PolicyChange::Switch { what: Sharing::Summaries, to: Some(is_on) })
}

fn preview(node: &Node, of: &Node) -> PolicyPreview {
    match node.ask(&Request::PolicyPreview(of.node_id().to_string())) {
        Reply::PolicyPreview(preview) => *preview,
        other => panic!("no preview but {other:?}"),
    }
}

/// Waits until a node has a summary of yesterday, and returns it.
fn yesterday_at(node: &Node) -> SummaryRow {
    until("yesterday was received", || received(node).into_iter().find(is_of_yesterday))
}

fn is_of_yesterday(row: &SummaryRow) -> bool {
    row.summary.start.as_micros().div_euclid(86_400_000_000) == i64::from(yesterday())
}

fn counts(row: &SummaryRow) -> Vec<(Category, u64)> {
    row.summary.categories.iter().map(|(category, Sums { count, .. })| (*category, *count)).collect()
}

/// Tells whether the bytes are in any file below a directory.
fn is_on_disk(below: &Path, bytes: &[u8]) -> bool {
    fs::read_dir(below).into_iter().flatten().flatten().any(|entry| match entry.file_type() {
        Ok(kind) if kind.is_dir() => is_on_disk(&entry.path(), bytes),
        Ok(kind) if kind.is_file() => {
            fs::read(entry.path()).is_ok_and(|file| memmem::find(&file, bytes).is_some())
        }
        Ok(_) | Err(_) => false,
    })
}

#[test]
fn nothing_is_told_until_it_is_switched_on() {
    let (own, other) = (node(false), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &other, Trust::Peer);
    let shown = preview(&own, &other);
    assert!(shown.nothing_because.as_ref().is_some_and(|why| why.contains("switched off")), "{shown:?}");
    assert!(shown.objects.is_empty() && summaries(&own, SummaryOf::Sent(None)).is_empty());
    let shown = switch(&own, true);
    assert!(shown.policy.summaries && shown.meaning.iter().any(|meaning| meaning.contains("about you")));
    let row = yesterday_at(&other);
    assert_eq!(row.summary.total.count, DAY.len() as u64);
    assert_eq!(counts(&row).iter().map(|(_, count)| count).sum::<u64>(), DAY.len() as u64);
    assert_eq!((own.count(Deed::PolicyChanged, None), own.count(Deed::SummarySent, None)), (1, 1));
    until("the audit has what was received", || {
        (other.audited(Deed::SummaryReceived, None) >= 1).then_some(())
    });
    until("it is known that it is there", || {
        summaries(&own, SummaryOf::Sent(None)).iter().all(|row| row.is_taken).then_some(())
    });
    own.check_audit();
    // Switched off again, nothing new is told.
    switch(&own, false);
    had(&own, yesterday() - 1, &DAY);
    assert!(preview(&own, &other).objects.is_empty());
}

#[test]
fn what_is_previewed_is_what_arrives_to_the_byte() {
    let (own, other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    had(&own, yesterday() - 1, &DAY);
    own.trust(other.node_id(), &[&other.address], Trust::ShareTo);
    let shown = preview(&own, &other);
    let now: Vec<_> = shown.objects.iter().filter(|one| one.summary.end < one.goes_at).collect();
    assert!(now.iter().filter(|one| one.summary.period == Period::Daily).count() == 2, "{shown:?}");
    other.trust(own.node_id(), &[&own.address], Trust::Member);
    yesterday_at(&other);
    for object in &now {
        assert!(memmem::find(&object.bytes.0, CANARY).is_none(), "a private name is in {object:?}");
        until("the very bytes are on the other disk", || {
            is_on_disk(&other.karo.data(), &object.bytes.0).then_some(())
        });
    }
    // Nothing that is private is anywhere at the other one.
    assert!(!is_on_disk(other.karo.root(), CANARY));
    assert!(is_on_disk(own.karo.root(), CANARY));
}

#[test]
fn what_is_denied_is_not_told() {
    let (own, other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    change(&own, PolicyChange::Deny([Category::Vcs].into_iter().collect()));
    let rule = PeerPolicy { deny: [Category::Database].into_iter().collect(), ..PeerPolicy::default() };
    own.trust(other.node_id(), &[&other.address], Trust::Peer);
    change(&own, PolicyChange::Peer { peer: other.node_id().to_string(), policy: rule });
    other.trust(own.node_id(), &[&own.address], Trust::Member);
    let row = yesterday_at(&other);
    assert_eq!((row.summary.total.count, row.summary.is_limited), (DAY.len() as u64 - 3, true));
    assert!(row.summary.risks.is_none());
    let told = format!("{:?}", row.summary);
    assert!(!told.contains("git") && !told.contains("psql") && told.contains("make"), "{told}");
    match own.ask(&Request::PolicyExplain(other.node_id().to_string())) {
        Reply::PolicyExplained(explained) => {
            assert!(
                explained.denied.contains(Category::Vcs) && explained.denied.contains(Category::Database)
            );
            assert!(explained.reasons.iter().any(|one| one.what == Sharing::Summaries && one.is_allowed));
        }
        other => panic!("not explained but {other:?}"),
    }
}

#[test]
fn a_stricter_policy_takes_back_what_it_denies() {
    let (own, other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &other, Trust::Peer);
    assert_eq!(yesterday_at(&other).summary.version, 1);
    change(&own, PolicyChange::Deny([Category::Vcs].into_iter().collect()));
    let row = until("the newer version was received", || {
        received(&other).into_iter().find(|row| is_of_yesterday(row) && row.summary.version == 2)
    });
    assert_eq!(row.summary.total.count, DAY.len() as u64 - 2);
}

#[test]
fn what_was_missed_is_sent_again() {
    let (own, mut other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &other, Trust::Peer);
    yesterday_at(&other);
    other.karo.stop();
    own.wait_for(other_id(&own), LinkState::Disconnected);
    had(&own, yesterday() - 3, &DAY);
    other.karo.launch();
    until("the missed day was received", || (received(&other).len() == 2).then_some(()));
}

/// Returns the only peer of a node.
fn other_id(node: &Node) -> karo_protocol::NodeId {
    node.peers()[0].node_id
}

#[test]
fn what_is_deleted_is_told_as_deleted() {
    let (own, other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &other, Trust::Peer);
    assert_eq!(yesterday_at(&other).summary.version, 1);
    let filter = Filter { category: Some(Category::Vcs), ..Filter::default() };
    match own.ask(&Request::Delete(filter)) {
        Reply::Deleted(count) => assert_eq!(count, 2),
        other => panic!("not deleted but {other:?}"),
    }
    let row = until("the newer version was received", || {
        received(&other).into_iter().find(|row| is_of_yesterday(row) && row.summary.version == 2)
    });
    assert_eq!(row.summary.total.count, DAY.len() as u64 - 2);
    // One version of it is kept.
    assert_eq!(received(&other).len(), 1);
}

#[test]
fn who_is_revoked_has_told_nothing() {
    let (mut own, mut other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &other, Trust::Peer);
    yesterday_at(&other);
    let id = own.node_id();
    other.change(&id.to_string(), Change::Revoke);
    assert_eq!(received(&other), []);
    other.karo.stop();
    other.karo.launch();
    assert_eq!(received(&other), []);
    // Nor is it only kept out of sight: whoever is trusted again begins anew.
    own.karo.stop();
    other.trust(id, &[], Trust::Peer);
    assert_eq!(received(&other), []);
}

#[test]
fn who_may_ask_is_answered_and_nobody_else() {
    let (own, asker) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &asker, Trust::QueryFrom);
    let rows = summaries(&asker, SummaryOf::From(own.node_id().to_string()));
    assert!(rows.iter().any(is_of_yesterday), "{rows:?}");
    assert_eq!(own.count(Deed::QueryAnswered, None), 1);
    // It was not pushed: that takes another trust.
    assert_eq!(own.count(Deed::SummarySent, None), 0);
    own.change(&asker.node_id().to_string(), Change::Trust(Trust::Member));
    asker.wait_for(own.node_id(), LinkState::Connected);
    let ask = SummaryAsk {
        of: SummaryOf::From(own.node_id().to_string()),
        periods: Vec::new(),
        since: None,
        until: None,
    };
    let failure = until("it is refused", || match asker.ask(&Request::Summaries(ask.clone())) {
        Reply::Failure(failure) if failure.message.contains("does not tell") => Some(failure),
        _ => None,
    });
    assert!(failure.message.contains("does not tell"));
}

#[test]
fn own_summaries_are_shown_to_their_owner() {
    let own = node(false);
    had(&own, yesterday(), &DAY);
    let rows = summaries(&own, SummaryOf::Own);
    let row = rows.iter().find(|row| is_of_yesterday(row)).expect("yesterday is there");
    assert_eq!((row.summary.total.count, row.summary.total.failed), (DAY.len() as u64, 1));
    let names: Vec<&str> = row.summary.tools.iter().map(|(tool, ..)| tool.as_str()).collect();
    assert_eq!(names, ["git", "make", "psql"]);
    assert_eq!(row.summary.hours.iter().sum::<u32>(), DAY.len() as u32);
}

/// What was told under the old key is the new key's, on disk as well, and what is told under the new one takes its place.
#[test]
fn kept_summaries_follow_their_owner_to_a_new_key() {
    let (own, mut other) = (node(true), node(false));
    had(&own, yesterday(), &DAY);
    link(&own, &other, Trust::Peer);
    let before = yesterday_at(&other);
    until("it is known that it is there", || {
        summaries(&own, SummaryOf::Sent(None)).iter().all(|row| row.is_taken).then_some(())
    });
    let new = crate::keys::rotate(&own);
    let name = other.wait_for(new, LinkState::Connected).name;
    let of = |node: &Node, who: &str| {
        let mut rows = summaries(node, SummaryOf::Received(Some(who.to_owned())));
        rows.retain(is_of_yesterday);
        rows
    };
    let moved = until("it is under the new key", || of(&other, &new.to_string()).pop());
    assert_eq!((moved.summary.clone(), moved.peer.as_deref()), (before.summary.clone(), Some(&*name)));
    other.karo.kill();
    other.karo.launch();
    other.wait_for(new, LinkState::Connected);
    assert_eq!(of(&other, &new.to_string()).pop().map(|row| row.summary), Some(before.summary.clone()));
    // A newer version, signed by the new key, takes its place: there are not two of one day.
    match own.ask(&Request::Delete(Filter { words: vec!["psql".into()], ..Filter::default() })) {
        Reply::Deleted(count) => assert_eq!(count, 1),
        reply => panic!("nothing was deleted: {reply:?}"),
    }
    let newer = until("a newer version is there", || {
        of(&other, &new.to_string()).into_iter().find(|row| row.summary.version > before.summary.version)
    });
    assert_eq!((newer.summary.total.count, of(&other, &new.to_string()).len()), (DAY.len() as u64 - 1, 1));
    assert_eq!(received(&other).iter().filter(|row| is_of_yesterday(row)).count(), 1);
}
