//! `kill -9` at random moments under load: acknowledged and lost 0, twice 0, torn 0.
//!
//! The ledger of acknowledgements lies outside the daemon. What was not acknowledged is sent again to
//! the next daemon, as the spool does, so every round also tests that a record which was on disk
//! already does not count twice. `KARO_ROUNDS` sets the rounds: 20 in CI, 200 by hand.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use karo_protocol::Observation;
use karo_protocol::local::Verdict;
use karo_protocol::query::Filter;
use karo_tests::{Dice, Karo, Ledger, Session, Typist, number_from, until};

/// Shells that deliver at once.
const WRITERS: u64 = 4;

/// One shell: what it has not got rid of yet, and what it was told.
struct Writer {
    typist: Typist,
    number: u64,
    waiting: VecDeque<Observation>,
    ledger: Ledger,
}

impl Writer {
    fn new(number: u64) -> Self {
        Self { typist: Typist::new(number), number, waiting: VecDeque::new(), ledger: Ledger::default() }
    }

    /// Delivers until the daemon is gone; counts what was acknowledged.
    fn write(&mut self, session: Option<Session>, acknowledged: &AtomicU64) {
        let Some(mut session) = session else { return };
        loop {
            if self.waiting.is_empty() {
                self.type_one();
            }
            let Some(observation) = self.waiting.front() else { return };
            let (shell, sequence) = (observation.shell.id, observation.sequence);
            match session.observe(observation.clone()) {
                Ok(verdict @ (Verdict::Committed | Verdict::Duplicate)) => {
                    self.ledger.hears(shell, sequence, verdict);
                    self.waiting.pop_front();
                    acknowledged.fetch_add(1, Ordering::Relaxed);
                }
                Ok(Verdict::Busy) => {}
                Ok(other) => panic!("{other:?} without a reason"),
                // The daemon is gone in the middle: this one waits for the next.
                Err(_) => return,
            }
        }
    }

    /// Types a command: every third is seen at its start and at its end.
    fn type_one(&mut self) {
        let n = self.typist.sequence + 1;
        // Some are long, so that batches are torn within records too.
        let text = format!("echo {} {n} {}", self.number, "y".repeat((n % 17 * 97) as usize));
        if n.is_multiple_of(3) {
            let start = self.typist.started(text);
            self.ledger.sends(&start);
            self.waiting.push_back(start.clone());
            self.waiting.push_back(Typist::ended(&start, 1));
        } else {
            let whole = self.typist.ran(text, 0);
            self.ledger.sends(&whole);
            self.waiting.push_back(whole);
        }
    }
}

#[test]
fn acknowledged_is_kept_over_kill_9() {
    let rounds = number_from("KARO_ROUNDS", 20);
    let mut dice = Dice::seeded(0x6b69_6c6c);
    let mut karo = Karo::new();
    let mut writers: Vec<Writer> = (0..WRITERS).map(Writer::new).collect();
    let mut spooled = Ledger::default();
    let mut spooler = Typist::new(WRITERS);
    for round in 0..rounds {
        karo.launch();
        // Some come through the spool: a file that is gone was acknowledged.
        for n in 0..dice.within(0..20) {
            let observation = spooler.ran(format!("spooled {round} {n}"), 0);
            spooled.sends(&observation);
            spooled.hears(observation.shell.id, observation.sequence, Verdict::Committed);
            karo.spool_record(&observation);
        }
        let enough = dice.within(1..400);
        let acknowledged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for writer in &mut writers {
                let session = Session::connect(&karo.socket()).ok();
                let acknowledged = &acknowledged;
                scope.spawn(move || writer.write(session, acknowledged));
            }
            until("enough is acknowledged to be worth a kill", || {
                (acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
            });
            karo.kill();
        });
    }
    karo.launch();
    for writer in &mut writers {
        let mut session = karo.session();
        while let Some(observation) = writer.waiting.pop_front() {
            let (shell, sequence) = (observation.shell.id, observation.sequence);
            let verdict = session.observe(observation).expect("this daemon stays");
            writer.ledger.hears(shell, sequence, verdict);
        }
    }
    karo.wait_until_spool_is_empty();
    karo.wait_until_searchable();
    let mut ledger = spooled;
    writers.into_iter().for_each(|writer| ledger.absorb(writer.ledger));
    let found = ledger.compare(&karo.session().events(Filter::default()));
    eprintln!("{rounds} rounds: {found:?}");
    assert_eq!((found.lost, found.twice, found.torn), (0, 0, 0), "{found:?}\n{}", karo.log());
    assert_eq!(found.kept, found.found, "{found:?}");
    let verified = karo.session().ask(&karo_protocol::local::Request::StoreVerify(()));
    let Ok(karo_protocol::local::Reply::Verified(verified)) = verified else { panic!("{verified:?}") };
    assert_eq!((verified.damage_count, verified.views_agree), (0, true), "{verified:?}");
}
