//! `./release.sh` but for the compiler: what it packs is the same bytes wherever the checkout lies.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use karo_tests::binaries::{binaries, checkout};

/// Stands in for cargo, which would take ten minutes: each program is a line, and only karoctl is asked for anything.
const CARGO: &str = r#"#!/bin/sh
set -e
put() { mkdir -p "$CARGO_TARGET_DIR/$1" && printf '#!/bin/sh\n%s\n' "$3" >"$CARGO_TARGET_DIR/$1/$2" && chmod 755 "$CARGO_TARGET_DIR/$1/$2"; }
case $* in
    *karo-daemon*) put release karod true ;;
    *karo-client*) put client karoctl "exec $KAROCTL \"\$@\"" && put client karo-observe true ;;
    *sbom*) echo bill ;;
    *) exit 1 ;;
esac
"#;

const RUSTC: &str = "#!/bin/sh\ncase $* in *vV*) echo host: here-and-now ;; *) echo /rust ;; esac\n";

/// Clones the checkout, makes a release there, and returns what it holds: each name with its checksum.
fn release(place: &Path, tools: &Path, mask: &str) -> String {
    let clone = place.join("checkout");
    let mut git = Command::new("git");
    // The checkout is somebody else's where tests run as another user than builds; the other end of a clone listens to
    // files alone.
    fs::write(place.join(".gitconfig"), "[safe]\n\tdirectory = *\n").expect("the place is ours");
    git.args(["clone", "--quiet", "--no-hardlinks"]).arg(checkout()).arg(&clone);
    let output = git.env("HOME", place).output().expect("git is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let path = format!("{}:{}", tools.display(), std::env::var("PATH").expect("there is a path"));
    // What lies on the disk differs in everything that must not matter.
    let script = r#"umask "$1" && find "$2" -not -path '*/.git/*' -exec touch -d "$3" {} + && "$2/release.sh" --no-deb"#;
    let mut bash = Command::new("bash");
    bash.args(["-c", script, "release", mask]).arg(&clone).arg(format!("2001-02-{mask} 01:02:03"));
    bash.env("PATH", path).env("HOME", place).env_remove("CARGO_TARGET_DIR").env_remove("CARGO_HOME");
    bash.env("KAROCTL", &binaries().karoctl);
    let output = bash.output().expect("bash is installed");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    fs::read_to_string(clone.join("target/dist/SHA256SUMS")).expect("it was made")
}

#[test]
fn two_releases_of_a_commit_are_the_same_bytes() {
    let has_history = checkout().join(".git").exists();
    if !has_history {
        eprintln!("skipped: this is no clone of a repository");
        return;
    }
    let place = tempfile::tempdir().expect("temporary files can be made");
    let tools = place.path().join("tools");
    fs::create_dir(&tools).expect("the place is ours");
    for (name, text) in [("cargo", CARGO), ("rustc", RUSTC)] {
        fs::write(tools.join(name), text).expect("the place is ours");
        fs::set_permissions(tools.join(name), fs::Permissions::from_mode(0o755)).expect("it is ours");
    }
    let [one, other] = [("here", "022"), ("in/quite/another", "027")].map(|(name, mask)| {
        let place = place.path().join(name);
        fs::create_dir_all(&place).expect("the place is ours");
        release(&place, &tools, mask)
    });
    assert_eq!(one, other);
    let names: Vec<&str> = one.lines().filter_map(|line| line.split_whitespace().nth(1)).collect();
    let version = env!("CARGO_PKG_VERSION");
    let wanted = [
        "PKGBUILD".to_owned(),
        format!("karo-{version}-here-and-now.cdx.json"),
        format!("karo-{version}-here-and-now.tar.gz"),
        format!("karo-{version}.tar.gz"),
        "karo.rb".to_owned(),
    ];
    assert_eq!(names, wanted);
}
