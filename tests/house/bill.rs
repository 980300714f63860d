//! What the programs are made of, as CycloneDX 1.5: every crate with version, licence, origin and checksum.
//!
//! It is made from what cargo prints of the two packages that are shipped, each by itself, because together they would
//! have features that neither has. No tool of its own is needed: those there are bring some two hundred crates and
//! write a file for each member of the workspace, with a time and a number by chance in it.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use karo_tests::binaries::checkout;
use serde_json::{Value, json};

/// A crate: name and version.
type Crate = (String, String);

/// One line of `cargo tree --prefix depth --format '|{p}|{l}'`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    depth: usize,
    what: Crate,
    licence: String,
    is_ours: bool,
    /// What it depends on was printed before.
    is_repeated: bool,
}

/// What is known of a crate.
#[derive(Debug, Default)]
struct Known {
    licence: String,
    is_ours: bool,
    depends_on: BTreeSet<Crate>,
}

/// Makes the bill of the product of that version, from the trees of its packages and the lock file.
///
/// # Panics
///
/// When cargo prints something else than it did, or a crate from outside has no checksum.
pub(crate) fn bill(version: &str, trees: &[String], lock: &str) -> Value {
    let sums = checksums(lock);
    let mut crates: BTreeMap<Crate, Known> = BTreeMap::new();
    let mut programs = BTreeSet::new();
    trees.iter().for_each(|tree| take_in(tree, &mut crates, &mut programs));
    let components: Vec<Value> = crates.iter().map(|(what, known)| component(what, known, &sums)).collect();
    let reference = format!("karo@{version}");
    let dependencies = std::iter::once((reference.clone(), &programs))
        .chain(crates.iter().map(|(what, known)| (purl(what), &known.depends_on)))
        .map(|(of, on)| json!({ "ref": of, "dependsOn": on.iter().map(purl).collect::<Vec<_>>() }));
    json!({
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": { "component": {
            "type": "application",
            "bom-ref": reference,
            "name": "karo",
            "version": version,
            "licenses": [{ "expression": "MIT OR Apache-2.0" }],
        } },
        "components": components,
        "dependencies": dependencies.collect::<Vec<_>>(),
    })
}

/// Returns what a package is made of; what only its build runs is a part too: it can change what is built.
///
/// # Panics
///
/// When cargo does not print it.
pub(crate) fn tree(package: &str, target: &str) -> String {
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let output = Command::new(cargo)
        .args(["tree", "--locked", "--package", package, "--edges", "normal,build", "--target", target])
        .args(["--prefix", "depth", "--format", "|{p}|{l}"])
        .current_dir(checkout())
        .output()
        .expect("cargo can be run");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo prints UTF-8")
}

fn take_in(tree: &str, crates: &mut BTreeMap<Crate, Known>, programs: &mut BTreeSet<Crate>) {
    let mut above: Vec<Crate> = Vec::new();
    for line in tree.lines().filter(|line| !line.is_empty()).map(parsed) {
        above.truncate(line.depth);
        match above.last() {
            Some(parent) => {
                let parent = crates.get_mut(parent).expect("it stands above");
                parent.depends_on.insert(line.what.clone());
            }
            None => drop(programs.insert(line.what.clone())),
        }
        let known = crates.entry(line.what.clone()).or_default();
        known.is_ours = line.is_ours;
        if !line.is_repeated || known.licence.is_empty() {
            known.licence = line.licence;
        }
        above.push(line.what);
    }
}

fn parsed(line: &str) -> Line {
    let fields: Vec<&str> = line.split('|').collect();
    let [depth, package, licence] = fields[..] else { panic!("cargo tree prints otherwise: {line}") };
    let mut words = package.split_whitespace();
    let (Some(name), Some(version)) = (words.next(), words.next()) else { panic!("no package: {line}") };
    let licence = licence.trim();
    Line {
        depth: depth.parse().expect("a depth is a number"),
        what: (name.to_owned(), version.trim_start_matches('v').to_owned()),
        is_ours: package.contains("(/"),
        is_repeated: licence.ends_with("(*)"),
        // The slash is how expressions were written before there were any.
        licence: licence.trim_end_matches("(*)").trim().replace('/', " OR "),
    }
}

fn component(what: &Crate, known: &Known, sums: &BTreeMap<Crate, String>) -> Value {
    let (name, version) = what;
    let mut component = json!({ "type": "library", "bom-ref": purl(what), "name": name, "version": version });
    assert!(!known.licence.is_empty(), "{name} {version} names no licence");
    component["licenses"] = json!([{ "expression": known.licence }]);
    if !known.is_ours {
        let sum = sums.get(what).unwrap_or_else(|| panic!("{name} {version} has no checksum"));
        component["purl"] = purl(what).into();
        component["hashes"] = json!([{ "alg": "SHA-256", "content": sum }]);
    }
    component
}

fn purl((name, version): &Crate) -> String {
    format!("pkg:cargo/{name}@{version}")
}

/// Returns the checksums in a lock file: blocks of `key = "value"` behind `[[package]]`.
fn checksums(lock: &str) -> BTreeMap<Crate, String> {
    let value = |block: &str, key: &str| {
        let line = block.lines().find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
        Some(line.trim_end_matches('"').to_owned())
    };
    let packages = lock.split("[[package]]").skip(1);
    packages
        .filter_map(|block| {
            Some(((value(block, "name")?, value(block, "version")?), value(block, "checksum")?))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TREE: &str = "0|karo v0.1.0 (/work/karo)|MIT OR Apache-2.0
1|one v1.0.0|MIT/Apache-2.0
2|two v2.0.0+with (proc-macro)|MIT
1|three v3.0.0|MIT
2|one v1.0.0|MIT/Apache-2.0 (*)
";
    const LOCK: &str = r#"version = 4
[[package]]
name = "karo"
version = "0.1.0"

[[package]]
name = "one"
version = "1.0.0"
checksum = "11"

[[package]]
name = "two"
version = "2.0.0+with"
checksum = "22"

[[package]]
name = "three"
version = "3.0.0"
checksum = "33"
"#;

    #[test]
    fn a_bill_names_each_crate_once_and_what_it_needs() {
        let bill = bill("0.1.0", &[TREE.to_owned(), TREE.to_owned()], LOCK);
        let names: Vec<_> =
            bill["components"].as_array().expect("a list").iter().map(|c| &c["name"]).collect();
        assert_eq!(names, ["karo", "one", "three", "two"]);
        assert_eq!(bill["components"][1]["licenses"][0]["expression"], "MIT OR Apache-2.0");
        assert_eq!(bill["components"][1]["hashes"][0]["content"], "11");
        assert_eq!(bill["components"][0].get("hashes"), None);
        let needs = |of: &str| {
            let all = bill["dependencies"].as_array().expect("a list");
            all.iter().find(|one| one["ref"] == of).map(|one| one["dependsOn"].clone())
        };
        assert_eq!(needs("karo@0.1.0"), Some(json!(["pkg:cargo/karo@0.1.0"])));
        assert_eq!(
            needs("pkg:cargo/karo@0.1.0"),
            Some(json!(["pkg:cargo/one@1.0.0", "pkg:cargo/three@3.0.0"]))
        );
        assert_eq!(needs("pkg:cargo/one@1.0.0"), Some(json!(["pkg:cargo/two@2.0.0+with"])));
        assert_eq!(needs("pkg:cargo/three@3.0.0"), Some(json!(["pkg:cargo/one@1.0.0"])));
    }

    #[test]
    #[should_panic(expected = "four 4.0.0 has no checksum")]
    fn a_crate_that_the_lock_does_not_know_is_no_part() {
        bill("0.1.0", &["0|karo v0.1.0 (/work)|MIT\n1|four v4.0.0|MIT\n".to_owned()], LOCK);
    }
}
