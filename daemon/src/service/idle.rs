//! When a daemon that nobody needs ends, where a service manager starts it again for the next who comes.
//!
//! Pure: what there is to do is told, time is an argument. Only a daemon whose socket is the manager's may end so: who
//! connects while it ends, or after, waits in that socket.

use std::time::{Duration, Instant};

/// What keeps a daemon, as far as it is known.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Needs {
    /// Sessions that are open.
    pub sessions: u32,
    /// Peers in the roster: each may link, and groups and summaries are for them.
    pub peers: u32,
    /// Places where peers may come in, or candidates are looked for.
    pub looks_for_peers: bool,
    /// Shells whose running commands are watched.
    pub shells: usize,
    /// Records that wait in the spools.
    pub spooled: u64,
    /// Hooks that spool without connecting have been seen: their next record would start nobody.
    pub has_spooling_hooks: bool,
    /// History files that are followed.
    pub followed: usize,
    /// The log is not yet searchable as a whole.
    pub is_loading: bool,
}

impl Needs {
    /// Returns what the daemon stays for; the first of several.
    pub const fn reason(&self) -> Option<&'static str> {
        match self {
            Self { is_loading: true, .. } => Some("its history is being loaded"),
            Self { sessions: 1.., .. } => Some("a session is open"),
            Self { peers: 1.., .. } => Some("it has peers"),
            Self { looks_for_peers: true, .. } => Some("it looks for peers"),
            Self { shells: 1.., .. } => Some("a command is running"),
            Self { spooled: 1.., .. } => Some("records wait in the spool"),
            Self { has_spooling_hooks: true, .. } => Some("hooks spool without connecting"),
            Self { followed: 1.., .. } => Some("a history file is followed"),
            Self { .. } => None,
        }
    }
}

/// Waits for a time in which nobody came.
#[derive(Debug)]
pub struct Idleness {
    after: Option<Duration>,
    since: Instant,
    /// How many had come by then.
    seen: u64,
}

impl Idleness {
    /// Begins to wait for a time of that length; `None` never ends.
    pub const fn new(after: Option<Duration>, now: Instant) -> Self {
        Self { after, since: now, seen: 0 }
    }

    /// Returns when [`on_timeout`](Self::on_timeout) is due.
    pub fn deadline(&self) -> Option<Instant> {
        self.after.map(|after| self.since + after)
    }

    /// Another length is in force; the waiting begins anew.
    pub const fn settle(&mut self, after: Option<Duration>, now: Instant) {
        (self.after, self.since) = (after, now);
    }

    /// Tells whether nobody has come for the whole time, given how many ever came; the waiting begins anew.
    pub fn on_timeout(&mut self, now: Instant, came: u64) -> bool {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return false;
        }
        self.since = now;
        std::mem::replace(&mut self.seen, came) == came
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn a_whole_quiet_time_ends_it() {
        let now = Instant::now();
        let mut idleness = Idleness::new(Some(HOUR), now);
        assert_eq!(idleness.deadline(), Some(now + HOUR));
        assert!(!idleness.on_timeout(now + HOUR / 2, 0), "it is not time");
        assert!(!idleness.on_timeout(now + HOUR, 3), "three came");
        assert_eq!(idleness.deadline(), Some(now + HOUR * 2));
        assert!(!idleness.on_timeout(now + HOUR * 2, 4), "another came");
        assert!(idleness.on_timeout(now + HOUR * 3, 4));
    }

    #[test]
    fn without_a_time_it_never_ends() {
        let now = Instant::now();
        let mut idleness = Idleness::new(None, now);
        assert_eq!(idleness.deadline(), None);
        assert!(!idleness.on_timeout(now + HOUR * 1000, 0));
        idleness.settle(Some(HOUR), now + HOUR);
        assert_eq!(idleness.deadline(), Some(now + HOUR * 2));
    }

    #[test]
    fn whoever_is_needed_stays() {
        assert_eq!(Needs::default().reason(), None);
        let needs: [fn(&mut Needs); 8] = [
            |needs| needs.sessions = 1,
            |needs| needs.peers = 1,
            |needs| needs.looks_for_peers = true,
            |needs| needs.shells = 1,
            |needs| needs.spooled = 1,
            |needs| needs.has_spooling_hooks = true,
            |needs| needs.followed = 1,
            |needs| needs.is_loading = true,
        ];
        for change in needs {
            let mut needs = Needs::default();
            change(&mut needs);
            assert!(needs.reason().is_some(), "{needs:?}");
        }
    }
}
