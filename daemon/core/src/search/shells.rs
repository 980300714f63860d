//! The shells that commands were typed into, and the machines and accounts of these.

use std::collections::BTreeSet;
use std::sync::Arc;

use karo_protocol::{Shell, ShellId, ShellKind};

use super::dictionary::Dictionary;

/// Distinct shells, numbered from zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Shells {
    briefs: Vec<Brief>,
    /// One id may have several shells: an `su` changes the account and keeps the id.
    by_id: BTreeSet<(ShellId, u32)>,
    free: Vec<u32>,
    /// Hosts and users: few for one node, so none is ever forgotten.
    names: Dictionary,
}

/// What filters ask about a shell, where a scan finds it without following a pointer.
#[derive(Debug, Clone)]
struct Brief {
    kind: ShellKind,
    host: u32,
    user: u32,
    /// `None` once no row has it any more.
    shell: Option<Arc<Shell>>,
}

impl Shells {
    /// Returns the number of a shell, a new one if it was not there.
    pub(super) fn intern(&mut self, shell: &Arc<Shell>) -> u32 {
        let is_same = |known: &Arc<Shell>| Arc::ptr_eq(known, shell) || known == shell;
        if let Some(id) =
            self.with_id(shell.id).find(|id| self.briefs[*id as usize].shell.as_ref().is_some_and(is_same))
        {
            return id;
        }
        let brief = Brief {
            kind: shell.kind,
            host: self.names.intern(shell.host.as_bytes()),
            user: self.names.intern(shell.user.as_bytes()),
            shell: Some(Arc::clone(shell)),
        };
        let id = self.free.pop().unwrap_or(self.briefs.len() as u32);
        match self.briefs.get_mut(id as usize) {
            Some(free) => *free = brief,
            None => self.briefs.push(brief),
        }
        self.by_id.insert((shell.id, id));
        id
    }

    /// Returns the numbers of the shells with that id.
    pub(super) fn with_id(&self, id: ShellId) -> impl Iterator<Item = u32> {
        self.by_id.range((id, 0)..=(id, u32::MAX)).map(|(_, number)| *number)
    }

    /// Returns a shell that a row has.
    pub(super) fn shell(&self, id: u32) -> &Arc<Shell> {
        self.briefs[id as usize].shell.as_ref().expect("a shell stays as long as a row has it")
    }

    /// Returns the number of the name of each shell's machine.
    pub(super) fn hosts(&self) -> impl Iterator<Item = u32> {
        self.briefs.iter().map(|brief| brief.host)
    }

    /// Returns the name of a machine by its number.
    pub(super) fn name(&self, id: u32) -> &[u8] {
        self.names.string(id)
    }

    /// Tells for each shell whether it is of that kind, on that machine, of that account.
    pub(super) fn matching(
        &self,
        kind: Option<ShellKind>,
        host: Option<&str>,
        user: Option<&str>,
    ) -> Vec<bool> {
        // A name that no shell has gets a number that no shell has.
        let number = |name: &str| {
            self.names
                .iter()
                .position(|known| known == name.as_bytes())
                .map_or(u32::MAX, |place| place as u32)
        };
        let (host, user) = (host.map(number), user.map(number));
        let is_wanted = |brief: &Brief| {
            kind.is_none_or(|kind| brief.kind == kind)
                && host.is_none_or(|host| brief.host == host)
                && user.is_none_or(|user| brief.user == user)
        };
        self.briefs.iter().map(is_wanted).collect()
    }

    /// Returns how many numbers are given out.
    pub(super) fn len(&self) -> usize {
        self.briefs.len()
    }

    /// Drops a shell that no row has any more.
    pub(super) fn forget(&mut self, id: u32) {
        if let Some(shell) = self.briefs[id as usize].shell.take() {
            self.by_id.remove(&(shell.id, id));
            self.free.push(id);
        }
    }

    /// Returns the bytes it takes, without the shells themselves, which the store shares.
    pub(super) fn size(&self) -> usize {
        self.briefs.capacity() * size_of::<Brief>()
            + self.by_id.len() * size_of::<(ShellId, u32)>() * 3 / 2
            + self.free.capacity() * 4
            + self.names.size()
    }
}
