//! Writes the audit: each deed becomes an entry in the same batch as what it records, and heads are signed.
//!
//! It belongs to the writer of the store and changes with it: an entry counts when its batch is on disk, and not
//! before. A head is signed every hundred entries, or a minute after the first that has none, and at the end of the
//! daemon; it is told to nobody before it is on disk itself.

use std::sync::Arc;

use karo_core::search::{Key, Position};
use karo_protocol::audit::{AuditEntry, Deed, Head, Reason};
use karo_protocol::node::{Hash, Nonce};
use karo_protocol::peer::Signed;
use karo_protocol::{Micros, Timestamp};
use karo_store::{AppendError, Entry, Series, Store};
use karo_trust::audit::{AuditLog, Leaf, Tile, forgettable};
use karo_trust::identity::Identity;
use karo_trust::{Chance, System, object};
use tokio::sync::watch;

use crate::logging::say;
use crate::stored_audit::StoredAudit;
use crate::{clock, shelves};

/// Entries after which a head is signed at once.
const HEAD_ENTRIES: u64 = 100;

/// Of the heads within so many entries the last one is kept: between two of them a check can tell where a log was
/// rewritten, and each is in memory.
const HEADS_APART: u64 = 256;

/// How long an entry is kept.
const RETENTION: Micros = Micros(730 * 86_400_000_000);

/// How long a signed head is good for: a proof is verified whenever it was made, and this is past any retention.
const HEAD_LIFETIME: Micros = Micros(100 * 365 * 86_400_000_000);

/// The audit that is written.
pub struct Auditor {
    log: AuditLog,
    signer: Option<Arc<Identity>>,
    /// Entries of the newest signed head.
    signed: u64,
    heads: watch::Sender<Option<Signed>>,
    chance: System,
}

impl Auditor {
    /// Goes on with the log that is kept, or begins the first one.
    ///
    /// A log whose end cannot be read is left as it is, and another one begins that names it.
    pub fn restore(store: &mut Store, signer: Option<Arc<Identity>>) -> Self {
        let mut chance = System::default();
        let newest = newest_head(store);
        let signed = newest.as_ref().map_or(0, |(head, _)| head.size);
        let heads = watch::Sender::new(newest.map(|(_, signed)| signed));
        let fresh = AuditLog::begin(Nonce(chance.draw()));
        let mut auditor = Self { log: fresh, signer, signed, heads, chance };
        let Some(log) = current_log(store) else {
            auditor.signed = 0;
            return auditor;
        };
        let stored = StoredAudit::new(store.reader(), log);
        let size = store.line_count(Series(log.0));
        match AuditLog::restore(log, size, &stored) {
            // What was signed may be seen by others: a log that is shorter would be a lie.
            Ok(_) if size < auditor.signed => {
                let signed = auditor.signed;
                say!(Class::AuditBegunAnew, size, signed, "the end of the audit is lost; another log begins");
                auditor.begin_behind(store, log);
            }
            Ok((restored, unstored)) => {
                auditor.log = restored;
                auditor.store_tiles(store, &unstored);
            }
            Err(missing) => {
                say!(Class::AuditBegunAnew, %missing, "the audit cannot go on where it was; another log begins");
                auditor.begin_behind(store, log);
            }
        }
        auditor
    }

    /// Begins another log behind one that cannot go on.
    fn begin_behind(&mut self, store: &mut Store, log: Nonce) {
        let opened = AuditEntry { other: Some(widened(log)), ..entry(Deed::LogOpened) };
        let damage = AuditEntry { other: Some(widened(log)), ..entry(Deed::Damage) };
        self.signed = 0;
        if let Err(error) = self.open(store, vec![opened], Vec::new(), &[damage], clock::now()) {
            say!(Class::AuditBroken, %error, "the audit could not be begun anew");
        }
    }

    /// Tells of each head when it is on disk.
    pub fn heads(&self) -> watch::Receiver<Option<Signed>> {
        self.heads.subscribe()
    }

    /// Signs by another identity from here on.
    pub fn sign_by(&mut self, identity: Arc<Identity>) {
        self.signer = Some(identity);
    }

    /// Writes values down, with their deeds in the audit, in one batch.
    ///
    /// # Errors
    ///
    /// As [`Store::append`]; then nothing of it is kept.
    pub fn append(
        &mut self,
        store: &mut Store,
        entries: Vec<Entry>,
        deeds: &[AuditEntry],
        now: Timestamp,
    ) -> Result<(), AppendError> {
        if self.log.size() == 0 && !deeds.is_empty() {
            return self.open(store, vec![entry(Deed::LogOpened)], entries, deeds, now);
        }
        let (log, mut batch) = self.staged(deeds);
        batch.extend(entries);
        store.append(batch, now)?;
        self.log = log;
        // Peers believe no head that another key has signed.
        let is_rotated = deeds.iter().any(|deed| deed.deed == Deed::KeyRotated);
        self.sign_if(store, if is_rotated { 1 } else { HEAD_ENTRIES }, now);
        Ok(())
    }

    /// Deletes events, with the deed in the audit, in one batch.
    ///
    /// # Errors
    ///
    /// As [`Store::delete`].
    pub fn delete(
        &mut self,
        store: &mut Store,
        keys: &[(Key, Position)],
        now: Timestamp,
    ) -> Result<u64, AppendError> {
        // Where nothing is there to delete nothing is written, and nothing was done.
        let count = store.deletable(keys);
        let deed = AuditEntry { count, day: Some(day(now)), reason: Reason::Command, ..entry(Deed::Deleted) };
        let deeds = if count == 0 { Vec::new() } else { vec![deed] };
        if self.log.size() == 0 && count > 0 {
            self.open(store, vec![entry(Deed::LogOpened)], Vec::new(), &[], now)?;
        }
        let (log, batch) = self.staged(&deeds);
        let deleted = store.delete(keys, batch, now)?;
        self.log = log;
        self.sign_if(store, HEAD_ENTRIES, now);
        Ok(deleted)
    }

    /// Notes that events went by the rule of retention: it was in force already when they did.
    pub fn retained(&mut self, store: &mut Store, events: u64, now: Timestamp) {
        let deed = AuditEntry {
            count: events,
            day: Some(day(now)),
            reason: Reason::Retention,
            ..entry(Deed::Deleted)
        };
        if let Err(error) = self.append(store, Vec::new(), &[deed], now) {
            say!(Class::AuditUpkeepFailed, %error, "what retention let go is not in the audit");
        }
    }

    /// Lets entries go that are past their retention: their hashes stay in the tree, and confirm nothing.
    pub fn forget_old(&self, store: &mut Store, now: Timestamp) {
        let stored = StoredAudit::new(store.reader(), self.log.log());
        let is_old = |index: &u64| {
            let entry = stored.line(*index).and_then(|line| line.entry());
            entry.is_some_and(|entry| now.since(entry.at) > RETENTION)
        };
        let old = stored.range().take_while(is_old).count() as u64;
        let below = forgettable(self.log.size(), stored.range().start + old);
        if below > stored.range().start
            && let Err(error) = store.forget_lines(Series(self.log.log().0), below, now)
        {
            say!(Class::AuditUpkeepFailed, %error, "entries of the audit past their retention stay for now");
        }
    }

    /// Begins another log by another identity: a restored one has done things that this log does not know.
    ///
    /// # Errors
    ///
    /// As [`Store::append`]; then the old log goes on.
    pub fn begin_anew(
        &mut self,
        store: &mut Store,
        identity: Arc<Identity>,
        entries: Vec<Entry>,
        deeds: &[AuditEntry],
        now: Timestamp,
    ) -> Result<(), AppendError> {
        let old = (self.log.clone(), self.signer.clone());
        let before = (self.log.size() > 0).then(|| widened(self.log.log()));
        let opened = AuditEntry { other: before, reason: Reason::Restored, ..entry(Deed::LogOpened) };
        self.log = AuditLog::begin(Nonce(self.chance.draw()));
        self.signer = Some(identity);
        let begun = self.open(store, vec![opened], entries, deeds, now);
        if begun.is_err() {
            (self.log, self.signer) = old;
        }
        begun
    }

    /// Signs a head if there are at least so many entries that have none.
    pub fn sign_if(&mut self, store: &mut Store, entries_min: u64, now: Timestamp) {
        let unsigned = self.log.size().saturating_sub(self.signed);
        let Some(signer) = self.signer.clone().filter(|_| unsigned >= entries_min && unsigned > 0) else {
            return;
        };
        let head = self.log.head();
        let id = Nonce(self.chance.draw());
        let signed = match object::sign(signer.as_ref(), head, None, now, now.after(HEAD_LIFETIME), id) {
            Ok(signed) => signed,
            Err(error) => return say!(Class::AuditBroken, %error, "a head of the audit could not be signed"),
        };
        let Ok(value) = rmp_serde::to_vec(&signed) else { return };
        let mut batch = vec![Entry::Put { shelf: shelves::HEADS, key: head_key(&head), value }];
        if self.signed > 0 && self.signed / HEADS_APART == head.size / HEADS_APART {
            let passed = Head { size: self.signed, ..head };
            batch.push(Entry::Remove { shelf: shelves::HEADS, key: head_key(&passed) });
        }
        match store.append(batch, now) {
            Ok(_) => {
                self.signed = head.size;
                self.heads.send_replace(Some(signed));
            }
            Err(error) => say!(Class::AuditUpkeepFailed, %error, "a head of the audit could not be kept"),
        }
    }

    /// Begins the log that is in hand, with the entry that opens it.
    fn open(
        &mut self,
        store: &mut Store,
        mut opened: Vec<AuditEntry>,
        entries: Vec<Entry>,
        deeds: &[AuditEntry],
        now: Timestamp,
    ) -> Result<(), AppendError> {
        opened.extend_from_slice(deeds);
        let (log, mut batch) = self.staged(&opened);
        let value = log.log().0.to_vec();
        batch.push(Entry::Put { shelf: shelves::OWN, key: shelves::OWN_LOG.to_vec(), value });
        batch.extend(entries);
        store.append(batch, now)?;
        (self.log, self.signed) = (log, 0);
        self.sign_if(store, 1, now);
        Ok(())
    }

    /// Returns the log as it will be, and what is to be stored for it.
    fn staged(&mut self, deeds: &[AuditEntry]) -> (AuditLog, Vec<Entry>) {
        let mut log = self.log.clone();
        let mut batch = Vec::new();
        for deed in deeds {
            let Leaf { index, line, tiles } = log.add(deed, &mut self.chance);
            batch.push(Entry::Line { series: Series(log.log().0), index, line: line.to_bytes() });
            batch.extend(tiles.iter().map(|tile| stored_tile(&log.log(), tile)));
        }
        (log, batch)
    }

    /// Stores tiles that a crash kept from being stored.
    fn store_tiles(&self, store: &mut Store, tiles: &[Tile]) {
        if tiles.is_empty() {
            return;
        }
        let batch = tiles.iter().map(|tile| stored_tile(&self.log.log(), tile)).collect();
        if let Err(error) = store.append(batch, clock::now()) {
            say!(Class::AuditUpkeepFailed, %error, "a part of the audit's tree could not be stored; it is made anew at the next start");
        }
    }
}

/// Makes an entry of this moment that says nothing yet but what was done, once.
pub fn entry(deed: Deed) -> AuditEntry {
    AuditEntry {
        at: clock::now(),
        deed,
        peer: None,
        count: 1,
        trust: None,
        day: None,
        reason: Reason::None,
        other: None,
    }
}

fn stored_tile(log: &Nonce, tile: &Tile) -> Entry {
    Entry::Line { series: Series(Tile::series(log, tile.level)), index: tile.index, line: tile.to_bytes() }
}

/// Returns the name of a head: those of a log in the order of their sizes.
fn head_key(head: &Head) -> Vec<u8> {
    [&head.log.0[..], &head.size.to_be_bytes()].concat()
}

/// Returns the day of a moment, in days since the epoch, UTC.
fn day(at: Timestamp) -> i32 {
    i32::try_from(at.as_micros().div_euclid(86_400_000_000)).unwrap_or(i32::MAX)
}

/// Returns the name of a log as an entry has room for it.
pub fn widened(log: Nonce) -> Hash {
    let mut bytes = [0; Hash::LENGTH];
    bytes[..Nonce::LENGTH].copy_from_slice(&log.0);
    Hash(bytes)
}

/// Returns the log that is written, if one was begun.
pub fn current_log(store: &Store) -> Option<Nonce> {
    let kept = store.kept(shelves::OWN);
    let (_, value) = kept.into_iter().find(|(key, _)| key == shelves::OWN_LOG)?;
    value.try_into().ok().map(Nonce)
}

/// Returns the newest head that was signed of the log that is written.
fn newest_head(store: &Store) -> Option<(Head, Signed)> {
    let log = current_log(store)?;
    let kept = store.kept(shelves::HEADS);
    let of_log = kept.into_iter().filter(|(key, _)| key.starts_with(&log.0));
    let (_, value) = of_log.max_by(|(one, _), (other, _)| one.cmp(other))?;
    let signed: Signed = rmp_serde::from_slice(&value).ok()?;
    let head = object::read::<Head>(&signed, None).ok()?;
    Some((head.body, signed))
}
