//! Compaction: seals what is raw, and makes one segment of small ones that follow one another.
//!
//! The merged segment has a number of its own and names those it was made of: if a crash leaves both,
//! the merged one counts. Here alone records get new positions.

use std::io;
use std::sync::Arc;

use karo_core::search::{Change, Position};
use karo_protocol::Timestamp;
use karo_protocol::local::Compacted;

use super::seal::Rewriting;
use super::sealed::{Survey, survey};
use super::table::{Form, RECORDS_MAX, SealedIndex, Segment, place, position, read, write};
use super::{AppendError, Store};

/// Records in a merged segment: what a raw one has room for.
const MERGED_RECORDS_MAX: usize = RECORDS_MAX;

impl Store {
    /// Makes the log as small as it can be without losing anything.
    ///
    /// The live segment is ended and sealed. Segments are merged only when everything was loaded.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append).
    pub fn compact(&mut self, now: Timestamp) -> Result<Compacted, AppendError> {
        self.ready_to_rewrite(now)?;
        let bytes_before = self.status().log_bytes;
        let raw = self.shared.table().0.values().filter(|segment| segment.raw().is_some()).count();
        if let Some(live) = self.live.take_if(|live| live.records() > 0) {
            drop(live);
            self.live = Some(self.begin_live(now)?);
        }
        self.seal_waiting(0, now)?;
        let mut segments = raw as u64;
        if self.shared.is_loaded() {
            self.erase(now)?;
            for group in self.groups() {
                self.merge(&group, now)?;
                segments += group.len() as u64;
            }
        }
        let bytes_after = self.status().log_bytes;
        Ok(Compacted { bytes_before, bytes_after, segments })
    }

    /// Returns runs of sealed segments that fit into one, each of two at least.
    fn groups(&self) -> Vec<Vec<Arc<Segment>>> {
        let table = self.shared.table();
        let mut sealed: Vec<&Arc<Segment>> = table.0.values().filter(|segment| segment.is_sealed()).collect();
        sealed.sort_by_key(|segment| (segment.newest(), segment.number));
        let mut groups: Vec<(usize, u64, Vec<Arc<Segment>>)> = Vec::new();
        for segment in sealed {
            let (records, bytes) = (segment.record_count(), segment.bytes());
            match groups.last_mut() {
                Some((all, total, group))
                    if *all + records <= MERGED_RECORDS_MAX
                        && *total + bytes <= self.options.segment_bytes / 2 =>
                {
                    (*all, *total) = (*all + records, *total + bytes);
                    group.push(Arc::clone(segment));
                }
                Some(_) | None => groups.push((records, bytes, vec![Arc::clone(segment)])),
            }
        }
        groups.into_iter().map(|(_, _, group)| group).filter(|group| group.len() > 1).collect()
    }

    fn merge(&mut self, group: &[Arc<Segment>], now: Timestamp) -> Result<(), AppendError> {
        let surveys: io::Result<Vec<Survey>> = group.iter().map(|segment| self.whole(segment)).collect();
        let surveys = surveys.map_err(|error| self.refuse("read a segment", &error))?;
        if surveys.iter().any(|survey| !survey.bad.is_empty()) {
            // Damaged segments stay as they are, for whoever wants to look at them.
            return Ok(());
        }
        let (number, slot) = (self.next_number, self.free_slot()?);
        self.next_number += 1;
        let deleted = self.shared.deleted();
        let mut rewriting = Rewriting::new(&deleted, read(&self.shared.notes));
        let mut moves = Vec::new();
        for (segment, survey) in group.iter().zip(&surveys) {
            let shells = survey.shells();
            for block in &survey.blocks {
                let read = block.for_each(|ordinal, record| {
                    let shell = record.shell().and_then(|number| shells.get(number as usize));
                    let next = moves.len() as u16;
                    if rewriting.push(next, record, shell) {
                        moves.push((position(segment.slot, ordinal), position(slot, next)));
                    }
                    true
                });
                debug_assert!(read.is_some(), "a survey takes only blocks that can be read");
            }
            rewriting.remember(survey.footer.as_ref().map_or(&[], |footer| &footer.contents.puts));
        }
        let replaced: Vec<u32> = group.iter().map(|segment| segment.number).collect();
        let (sealer, dropped) = rewriting.finish(number);
        let (sealed, footer) = sealer.finish(now, replaced);
        let form = Form::Sealed(Arc::new(SealedIndex::new(&footer, sealed.len() as u64)));
        let names: Vec<String> = group.iter().map(|segment| segment.name()).collect();
        let slots: Vec<u16> = group.iter().map(|segment| segment.slot).collect();
        self.install(&Segment { slot, number, form }, &sealed, &footer.contents, &names, &slots)
            .map_err(|error| self.refuse("merge segments", &error))?;
        write(&self.shared.notes).drop_records(dropped);
        moves.sort_unstable_by_key(|(from, _): &(Position, Position)| place(*from));
        self.changes.push(Change::Moved(moves));
        Ok(())
    }

    fn whole(&self, segment: &Segment) -> io::Result<Survey> {
        let bytes = self.shared.disk.read(&self.shared.path(&segment.name()))?;
        Ok(survey(&bytes, segment.number))
    }
}
