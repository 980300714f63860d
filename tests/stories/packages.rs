//! Packages: what they lay out is whole, and the Debian one comes and goes without touching what is a person's.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use karo_tests::binaries::{binaries, checkout};
use karo_tests::is_root;

/// What every package installs, but for pages that are made of the command line and of `docs`.
const FILES: [&str; 20] = [
    "usr/bin/karo-observe",
    "usr/bin/karoctl",
    "usr/bin/karod",
    "usr/lib/systemd/catalog/karod.catalog",
    "usr/lib/systemd/system/karod@.service",
    "usr/lib/systemd/system/karod@.socket",
    "usr/lib/systemd/user/karod.service",
    "usr/lib/systemd/user/karod.socket",
    "usr/share/bash-completion/completions/karoctl",
    "usr/share/doc/karo/ARCHITECTURE.md",
    "usr/share/doc/karo/README.md",
    "usr/share/doc/karo/examples/config.toml",
    "usr/share/doc/karo/hooks.md",
    "usr/share/fish/vendor_completions.d/karoctl.fish",
    "usr/share/karo/karo.bash",
    "usr/share/karo/karo.fish",
    "usr/share/karo/karo.zsh",
    "usr/share/man/man1/karo-observe.1",
    "usr/share/man/man1/karoctl.1",
    "usr/share/man/man1/karod.1",
];

/// What only the Debian package has.
const DEBIAN_FILES: [&str; 3] = ["changelog.Debian.gz", "changelog.gz", "copyright"];

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

fn done(command: &mut Command) -> String {
    let output = command.output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(output.status.success(), "{command:?}: {}\n{}", output.status, said(&output));
    said(&output)
}

fn script(name: &str) -> Command {
    Command::new(checkout().join(name))
}

/// Every file below a directory, relative to it.
fn files_below(root: &Path) -> BTreeSet<String> {
    let mut files = BTreeSet::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory).expect("it can be listed") {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                directories.push(path);
            } else {
                let name = path.strip_prefix(root).expect("it is below");
                files.insert(name.display().to_string());
            }
        }
    }
    files
}

/// Tells whether a file is one of those that are made of the command line, or of `docs`.
fn is_made(name: &str) -> bool {
    name.starts_with("usr/share/man/man1/karoctl-") || name.starts_with("usr/share/doc/karo/docs/")
}

#[test]
fn what_is_laid_out_is_whole() {
    let place = tempfile::tempdir().expect("temporary files can be made");
    let root = place.path().join("root");
    let programs = binaries();
    let lay_out = || {
        let mut command = script("client/packaging/lay-out");
        command.arg(&root).args([&programs.karod, &programs.karoctl, &programs.karo_observe]);
        command
    };
    done(&mut lay_out());
    let found = files_below(&root);
    let mut fixed: Vec<&str> = found.iter().map(String::as_str).filter(|name| !is_made(name)).collect();
    fixed.retain(|name| *name != "usr/share/zsh/site-functions/_karoctl");
    assert_eq!(fixed, FILES);
    let page = fs::read_to_string(root.join("usr/share/man/man1/karoctl.1")).expect("it is there");
    let commands = page.split("karoctl\\-").skip(1).filter_map(|rest| rest.split_once("(1)"));
    // `help` is the command line's own.
    for (command, _) in commands.filter(|(command, _)| *command != "help") {
        let name = format!("usr/share/man/man1/karoctl-{command}.1");
        assert!(found.contains(&name), "{name}: {found:?}");
    }
    let units = fs::read_dir(checkout().join("service-units")).expect("the units are there");
    for unit in units.map(|unit| unit.expect("it can be listed").file_name()) {
        let unit = unit.to_string_lossy().into_owned();
        // The first is for whoever reads the sources, the second for another system.
        let is_other = unit == "README.md" || unit.ends_with(".plist");
        assert!(is_other || found.iter().any(|name| name.ends_with(&format!("/{unit}"))), "{unit}");
    }
    let catalogue =
        fs::read_to_string(root.join("usr/lib/systemd/catalog/karod.catalog")).expect("it is there");
    let helps: BTreeSet<&str> =
        catalogue.lines().filter_map(|line| line.strip_prefix("Support: file:///")).collect();
    assert!(helps.len() == 1 && helps.iter().all(|help| found.contains(*help)), "{helps:?}: {found:?}");
    // What is there is somebody's.
    assert!(!lay_out().output().expect("it can be run").status.success());
}

/// Builds the package of that version, if there is what that takes.
fn package(place: &Path, version: &str) -> Option<PathBuf> {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let is_there = Command::new(cargo).args(["deb", "--version"]).output();
    if !is_there.is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cargo-deb is not installed, which builds the package");
        return None;
    }
    let file = place.join(format!("karo_{version}.deb"));
    let programs = binaries();
    let mut build = script("client/packaging/debian/build");
    build.env("KARO_PACK_FAST", "1");
    build.arg(&file).args([&programs.karod, &programs.karoctl, &programs.karo_observe]).arg(version);
    done(&mut build);
    Some(file)
}

/// What is done in the fresh root, with both packages in /mnt. `ann` is a person who has never heard of packages.
const LIFE: &str = r#"
useradd --uid 4321 --create-home --shell /bin/bash ann
ann() {
    setpriv --reuid 4321 --regid 4321 --clear-groups env -i HOME=/home/ann PATH="$PATH" "$@"
}
start() {
    (exec setpriv --reuid 4321 --regid 4321 --clear-groups env -i HOME=/home/ann PATH="$PATH" karod \
        2>>/home/ann/karod.log) &
    daemon=$!
    for _ in $(seq 600); do ! ann karoctl status >/dev/null 2>&1 || return 0; sleep 0.1; done
    return 1
}
stop() { kill -TERM "$daemon"; wait "$daemon"; }
kept() { find /home/ann -type f -exec sha256sum {} + | sort; }
record() {
    ann KARO_COMMAND="$1" KARO_CWD=/ karo-observe end --shell bash --shell-id 5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a5a \
        --seq "$2" --started-us "176722560000000$2" --duration-us 5 --exit 0
}
# A client that finds a daemon busy with its first rules spools, and what is spooled is taken in a moment later.
found() {
    for _ in $(seq 600); do
        ann karoctl query echo --format text --oldest-first >"$2" || true
        [ "$(wc -l <"$2")" -lt "$1" ] || return 0
        sleep 0.1
    done
}
fail() { echo "$*" >&2; exit 1; }

echo == install
dpkg --install --force-unsafe-io /mnt/karo_1.deb
dpkg --verify karo
dpkg --listfiles karo >/mnt/listed
for program in karod karoctl karo-observe; do test -x "/usr/bin/$program"; done
if command -v journalctl >/dev/null; then
    { journalctl --list-catalog | grep -ci karo || true; } >/mnt/catalog
fi
for running in /proc/[0-9]*/comm; do
    ! grep -qx karod "$running" 2>/dev/null || fail "something was started"
done
(cd /mnt/changed && find . -name '*karo*' -not -path './usr/*' -not -path './var/lib/dpkg/*') >/mnt/strewn

echo == use
start
record 'echo before' 1

echo == upgrade
dpkg --install --force-unsafe-io /mnt/karo_2.deb 2>&1 | tee /mnt/upgrade
dpkg-query --show --showformat='${Version}\n' karo >/mnt/version
record 'echo between' 2
found 2 /mnt/between
stop
start
record 'echo after' 3
found 3 /mnt/after
stop
kept >/mnt/kept

echo == remove
dpkg --remove karo
kept | cmp - /mnt/kept
dpkg --install --force-unsafe-io /mnt/karo_2.deb
dpkg --purge karo
kept | cmp - /mnt/kept
! dpkg-query --show karo 2>/dev/null || fail "dpkg still knows it"
(cd /mnt/changed && find . -name '*karo*' -not -path './home/ann/*') >/mnt/left
echo == over
"#;

#[test]
fn root_a_package_is_installed_upgraded_and_purged() {
    if !is_root("mounts") {
        return;
    }
    let place = tempfile::tempdir().expect("temporary files can be made");
    let shared = place.path().join("shared");
    for name in ["shared", "layers"] {
        fs::create_dir(place.path().join(name)).expect("the place is ours");
    }
    // Versions as they are ordered: a test's own are below any that was released.
    for (name, version) in [("karo_1.deb", "0.1.0~1"), ("karo_2.deb", "0.1.0~2")] {
        let Some(built) = package(place.path(), version) else { return };
        fs::rename(built, shared.join(name)).expect("the place is ours");
    }
    check_with_lintian(&shared.join("karo_1.deb"));
    let lower = std::env::var("KARO_TEST_ROOT").unwrap_or_else(|_| "/".to_owned());
    let mut unshare = Command::new("unshare");
    unshare.args(["--mount", "--propagation", "private", "--pid", "--fork", "--kill-child"]);
    unshare.arg(checkout().join("tests/stories/packages/fresh-root")).arg(lower).arg(place.path()).arg(LIFE);
    let output = unshare.output().expect("unshare(1) is installed");
    let told = said(&output);
    if !told.contains("== install") {
        eprintln!("skipped: this machine lets nobody lay a file system over another: {told}");
        return;
    }
    assert!(output.status.success(), "{told}");
    let read = |name: &str| fs::read_to_string(shared.join(name)).unwrap_or_default();
    check_listing(&read("listed"));
    assert_eq!(read("strewn"), "", "what a package leaves outside its own files");
    assert_eq!(read("version").trim(), "0.1.0~2-1");
    assert!(read("upgrade").contains("karod of ann is the version before"), "{}", read("upgrade"));
    assert_eq!(read("between"), "echo before\necho between\n");
    assert_eq!(read("after"), "echo before\necho between\necho after\n");
    assert!(read("kept").contains("/home/ann/.local/share/karo/log/"), "{}", read("kept"));
    assert_eq!(read("left"), "", "what a purge leaves");
    if !read("catalog").is_empty() {
        assert_ne!(read("catalog").trim(), "0", "the journal knows what Karo's messages mean");
    }
}

/// Compares what dpkg says it installed with what is laid out.
fn check_listing(listed: &str) {
    let listed: BTreeSet<&str> = listed.lines().map(|line| line.trim_start_matches('/')).collect();
    let compressed = |name: &str| format!("{name}.gz");
    let debian = DEBIAN_FILES.map(|name| format!("usr/share/doc/karo/{name}"));
    let manual = |name: &&&str| name.starts_with("usr/share/man/");
    let plain = FILES.iter().filter(|name| !manual(name)).map(|name| (*name).to_owned());
    let zsh = "usr/share/zsh/vendor-completions/_karoctl".to_owned();
    let wanted: Vec<String> = plain
        .chain(FILES.iter().filter(manual).map(|name| compressed(name)))
        .chain(debian)
        .chain([zsh])
        .collect();
    for name in &wanted {
        assert!(listed.contains(name.as_str()), "{name} is not in the package: {listed:?}");
    }
    let is_outside = |name: &&&str| !name.starts_with("usr") && **name != "." && !name.is_empty();
    assert_eq!(listed.iter().filter(is_outside).collect::<Vec<_>>(), Vec::<&&str>::new());
}

/// Debian's own judge, where it is installed.
fn check_with_lintian(package: &Path) {
    let judged = Command::new("lintian").args(["--allow-root", "--fail-on", "error"]).arg(package).output();
    match judged {
        Ok(output) => assert!(output.status.success(), "{}", said(&output)),
        Err(error) => eprintln!("skipped: lintian: {error}"),
    }
}
