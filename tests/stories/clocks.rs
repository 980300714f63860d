//! Clocks that differ, end to end: one daemon lives in a time of its own, which a preloaded library makes.

use std::path::Path;

use karo_protocol::Trust;
use karo_protocol::mesh::LinkState;
use karo_tests::{Node, until};

/// Where distributions put the library.
const PLACES: [&str; 3] = [
    "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
    "/usr/lib64/faketime/libfaketimeMT.so.1",
];

/// Starts a daemon whose clock is so many seconds ahead; its timers are those of everybody.
fn launch_ahead(node: &mut Node, library: &str, seconds: i64) {
    let (preload, ahead) = (format!("LD_PRELOAD={library}"), format!("FAKETIME={seconds:+}"));
    let through = ["env", &preload, &ahead, "FAKETIME_DONT_FAKE_MONOTONIC=1"];
    let command = node.karo.daemon_command_through(&through);
    node.karo.launch_as(command);
}

#[test]
fn a_clock_that_is_off_is_shown_and_past_five_minutes_refused() {
    let Some(library) = PLACES.into_iter().find(|place| Path::new(place).exists()) else {
        eprintln!("skipped: there is no libfaketime");
        return;
    };
    let (one, mut other) = (Node::running(), Node::new());
    launch_ahead(&mut other, library, 90);
    let (first, second) = (one.node_id(), other.node_id());
    one.trust(second, &[&other.address], Trust::Member);
    other.trust(first, &[&one.address], Trust::Member);
    // So long as the clock is said to be that many seconds ahead of ours, give or take what a message takes.
    let says = |state: LinkState, seconds: i64| {
        until(&format!("a clock {seconds} s ahead is {state}"), || {
            let row = one.peer(second).filter(|row| row.state == state)?;
            let skew = row.skew_us? / 1_000_000;
            (seconds - 10..=seconds + 10).contains(&skew).then_some(row)
        })
    };
    let row = says(LinkState::Connected, 90);
    // A daemon that is busy leaves out what it could not ask for in time.
    let notices = |text: &str| until(text, || one.notices(text).then_some(()));
    notices("the clock of a peer is more than a minute");
    notices(&format!("one's: {} ", row.name));
    // Refused, it is shown by how much it is off since, and what to do about it.
    assert!(other.karo.stop().success());
    launch_ahead(&mut other, library, 4000);
    let row = says(LinkState::Rejected, 4000);
    assert!(row.reason.is_some_and(|reason| reason.contains("clocks")));
    let shown = one.shown(&row.name);
    assert!(shown.advice.iter().any(|advice| advice.contains("set the clocks")), "{:?}", shown.advice);
    assert!(!shown.advice.iter().any(|advice| advice.contains("roster")), "{:?}", shown.advice);
    notices("s ahead; past 300 s there is no link");
    // Set right, it is linked, and nothing more is said.
    assert!(other.karo.stop().success());
    other.karo.launch();
    says(LinkState::Connected, 0);
    until("nothing is said of clocks", || one.karo.status().notices.is_empty().then_some(()));
}
