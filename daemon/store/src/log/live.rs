//! The segment that grows.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::io;
use std::sync::{Arc, RwLock};

use karo_protocol::{Shell, ShellId, Timestamp};

use super::known::KeyHash;
use super::raw::{self, BatchWriter, HEADER_BYTES};
use super::table::{RECORDS_MAX, RawIndex, Shared, raw_name, read};
use crate::disk::DiskFile;
use crate::records::Record;

/// Bytes of a segment after which a shell is written again, so that one damaged place costs no more
/// than that many bytes of its events.
const SHELL_AGAIN_BYTES: u32 = 256 * 1024;

/// A shell that records of this segment name by its number.
#[derive(Debug)]
struct Named {
    number: u32,
    shell: Arc<Shell>,
    offset: u32,
}

/// The raw segment that is appended to.
#[derive(Debug)]
pub(super) struct Live {
    pub(super) slot: u16,
    pub(super) number: u32,
    pub(super) index: Arc<RwLock<RawIndex>>,
    pub(super) file: Box<dyn DiskFile>,
    /// Whether its last batch says that nothing follows.
    pub(super) is_closed: bool,
    named: HashMap<ShellId, Named, KeyHash>,
    shells: u32,
}

impl Live {
    /// Begins a segment; it and its name are on disk when this returns.
    pub(super) fn begin(shared: &Shared, slot: u16, number: u32, now: Timestamp) -> io::Result<Self> {
        let path = shared.path(&raw_name(number));
        let mut file = shared.disk.create_new(&path)?;
        let begun = file
            .write_all(&raw::header(number, now.as_micros()))
            .and_then(|()| file.sync_data())
            .and_then(|()| shared.disk.sync_directory(&shared.directory));
        if let Err(error) = begun {
            // Nothing is in it; if it cannot be taken away, the next opening finds it empty.
            drop(file);
            return match shared.disk.unlink(&path) {
                Ok(()) | Err(_) => Err(error),
            };
        }
        let index = RawIndex { end: HEADER_BYTES as u32, ..RawIndex::default() };
        Ok(Self::resume(slot, number, Arc::new(RwLock::new(index)), file, false))
    }

    /// Goes on with a segment that exists.
    pub(super) fn resume(
        slot: u16,
        number: u32,
        index: Arc<RwLock<RawIndex>>,
        file: Box<dyn DiskFile>,
        is_closed: bool,
    ) -> Self {
        let shells = read(&index).shells.len() as u32;
        Self { slot, number, index, file, is_closed, named: HashMap::default(), shells }
    }

    /// Returns the number of a shell; writes its record first if the segment has none, or none nearby.
    pub(super) fn name_shell(
        &mut self,
        shell: &Shell,
        batch: &mut BatchWriter,
        staged: &mut StagedRecords,
    ) -> (u32, &Arc<Shell>) {
        let here = batch.next_offset();
        let named = match self.named.entry(shell.id) {
            Entry::Occupied(known) if *known.get().shell == *shell => {
                let named = known.into_mut();
                if here - named.offset < SHELL_AGAIN_BYTES {
                    return (named.number, &named.shell);
                }
                named.offset = here;
                named
            }
            other @ (Entry::Occupied(_) | Entry::Vacant(_)) => {
                let number = self.shells;
                self.shells += 1;
                let named = Named { number, shell: Arc::new(shell.clone()), offset: here };
                other.insert_entry(named).into_mut()
            }
        };
        let record = Record::Shell(named.number, Arc::clone(&named.shell));
        staged.offsets.push(batch.push(&record));
        staged.shells.push((named.number, Arc::clone(&named.shell)));
        (named.number, &named.shell)
    }

    /// Returns where the next batch goes.
    pub(super) fn index_end(&self) -> u32 {
        read(&self.index).end
    }

    /// Returns how many records it has.
    pub(super) fn records(&self) -> usize {
        read(&self.index).offsets.len()
    }

    /// Tells whether so many records may still be added.
    pub(super) fn has_room_for(&self, records: usize, bytes_max: u64) -> bool {
        let index = read(&self.index);
        u64::from(index.end) < bytes_max && index.offsets.len() + records <= RECORDS_MAX
    }

    /// Forgets shells that were named in a batch which was not written.
    pub(super) fn forget_staged(&mut self) {
        self.named.clear();
        self.shells = read(&self.index).shells.len() as u32;
    }
}

/// The records of a batch that is not on disk yet.
#[derive(Debug, Default)]
pub(super) struct StagedRecords {
    pub(super) offsets: Vec<u32>,
    pub(super) shells: Vec<(u32, Arc<Shell>)>,
}
