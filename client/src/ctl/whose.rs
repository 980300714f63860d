//! Whose a place is. What karoctl writes belongs to whoever runs it, so it writes nothing into what is another user's:
//! after `sudo -E` the home directory is still the person's, and files of root would be left in it.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::exit::Trouble;
use super::scene::Scene;
use crate::surroundings;

/// The owner of what the system has made; an ordinary user can make nothing in it but where everybody can.
const ROOT: u32 = 0;

/// Refuses to go on where the home directory or a place of Karo's is another user's.
///
/// # Errors
///
/// When it is, or a place has no name.
pub fn refuse_foreign_places(scene: &Scene) -> Result<(), Trouble> {
    let variable = |name: &str| std::env::var_os(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let places = scene.places()?;
    let of_environment = ["HOME", "XDG_CONFIG_HOME"].into_iter().filter_map(variable);
    of_environment
        .chain([places.data, places.config, places.client_spool, places.hook_spool])
        .try_for_each(|path| refuse_foreign(&path))
}

/// Refuses a path that another user owns or, where nothing is there, that would be made in what another user owns.
///
/// # Errors
///
/// When it is so.
pub fn refuse_foreign(path: &Path) -> Result<(), Trouble> {
    let found = path.ancestors().find_map(|at| fs::metadata(at).ok().map(|metadata| (at, metadata)));
    let Some((at, metadata)) = found else { return Ok(()) };
    judge(at, &metadata, surroundings::uid())
}

fn judge(at: &Path, found: &Metadata, uid: u32) -> Result<(), Trouble> {
    let owner = found.uid();
    // A file is replaced by one of ours, so it has to be ours; in a directory of root's nothing comes to harm.
    if owner == uid || owner == ROOT && found.is_dir() {
        return Ok(());
    }
    Err(Trouble::refused(format!(
        "{} belongs to another user (uid {owner}; this is uid {uid}, as after `sudo -E`): run karoctl as that user",
        at.display()
    )))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn what_is_another_users_is_refused() {
        let directory = private_directory();
        let file = directory.path().join("file");
        fs::write(&file, "").expect("there is room");
        let root = fs::metadata("/").expect("it is there");
        let [directory, file] = [directory.path(), &file].map(|path| fs::metadata(path).expect("it is ours"));
        let (own, other) = (file.uid(), file.uid() + 1);
        let at = Path::new("/h");
        assert_eq!(judge(at, &directory, own), Ok(()));
        assert_eq!(judge(at, &file, own), Ok(()));
        assert_eq!(judge(at, &root, own), Ok(()), "a directory of the system's");
        if own != ROOT {
            assert!(judge(at, &directory, other).is_err());
        }
        let refusal = judge(at, &file, other).expect_err("it is another's");
        assert!(refusal.message.starts_with("/h belongs to another user (uid "), "{refusal}");
    }

    #[test]
    fn what_is_not_there_is_judged_by_what_is_above() {
        let directory = private_directory();
        assert_eq!(refuse_foreign(&directory.path().join("not/there")), Ok(()));
    }
}
