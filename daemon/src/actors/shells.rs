//! Watches the shells that run something, so that a command whose shell is gone becomes `lost`.
//!
//! A pidfd tells when a process ends, without polling. The end that a dying shell sends in its last
//! moment may still be on its way, so a grace follows; and an end that comes even later wins over
//! `lost` in the store. A shell of another pid namespace cannot be watched: what it ran is lost when
//! its next command begins.
//!
//! | message | from | answer |
//! | --- | --- | --- |
//! | [`Begun`] | store, after the commit; root, after the load | none |
//! | [`Watched`] | service | how many shells run something |

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Handler, Message, Recipient, WrapFuture};
use karo_core::search::Key;
use karo_protocol::observation::ShellProcess;
use karo_protocol::{BootId, Shell, ShellId};
use tokio::io::unix::AsyncFd;

use super::store::Lose;
use crate::lease::Lease;
use crate::logging::say;

/// Commits that may wait here.
const MAILBOX: usize = 64;

/// How long the last word of a dead shell may take: its client's budget, and the spool's way.
const GRACE: Duration = Duration::from_secs(2);

/// Shells watched at once: each holds a descriptor. Fewer where there are not so many.
pub const WATCHED_MAX: usize = 1024;

/// Commands of one shell that are remembered: a shell runs one at a time, the others have ended.
const REMEMBERED_MAX: usize = 8;

/// Commands that have begun, each with its shell. Sent by the store, and by the root after the load.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Begun(pub Vec<(Arc<Shell>, u64)>);

/// How many shells run something? Sent by [`service`](crate::service).
#[derive(Debug, Message)]
#[rtype(result = "usize")]
pub struct Watched;

/// The actor. See the module.
pub struct Shells {
    watched_max: usize,
    here: Option<Here>,
    running: BTreeMap<ShellId, Vec<u64>>,
    store: Recipient<Lose>,
    _lease: Lease,
}

/// What this daemon can look into.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Here {
    boot: BootId,
    namespace: u64,
}

/// What is known of a process.
enum Seen {
    /// It lives, and this tells when it ends.
    Alive(OwnedFd),
    /// It is gone.
    Gone,
    /// It cannot be told.
    Unknown,
}

impl Shells {
    /// Makes the actor, which watches so many shells at once at the most; `store` is told what was lost.
    pub fn new(store: Recipient<Lose>, watched_max: usize, lease: Lease) -> Self {
        Self { watched_max, here: Here::look(), running: BTreeMap::new(), store, _lease: lease }
    }

    fn lose(&mut self, shell: ShellId, sequences: Vec<u64>) {
        let keys: Vec<Key> = sequences.into_iter().map(|sequence| (shell, sequence)).collect();
        if !keys.is_empty() && self.store.try_send(Lose(keys)).is_err() {
            say!(Class::LostUnmarked, "lost commands could not be marked; the next start does it");
        }
    }

    /// Begins to watch a shell of which nothing was known.
    fn watch(&mut self, id: ShellId, process: ShellProcess, ctx: &mut Context<Self>) {
        let seen = match self.here {
            Some(here) => here.see(process),
            None => Seen::Unknown,
        };
        let ended = match seen {
            #[expect(
                deprecated,
                reason = "its successor is unsafe, and an owned descriptor keeps what that asks for"
            )]
            Seen::Alive(descriptor) => AsyncFd::new(descriptor).ok(),
            Seen::Gone => None,
            // Its next command tells.
            Seen::Unknown => return,
        };
        let end = async move {
            if let Some(descriptor) = ended
                && let Err(error) = descriptor.readable().await.map(drop)
            {
                say!(Class::ShellUnwatched, %error, "a shell cannot be watched");
            }
            tokio::time::sleep(GRACE).await;
        };
        ctx.spawn(end.into_actor(self).map(move |(), actor, _| {
            if let Some(sequences) = actor.running.remove(&id) {
                actor.lose(id, sequences);
            }
        }));
    }
}

impl Here {
    fn look() -> Option<Self> {
        use std::os::unix::fs::MetadataExt;
        let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
        let namespace = std::fs::metadata("/proc/self/ns/pid").ok()?.ino();
        Some(Self { boot: boot.trim().parse().ok()?, namespace })
    }

    fn see(self, process: ShellProcess) -> Seen {
        if process.boot != self.boot {
            return Seen::Gone;
        }
        if process.namespace != self.namespace {
            return Seen::Unknown;
        }
        let Some(pid) = rustix::process::Pid::from_raw(process.pid as i32) else { return Seen::Unknown };
        let Some(descriptor) = opened(pid) else { return Seen::Gone };
        // Asked after the descriptor is open, so the number cannot have passed to another meanwhile.
        match started_ticks(process.pid) {
            Some(ticks) if ticks == process.started_ticks => Seen::Alive(descriptor),
            Some(_) | None => Seen::Gone,
        }
    }
}

/// Opens a process, to hear when it ends; `None` when there is none of that number.
#[cfg(target_os = "linux")]
fn opened(pid: rustix::process::Pid) -> Option<OwnedFd> {
    rustix::process::pidfd_open(pid, rustix::process::PidfdFlags::NONBLOCK).ok()
}

/// Elsewhere nothing is known of where we are, so nobody comes as far as this.
#[cfg(not(target_os = "linux"))]
fn opened(_: rustix::process::Pid) -> Option<OwnedFd> {
    None
}

/// Reads field 22 of `/proc/PID/stat`; the name before it may hold anything, so it is counted from the last `)`.
fn started_ticks(pid: u32) -> Option<u64> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(')')?.1.split_ascii_whitespace().nth(19)?.parse().ok()
}

impl Actor for Shells {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Self::Context) {
        ctx.set_mailbox_capacity(MAILBOX);
    }
}

impl Handler<Begun> for Shells {
    type Result = ();

    fn handle(&mut self, Begun(begun): Begun, ctx: &mut Self::Context) {
        for (shell, sequence) in begun {
            let Some(process) = shell.process else { continue };
            if let Some(sequences) = self.running.get_mut(&shell.id) {
                sequences.push(sequence);
                if self.here.is_none_or(|here| here.namespace != process.namespace) {
                    let earlier = sequences.extract_if(.., |known| *known < sequence).collect();
                    self.lose(shell.id, earlier);
                } else if sequences.len() > REMEMBERED_MAX {
                    sequences.remove(0);
                }
            } else if self.running.len() < self.watched_max {
                self.running.insert(shell.id, vec![sequence]);
                self.watch(shell.id, process, ctx);
            } else {
                say!(Class::ShellUnwatched, limit = self.watched_max, "too many shells to watch");
            }
        }
    }
}

impl Handler<Watched> for Shells {
    type Result = usize;

    fn handle(&mut self, _: Watched, _: &mut Self::Context) -> usize {
        self.running.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_told_from_its_successor() {
        let here = Here::look().expect("this is Linux");
        let pid = std::process::id();
        let ticks = started_ticks(pid).expect("it lives");
        let own = ShellProcess { pid, started_ticks: ticks, boot: here.boot, namespace: here.namespace };
        assert!(matches!(here.see(own), Seen::Alive(_)));
        assert!(matches!(here.see(ShellProcess { started_ticks: ticks + 1, ..own }), Seen::Gone));
        assert!(matches!(here.see(ShellProcess { boot: BootId::default(), ..own }), Seen::Gone));
        assert!(matches!(here.see(ShellProcess { namespace: 1, ..own }), Seen::Unknown));
    }
}
