//! Real file systems that fill up, stand still or lose their power. All of them need root for mounts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use karo_protocol::local::Verdict;
use karo_tests::{Dice, Karo, Typist, is_root, number_from, until};
use tempfile::TempDir;

use crate::crowds::deliver;
use crate::load::Load;

/// A file system of its own, taken away at the end.
pub(crate) struct Disk {
    root: TempDir,
}

impl Disk {
    pub(crate) fn at(&self) -> PathBuf {
        self.root.path().join("mount")
    }

    fn image(&self) -> PathBuf {
        self.root.path().join("image")
    }

    /// Makes a tmpfs; `None`, with a word on stderr, where this machine does not let us.
    pub(crate) fn tmpfs(mib: u64) -> Option<Self> {
        let disk = Self::unmounted();
        let size = format!("size={mib}m,mode=0700");
        run("mount", &["-t", "tmpfs", "-o", &size, "karo-test"], &disk.at()).then_some(disk)
    }

    /// Makes an ext4 in a file; `None`, with a word on stderr, where this machine does not let us.
    fn ext4(mib: u64) -> Option<Self> {
        let disk = Self::unmounted();
        fs::File::create(disk.image()).and_then(|file| file.set_len(mib << 20)).expect("there is room");
        (run("mkfs.ext4", &["-q", "-F"], &disk.image()) && disk.mount()).then_some(disk)
    }

    fn unmounted() -> Self {
        let disk = Self { root: tempfile::tempdir().expect("temporary files can be made") };
        fs::create_dir(disk.at()).expect("it is ours");
        disk
    }

    fn mount(&self) -> bool {
        let image = self.image();
        run("mount", &["-o", "loop", &image.display().to_string()], &self.at())
    }

    fn unmount(&self) -> bool {
        run("umount", &[], &self.at())
    }

    /// Cuts the file system off as a power cut does: what was not synced is gone.
    fn cut_power(&self) -> bool {
        // EXT4_IOC_SHUTDOWN with EXT4_GOING_FLAGS_NOLOGFLUSH; perl is on every Debian, and `unsafe` is not here.
        let script =
            "open(my $d, '<', $ARGV[0]) or die; ioctl($d, 0x8004587d, my $f = pack('L', 2)) or die $!";
        run("perl", &["-e", script], &self.at())
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Not frozen, not mounted: then these say so, and that is what we want.
        for (program, argument) in [("fsfreeze", "--unfreeze"), ("umount", "--lazy")] {
            drop(Command::new(program).arg(argument).arg(self.at()).output());
        }
    }
}

/// Runs a program on a path and tells whether it worked; says on stderr when not.
fn run(program: &str, arguments: &[&str], path: &Path) -> bool {
    match Command::new(program).args(arguments).arg(path).output() {
        Ok(output) if output.status.success() => true,
        Ok(output) => {
            eprintln!("skipped: {program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
            false
        }
        Err(error) => {
            eprintln!("skipped: {program}: {error}");
            false
        }
    }
}

/// Places whose data lies on that disk.
fn karo_on(disk: &Disk) -> Karo {
    let mut karo = Karo::new();
    karo.set("KARO_DATA_DIR", disk.at().join("data"));
    karo
}

#[test]
fn root_a_full_disk_is_waited_for() {
    if !is_root("a small file system") {
        return;
    }
    let Some(disk) = Disk::tmpfs(24) else { return };
    let mut karo = karo_on(&disk);
    karo.configure("[store]\nreserve_mib = 4\n");
    karo.launch();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("with room", 0)]);

    let ballast = disk.at().join("ballast");
    fs::write(&ballast, vec![0; 21 << 20]).expect("it fits, just");
    let mut session = karo.session();
    let full = shell.ran("without room", 0);
    until("the reserve is defended", || {
        (session.observe(full.clone()).expect("it answers") == Verdict::Busy).then_some(())
    });
    let status = karo.status();
    assert!(status.store.refusing.is_some() && status.intake.busy > 0, "{status:?}");
    for n in 0..3 {
        assert!(deliver(&karo, &shell.ran(format!("spooled {n}"), 0)));
    }
    assert_eq!(karo.spooled().len(), 3);
    assert_eq!(karo.session().texts(), ["with room"], "what is there can be asked for");

    fs::remove_file(&ballast).expect("it is ours");
    karo.wait_until_spool_is_empty();
    assert_eq!(session.observe(full).expect("it answers"), Verdict::Committed);
    let mut texts = karo.session().texts();
    texts.sort();
    assert_eq!(texts, ["spooled 0", "spooled 1", "spooled 2", "with room", "without room"]);
    assert_eq!(karo.status().store.refusing, None);
    assert!(karo.stop().success());
}

#[test]
fn root_a_disk_that_is_full_to_the_last_byte_takes_nothing_away() {
    if !is_root("a small file system") {
        return;
    }
    let Some(disk) = Disk::tmpfs(24) else { return };
    let mut karo = karo_on(&disk);
    karo.configure("[store]\nreserve_mib = 1\n");
    karo.launch();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("before", 0)]);
    fill(&disk.at().join("ballast"));
    assert!(deliver(&karo, &shell.ran("meanwhile", 0)));
    karo.kill();
    karo.launch();
    karo.wait_until_searchable();
    assert_eq!(karo.session().texts(), ["before"], "a start on a full disk serves what there is");
    fs::remove_file(disk.at().join("ballast")).expect("it is ours");
    karo.wait_until_spool_is_empty();
    assert_eq!(karo.session().texts(), ["before", "meanwhile"]);
    assert!(karo.stop().success());
}

/// Takes all the room there is, as whatever runs beside the daemon may.
fn fill(path: &Path) {
    let mut ballast = fs::File::create(path).expect("there is room");
    let mut chunk = 1 << 20;
    while chunk > 0 {
        let written = std::io::Write::write_all(&mut ballast, &vec![0; chunk]);
        chunk = if written.is_ok() { chunk } else { chunk / 2 };
    }
}

#[test]
fn root_a_sync_that_stalls_costs_nothing() {
    if !is_root("freezing a file system") {
        return;
    }
    let Some(disk) = Disk::ext4(64) else { return };
    let mut karo = karo_on(&disk);
    karo.configure("[store]\nreserve_mib = 1\n");
    karo.launch();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("before", 0)]);
    if !run("fsfreeze", &["--freeze"], &disk.at()) {
        return;
    }
    // The client gives up after its budget and spools; the daemon's own copy is still in the stalled batch.
    assert!(deliver(&karo, &shell.ran("stalled", 0)));
    assert_eq!(karo.spooled().len(), 1);
    assert!(run("fsfreeze", &["--unfreeze"], &disk.at()));
    karo.wait_until_spool_is_empty();
    let texts = until("it is there", || Some(karo.session().texts()).filter(|texts| texts.len() > 1));
    assert_eq!(texts, ["before", "stalled"]);
    until("both copies were met", || (karo.status().intake.duplicates == 1).then_some(()));
    assert!(karo.stop().success());
}

#[test]
fn root_acknowledged_is_kept_over_power_cuts() {
    if !is_root("cutting a file system off") {
        return;
    }
    let rounds = number_from("KARO_ROUNDS", 20);
    let Some(disk) = Disk::ext4(128) else { return };
    let mut dice = Dice::seeded(0x0cc7);
    let mut karo = karo_on(&disk);
    karo.configure("[store]\nreserve_mib = 1\n");
    let mut load = Load::new();
    for round in 0..rounds {
        karo.launch();
        let mut is_cut = false;
        load.run(&mut karo, &mut dice, |karo, round| {
            // A machine without power says nothing any more. Here it runs on, and a sync that meets the cut
            // may even claim that it worked: the journal ends an aborted transaction as it does a written one,
            // and `jbd2_complete_transaction` takes a transaction that is neither running nor being
            // written for one that is on disk, without asking whether the journal was aborted.
            round.end();
            is_cut = disk.cut_power();
            karo.kill_if_running();
        });
        if !is_cut {
            assert_eq!(round, 0, "the power could be cut before");
            return;
        }
        assert!(disk.unmount() && disk.mount(), "the file system comes back");
    }
    karo.launch();
    let found = load.settle(&karo);
    eprintln!("{rounds} power cuts: {found:?}");
    assert_eq!((found.lost, found.twice, found.torn), (0, 0, 0), "{found:?}\n{}", karo.log());
}

#[test]
fn root_a_failed_sync_ends_the_daemon_and_the_next_one_has_everything() {
    if !is_root("cutting a file system off") {
        return;
    }
    let Some(disk) = Disk::ext4(64) else { return };
    let mut karo = karo_on(&disk);
    karo.configure("[store]\nreserve_mib = 1\n");
    karo.launch();
    let mut shell = Typist::new(1);
    karo.keep([shell.ran("before", 0)]);
    if !disk.cut_power() {
        return;
    }
    // Nothing is acknowledged any more, and the client spools.
    assert!(deliver(&karo, &shell.ran("after", 0)));
    assert_eq!(karo.wait_for_end().code(), Some(74), "{}", karo.log());
    assert_eq!(karo.spooled().len(), 1);
    assert!(disk.unmount() && disk.mount(), "the file system comes back");
    karo.launch();
    karo.wait_until_spool_is_empty();
    karo.wait_until_searchable();
    assert_eq!(karo.session().texts(), ["before", "after"]);
}
