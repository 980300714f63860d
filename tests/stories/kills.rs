//! `kill -9` at random moments under load: acknowledged and lost 0, twice 0, torn 0.
//!
//! The ledger of acknowledgements lies outside the daemon. What was not acknowledged is sent again to
//! the next daemon, as the spool does, so every round also tests that a record which was on disk
//! already does not count twice. `KARO_ROUNDS` sets the rounds: 20 in CI, 200 by hand.

use karo_protocol::local::{Reply, Request};
use karo_tests::{Dice, Karo, number_from};

use crate::load::Load;

#[test]
fn acknowledged_is_kept_over_kill_9() {
    let rounds = number_from("KARO_ROUNDS", 20);
    let mut dice = Dice::seeded(0x6b69_6c6c);
    let mut karo = Karo::new();
    let mut load = Load::new();
    for _ in 0..rounds {
        karo.launch();
        load.run(&mut karo, &mut dice, |karo, _| karo.kill());
    }
    karo.launch();
    let found = load.settle(&karo);
    eprintln!("{rounds} rounds: {found:?}");
    let verified = karo.session().ask(&Request::StoreVerify(()));
    let Ok(Reply::Verified(verified)) = verified else { panic!("{verified:?}") };
    let message = format!("{found:?}\n{verified:?}\n{:?}", karo.status());
    assert_eq!((found.lost, found.twice, found.torn), (0, 0, 0), "{message}");
    assert_eq!((verified.damage_count, verified.views_agree), (0, true), "{message}");
}
