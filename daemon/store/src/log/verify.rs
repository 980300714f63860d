//! Reading all of the log and saying whether it is as it was written.

use karo_protocol::local::{Damage, Verified};

use super::raw;
use super::reader::Reader;
use super::sealed::survey;
use super::table::{Form, RawIndex, Segment, Shared, read};
use crate::payload::{self, Base};
use crate::records::Record;

/// Damaged places that are named; the others are counted.
const NAMED_MAX: usize = 100;

impl Reader {
    /// Reads every record of the log and checks it.
    ///
    /// Says nothing of the views: `views_agree` is true. Bytes that were set aside as damaged at an
    /// earlier opening are named for as long as their files are kept.
    pub fn verify(&self) -> Verified {
        let mut verified = Verified { views_agree: true, ..Verified::default() };
        let slots: Vec<u16> = self.shared.table().0.keys().copied().collect();
        for slot in slots {
            let _reading = self.shared.reading();
            if let Some(segment) = self.shared.table().0.get(&slot) {
                verified.segments += 1;
                verified.records += verify_segment(&self.shared, segment);
            }
        }
        let mut damage = self.shared.damage();
        damage.extend(set_aside_before(&self.shared, &damage));
        verified.damage_count = damage.len() as u64;
        damage.truncate(NAMED_MAX);
        verified.damage = damage;
        verified
    }
}

/// Checks a segment, notes what is damaged, and returns how many records are sound.
fn verify_segment(shared: &Shared, segment: &Segment) -> u64 {
    let name = segment.name();
    let (result, length) = match &segment.form {
        // A batch that is being written lies behind this.
        Form::Raw(index) => (shared.disk.read(&shared.path(&name)), read(index).end as usize),
        Form::Sealed(_) => (shared.disk.read(&shared.path(&name)), usize::MAX),
    };
    let bytes = match &result {
        Ok(bytes) => &bytes[..bytes.len().min(length)],
        Err(error) => {
            shared.note_damage(&name, 0, &format!("could not be read: {error}"));
            return 0;
        }
    };
    match &segment.form {
        Form::Raw(index) => verify_raw(shared, segment, &read(index), bytes),
        Form::Sealed(_) => verify_sealed(shared, segment, bytes),
    }
}

fn verify_raw(shared: &Shared, segment: &Segment, index: &RawIndex, bytes: &[u8]) -> u64 {
    let scan = raw::scan(bytes, segment.number, true);
    for (range, _) in &scan.faults {
        let bytes = range.end - range.start;
        shared.note_damage(
            &segment.name(),
            range.start,
            &format!("{bytes} bytes are not as they were written"),
        );
    }
    let is_sound = |found: &&raw::Found<'_>| {
        let record = payload::read(found.kind, found.payload, &mut Base::default());
        let reason = match &record {
            Ok(record @ Record::Event(_)) if index.shell_of(record).is_none() => {
                "the record of its shell is lost"
            }
            Ok(_) => return true,
            Err(_) => "it is no record of ours",
        };
        shared.note_damage(&segment.name(), u64::from(found.offset), reason);
        false
    };
    scan.records.iter().filter(is_sound).count() as u64
}

fn verify_sealed(shared: &Shared, segment: &Segment, bytes: &[u8]) -> u64 {
    let survey = survey(bytes, segment.number);
    survey.note_bad(shared, &segment.name());
    let shells = survey.shells().len();
    let mut records = 0;
    for block in &survey.blocks {
        let mut orphans = 0;
        let read = block.for_each(|_, record| {
            let is_orphan = record.shell().is_some_and(|number| number as usize >= shells);
            orphans += u64::from(is_orphan);
            records += u64::from(!is_orphan);
            true
        });
        debug_assert!(read.is_some(), "a survey takes only blocks that can be read");
        if orphans > 0 {
            let reason = format!("the records of the shells of {orphans} events are lost");
            shared.note_damage(&segment.name(), u64::from(block.place.offset), &reason);
        }
    }
    records
}

/// Returns the damage that earlier openings set aside, by the names of its files.
fn set_aside_before(shared: &Shared, known: &[Damage]) -> Vec<Damage> {
    // No directory, no damage.
    let names = shared.disk.list(&shared.damaged).unwrap_or_default();
    let damage = names.iter().filter_map(|name| {
        let (place, _) = name.split_once(".damage")?;
        let (segment, offset) = place.rsplit_once('.')?;
        let (segment, offset) = (segment.to_owned(), offset.parse().ok()?);
        let reason = format!("set aside as damaged/{name}");
        Some(Damage { segment, offset, reason })
    });
    let is_new = |damage: &Damage| {
        !known.iter().any(|known| known.segment == damage.segment && known.offset == damage.offset)
    };
    damage.filter(is_new).collect()
}
