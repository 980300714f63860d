//! Shells that deliver without rest, and remember what they were told.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering};

use karo_protocol::Observation;
use karo_protocol::event::Event;
use karo_protocol::local::Verdict;
use karo_tests::ledger::Comparison;
use karo_tests::{Dice, Karo, Ledger, Session, Typist, until};

/// Shells that deliver at once.
const WRITERS: u64 = 4;

/// All shells of one story, over the lives of many daemons.
pub(crate) struct Load {
    writers: Vec<Writer>,
    spooler: Typist,
    spooled: Ledger,
}

impl Load {
    pub(crate) fn new() -> Self {
        let writers = (0..WRITERS).map(Writer::new).collect();
        Self { writers, spooler: Typist::new(WRITERS), spooled: Ledger::default() }
    }

    /// Delivers to a running daemon until some were acknowledged, then does the deed that ends it.
    pub(crate) fn run(&mut self, karo: &mut Karo, dice: &mut Dice, deed: impl FnOnce(&mut Karo)) {
        // Some come through the spool: a file that is gone was acknowledged.
        for n in 0..dice.within(0..20) {
            let observation = self.spooler.ran(format!("spooled {n}"), 0);
            self.spooled.sends(&observation);
            self.spooled.hears(observation.shell.id, observation.sequence, Verdict::Committed);
            karo.spool_record(&observation);
        }
        let enough = dice.within(1..400);
        let acknowledged = AtomicU64::new(0);
        std::thread::scope(|scope| {
            for writer in &mut self.writers {
                let session = karo.session();
                let acknowledged = &acknowledged;
                scope.spawn(move || writer.write(session, acknowledged));
            }
            until("enough is acknowledged to be worth the deed", || {
                (acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
            });
            deed(karo);
        });
    }

    /// Delivers what is left to a daemon that stays, and compares all that was acknowledged with what it has.
    pub(crate) fn settle(mut self, karo: &Karo) -> Comparison {
        for writer in &mut self.writers {
            let mut session = karo.session();
            while let Some(observation) = writer.waiting.pop_front() {
                let (shell, sequence) = (observation.shell.id, observation.sequence);
                let verdict = session.observe(observation).expect("this daemon stays");
                writer.ledger.hears(shell, sequence, verdict);
            }
        }
        karo.wait_until_spool_is_empty();
        karo.wait_until_searchable();
        let mut ledger = self.spooled;
        self.writers.into_iter().for_each(|writer| ledger.absorb(writer.ledger));
        let events: Vec<Event> = karo.session().events(Default::default());
        let found = ledger.compare(&events);
        assert_eq!(found.kept, found.found, "everything was settled in the end: {found:?}");
        found
    }
}

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

    /// Delivers until the daemon is gone or cannot keep anything any more.
    fn write(&mut self, mut session: Session, acknowledged: &AtomicU64) {
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
                Ok(Verdict::Ignored) => panic!("nothing is to be ignored here"),
                // This daemon is at its end: what waits is for the next.
                Ok(Verdict::Failed) | Err(_) => return,
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
