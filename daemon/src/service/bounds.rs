//! What the unit allows, respected before the kernel has to: descriptors for sessions and shells, memory for intake and
//! for what is searched.
//!
//! The kernel's answer to one descriptor too many is a connection that nobody takes, and to one byte too many the end
//! of the daemon. So what is configured is cut to what there is room for, and the log says so, once.

use std::path::{Path, PathBuf};

use rustix::process::{Resource, getrlimit};

use crate::actors::Budget;
use crate::actors::shells::WATCHED_MAX;

/// Descriptors for everything else: files of the store, watches, links and what every thread waits with. Measured: a
/// daemon without sessions and peers holds 78.
const DESCRIPTORS_BESIDE: u64 = 192;

/// Sessions there always may be: a limit so small lets accepting rest when it is used up.
const SESSIONS_MIN: u32 = 8;

/// Part of the memory that observations on their way to the disk may take.
const INTAKE_PART: u64 = 4;

/// The least of it: one frame, and the batch before it.
const INTAKE_BYTES_MIN: u64 = 4 * 1024 * 1024;

/// Parts of the memory that may be taken before no more of the history is loaded: what comes later needs the rest, and
/// one segment more is read before this is looked at again.
const HISTORY_PARTS: (u64, u64) = (3, 4);

/// What the system allows this process; `None` for without limit.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Limits {
    /// Descriptors.
    pub descriptors: Option<u64>,
    /// Bytes of memory before the kernel ends the process, or slows it down.
    pub memory_bytes: Option<u64>,
}

impl Limits {
    /// Reads them: the limit of open files, and the least `memory.max` or `memory.high` of the control groups above.
    pub fn read() -> Self {
        let groups = std::fs::read_to_string("/proc/self/cgroup").unwrap_or_default();
        Self {
            descriptors: getrlimit(Resource::Nofile).current,
            memory_bytes: memory_of_group(&groups, Path::new("/sys/fs/cgroup")),
        }
    }

    /// Returns how many sessions there may be, and how many were asked for if there is no room for them.
    pub fn sessions(&self, wanted: u32) -> (u32, Option<String>) {
        let room = self.room() - self.shells() as u64;
        let sessions = wanted.min(u32::try_from(room).unwrap_or(u32::MAX).max(SESSIONS_MIN));
        let sentence = (sessions < wanted).then(|| {
            format!(
                "socket.sessions_max is {wanted} and {} open files leave room for {sessions}; raise LimitNOFILE= in \
                 the unit",
                self.descriptors.unwrap_or_default()
            )
        });
        (sessions, sentence)
    }

    /// Returns how many shells can be watched at once: half of what sessions and shells share, at the most.
    pub fn shells(&self) -> usize {
        WATCHED_MAX.min(usize::try_from(self.room() / 2).unwrap_or(usize::MAX))
    }

    /// Returns the descriptors that sessions and shells share.
    fn room(&self) -> u64 {
        self.descriptors.map_or(u64::MAX, |limit| limit.saturating_sub(DESCRIPTORS_BESIDE))
    }

    /// Tells whether more of the history can be loaded by a process that has so many bytes in memory.
    pub fn has_room_for_history(&self, resident_bytes: u64) -> bool {
        let (part, whole) = HISTORY_PARTS;
        self.memory_bytes.is_none_or(|limit| resident_bytes < limit / whole * part)
    }

    /// Returns how many bytes of observations may be on their way to the disk.
    pub fn intake_bytes(&self) -> u64 {
        let room = self.memory_bytes.map_or(u64::MAX, |limit| limit / INTAKE_PART);
        room.clamp(INTAKE_BYTES_MIN, Budget::BYTES_MAX)
    }
}

/// Returns the least memory that a control group of version 2, or one above it, may take or take unhindered.
fn memory_of_group(groups: &str, mounted: &Path) -> Option<u64> {
    let own = groups.lines().find_map(|line| line.strip_prefix("0::/"))?;
    // A namespace shows groups above it as `..`, and what lies there is not ours to read.
    let own = PathBuf::from(own.trim_start_matches("../"));
    let files = own.ancestors().flat_map(|group| ["memory.max", "memory.high"].map(|name| group.join(name)));
    let texts = files.filter_map(|file| std::fs::read_to_string(mounted.join(file)).ok());
    texts.filter_map(|text| text.trim().parse::<u64>().ok()).min()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sessions_fit_into_the_descriptors() {
        let sessions = |descriptors, wanted| {
            let (sessions, sentence) = Limits { descriptors, memory_bytes: None }.sessions(wanted);
            assert_eq!(sentence.is_some(), sessions < wanted, "what is cut is said");
            sessions
        };
        assert_eq!(sessions(None, 4096), 4096);
        assert_eq!(sessions(Some(8192), 256), 256);
        assert_eq!(sessions(Some(8192), 4096), 4096);
        assert_eq!(sessions(Some(4096), 4096), 2880);
        assert_eq!(sessions(Some(1024), 4096), 416);
        assert_eq!(sessions(Some(64), 256), SESSIONS_MIN);
        let (_, sentence) = Limits { descriptors: Some(1024), memory_bytes: None }.sessions(4096);
        let sentence = sentence.unwrap_or_default();
        assert!(sentence.contains("1024 open files leave room for 416"), "{sentence}");
        let shells = |descriptors| Limits { descriptors, memory_bytes: None }.shells();
        assert_eq!((shells(None), shells(Some(1024)), shells(Some(64))), (WATCHED_MAX, 416, 0));
    }

    #[test]
    fn the_intake_fits_into_the_memory() {
        let intake = |mib: Option<u64>| {
            let memory_bytes = mib.map(|mib| mib * 1024 * 1024);
            Limits { descriptors: None, memory_bytes }.intake_bytes() / 1024 / 1024
        };
        assert_eq!([intake(None), intake(Some(1024)), intake(Some(128)), intake(Some(1))], [64, 64, 32, 4]);
    }

    #[test]
    fn the_narrowest_group_counts() {
        let mounted = tempfile::tempdir().expect("there is room for a directory");
        let unit = mounted.path().join("user.slice/karod.service");
        std::fs::create_dir_all(&unit).expect("the directory is ours");
        let read = || memory_of_group("1:name=systemd:/x\n0::/user.slice/karod.service\n", mounted.path());
        assert_eq!(read(), None, "there is no such file");
        std::fs::write(unit.join("memory.max"), "max\n").expect("the directory is ours");
        assert_eq!(read(), None);
        std::fs::write(unit.join("memory.max"), "268435456\n").expect("the directory is ours");
        assert_eq!(read(), Some(268_435_456));
        std::fs::write(mounted.path().join("user.slice/memory.max"), "1048576\n").expect("it is ours");
        assert_eq!(read(), Some(1_048_576));
        std::fs::write(unit.join("memory.high"), "524288\n").expect("it is ours");
        assert_eq!(read(), Some(524_288));
        assert_eq!(memory_of_group("", mounted.path()), None);
    }

    #[test]
    fn the_history_leaves_a_part_of_the_memory() {
        let has_room = |limit, resident| {
            Limits { descriptors: None, memory_bytes: limit }.has_room_for_history(resident)
        };
        assert!(has_room(None, u64::MAX));
        assert!(has_room(Some(1 << 30), 767 << 20));
        assert!(!has_room(Some(1 << 30), 768 << 20));
    }
}
