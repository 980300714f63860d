//! What an event is made into when it is understood again, packed until its segment is written anew.

use std::collections::BTreeMap;

use karo_protocol::event::{Redaction, Understanding};
use karo_protocol::{Axis, Category, Event, RedactedCommand, Risk};

use crate::records::{PackedEvent, Packing};

/// What an event becomes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// What it is.
    pub understanding: Understanding,
    /// The text with more of it cut out, and where all markers stand in it; `None` leaves it as it is.
    pub redacted: Option<(RedactedCommand, Vec<Redaction>)>,
}

/// The revisions of one segment, by ordinal.
pub(super) type Revisions = BTreeMap<u16, Revised>;

/// A revision as it goes into a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Revised {
    category: Category,
    categories: u32,
    tools: Box<[u8]>,
    risk: Option<Risk>,
    axis: Option<Axis>,
    rules: Box<[u8]>,
    version: u32,
    text: Option<Text>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Text {
    command: Box<[u8]>,
    is_truncated: bool,
    redactions: Box<[u8]>,
}

impl Revised {
    /// Packs what a revision changes of an event; `None` when that is nothing.
    pub(super) fn of(
        packed: &PackedEvent<'_>,
        event: Event,
        revision: Revision,
        packing: &mut Packing,
    ) -> Option<Self> {
        let mut revised = Event { understanding: revision.understanding, ..event };
        if let Some((command, redactions)) = revision.redacted {
            (revised.command, revised.redactions) = (command, redactions);
        }
        let new = packing.pack(&revised, packed.shell);
        let has_text = new.command != packed.command
            || new.is_truncated != packed.is_truncated
            || new.redactions != packed.redactions;
        let text = has_text.then(|| Text {
            command: new.command.into(),
            is_truncated: new.is_truncated,
            redactions: new.redactions.into(),
        });
        let revised = Self {
            category: new.category,
            categories: new.categories,
            tools: new.tools.into(),
            risk: new.risk,
            axis: new.axis,
            rules: new.rules.into(),
            version: new.version,
            text,
        };
        (revised.applied(*packed) != *packed).then_some(revised)
    }

    /// Returns the event as it is from now on.
    pub(super) fn applied<'a>(&'a self, event: PackedEvent<'a>) -> PackedEvent<'a> {
        let revised = PackedEvent {
            category: self.category,
            categories: self.categories,
            tools: &self.tools,
            risk: self.risk,
            axis: self.axis,
            rules: &self.rules,
            version: self.version,
            ..event
        };
        match &self.text {
            Some(Text { command, is_truncated, redactions }) => {
                PackedEvent { command, is_truncated: *is_truncated, redactions, ..revised }
            }
            None => revised,
        }
    }

    /// Tells whether it changes the text.
    pub(super) const fn has_text(&self) -> bool {
        self.text.is_some()
    }
}
