//! Rule files, from paths to what the daemon is asked: a directory stands for all rules below it.

use std::fs;
use std::path::{Path, PathBuf};

use karo_protocol::Bytes;
use karo_protocol::limits::RULE_FILE_BYTES_MAX;
use karo_protocol::local::RuleFile;

use crate::ctl::exit::Trouble;

/// Files that are looked at in one go: all of SigmaHQ has a third of it.
const FILES_MAX: usize = 10_000;

/// Directories within one another that are looked into.
const DEPTH_MAX: usize = 16;

/// Reads the files, and those below the directories, in the order of their names.
///
/// # Errors
///
/// When one cannot be read, is too long, or there are too many.
pub fn read(paths: &[PathBuf]) -> Result<Vec<RuleFile>, Trouble> {
    let mut found = Vec::new();
    for path in paths {
        match path.is_dir() {
            true => find(path, DEPTH_MAX, &mut found)?,
            false => found.push(path.clone()),
        }
    }
    if found.len() > FILES_MAX {
        return Err(Trouble::refused(format!("more than {FILES_MAX} rule files; name fewer at once")));
    }
    found.iter().map(|path| read_one(path)).collect()
}

/// Reads one rule file.
///
/// # Errors
///
/// When it cannot be read, or is too long.
pub fn read_one(path: &Path) -> Result<RuleFile, Trouble> {
    let text = fs::read(path).map_err(|error| Trouble::file("read", path, &error))?;
    if text.len() > RULE_FILE_BYTES_MAX {
        let kib = RULE_FILE_BYTES_MAX / 1024;
        return Err(Trouble::refused(format!("{} is longer than {kib} KiB; split it", path.display())));
    }
    Ok(RuleFile { name: path.display().to_string(), text: Bytes(text) })
}

fn find(directory: &Path, depth: usize, found: &mut Vec<PathBuf>) -> Result<(), Trouble> {
    let failed = |error: std::io::Error| Trouble::file("list", directory, &error);
    let entries = fs::read_dir(directory).map_err(failed)?;
    let mut paths: Vec<PathBuf> =
        entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<_, _>>().map_err(failed)?;
    paths.sort();
    for path in paths {
        // A link to a directory may lead around in a circle, so only what lies here is looked into.
        if path.is_dir() && !path.is_symlink() {
            if depth > 0 {
                find(&path, depth - 1, found)?;
            }
        } else if is_rule_file(&path) {
            found.push(path);
        }
        if found.len() > FILES_MAX {
            return Ok(());
        }
    }
    Ok(())
}

fn is_rule_file(path: &Path) -> bool {
    path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn directories_stand_for_the_rules_below_them() {
        let top = private_directory();
        let at = |name: &str| top.path().join(name);
        fs::create_dir_all(at("b/c")).expect("there is room");
        for name in ["z.yml", "a.yaml", "b/c/d.yml", "b/notes.txt"] {
            fs::write(at(name), name).expect("there is room");
        }
        std::os::unix::fs::symlink(top.path(), at("b/loop")).expect("there is room");
        let names = |paths: &[PathBuf]| -> Vec<String> {
            let files = read(paths).expect("all can be read");
            files.iter().map(|file| String::from_utf8_lossy(&file.text).into_owned()).collect()
        };
        assert_eq!(names(&[top.path().to_owned()]), ["a.yaml", "b/c/d.yml", "z.yml"]);
        assert_eq!(names(&[at("b/notes.txt"), at("b")]), ["b/notes.txt", "b/c/d.yml"]);
        assert!(read(&[at("none.yml")]).is_err());
    }
}
