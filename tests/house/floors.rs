//! The drawing in ARCHITECTURE.md and the manifests say the same.
//!
//! Each line of the drawing is `floor crate folder imports… [| crates from outside…]`; what stands
//! behind the bar is all that a crate may have from outside, and crates without a bar are free.

mod bill;
mod packages;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::process::Command;

use karo_tests::binaries::checkout;
use serde_json::Value;

/// One line of the drawing.
#[derive(Debug, PartialEq, Eq)]
struct Drawn {
    /// `None` for the clients, which stand beside the floors.
    floor: Option<u8>,
    folder: String,
    ours: BTreeSet<String>,
    foreign: Option<BTreeSet<String>>,
}

/// One manifest: what it depends on, without what only its tests need.
#[derive(Debug, Default)]
struct Manifest {
    folder: String,
    ours: BTreeSet<String>,
    foreign: BTreeSet<String>,
    ours_in_tests: BTreeSet<String>,
}

fn words(text: &str) -> BTreeSet<String> {
    text.split_whitespace().map(str::to_owned).collect()
}

fn drawing() -> BTreeMap<String, Drawn> {
    let text = fs::read_to_string(checkout().join("ARCHITECTURE.md")).expect("the map is there");
    let block = text
        .split("```")
        .find_map(|block| block.strip_prefix("text\nfloor "))
        .expect("the map has a drawing that begins with the word floor");
    block.lines().skip(1).filter(|line| !line.trim().is_empty()).map(drawn_line).collect()
}

fn drawn_line(line: &str) -> (String, Drawn) {
    let (own, foreign) = match line.split_once('|') {
        Some((own, foreign)) => (own, Some(words(foreign))),
        None => (line, None),
    };
    let mut fields = own.split_whitespace();
    let (Some(floor), Some(name), Some(folder)) = (fields.next(), fields.next(), fields.next()) else {
        panic!("a line of the drawing has floor, crate and folder: {line}");
    };
    let ours = fields.map(str::to_owned).collect();
    (name.to_owned(), Drawn { floor: floor.parse().ok(), folder: folder.to_owned(), ours, foreign })
}

fn cargo(arguments: &[&str]) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo).args(arguments).current_dir(checkout()).output().expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn manifests() -> BTreeMap<String, Manifest> {
    let metadata = cargo(&["metadata", "--format-version", "1", "--no-deps", "--locked"]);
    let metadata: Value = serde_json::from_str(&metadata).expect("cargo prints JSON");
    let packages = metadata["packages"].as_array().expect("there are packages");
    packages.iter().map(|package| (text(&package["name"]), manifest(package))).collect()
}

fn manifest(package: &Value) -> Manifest {
    let root = checkout().display().to_string() + "/";
    let folder = text(&package["manifest_path"]).replace("/Cargo.toml", "").replace(&root, "");
    let mut manifest = Manifest { folder, ..Manifest::default() };
    for dependency in package["dependencies"].as_array().expect("there is a list of dependencies") {
        let name = text(&dependency["name"]);
        match (dependency["path"].is_string(), dependency["kind"] == "dev") {
            (true, false) => manifest.ours.insert(name),
            (true, true) => manifest.ours_in_tests.insert(name),
            (false, false) => manifest.foreign.insert(name),
            (false, true) => continue,
        };
    }
    manifest
}

fn text(value: &Value) -> String {
    value.as_str().expect("cargo names it").to_owned()
}

#[test]
fn every_crate_is_drawn_with_its_folder() {
    let drawn: BTreeMap<_, _> = drawing().into_iter().map(|(name, line)| (name, line.folder)).collect();
    let built: BTreeMap<_, _> = manifests().into_iter().map(|(name, found)| (name, found.folder)).collect();
    assert_eq!(drawn, built);
}

#[test]
fn edges_are_as_drawn() {
    let drawing = drawing();
    for (name, manifest) in manifests() {
        let drawn = &drawing[&name];
        assert_eq!(manifest.ours, drawn.ours, "what {name} imports of ours");
        let undrawn: BTreeSet<_> = manifest.ours_in_tests.difference(&drawn.ours).collect();
        // A crate's tests may stand on what is below it, whether or not the crate does.
        for below in undrawn {
            assert!(drawing[below].floor < drawn.floor, "tests of {name} import {below}, which is not below");
        }
    }
}

#[test]
fn imports_go_down() {
    let drawing = drawing();
    for (name, drawn) in &drawing {
        for import in &drawn.ours {
            let below = drawing[import].floor.expect("nobody imports the clients");
            assert!(
                drawn.floor.is_none_or(|floor| below < floor),
                "{name} imports {import}, which is not below"
            );
        }
    }
    assert_eq!(drawing["karo-client"].ours, words("karo-protocol"));
    assert_eq!(drawing["karo-tests"].ours, words("karo-protocol"));
}

#[test]
fn pure_crates_have_only_what_is_drawn() {
    let manifests = manifests();
    for (name, drawn) in drawing() {
        let is_pure = drawn.floor.is_some_and(|floor| floor <= 1);
        assert_eq!(
            drawn.foreign.is_some(),
            is_pure,
            "{name}: floors 0 and 1 name what they have from outside"
        );
        if let Some(foreign) = drawn.foreign {
            assert_eq!(manifests[&name].foreign, foreign, "what {name} has from outside");
        }
    }
    assert_eq!(manifests["karo-protocol"].foreign, words("rmp-serde serde"));
}

#[test]
fn clients_have_no_runtime() {
    let tree = cargo(&["tree", "-p", "karo-client", "-e", "normal", "--prefix", "none", "--locked"]);
    let runtimes = ["tokio", "mio", "actix", "async-io", "futures"];
    for line in tree.lines() {
        let name = line.split_whitespace().next().unwrap_or_default();
        assert!(
            !runtimes.iter().any(|r| name == *r || name.starts_with(&format!("{r}-"))),
            "clients have {line}"
        );
    }
    assert!(tree.contains("karo-protocol"), "this is not the tree of the clients: {tree}");
}

#[test]
fn pure_crates_forbid_clock_and_chance() {
    for (name, drawn) in drawing() {
        if drawn.floor == Some(1) {
            let path = checkout().join(&drawn.folder).join("clippy.toml");
            let lints =
                fs::read_to_string(&path).unwrap_or_else(|e| panic!("{name}: {}: {e}", path.display()));
            for forbidden in ["std::time::Instant::now", "std::time::SystemTime::now", "HashMap"] {
                assert!(lints.contains(forbidden), "{} does not forbid {forbidden}", path.display());
            }
        }
    }
}

/// A patch that does not apply any more takes nothing out, and its test would be red for another reason.
#[test]
fn every_protection_can_be_taken_out() {
    let checkout = checkout();
    let entries = fs::read_dir(checkout.join("tests/protections")).expect("the protections are there");
    let paths = entries.map(|entry| entry.expect("it can be listed").path());
    let patches: Vec<_> =
        paths.filter(|path| path.extension().is_some_and(|ending| ending == "patch")).collect();
    let stale = patches.iter().filter(|path| {
        let tried = Command::new("patch")
            .args(["-p1", "--dry-run", "--silent", "--force", "--input"])
            .arg(path)
            .current_dir(checkout)
            .output();
        !tried.expect("patch can be run").status.success()
    });
    let stale: Vec<_> = stale.filter_map(|path| path.file_name()).collect();
    assert!(patches.len() > 100 && stale.is_empty(), "{stale:?} of {} do not apply", patches.len());
}
