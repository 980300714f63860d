//! Opening the sealed segments: by their footers alone, unless one cannot be read.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::footer::Footer;
use super::open::{Census, number_of};
use super::raw::Header;
use super::reader::read_footer;
use super::sealed;
use super::table::{Form, SealedIndex, Segment, raw_name, sealed_name};
use super::{OpenError, ReadError, Store};
use crate::records::FORMAT;

impl Store {
    /// Reads the footers of the sealed segments, and takes files away that a crash left over.
    pub(super) fn open_sealed(&mut self, names: &[String], census: &mut Census) -> Result<(), OpenError> {
        let mut footers = BTreeMap::new();
        let sealed = names.iter().filter_map(|name| number_of(name, ".seg").map(|number| (name, number)));
        for (name, number) in sealed {
            self.next_number = self.next_number.max(number + 1);
            // The raw one is the truth: it goes only when the sealed one is safe.
            if names.contains(&raw_name(number)) {
                self.unlink(name)?;
            } else {
                footers.insert(number, self.open_footer(name, number)?);
            }
        }
        // What a merged segment was made of goes when it is there.
        let replaced: Vec<u32> = footers.values().flat_map(|footer| footer.replaces.clone()).collect();
        for number in replaced {
            self.next_number = self.next_number.max(number + 1);
            if footers.remove(&number).is_some() {
                self.unlink(&sealed_name(number))?;
            }
        }
        for (number, footer) in footers {
            let path = self.shared.path(&sealed_name(number));
            let bytes = self.shared.disk.length(&path).map_err(OpenError::disk("read", &path))?;
            let slot = self.enter(number, Form::Sealed(Arc::new(SealedIndex::new(&footer, bytes))));
            census.add(slot, footer.contents);
        }
        Ok(())
    }

    fn unlink(&self, name: &str) -> Result<(), OpenError> {
        let path = self.shared.path(name);
        self.shared.disk.unlink(&path).map_err(OpenError::disk("remove", &path))
    }

    /// Reads a footer, or makes it anew of what can be read of its segment.
    fn open_footer(&self, name: &str, number: u32) -> Result<Footer, OpenError> {
        let path = self.shared.path(name);
        let mut header = [0; sealed::HEADER_BYTES];
        let header = match self.shared.disk.read_at(&path, 0, &mut header) {
            Ok(()) => sealed::read_header(&header, number),
            // A file that is too short is read as damaged below.
            Err(_) => Header::Unsound,
        };
        if let Header::Newer(version) = header {
            return Err(OpenError::Newer { path, version, known: FORMAT });
        }
        match read_footer(&self.shared, name, number, false) {
            Ok(footer) => return Ok(footer),
            Err(ReadError::Damaged { offset, reason, .. }) => self.shared.note_damage(name, offset, &reason),
            // Reading it whole says more.
            Err(ReadError::Disk { .. } | ReadError::Gone) => {}
        }
        let bytes = self.shared.disk.read(&path).map_err(OpenError::disk("read", &path))?;
        let survey = sealed::survey(&bytes, number);
        survey.note_bad(&self.shared, name);
        Ok(survey.footer.clone().unwrap_or_else(|| survey.rebuilt_footer()))
    }

    /// Puts a segment into the table and returns its slot.
    pub(super) fn enter(&mut self, number: u32, form: Form) -> u16 {
        let slot = self.next_slot as u16;
        self.next_slot += 1;
        self.shared.publish(|table| {
            table.0.insert(slot, Arc::new(Segment { slot, number, form }));
        });
        slot
    }
}
