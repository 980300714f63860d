//! The audit on a disk that loses its power: an entry is there with its deed or not at all, whatever was acknowledged
//! is there, and nobody who saw a head has a reason to cry wolf.

mod model;
mod shape;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use karo_core::search::Key;
use karo_protocol::audit::{AuditEntry, Deed, Head, Reason};
use karo_protocol::node::{Hash, Nonce};
use karo_store::{AppendError, Entry, OpenError, Options, Reader, RetentionRule, Series, Store};
use karo_trust::Chance;
use karo_trust::audit::{AuditLog, Leaf, Line, Offered, Stored, Tile, Witness, check, consistency_proof};
use model::{Dice, Failure, ModelDisk};
use shape::{Search, at, end, event, shell};

const LOG: Nonce = Nonce([7; 16]);
const LINES: Series = Series(LOG.0);

/// Values that go with their entry: one for each batch.
const DEEDS: u8 = 1;
const HEADS: u8 = 2;

const CUTS: u64 = 200;

/// Whatever was written here before the daemon died: how each cut of the power finds it.
struct Kept(Reader);

impl Kept {
    fn line(&self, index: u64) -> Option<Line> {
        Line::read(&self.0.line(LINES, index).ok()?)
    }

    fn heads(&self) -> Vec<Head> {
        let head = |(key, value): (Vec<u8>, Vec<u8>)| Head {
            log: LOG,
            size: u64::from_be_bytes(key.try_into().expect("a head is kept under its size")),
            root: Hash(value.try_into().expect("a root is kept whole")),
        };
        self.0.kept(HEADS).into_iter().map(head).collect()
    }
}

impl Stored for Kept {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Hash>> {
        Tile::read(&self.0.line(Series(Tile::series(&LOG, level)), index).ok()?)
    }

    fn leaf(&self, index: u64) -> Option<Hash> {
        self.line(index).map(|line| line.hash)
    }
}

/// Random bytes of the entries, the same at each run.
struct Drawn<'a>(&'a mut Dice);

impl Chance for Drawn<'_> {
    fn fill(&mut self, bytes: &mut [u8]) {
        bytes.iter_mut().for_each(|byte| *byte = self.0.below(256) as u8);
    }
}

/// What the world outside knows.
#[derive(Debug, Clone, Default)]
struct Ledger {
    /// Each batch that was sent: its entries end there, and the event that it deleted.
    sent: BTreeMap<u64, (u64, Option<Key>)>,
    lines: Vec<Vec<u8>>,
    /// Entries that were acknowledged, and batches.
    acknowledged: u64,
    batches: u64,
    /// Somebody who is told of each head that is on disk.
    witness: Witness,
}

impl Ledger {
    /// Forgets what was sent and did not come to be.
    fn settle(&mut self, size: u64, batches: u64) {
        (self.acknowledged, self.batches) = (size, batches);
        self.lines.truncate(size as usize);
        self.sent.retain(|batch, _| *batch < batches);
    }

    /// Shows a head to the witness, with its proof, as links do.
    fn show(&mut self, head: Head, kept: &Kept) {
        match self.witness.offered(&head) {
            Offered::First => assert!(self.witness.take(head)),
            Offered::Same => {}
            Offered::Newer { from } => {
                let proof = consistency_proof(kept, from.size, head.size).expect("no hash is lost");
                self.witness.prove(head, &proof).expect("the log only grew");
            }
            wolf @ (Offered::NewLog | Offered::Refuted(_)) => panic!("the witness cries wolf: {wolf:?}"),
        }
    }
}

/// A daemon between two cuts.
struct Life {
    store: Store,
    search: Search,
    log: AuditLog,
}

impl Life {
    /// Opens what the last one left, and checks all of it.
    fn begin(disk: &ModelDisk, ledger: &mut Ledger) -> Result<Self, OpenError> {
        let options = Options { segment_bytes: 20_000, reserve_bytes: 1 << 20 };
        let (store, _) = Store::open(Path::new("/data"), options, Arc::new(disk.clone()), at(0))?;
        let mut search = Search::default();
        store.reader().load().for_each(|(changes, _)| changes.iter().for_each(|change| search.apply(change)));
        let kept = Kept(store.reader());
        let size = store.line_count(LINES);
        assert!(ledger.acknowledged <= size, "of {} entries {size} are left", ledger.acknowledged);
        for index in 0..size {
            let line = kept.0.line(LINES, index).expect("the series has no gap");
            assert_eq!(line, ledger.lines[index as usize], "entry {index}");
        }
        check_deeds(&kept, &search, size, ledger);
        let (log, unstored) = AuditLog::restore(LOG, size, &kept).expect("the log goes on");
        assert!(unstored.is_empty(), "a tile is in the batch of the entry that completes it");
        let heads = kept.heads();
        let checked = check(LOG, size, 0, &kept, |index| kept.line(index), &heads);
        assert!(checked.is_sound(), "{checked:?}");
        if let Some(newest) = heads.last() {
            ledger.show(*newest, &kept);
        }
        assert_eq!(heads.last().copied(), ledger.witness.known, "the newest head is the one that was told");
        let batches = kept.0.kept(DEEDS).len() as u64;
        ledger.settle(size, batches);
        Ok(Self { store, search, log })
    }

    fn follow(&mut self) {
        self.store.take_changes().iter().for_each(|change| self.search.apply(change));
    }

    /// Does something, and writes it down in the same batch.
    fn deed(&mut self, dice: &mut Dice, ledger: &mut Ledger) -> Result<(), AppendError> {
        let batch = ledger.batches;
        let doomed = self.search.events.iter().next().map(|(key, known)| (*key, known.position));
        let doomed = doomed.filter(|_| dice.below(2) == 0);
        let mut log = self.log.clone();
        let mut entries = Vec::new();
        for _ in 0..1 + dice.below(8) {
            let entry = AuditEntry {
                at: at(batch as i64),
                deed: Deed::Connected,
                peer: None,
                count: batch,
                trust: None,
                day: None,
                reason: Reason::None,
                other: None,
            };
            let Leaf { index, line, tiles } = log.add(&entry, &mut Drawn(dice));
            ledger.lines.push(line.to_bytes());
            entries.push(Entry::Line { series: LINES, index, line: line.to_bytes() });
            entries.extend(tiles.iter().map(|tile| Entry::Line {
                series: Series(Tile::series(&LOG, tile.level)),
                index: tile.index,
                line: tile.to_bytes(),
            }));
        }
        ledger.sent.insert(batch, (log.size(), doomed.map(|(key, _)| key)));
        let value = log.size().to_be_bytes().to_vec();
        entries.push(Entry::Put { shelf: DEEDS, key: batch.to_be_bytes().to_vec(), value });
        match doomed {
            Some(doomed) => drop(self.store.delete(&[doomed], entries, at(2))?),
            None => {
                let text = format!("make -C module-{batch} all");
                entries.push(Entry::Observed(event(&shell(1), batch + 1, &text, end(Some(0)))));
                drop(self.store.append(entries, at(1))?);
            }
        }
        self.follow();
        self.log = log;
        (ledger.acknowledged, ledger.batches) = (self.log.size(), batch + 1);
        Ok(())
    }

    /// Keeps a head, and tells of it once it is on disk.
    fn head(&mut self, ledger: &mut Ledger) -> Result<(), AppendError> {
        let head = self.log.head();
        let key = head.size.to_be_bytes().to_vec();
        self.store.append(vec![Entry::Put { shelf: HEADS, key, value: head.root.0.to_vec() }], at(3))?;
        ledger.show(head, &Kept(self.store.reader()));
        Ok(())
    }

    /// Lives until the power is cut.
    fn live(&mut self, dice: &mut Dice, ledger: &mut Ledger) -> Result<(), AppendError> {
        loop {
            match dice.below(12) {
                0 => drop(self.store.upkeep(RetentionRule::default(), at(4))?),
                1 => drop(self.store.compact(at(5))?),
                2 | 3 if self.log.size() > 0 => self.head(ledger)?,
                _ => self.deed(dice, ledger)?,
            }
            self.follow();
        }
    }
}

/// Each entry has its deed beside it, and each deed its entry.
fn check_deeds(kept: &Kept, search: &Search, size: u64, ledger: &Ledger) {
    let deeds = kept.0.kept(DEEDS);
    assert!(deeds.len() as u64 >= ledger.batches, "a deed that was acknowledged is gone");
    let ends: Vec<u64> = deeds
        .iter()
        .map(|(_, value)| u64::from_be_bytes(value[..].try_into().expect("eight bytes are kept")))
        .collect();
    let sent: Vec<u64> = ledger.sent.values().take(ends.len()).map(|(end, _)| *end).collect();
    assert_eq!(ends, sent);
    assert_eq!(ends.last().copied().unwrap_or(0), size, "entries without their deed, or the other way round");
    let has_event = |batch: u64| search.events.contains_key(&(shell(1).id, batch + 1));
    let done = ledger.sent.iter().take(ends.len());
    let gone: Vec<Key> = done.clone().filter_map(|(_, (_, doomed))| *doomed).collect();
    for (batch, (_, doomed)) in done {
        let is_wanted = doomed.is_none() && !gone.contains(&(shell(1).id, batch + 1));
        assert_eq!(has_event(*batch), is_wanted, "the event of batch {batch}");
    }
}

#[test]
fn the_power_is_cut_while_the_audit_grows() {
    for seed in 0..10 {
        let (mut dice, mut ledger) = (Dice(seed), Ledger::default());
        let mut disk = ModelDisk::new();
        for cut in 0..CUTS / 10 {
            disk.fail_at(dice.below(90), Failure::Power);
            let place = format!("seed {seed}, cut {cut}");
            // The power may be cut while the store is opened, too.
            if let Ok(mut life) = Life::begin(&disk, &mut ledger) {
                life.live(&mut dice, &mut ledger).expect_err("the power is cut");
            }
            eprintln!("{place}: {} entries", ledger.acknowledged);
            for _ in 0..3 {
                let one = disk.after_power_cut(&mut dice);
                Life::begin(&one, &mut ledger.clone()).expect("what a cut left opens");
            }
            disk = if dice.below(3) == 0 { disk.after_kill() } else { disk.after_power_cut(&mut dice) };
        }
        Life::begin(&disk, &mut ledger).expect("a sound disk opens");
        assert!(ledger.acknowledged > 256, "seed {seed}: a tile was completed");
    }
}
