//! An rc file as a file: where it really is, and how it gets another text and stays otherwise what it was.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Gid, XattrFlags, fchown, fgetxattr, flistxattr, fremovexattr, fsetxattr};
use rustix::io::Errno;

/// Links behind one another that are followed; Linux follows as many.
const LINKS_MAX: usize = 40;

/// Bytes of the names of attributes, and of the value of one, at the most: `XATTR_LIST_MAX` and `XATTR_SIZE_MAX`.
const ATTRIBUTE_BYTES_MAX: usize = 64 * 1024;

/// Follows links: an rc file is often one into a directory under version control, and stays one, also while nothing
/// is there.
pub(super) fn real_file(file: PathBuf) -> PathBuf {
    if let Ok(real) = file.canonicalize() {
        return real;
    }
    let mut behind = file.clone();
    for _ in 0..LINKS_MAX {
        let Ok(target) = fs::read_link(&behind) else { return behind };
        behind = behind.with_file_name("").join(target);
    }
    // They lead in a circle, and whoever reads it says so.
    file
}

/// Writes the whole file; mode, group, access list and attributes stay, and so do other names of it.
///
/// A file of our own takes the place of the old one at once, so that a crash leaves one of the two texts. Where it
/// cannot be made like the old one, the text is written into that. What a Mac keeps apart from attributes, its access
/// lists, is not looked at.
///
/// # Errors
///
/// What the system says; the file is as it was then, unless it had to be written into.
pub(super) fn write(file: &Path, text: &[u8]) -> io::Result<()> {
    let old = match File::open(file) {
        Ok(old) => Some(old),
        Err(error) if error.kind() == ErrorKind::NotFound => None,
        Err(error) => return Err(error),
    };
    let has_other_names = old.as_ref().is_some_and(|old| old.metadata().is_ok_and(|found| found.nlink() > 1));
    if has_other_names {
        return write_into(file, text);
    }
    let directory = file.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(directory)?;
    let mut name = file.file_name().unwrap_or_default().to_owned();
    name.push(format!(".karo-{}", std::process::id()));
    let temporary = directory.join(name);
    let mut options = OpenOptions::new();
    let mut new = options.write(true).create_new(true).mode(0o600).open(&temporary)?;
    let is_alike = old.as_ref().is_none_or(|old| make_alike(old, &new).is_ok());
    if !is_alike {
        fs::remove_file(&temporary)?;
        return write_into(file, text);
    }
    let written = (|| {
        new.write_all(text)?;
        if old.is_none() {
            new.set_permissions(Permissions::from_mode(0o644))?;
        }
        new.sync_all()?;
        fs::rename(&temporary, file)
    })();
    if written.is_err() {
        // The error of the deed is the one to report; a temporary that stays is named by its process.
        drop(fs::remove_file(&temporary));
    }
    written
}

fn write_into(file: &Path, text: &[u8]) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).open(file)?;
    file.write_all(text)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// Gives a new file what the old one has besides its text. The owner is the same: whoever runs this.
fn make_alike(old: &File, new: &File) -> io::Result<()> {
    let (found, fresh) = (old.metadata()?, new.metadata()?);
    if found.gid() != fresh.gid() {
        fchown(new, None, Some(Gid::from_raw(found.gid())))?;
    }
    let (kept, given) = (attributes(old)?, attributes(new)?);
    // A directory may have given it an access list that the old file does not have.
    for name in given.iter().filter(|name| !kept.contains(name)) {
        fremovexattr(new, name.as_slice())?;
    }
    for name in &kept {
        let value = attribute(old, name)?;
        if !given.contains(name) || attribute(new, name)? != value {
            fsetxattr(new, name.as_slice(), &value, XattrFlags::empty())?;
        }
    }
    new.set_permissions(Permissions::from_mode(found.permissions().mode() & 0o7777))
}

/// Returns the names of the attributes of a file; access lists are among them.
fn attributes(file: &File) -> io::Result<Vec<Vec<u8>>> {
    let mut names = vec![0; ATTRIBUTE_BYTES_MAX];
    let length = match flistxattr(file, &mut names) {
        // A file system without attributes.
        Err(Errno::NOTSUP) => 0,
        listed => listed?,
    };
    let names = names[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.map(<[u8]>::to_vec).collect())
}

fn attribute(file: &File, name: &[u8]) -> io::Result<Vec<u8>> {
    let mut value = vec![0; ATTRIBUTE_BYTES_MAX];
    let length = fgetxattr(file, name, &mut value)?;
    value.truncate(length);
    Ok(value)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{chown, symlink};

    use super::*;
    use crate::fake::private_directory;

    /// An access list, as Linux keeps it: the owner reads and writes, user 65534 reads, and so does the group.
    const ACCESS: [u8; 44] = [
        2, 0, 0, 0, // the version
        1, 0, 6, 0, 255, 255, 255, 255, // the owner
        2, 0, 4, 0, 254, 255, 0, 0, // user 65534
        4, 0, 4, 0, 255, 255, 255, 255, // the group
        16, 0, 4, 0, 255, 255, 255, 255, // at the most
        32, 0, 0, 0, 255, 255, 255, 255, // others
    ];

    #[test]
    fn a_written_file_keeps_its_mode_and_no_temporary_stays() {
        let directory = private_directory();
        let file = directory.path().join(".bashrc");
        fs::write(&file, "a").expect("there is room");
        // Only root may give it to any group.
        drop(chown(&file, None, Some(12_345)));
        fs::set_permissions(&file, PermissionsExt::from_mode(0o640)).expect("it is ours");
        let group = fs::metadata(&file).expect("it is there").gid();
        write(&file, b"b").expect("there is room");
        assert_eq!(fs::read(&file).expect("it is there"), b"b");
        assert_eq!(fs::metadata(&file).expect("it is there").permissions().mode() & 0o777, 0o640);
        assert_eq!(fs::metadata(&file).expect("it is there").gid(), group);
        assert_eq!(fs::read_dir(directory.path()).expect("it is there").count(), 1);
    }

    #[test]
    fn a_written_file_keeps_its_access_list_and_its_attributes() {
        let directory = private_directory();
        let path = directory.path().join(".bashrc");
        fs::write(&path, "a").expect("there is room");
        let file = File::open(&path).expect("it is there");
        let own: [(&[u8], &[u8]); 2] = [(b"user.mine", b"x"), (b"system.posix_acl_access", &ACCESS)];
        for (name, value) in own {
            if let Err(error) = fsetxattr(&file, name, value, XattrFlags::empty()) {
                eprintln!("skipped: no attributes here: {error}");
                return;
            }
        }
        write(&path, b"b").expect("there is room");
        let file = File::open(&path).expect("it is there");
        for (name, value) in own {
            assert_eq!(attribute(&file, name).expect("it has it still"), value);
        }
        assert_eq!(fs::read(&path).expect("it is there"), b"b");
    }

    #[test]
    fn what_a_directory_gives_to_new_files_is_not_given_to_an_old_one() {
        let directory = private_directory();
        let path = directory.path().join(".bashrc");
        fs::write(&path, "a").expect("there is room");
        let above = File::open(directory.path()).expect("it is there");
        if let Err(error) = fsetxattr(&above, "system.posix_acl_default", &ACCESS, XattrFlags::empty()) {
            eprintln!("skipped: no access lists here: {error}");
            return;
        }
        write(&path, b"b").expect("there is room");
        let kept = attributes(&File::open(&path).expect("it is there")).expect("they can be listed");
        assert!(!kept.contains(&b"system.posix_acl_access".to_vec()), "others can read it");
    }

    #[test]
    fn a_file_with_another_name_keeps_it() {
        let directory = private_directory();
        let [file, other] = [".bashrc", "dotfiles"].map(|name| directory.path().join(name));
        fs::write(&file, "a longer text").expect("there is room");
        fs::hard_link(&file, &other).expect("there is room");
        write(&file, b"b").expect("there is room");
        assert_eq!(fs::read(&other).expect("it is there"), b"b");
    }

    #[test]
    fn links_are_followed_to_where_nothing_is_yet() {
        let directory = private_directory();
        let at = |name: &str| directory.path().join(name);
        symlink("one", at("rc")).expect("there is room");
        symlink("deep/../two", at("one")).expect("there is room");
        fs::create_dir(at("deep")).expect("there is room");
        let real = real_file(at("rc"));
        write(&real, b"b").expect("there is room");
        assert_eq!(fs::read(at("two")).expect("it is there"), b"b");
        assert!(fs::symlink_metadata(at("rc")).is_ok_and(|found| found.is_symlink()));
        assert!(fs::symlink_metadata(at("one")).is_ok_and(|found| found.is_symlink()));
        symlink("circle", at("circle")).expect("there is room");
        assert_eq!(real_file(at("circle")), at("circle"));
        assert!(write(&at("circle"), b"b").is_err(), "and it stays one");
    }
}
