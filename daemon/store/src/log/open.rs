//! Opening: the lock, the check of the raw segments, the footers of the sealed ones; and what a crash
//! left is copied before anything is added to it.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::{Arc, RwLock};

use karo_protocol::{ShellId, Timestamp};

use super::known::{Contents, KeyHash, Known, Marks};
use super::live::Live;
use super::notes::NotesCensus;
use super::raw::{self, Fault, Header, Scan};
use super::salvage::{Bad, Fate, UNFINISHED, rewrite_raw, set_aside};
use super::table::{Deleted, Form, RawIndex, Shared, raw_name, write};
use super::{AppendError, Ids, OpenError, Opened, Options, SetAside, Standing, Store};
use crate::disk::{Disk, is_full};
use crate::payload::{self, Base};
use crate::records::{FORMAT, Kind, Packing, Record};

/// The directory of the segments, below the data directory.
const LOG_DIR: &str = "log";
/// Where bytes are kept that were no records, below the data directory.
const DAMAGED_DIR: &str = "damaged";
/// Held by the one daemon of a data directory.
const LOCK_FILE: &str = "karod.lock";

impl Store {
    /// Opens the log of a data directory, or begins one.
    ///
    /// Reads the raw segments and the footers of the sealed ones, nothing else. What a crash left of
    /// the last segment is copied and synced before it is added to, because its last sync may have
    /// failed; where the disk is too full for that, the store opens all the same and takes nothing
    /// until there is room.
    ///
    /// # Errors
    ///
    /// [`OpenError::Locked`] while another daemon has it, [`OpenError::Newer`] when a later version
    /// wrote it, and what the disk refuses.
    pub fn open(
        directory: &Path,
        options: Options,
        disk: Arc<dyn Disk>,
        now: Timestamp,
    ) -> Result<(Self, Opened), OpenError> {
        let log = directory.join(LOG_DIR);
        disk.create_directory(&log).map_err(OpenError::disk("make", &log))?;
        let lock_path = directory.join(LOCK_FILE);
        let lock = disk.lock(&lock_path).map_err(OpenError::disk("lock", &lock_path))?;
        let lock = lock.ok_or(OpenError::Locked { path: lock_path })?;
        disk.sync_directory(directory).map_err(OpenError::disk("sync", directory))?;
        let mut store = Self {
            shared: Arc::new(Shared::new(disk, &log, &directory.join(DAMAGED_DIR))),
            options,
            known: Known::default(),
            live: None,
            next_number: 1,
            next_slot: 0,
            standing: Standing::Sound,
            unsaved: Vec::new(),
            is_unerased: false,
            erasures: 0,
            ids: Ids::default(),
            batch: raw::BatchWriter::default(),
            packing: Packing::default(),
            changes: Vec::new(),
            spent: Vec::new(),
            _lock: lock,
        };
        let mut opened = Opened { was_closed: true, ..Opened::default() };
        let mut census = Census::default();
        let names = store.tidy_names()?;
        if names.is_empty() {
            store.sync_above(directory)?;
        }
        store.open_sealed(&names, &mut census)?;
        store.open_raws(&names, &mut census, &mut opened)?;
        store.is_unerased = census.is_unerased();
        store.erasures = census.erasures;
        store.known = census.conclude(&store.shared);
        opened.segments = store.shared.table().0.len() as u64;
        store.first_renewal(now, &mut opened)?;
        store.shared.keep_opening();
        Ok((store, opened))
    }

    /// Makes the names of the directories last that lead to a new log.
    fn sync_above(&self, directory: &Path) -> Result<(), OpenError> {
        for above in directory.ancestors().skip(1).filter(|above| !above.as_os_str().is_empty()) {
            match self.shared.disk.sync_directory(above) {
                // A directory that we may not read is none that we have made.
                Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {}
                synced => synced.map_err(OpenError::disk("sync", above))?,
            }
        }
        Ok(())
    }

    /// Takes away what was never finished and returns the other names.
    fn tidy_names(&self) -> Result<Vec<String>, OpenError> {
        let directory = &self.shared.directory;
        let mut names = self.shared.disk.list(directory).map_err(OpenError::disk("list", directory))?;
        for name in names.extract_if(.., |name| name.ends_with(UNFINISHED)) {
            let path = self.shared.path(&name);
            self.shared.disk.unlink(&path).map_err(OpenError::disk("remove", &path))?;
        }
        Ok(names)
    }

    fn open_raws(
        &mut self,
        names: &[String],
        census: &mut Census,
        opened: &mut Opened,
    ) -> Result<(), OpenError> {
        let mut numbers: Vec<u32> = names.iter().filter_map(|name| number_of(name, ".log")).collect();
        numbers.sort_unstable();
        let last = numbers.last().copied();
        for number in numbers {
            self.open_raw(number, Some(number) == last, census, opened)?;
            self.next_number = self.next_number.max(number + 1);
        }
        Ok(())
    }

    fn open_raw(
        &mut self,
        number: u32,
        is_last: bool,
        census: &mut Census,
        opened: &mut Opened,
    ) -> Result<(), OpenError> {
        let path = self.shared.path(&raw_name(number));
        let bytes = self.shared.disk.read(&path).map_err(OpenError::disk("read", &path))?;
        // A later segment is begun only when all of this one is synced.
        let scan = raw::scan(&bytes, number, !is_last);
        if let Header::Newer(version) = scan.header {
            return Err(OpenError::Newer { path, version, known: FORMAT });
        }
        let (index, contents, faults) = take_in(&scan, bytes.len());
        let index = Arc::new(RwLock::new(index));
        let slot = self.enter(number, Form::Raw(Arc::clone(&index)));
        census.add(slot, contents);
        let name = raw_name(number);
        self.unsaved.extend(faults.into_iter().map(|(range, fault)| Bad {
            segment: name.clone(),
            range,
            fault,
        }));
        if !is_last {
            return Ok(());
        }
        opened.was_closed = scan.is_closed;
        if let Header::Older(version) = scan.header {
            opened.migrated_from = Some(version);
        }
        if scan.is_closed && scan.header == Header::Ours {
            let file = self.shared.disk.open_append(&path).map_err(OpenError::disk("open", &path))?;
            self.live = Some(Live::resume(slot, number, index, file, true));
        } else {
            self.standing = Standing::Unrenewed;
        }
        Ok(())
    }

    /// Renews what a crash left; a full disk puts that off.
    fn first_renewal(&mut self, now: Timestamp, opened: &mut Opened) -> Result<(), OpenError> {
        let bad = self.unsaved.clone();
        let places = match self.standing == Standing::Unrenewed || !bad.is_empty() {
            true => self.try_renew(now),
            false => Ok(Vec::new()),
        };
        let places = match places {
            Ok(places) => places,
            Err(error) if is_full(&error) => {
                opened.is_waiting_for_room = true;
                self.standing = Standing::Unrenewed;
                vec![None; bad.len()]
            }
            Err(error) => {
                return Err(OpenError::disk("renew the last segment in", &self.shared.directory)(error));
            }
        };
        for (bad, moved_to) in bad.iter().zip(places) {
            opened.name(&self.shared, bad, moved_to);
        }
        opened.damage = self.shared.damage();
        Ok(())
    }

    /// Does what the disk was too full for when the log was opened.
    pub(super) fn renew(&mut self, now: Timestamp) -> Result<(), AppendError> {
        self.try_renew(now).map(drop).map_err(|error| self.refuse("renew the last segment", &error))
    }

    /// Keeps bytes that were no records, then writes the last segment anew, and returns where they are.
    fn try_renew(&mut self, now: Timestamp) -> io::Result<Vec<Option<PathBuf>>> {
        let mut places = Vec::new();
        for bad in &self.unsaved {
            places.push(set_aside(&self.shared, bad)?);
        }
        if self.live.is_none() {
            let table = self.shared.table();
            let last = table.0.values().filter_map(|segment| segment.raw().map(|index| (segment, index)));
            if let Some((segment, index)) = last.max_by_key(|(segment, _)| segment.number) {
                let file = rewrite_raw(&self.shared, segment, index, now.as_micros(), |_, _, _| Fate::Kept)?;
                self.live = Some(Live::resume(segment.slot, segment.number, Arc::clone(index), file, false));
            }
        }
        self.unsaved.clear();
        self.standing = Standing::Sound;
        Ok(places)
    }
}

/// Makes the index of a raw segment of what was found in it, and the sum of its records; what has no
/// meaning, because the record of its shell is lost, is one of the faults.
fn take_in(scan: &Scan<'_>, length: usize) -> (RawIndex, Contents, Vec<(Range<u64>, Fault)>) {
    let mut index = RawIndex { end: length as u32, ..RawIndex::default() };
    // Shells first: one that was lost in one place may stand in a later one.
    for found in scan.records.iter().filter(|found| found.kind == Kind::Shell) {
        if let Ok(Record::Shell(number, shell)) =
            payload::read(found.kind, found.payload, &mut Base::default())
        {
            index.name(number, shell);
        }
    }
    let mut contents = Contents::default();
    let mut faults = scan.faults.clone();
    let notes_end = scan.notes_end();
    for found in &scan.records {
        let record = payload::read(found.kind, found.payload, &mut Base::default());
        let counts = |record: &Record<'_>| match record {
            Record::Put(_) | Record::Line(..) | Record::Deleted(..) => u64::from(found.offset) < notes_end,
            Record::Void
            | Record::Shell(..)
            | Record::Event(_)
            | Record::Ended(..)
            | Record::Lost(..)
            | Record::Understood(_) => true,
        };
        match record.is_ok_and(|record| counts(&record) && index.add(&record, &mut contents)) {
            true => index.offsets.push(found.offset),
            false => faults.push((found.range(), scan.fault_of(&found.range()))),
        }
    }
    faults.sort_unstable_by_key(|(range, _)| range.start);
    (index, contents, faults)
}

impl Opened {
    fn name(&mut self, shared: &Shared, bad: &Bad, moved_to: Option<PathBuf>) {
        let segment = bad.segment.clone();
        let (offset, bytes) = (bad.range.start, bad.range.end - bad.range.start);
        let aside = SetAside { segment: segment.clone(), offset, bytes, moved_to };
        match bad.fault {
            Fault::Torn => self.torn.push(aside),
            Fault::Undecided => self.undecided.push(aside),
            Fault::Damage => {
                shared.note_damage(&segment, offset, &format!("{bytes} bytes are not as they were written"))
            }
        }
    }
}

/// Returns the number in the name of a segment's file.
pub(super) fn number_of(name: &str, ending: &str) -> Option<u32> {
    let digits = name.strip_suffix(ending)?;
    let is_ours = digits.len() >= 8 && digits.bytes().all(|digit| digit.is_ascii_digit());
    is_ours.then(|| digits.parse().ok()).flatten()
}

/// What all segments say together.
#[derive(Default)]
pub(super) struct Census {
    marks: HashMap<ShellId, Marks, KeyHash>,
    deleted: Deleted,
    erasures: u64,
    notes: NotesCensus,
}

impl Census {
    /// Adds what the segment of that slot says.
    pub(super) fn add(&mut self, slot: u16, mut contents: Contents) {
        self.notes.add(slot, &mut contents);
        for (shell, marks) in contents.marks {
            match self.marks.entry(shell) {
                Entry::Vacant(new) => drop(new.insert(marks)),
                Entry::Occupied(mut known) => known.get_mut().extend(&marks),
            }
        }
        self.erasures += contents.deleted.len() as u64;
        for (shell, first, last) in contents.deleted {
            self.deleted.entry(shell).or_default().insert_range(first, last);
        }
    }

    /// Tells whether any segment holds something that is said to be deleted.
    fn is_unerased(&self) -> bool {
        self.marks.iter().any(|(shell, marks)| self.deleted.get(shell).is_some_and(|gone| marks.meets(gone)))
    }

    fn conclude(self, shared: &Shared) -> Known {
        let mut known = Known::default();
        self.marks.into_iter().for_each(|(shell, marks)| known.restore(shell, marks));
        for (shell, sequences) in &self.deleted {
            sequences.iter().for_each(|(first, last)| known.close_range(*shell, first, last));
        }
        shared.publish_deleted(self.deleted);
        *write(&shared.notes) = self.notes.conclude();
        known
    }
}
