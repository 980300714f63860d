//! The views as the writer keeps them: what to do when they are behind the log, or cannot be kept.
//!
//! Views are derived, so no trouble with them ever stops the daemon: they are made anew when everything
//! is loaded, or left alone until the next start.

use crate::logging::say;
use karo_core::rollup::{Delta, Rollup};
use karo_protocol::Timestamp;
use karo_store::views::{Digest, LogPosition, Views, ViewsError};

/// The roll-ups beside the log.
pub struct RollUps {
    views: Views,
    /// Whether they are what the log says up to the last change.
    is_current: bool,
    /// The earliest start of an event that was counted or taken back since somebody asked.
    touched: Option<Timestamp>,
}

impl RollUps {
    /// Takes opened views; they are current when they reach to the end of the log.
    pub fn new(views: Views, end: LogPosition) -> Self {
        let is_current = views.position() == Some(end);
        Self { views, is_current, touched: Some(Timestamp::MIN) }
    }

    /// Tells whether they have to be made anew.
    pub const fn is_behind(&self) -> bool {
        !self.is_current
    }

    /// Counts what a change of the log means; without deltas they are behind from here on.
    pub fn apply(&mut self, deltas: Option<Vec<Delta>>, position: LogPosition) {
        let earliest = match &deltas {
            Some(deltas) => deltas.iter().map(|delta| delta.started_at).min(),
            None => Some(Timestamp::MIN),
        };
        self.touched = self.touched.into_iter().chain(earliest).min();
        if !self.is_current {
            return;
        }
        self.is_current = match deltas {
            Some(deltas) => succeeded(self.views.apply(&deltas, position)),
            None => false,
        };
    }

    /// Lets go every byte of what was taken back.
    pub fn forget(&mut self) {
        let is_forgotten = succeeded(self.views.forget());
        self.is_current &= is_forgotten;
    }

    /// Makes them anew of what everything adds up to.
    pub fn rebuild(&mut self, whole: &Rollup, position: LogPosition) {
        let views = &mut self.views;
        let started = views.start_rebuild().and_then(|()| views.fill(whole));
        self.is_current = succeeded(started.and_then(|()| views.finish_rebuild(position)));
    }

    /// Returns what the events of a time add up to; `None` as long as that is not known.
    pub fn sums(&mut self, since: Timestamp, until: Timestamp) -> Option<Rollup> {
        if !self.is_current {
            return None;
        }
        let sums = self.views.rollup(since, until);
        let sums = sums.inspect_err(|error| say!(Class::ViewsBehind, %error, "the roll-ups cannot be read"));
        self.is_current = sums.is_ok();
        sums.ok()
    }

    /// Returns since when sums are others than when this was asked last.
    pub const fn take_touched(&mut self) -> Option<Timestamp> {
        self.touched.take()
    }

    /// Tells whether they are what everything adds up to.
    pub fn agrees_with(&mut self, whole: &Rollup) -> bool {
        self.is_current && self.views.digest().is_ok_and(|digest| digest == Digest::of(whole))
    }

    /// Writes what is not written; the log is closed, and ends there.
    pub fn close(&mut self, end: LogPosition) {
        if self.is_current && succeeded(self.views.apply(&[], end)) {
            self.is_current = succeeded(self.views.flush());
        }
    }

    /// Returns their bytes on disk.
    pub fn bytes(&self) -> u64 {
        self.views.bytes()
    }
}

/// Says in the log what went wrong; nothing is lost by it.
fn succeeded(done: Result<(), ViewsError>) -> bool {
    done.map_err(|error| say!(Class::ViewsBehind, %error, "the views are left until the next start")).is_ok()
}
