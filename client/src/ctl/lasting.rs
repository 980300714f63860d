//! Where a program will be found tomorrow too. Some package managers keep each version in a directory of its own, which
//! goes with the next one, and lead to it by a link that stays: units and rc files name the link.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

/// What holds a directory for each version of each package: of Nix and of Guix.
const STORES: [&str; 2] = ["/nix/store", "/gnu/store"];

/// The same of Homebrew, below wherever that was put.
const CELLAR: &str = "Cellar";

/// Tells whether a program lies in the directory of one version of its package.
pub fn is_versioned(program: &Path) -> bool {
    STORES.iter().any(|store| program.starts_with(store)) || prefix(program).is_some()
}

/// Returns the link that leads to a program and outlives its version, by the search path if it must; the program itself
/// where it lies in a place that stays, or no link leads to it.
pub fn lasting(program: PathBuf, path: Option<OsString>) -> PathBuf {
    if !is_versioned(&program) {
        return program;
    }
    let Some(name) = program.file_name() else { return program };
    let of_homebrew = prefix(&program).map(|prefix| prefix.join("bin"));
    let searched: Vec<PathBuf> = path.map(|path| std::env::split_paths(&path).collect()).unwrap_or_default();
    let links = of_homebrew.into_iter().chain(searched).map(|directory| directory.join(name));
    let leads_here = |link: &PathBuf| {
        link.is_absolute() && !is_versioned(link) && link.canonicalize().is_ok_and(|real| real == program)
    };
    links.into_iter().find(leads_here).unwrap_or(program)
}

/// Returns what Homebrew was put below, of a program in its cellar.
fn prefix(program: &Path) -> Option<&Path> {
    program.ancestors().find(|above| above.file_name().is_some_and(|name| name == CELLAR))?.parent()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn the_link_is_named_and_not_the_version() {
        let directory = private_directory();
        let root = directory.path().canonicalize().expect("it is there");
        let bin = root.join("Cellar/karo/0.1.0/bin");
        fs::create_dir_all(&bin).expect("there is room");
        fs::create_dir_all(root.join("bin")).expect("there is room");
        fs::create_dir_all(root.join("profile")).expect("there is room");
        let program = bin.join("karoctl");
        fs::write(&program, "").expect("there is room");
        let path = std::env::join_paths([&bin, &root.join("profile")]).expect("there are no colons");
        let lasting = || lasting(program.clone(), Some(path.clone()));
        assert_eq!(lasting(), program, "no link leads to it");
        symlink(&program, root.join("profile/karoctl")).expect("there is room");
        assert_eq!(lasting(), root.join("profile/karoctl"));
        symlink("../Cellar/karo/0.1.0/bin/karoctl", root.join("bin/karoctl")).expect("there is room");
        assert_eq!(lasting(), root.join("bin/karoctl"));
        fs::remove_file(root.join("bin/karoctl")).expect("it is ours");
        fs::write(root.join("bin/karoctl"), "of somebody else").expect("there is room");
        assert_eq!(lasting(), root.join("profile/karoctl"));
    }

    #[test]
    fn what_lies_in_a_place_that_stays_is_named_itself() {
        for program in ["/usr/bin/karoctl", "/home/ann/.cargo/bin/karoctl", "/nix/karoctl"] {
            assert_eq!(lasting(program.into(), Some("/bin".into())), Path::new(program));
        }
        assert!(is_versioned(Path::new("/nix/store/abc-karo-0.1.0/bin/karoctl")));
        assert!(is_versioned(Path::new("/home/linuxbrew/.linuxbrew/Cellar/karo/0.1.0/bin/karoctl")));
    }
}
