//! `karoctl shell`: print the hook, and load it in every new shell by a few marked lines.

pub mod block;
mod rc_file;

use std::ffi::OsString;
use std::fs;
use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};

use serde_json::json;

use self::block::{Left, Unclosed};
use self::rc_file::{real_file, write};
use super::cli::{HookMode, HookedShell, ShellArgs, ShellCommand};
use super::exit::{Exit, Trouble};
use super::json;
use super::lasting::lasting;
use super::scene::Scene;
use super::whole_file::{self, TEXT_BYTES_MAX};
use super::whose;
use crate::hook::{Baked, HookShell, Mode, script};
use crate::surroundings;

/// Runs the command.
///
/// # Errors
///
/// When a place has no name, or the rc file cannot be read or written.
pub fn run(scene: &mut Scene, command: &ShellCommand) -> Result<Exit, Trouble> {
    match command {
        ShellCommand::Init(args) => init(scene, *args),
        ShellCommand::Install(args) => install(scene, *args),
        ShellCommand::Uninstall { shell } => uninstall(scene, *shell),
    }
}

fn init(scene: &mut Scene, args: ShellArgs) -> Result<Exit, Trouble> {
    let places = scene.places()?;
    let observe = observe_path()?;
    let baked = Baked {
        uid: surroundings::uid(),
        mode: match args.mode {
            HookMode::Client => Mode::Client,
            HookMode::Spool => Mode::Spool,
        },
        observe: &observe,
        socket: &places.socket,
        client_spool: &places.client_spool,
        hook_spool: &places.hook_spool,
    };
    let hook = script(hooked(args.shell), &baked);
    if scene.is_json {
        json::write_line(&mut scene.out, &json!({ "script": hook }))?;
    } else {
        scene.out.write_all(hook.as_bytes())?;
    }
    Ok(Exit::Done)
}

/// Returns the shell that has that hook.
const fn hooked(shell: HookedShell) -> HookShell {
    match shell {
        HookedShell::Bash => HookShell::Bash,
        HookedShell::Zsh => HookShell::Zsh,
        HookedShell::Fish => HookShell::Fish,
    }
}

/// Returns where `karo-observe` is: beside this program.
///
/// # Errors
///
/// When the system does not say where this program is.
pub fn observe_path() -> Result<PathBuf, Trouble> {
    Ok(own_path()?.with_file_name("karo-observe"))
}

/// Returns where this program is, and will be when its package has a newer version.
///
/// # Errors
///
/// When the system does not say.
pub fn own_path() -> Result<PathBuf, Trouble> {
    let own = std::env::current_exe()
        .map_err(|error| Trouble::refused(format!("could not find out where karoctl is: {error}")))?;
    Ok(lasting(own, std::env::var_os("PATH")))
}

/// Returns the file that a new interactive shell reads.
///
/// # Errors
///
/// When there is no home directory.
pub fn rc_file(shell: HookedShell, variable: &dyn Fn(&str) -> Option<OsString>) -> Result<PathBuf, Trouble> {
    let directory = |name: &str| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || directory("HOME").ok_or_else(|| Trouble::refused("HOME is not set to an absolute path"));
    match shell {
        HookedShell::Bash => Ok(home()?.join(".bashrc")),
        HookedShell::Zsh => Ok(directory("ZDOTDIR").map_or_else(home, Ok)?.join(".zshrc")),
        HookedShell::Fish => {
            let base =
                directory("XDG_CONFIG_HOME").map_or_else(|| home().map(|home| home.join(".config")), Ok)?;
            Ok(base.join("fish/config.fish"))
        }
    }
}

/// Says what keeps a login shell from reading the rc file, if something does: bash reads another file then, and
/// whoever comes by ssh, or opens a terminal of some kinds, has a login shell.
pub fn unread_at_login(shell: HookedShell, home: &Path) -> Option<String> {
    if shell != HookedShell::Bash {
        return None;
    }
    let profile = [".bash_profile", ".bash_login", ".profile"].map(|name| home.join(name));
    let mend = "put `. ~/.bashrc` there";
    let leads = |text: &[u8]| text.windows(6).any(|window| window == b"bashrc");
    match profile.iter().find_map(|file| Some((file, whole_file::found(file, TEXT_BYTES_MAX).ok()?))) {
        Some((_, text)) if leads(&text) => None,
        Some((file, _)) => Some(format!(
            "a login shell of bash reads {}, which does not lead to .bashrc: {mend}",
            file.display()
        )),
        None => {
            Some(format!("a login shell of bash reads {}, which is not there: {mend}", profile[0].display()))
        }
    }
}

/// Returns the lines that load the hook; without karoctl they do nothing.
fn lines(shell: HookedShell, mode: HookMode, karoctl: &str) -> String {
    let (name, mode) = (hooked(shell).name(), mode.name());
    match shell {
        HookedShell::Bash | HookedShell::Zsh => {
            let karoctl = format!("'{}'", karoctl.replace('\'', "'\\''"));
            format!(
                "# Records commands for yourself alone; `karoctl shell uninstall {name}` takes these lines out.\n\
                 case $- in *i*)\n  \
                 if [ -x {karoctl} ]; then eval \"$({karoctl} shell init {name} --mode {mode})\"; fi ;;\n\
                 esac\n"
            )
        }
        HookedShell::Fish => {
            let karoctl = format!("'{}'", karoctl.replace('\\', "\\\\").replace('\'', "\\'"));
            format!(
                "# Records commands for yourself alone; `karoctl shell uninstall {name}` takes these lines out.\n\
                 if status is-interactive; and test -x {karoctl}\n    \
                 {karoctl} shell init {name} --mode {mode} | source\n\
                 end\n"
            )
        }
    }
}

fn install(scene: &mut Scene, args: ShellArgs) -> Result<Exit, Trouble> {
    let lines = own_lines(args)?;
    let observe = observe_path()?;
    if args.mode == HookMode::Client && !observe.exists() {
        scene.note(&format!("{} is not there; until it is, the hook spools", observe.display()));
    }
    let file = own_rc_file(args.shell)?;
    let is_changed = put_lines(&file, &lines)?;
    let said = if is_changed { "loads the hook in every new shell" } else { "loads the hook already" };
    report(scene, &file, is_changed, said)
}

/// Returns the lines that load the hook from this karoctl.
///
/// # Errors
///
/// When the path of this karoctl cannot be written into an rc file.
pub fn own_lines(args: ShellArgs) -> Result<String, Trouble> {
    let karoctl = own_path()?;
    let Some(karoctl) = karoctl.to_str().filter(|path| !path.contains('\n')) else {
        return Err(Trouble::refused("the path of karoctl is not UTF-8; put karoctl elsewhere"));
    };
    Ok(lines(args.shell, args.mode, karoctl))
}

/// Returns the rc file of this user's shell, behind all links.
///
/// # Errors
///
/// When there is no home directory.
pub fn own_rc_file(shell: HookedShell) -> Result<PathBuf, Trouble> {
    Ok(real_file(rc_file(shell, &|name| std::env::var_os(name))?))
}

/// Returns whether an rc file has these lines between its marks already.
///
/// # Errors
///
/// When it cannot be read, or has half of the marks.
pub fn has_lines(file: &Path, lines: &str) -> Result<bool, Trouble> {
    let old = read(file)?;
    let new = block::put(old.as_deref(), lines).map_err(|Unclosed| unclosed(file))?;
    Ok(old.as_deref() == Some(&new))
}

/// Puts the lines into an rc file and returns whether that changed it.
///
/// # Errors
///
/// When it is another user's, cannot be read or written, or has half of the marks.
pub fn put_lines(file: &Path, lines: &str) -> Result<bool, Trouble> {
    let old = read(file)?;
    let new = block::put(old.as_deref(), lines).map_err(|Unclosed| unclosed(file))?;
    let is_changed = old.as_deref() != Some(&new);
    if is_changed {
        whose::refuse_foreign(file)?;
        write(file, &new).map_err(|error| Trouble::file("write", file, &error))?;
    }
    Ok(is_changed)
}

/// Takes the lines out of an rc file, and the file away if it was made for them; returns what was there beside them.
///
/// # Errors
///
/// When it is another user's, cannot be read or written, or has half of the marks.
pub fn take_lines(file: &Path) -> Result<Left, Trouble> {
    let left = looked_at(file)?;
    if left != Left::Untouched {
        whose::refuse_foreign(file)?;
    }
    match &left {
        Left::Untouched => {}
        Left::Text(text) => write(file, text).map_err(|error| Trouble::file("write", file, &error))?,
        Left::NoFile => fs::remove_file(file).map_err(|error| Trouble::file("remove", file, &error))?,
    }
    Ok(left)
}

/// Returns what would be left of an rc file without the lines.
///
/// # Errors
///
/// When it cannot be read, or has half of the marks.
pub fn looked_at(file: &Path) -> Result<Left, Trouble> {
    let text = read(file)?.unwrap_or_default();
    block::take_out(&text).map_err(|Unclosed| unclosed(file))
}

fn uninstall(scene: &mut Scene, shell: HookedShell) -> Result<Exit, Trouble> {
    let file = own_rc_file(shell)?;
    if take_lines(&file)? == Left::Untouched {
        report(scene, &file, false, "does not load the hook")?;
        return Ok(Exit::NothingFound);
    }
    report(scene, &file, true, "is as it was; shells that are open record until they end")
}

fn report(scene: &mut Scene, file: &Path, is_changed: bool, said: &str) -> Result<Exit, Trouble> {
    if scene.is_json {
        json::write_line(&mut scene.out, &json!({ "file": file.to_string_lossy(), "changed": is_changed }))?;
    } else {
        writeln!(scene.out, "{} {said}", file.display())?;
    }
    Ok(Exit::Done)
}

fn unclosed(file: &Path) -> Trouble {
    Trouble::refused(format!(
        "{} has `# >>> karo >>>` without `# <<< karo <<<`; take these lines out by hand",
        file.display()
    ))
}

fn read(file: &Path) -> Result<Option<Vec<u8>>, Trouble> {
    match whole_file::found(file, TEXT_BYTES_MAX) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(Trouble::file("read", file, &error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fake::private_directory;

    #[test]
    fn rc_files_are_where_each_shell_reads_them() {
        let variable = |name: &str| match name {
            "HOME" => Some(OsString::from("/h")),
            "ZDOTDIR" => Some(OsString::from("/z")),
            "XDG_CONFIG_HOME" => Some(OsString::from("relative")),
            _ => None,
        };
        let file = |shell| rc_file(shell, &variable).expect("there is a home");
        assert_eq!(file(HookedShell::Bash), Path::new("/h/.bashrc"));
        assert_eq!(file(HookedShell::Zsh), Path::new("/z/.zshrc"));
        assert_eq!(file(HookedShell::Fish), Path::new("/h/.config/fish/config.fish"));
        assert!(rc_file(HookedShell::Bash, &|_| None).is_err());
    }

    #[test]
    fn a_link_stays_one_also_where_nothing_is_behind_it() {
        let directory = private_directory();
        let (link, file) = (directory.path().join(".zshrc"), directory.path().join("dotfiles/zshrc"));
        std::os::unix::fs::symlink("dotfiles/zshrc", &link).expect("there is room");
        put_lines(&real_file(link.clone()), "hook\n").expect("there is room");
        assert!(file.is_file() && link.is_symlink());
        assert_eq!(take_lines(&real_file(link.clone())), Ok(Left::NoFile));
        assert!(!file.exists() && link.is_symlink());
    }

    #[test]
    fn logins_that_do_not_lead_to_the_rc_file_are_told() {
        let home = private_directory();
        let told = || unread_at_login(HookedShell::Bash, home.path());
        let profile = home.path().join(".bash_profile");
        let there = format!("a login shell of bash reads {}, which", profile.display());
        assert_eq!(told(), Some(format!("{there} is not there: put `. ~/.bashrc` there")));
        fs::write(home.path().join(".profile"), ". ~/.bashrc\n").expect("there is room");
        assert_eq!(told(), None);
        // It is read in the place of the other.
        fs::write(&profile, "PATH=/x\n").expect("there is room");
        assert_eq!(told(), Some(format!("{there} does not lead to .bashrc: put `. ~/.bashrc` there")));
        assert_eq!(unread_at_login(HookedShell::Zsh, home.path()), None);
    }

    #[test]
    fn paths_are_quoted_for_the_shell() {
        let text = lines(HookedShell::Bash, HookMode::Spool, "/o'b/karoctl");
        assert!(text.contains("eval \"$('/o'\\''b/karoctl' shell init bash --mode spool)\""), "{text}");
        let text = lines(HookedShell::Fish, HookMode::Client, "/o'b/karoctl");
        assert!(text.contains("'/o\\'b/karoctl' shell init fish --mode client | source"), "{text}");
    }
}
