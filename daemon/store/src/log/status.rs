//! How the log is, and ending it in order.

use karo_protocol::local::StoreStatus;

use super::table::{Form, Segment, read};
use super::{AppendError, Standing, Store};
use crate::views::LogPosition;

impl Store {
    /// Returns what the store itself knows of its state; what the search and the views know is left
    /// at its default.
    pub fn status(&self) -> StoreStatus {
        let table = self.shared.table();
        let free = self.shared.disk.free_bytes(&self.shared.directory);
        StoreStatus {
            segments: table.0.values().filter(|segment| segment.is_sealed()).count() as u64,
            log_bytes: table.0.values().map(|segment| segment.bytes()).sum(),
            free_bytes: free.as_ref().copied().unwrap_or(0),
            reserve_bytes: self.options.reserve_bytes,
            refusing: self.refusing(free.unwrap_or(u64::MAX)),
            damage: self.shared.damage_count(),
            ..StoreStatus::default()
        }
    }

    /// Returns where the next record goes: views that have come so far know all there is.
    ///
    /// The offset is in records. Records keep their place in their segment as long as nothing is
    /// erased or compacted.
    pub fn position(&self) -> LogPosition {
        let (segment, offset) = match &self.live {
            Some(live) => (live.number, live.records()),
            None => (self.next_number, 0),
        };
        LogPosition { erasures: self.erasures, segment: u64::from(segment), offset: offset as u64 }
    }

    fn refusing(&self, free_bytes: u64) -> Option<String> {
        let reserve_bytes = self.options.reserve_bytes;
        match &self.standing {
            Standing::Poisoned(reason) => Some(AppendError::Poisoned { reason: reason.clone() }.to_string()),
            Standing::Sound | Standing::Unrenewed if free_bytes < reserve_bytes => {
                Some(AppendError::Full { free_bytes, reserve_bytes }.to_string())
            }
            Standing::Sound | Standing::Unrenewed => None,
        }
    }

    /// Sets the bytes that stay free from now on.
    pub fn set_reserve(&mut self, reserve_bytes: u64) {
        self.options.reserve_bytes = reserve_bytes;
    }

    /// Ends the log in order: the next opening has nothing to check but its end. Afterwards nothing is
    /// taken any more; the lock is released when the store is dropped.
    ///
    /// # Errors
    ///
    /// As [`append`](Self::append); what was acknowledged is safe either way.
    pub fn close(&mut self) -> Result<(), AppendError> {
        let is_sound = self.standing == Standing::Sound;
        if let Some(mut live) = self.live.take() {
            let closed = match is_sound && !live.is_closed {
                true => {
                    self.batch.begin(live.number, live.index_end());
                    self.commit(&mut live, true)
                }
                false => Ok(()),
            };
            // It still says where the log ends.
            self.live = Some(live);
            closed?;
        }
        if is_sound {
            self.standing = Standing::Poisoned("it was closed".into());
        }
        Ok(())
    }
}

impl Segment {
    /// Returns the bytes of its file.
    pub(super) fn bytes(&self) -> u64 {
        match &self.form {
            Form::Raw(index) => u64::from(read(index).end),
            Form::Sealed(index) => index.bytes,
        }
    }

    /// Tells whether it is sealed.
    pub(super) const fn is_sealed(&self) -> bool {
        match &self.form {
            Form::Raw(_) => false,
            Form::Sealed(_) => true,
        }
    }
}
