//! Shells that deliver without rest, and remember what they were told.

use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use karo_protocol::Observation;
use karo_protocol::event::Event;
use karo_protocol::local::Verdict;
use karo_protocol::spool::file_name;
use karo_tests::ledger::Comparison;
use karo_tests::{Dice, Karo, Ledger, Session, Typist, until};

/// Shells that deliver at once.
const WRITERS: u64 = 4;

/// All shells of one story, over the lives of many daemons.
pub(crate) struct Load {
    writers: Vec<Writer>,
    spooler: Spooler,
}

/// A shell that delivers through the spool: a file that is gone was acknowledged by that.
struct Spooler {
    typist: Typist,
    /// What was put into the spool and must not be taken for acknowledged yet.
    waiting: Vec<Observation>,
    ledger: Ledger,
}

/// What the shells of one round share.
#[derive(Default)]
pub(crate) struct Round {
    acknowledged: AtomicU64,
    is_over: AtomicBool,
}

impl Round {
    /// Says that from here on the machine counts as dead: what is acknowledged later was said to nobody.
    pub(crate) fn end(&self) {
        self.is_over.store(true, Ordering::SeqCst);
    }
}

impl Load {
    pub(crate) fn new() -> Self {
        let writers = (0..WRITERS).map(Writer::new).collect();
        let spooler =
            Spooler { typist: Typist::new(WRITERS), waiting: Vec::new(), ledger: Ledger::default() };
        Self { writers, spooler }
    }

    /// Delivers to a running daemon until some were acknowledged, then does the deed that ends it.
    pub(crate) fn run(&mut self, karo: &mut Karo, dice: &mut Dice, deed: impl FnOnce(&mut Karo, &Round)) {
        self.spooler.spool_again(karo);
        self.spooler.spool(karo, dice.within(0..20));
        let enough = dice.within(1..400);
        let round = Round::default();
        std::thread::scope(|scope| {
            for writer in &mut self.writers {
                let session = karo.session();
                let round = &round;
                scope.spawn(move || writer.write(session, round));
            }
            until("enough is acknowledged to be worth the deed", || {
                (round.acknowledged.load(Ordering::Relaxed) >= enough).then_some(())
            });
            // The deed comes when a record has only just left the spool.
            let newest = self.spooler.spool(karo, 1 + dice.within(0..5));
            until("a record has left the spool", || newest.iter().any(|path| !path.exists()).then_some(()));
            self.spooler.take_stock(karo);
            deed(karo, &round);
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
        self.spooler.spool_again(karo);
        karo.wait_until_spool_is_empty();
        self.spooler.take_stock(karo);
        karo.wait_until_searchable();
        let mut ledger = self.spooler.ledger;
        self.writers.into_iter().for_each(|writer| ledger.absorb(writer.ledger));
        let events: Vec<Event> = karo.session().events(Default::default());
        let found = ledger.compare(&events);
        assert_eq!(found.kept, found.found, "everything was settled in the end: {found:?}");
        found
    }
}

impl Spooler {
    /// Puts new records into the spool.
    fn spool(&mut self, karo: &Karo, count: u64) -> Vec<PathBuf> {
        let spool_one = |n| {
            let observation = self.typist.ran(format!("spooled {n}"), 0);
            self.ledger.sends(&observation);
            let path = karo.spool_record(&observation);
            self.waiting.push(observation);
            path
        };
        (0..count).map(spool_one).collect()
    }

    /// Puts those into the spool again that went when nobody could tell any more.
    fn spool_again(&self, karo: &Karo) {
        self.waiting.iter().for_each(|observation| drop(karo.spool_record(observation)));
    }

    /// Notes what is not in the spool any more.
    fn take_stock(&mut self, karo: &Karo) {
        let spool = karo.spool();
        self.waiting.retain(|observation| {
            let (shell, sequence) = (observation.shell.id, observation.sequence);
            let waits = spool.join(file_name(shell, sequence, &observation.phase)).exists();
            if !waits {
                self.ledger.hears(shell, sequence, Verdict::Committed);
            }
            waits
        });
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
    fn write(&mut self, mut session: Session, round: &Round) {
        loop {
            if self.waiting.is_empty() {
                self.type_one();
            }
            let Some(observation) = self.waiting.front() else { return };
            let (shell, sequence) = (observation.shell.id, observation.sequence);
            let heard = session.observe(observation.clone());
            if round.is_over.load(Ordering::SeqCst) {
                return;
            }
            match heard {
                Ok(verdict @ (Verdict::Committed | Verdict::Duplicate)) => {
                    self.ledger.hears(shell, sequence, verdict);
                    self.waiting.pop_front();
                    round.acknowledged.fetch_add(1, Ordering::Relaxed);
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
