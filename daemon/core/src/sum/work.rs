//! What takes a processor's time: opening and verifying one report. Pure, so that it may run on any thread.

use std::sync::Arc;

use karo_protocol::Bytes;
use karo_protocol::NodeId;
use karo_protocol::node::{Hash, Nonce};

use super::closing::Closing;
use super::seal::SealingSecret;
use super::shares::{Addend, Ticket, Unsound};

/// One report to open and verify: some milliseconds of work.
#[derive(Debug)]
pub struct Work {
    pub(super) closing: Arc<Closing>,
    pub(super) secret: Arc<SealingSecret>,
    pub(super) key: Hash,
    pub(super) contributor: NodeId,
    pub(super) report: Nonce,
    pub(super) sealed: Bytes,
    /// Rank 1's half, at rank 2.
    pub(super) shares: Option<Vec<Bytes>>,
}

/// What came of a [`Work`]; for the machine that gave it.
#[derive(Debug)]
pub struct Worked {
    pub(super) contributor: NodeId,
    pub(super) report: Nonce,
    pub(super) made: Result<Made, Unsound>,
}

/// What was made of a sound report.
#[derive(Debug)]
pub(super) enum Made {
    /// At rank 1: its half for rank 2, and what it keeps.
    Begun(Vec<Bytes>, Ticket),
    /// At rank 2: what lets rank 1 finish, and what is added up.
    Verified(Vec<Bytes>, Addend),
}

impl Work {
    /// Does it. Takes no lock, no time and no chance.
    pub fn run(self) -> Worked {
        let bound = self.closing.bound(self.contributor, self.report);
        let scheme = self.closing.scheme();
        let made = match &self.shares {
            None => scheme
                .begin(&self.key, &self.secret, &bound, &self.sealed)
                .map(|(shares, ticket)| Made::Begun(shares, ticket)),
            Some(shares) => scheme
                .verify(&self.key, &self.secret, &bound, &self.sealed, shares)
                .map(|(messages, addend)| Made::Verified(messages, addend)),
        };
        Worked { contributor: self.contributor, report: self.report, made }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_thread_may_do_it() {
        fn goes_to_another_thread<T: Send + 'static>() {}
        goes_to_another_thread::<Work>();
        goes_to_another_thread::<Worked>();
    }
}
