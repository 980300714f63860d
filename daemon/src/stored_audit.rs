//! What the store keeps of one audit log, as proofs and checks read it.

use karo_protocol::node::{Hash, Nonce};
use karo_store::{Reader, Series};
use karo_trust::audit::{Line, Stored, Tile};

/// Reads one log; cheap to make, for any thread that may wait for a disk.
#[derive(Debug)]
pub struct StoredAudit {
    reader: Reader,
    log: Nonce,
}

impl StoredAudit {
    /// Reads that log.
    pub const fn new(reader: Reader, log: Nonce) -> Self {
        Self { reader, log }
    }

    /// Returns the entry of that place; `None` for one that is past its retention, lost or damaged.
    pub fn line(&self, index: u64) -> Option<Line> {
        let line = self.reader.line(Series(self.log.0), index).ok()?;
        Line::read(&line)
    }

    /// Returns the places of the entries that are kept.
    pub fn range(&self) -> std::ops::Range<u64> {
        self.reader.line_range(Series(self.log.0))
    }
}

impl Stored for StoredAudit {
    fn tile(&self, level: u8, index: u64) -> Option<Vec<Hash>> {
        let line = self.reader.line(Series(Tile::series(&self.log, level)), index).ok()?;
        Tile::read(&line)
    }

    fn leaf(&self, index: u64) -> Option<Hash> {
        self.line(index).map(|line| line.hash)
    }
}
