use karo_protocol::local::Tallies;
use karo_protocol::query::{CountKey, Filter, LeftOut, Tally};

use super::*;
use crate::ctl::cli::FilterArgs;
use crate::ctl::samples::scene;
use crate::fake::{FakeDaemon, Script};

#[test]
fn what_was_counted_is_deleted_when_the_person_agrees() {
    let daemon = FakeDaemon::serve_all(vec![counts(2), deletes(2)]);
    let (mut scene, written) = scene(&daemon);
    scene.person = |question| {
        assert_eq!(question, "delete 2 events for good?");
        Ok(true)
    };
    assert_eq!(run(&mut scene, &failed(false)), Ok(Exit::Done));
    assert_eq!(written.text(), "2 deleted\n");
}

#[test]
fn nothing_is_deleted_when_the_person_does_not_agree_or_is_not_there() {
    for (person, message) in [
        (no as fn(&str) -> Result<bool, Trouble>, "nothing was deleted"),
        (|_| Err(Trouble::refused("nobody is there")), "nobody is there"),
    ] {
        let daemon = FakeDaemon::serve_all(vec![counts(1)]);
        let (mut scene, _) = scene(&daemon);
        scene.person = person;
        assert_eq!(run(&mut scene, &failed(false)), Err(Trouble::refused(message)));
    }
}

#[test]
fn yes_is_not_asked_for_twice() {
    let daemon = FakeDaemon::serve_all(vec![counts(1), deletes(1)]);
    let (mut scene, written) = scene(&daemon);
    scene.is_json = true;
    assert_eq!(run(&mut scene, &failed(true)), Ok(Exit::Done));
    assert_eq!(written.text(), "{\"deleted\":1}\n");
}

#[test]
fn nothing_found_is_nothing_deleted() {
    let daemon = FakeDaemon::serve_all(vec![counts(0)]);
    let (mut scene, _) = scene(&daemon);
    assert_eq!(run(&mut scene, &failed(true)), Ok(Exit::NothingFound));
}

#[test]
fn everything_is_not_deleted_by_saying_nothing() {
    let daemon = FakeDaemon::serve_all(Vec::new());
    let (mut scene, _) = scene(&daemon);
    let nothing = DeleteArgs { filter: FilterArgs::default(), ..failed(true) };
    assert_eq!(run(&mut scene, &nothing).map_err(|trouble| trouble.exit), Err(Exit::Usage));
}

fn no(_: &str) -> Result<bool, Trouble> {
    Ok(false)
}

fn failed(yes: bool) -> DeleteArgs {
    let filter = FilterArgs { failed: true, ..FilterArgs::default() };
    DeleteArgs { ids: Vec::new(), words: Vec::new(), filter, yes }
}

fn asked() -> Filter {
    Filter { exit: Some(karo_protocol::query::Exit::Failed), ..Filter::default() }
}

fn counts(count: u64) -> Script {
    Box::new(move |session| {
        let (id, request) = session.request();
        let Request::Count(asked_count) = request else { panic!("first it is counted") };
        assert_eq!((asked_count.filter, asked_count.by), (asked(), None));
        let tallies = vec![Tally { key: CountKey::All, count, failed: count }];
        session.reply(
            id,
            &Reply::Tallies(Tallies { tallies, partial_since: None, left_out: LeftOut::default() }),
        );
    })
}

fn deletes(count: u64) -> Script {
    Box::new(move |session| {
        let (id, request) = session.request();
        assert_eq!(request, Request::Delete(asked()));
        session.reply(id, &Reply::Deleted(count));
    })
}
