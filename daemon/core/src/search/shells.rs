//! The shells that commands were typed into, packed: there is one for some thirty events.

use std::hash::Hasher;
use std::sync::Arc;

use karo_protocol::observation::ShellProcess;
use karo_protocol::{BootId, Shell, ShellId, ShellKind};

use super::dictionary::Dictionary;
use super::index::Index;

/// Distinct shells, numbered from zero.
#[derive(Debug, Clone, Default)]
pub(super) struct Shells {
    /// `None` once no row has it any more.
    packed: Vec<Option<Packed>>,
    /// One id may have several shells: an `su` changes the account and keeps the id.
    index: Index,
    free: Vec<u32>,
    /// Hosts, users, terminals, parents and boots: few for one node, so none is ever forgotten.
    names: Dictionary,
}

/// A shell whose names are numbers in the dictionary of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Packed {
    id: ShellId,
    kind: ShellKind,
    is_remote: bool,
    host: u32,
    user: u32,
    tty: u32,
    parent: u32,
    /// Boot and pid namespace as 24 bytes, or [`NO_NAME`] where the process is not known.
    boot: u32,
    pid: u32,
    /// In halves, lest the whole grow by the alignment of a `u64`.
    started_ticks: [u32; 2],
}

/// Stands for a name that is not known; no name has this number.
const NO_NAME: u32 = u32::MAX;

impl Shells {
    /// Returns the number of a shell, a new one if it was not there.
    pub(super) fn intern(&mut self, shell: &Shell) -> u32 {
        let packed = self.pack(shell);
        let hash = hash(shell.id);
        if let Some(number) = self.index.find(hash, |number| self.packed[number as usize] == Some(packed)) {
            return number;
        }
        let number = self.free.pop().unwrap_or(self.packed.len() as u32);
        match self.packed.get_mut(number as usize) {
            Some(free) => *free = Some(packed),
            None => {
                // By an eighth, not by doubling: what is never used still counts as memory.
                if self.packed.len() == self.packed.capacity() {
                    self.packed.reserve_exact(self.packed.len() / 8 + 16);
                }
                self.packed.push(Some(packed));
            }
        }
        let hash_of = |other: u32| self.packed[other as usize].map_or(0, |packed| self::hash(packed.id));
        self.index.insert(hash, number, hash_of);
        number
    }

    fn pack(&mut self, shell: &Shell) -> Packed {
        let mut name = |name: Option<&str>| name.map_or(NO_NAME, |name| self.names.intern(name.as_bytes()));
        let (tty, parent) = (name(shell.tty.as_deref()), name(shell.parent.as_deref()));
        let process = shell.process.as_ref();
        let boot = process.map_or(NO_NAME, |process| {
            let mut bytes = process.boot.as_bytes().to_vec();
            bytes.extend_from_slice(&process.namespace.to_le_bytes());
            self.names.intern(&bytes)
        });
        let ticks = process.map_or(0, |process| process.started_ticks);
        Packed {
            id: shell.id,
            kind: shell.kind,
            is_remote: shell.is_remote,
            host: self.names.intern(shell.host.as_bytes()),
            user: self.names.intern(shell.user.as_bytes()),
            tty,
            parent,
            boot,
            pid: process.map_or(0, |process| process.pid),
            started_ticks: [ticks as u32, (ticks >> 32) as u32],
        }
    }

    /// Returns a shell that a row has.
    pub(super) fn shell(&self, number: u32) -> Arc<Shell> {
        let packed = self.packed(number);
        let text = |name: u32| String::from_utf8_lossy(self.names.string(name)).into_owned();
        let known = |name: u32| (name != NO_NAME).then(|| text(name));
        Arc::new(Shell {
            kind: packed.kind,
            id: packed.id,
            user: text(packed.user),
            host: text(packed.host),
            tty: known(packed.tty),
            is_remote: packed.is_remote,
            parent: known(packed.parent),
            process: self.process(packed),
        })
    }

    fn process(&self, packed: &Packed) -> Option<ShellProcess> {
        if packed.boot == NO_NAME {
            return None;
        }
        let (boot, namespace) = self.names.string(packed.boot).split_first_chunk::<16>()?;
        let [low, high] = packed.started_ticks.map(u64::from);
        Some(ShellProcess {
            pid: packed.pid,
            started_ticks: low | high << 32,
            boot: BootId::from_bytes(*boot),
            namespace: u64::from_le_bytes(namespace.try_into().ok()?),
        })
    }

    /// Returns the id of a shell that a row has.
    pub(super) fn id(&self, number: u32) -> ShellId {
        self.packed(number).id
    }

    fn packed(&self, number: u32) -> &Packed {
        self.packed[number as usize].as_ref().expect("a shell stays as long as a row has it")
    }

    /// Returns the name of each shell's machine; forgotten shells have none.
    pub(super) fn hosts(&self) -> impl Iterator<Item = &[u8]> {
        self.packed.iter().map(|packed| packed.map_or(&[][..], |packed| self.names.string(packed.host)))
    }

    /// Tells for each shell whether it is the one asked for, of that kind, on that machine, of that
    /// account.
    pub(super) fn matching(
        &self,
        id: Option<ShellId>,
        kind: Option<ShellKind>,
        host: Option<&str>,
        user: Option<&str>,
    ) -> Vec<bool> {
        // A name that no shell has gets a number that no shell has.
        let number = |name: &str| {
            self.names.iter().position(|known| known == name.as_bytes()).map_or(NO_NAME, |place| place as u32)
        };
        let (host, user) = (host.map(number), user.map(number));
        let is_wanted = |packed: &Packed| {
            id.is_none_or(|id| packed.id == id)
                && kind.is_none_or(|kind| packed.kind == kind)
                && host.is_none_or(|host| packed.host == host)
                && user.is_none_or(|user| packed.user == user)
        };
        self.packed.iter().map(|packed| packed.as_ref().is_some_and(is_wanted)).collect()
    }

    /// Returns how many numbers are given out.
    pub(super) fn len(&self) -> usize {
        self.packed.len()
    }

    /// Drops a shell that no row has any more.
    pub(super) fn forget(&mut self, number: u32) {
        if let Some(packed) = self.packed[number as usize].take() {
            self.index.remove(hash(packed.id), number);
            self.free.push(number);
        }
    }

    /// Returns the bytes it takes.
    pub(super) fn size(&self) -> usize {
        self.packed.capacity() * size_of::<Option<Packed>>()
            + self.index.size()
            + self.free.capacity() * 4
            + self.names.size()
    }
}

fn hash(id: ShellId) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    hasher.write(id.as_bytes());
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shells_come_back_whole() {
        let process = ShellProcess {
            pid: 7,
            started_ticks: u64::MAX - 1,
            boot: BootId::from_bytes([9; 16]),
            namespace: 0x0102_0304_0506_0708,
        };
        let plain = Shell {
            kind: ShellKind::Fish,
            id: ShellId::from_bytes([1; 16]),
            user: "ann".to_owned(),
            host: "alpha".to_owned(),
            tty: None,
            is_remote: false,
            parent: None,
            process: None,
        };
        let full = Shell {
            tty: Some("pts/3".to_owned()),
            parent: Some(String::new()),
            is_remote: true,
            process: Some(process),
            ..plain.clone()
        };
        let mut shells = Shells::default();
        assert_eq!([&plain, &full, &plain].map(|shell| shells.intern(shell)), [0, 1, 0]);
        assert_eq!((&*shells.shell(0), &*shells.shell(1)), (&plain, &full));
        shells.forget(0);
        assert_eq!([&full, &plain].map(|shell| shells.intern(shell)), [1, 0]);
        assert!(size_of::<Option<Packed>>() <= 52);
    }
}
