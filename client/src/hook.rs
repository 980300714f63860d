//! The shells' hooks: scripts that are compiled in, with the paths of one user filled in.
//!
//! Pure: it makes text, and touches neither files nor the environment. What the scripts do is written
//! in `shell/README.md`.

use std::fmt::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::path::Path;

/// The shells that have a hook.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum HookShell {
    /// GNU bash, 4.4 and newer.
    Bash,
    /// zsh, 5.3 and newer.
    Zsh,
    /// fish, 3.4 and newer.
    Fish,
}

impl HookShell {
    /// Every shell that has a hook.
    pub const ALL: [Self; 3] = [Self::Bash, Self::Zsh, Self::Fish];

    /// Returns the shell's name, which is that of its program.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Bash => "bash",
            Self::Zsh => "zsh",
            Self::Fish => "fish",
        }
    }

    /// Returns the shell of that name.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|shell| shell.name() == name)
    }

    const fn template(self) -> &'static str {
        match self {
            Self::Bash => include_str!("../../shell/karo.bash"),
            Self::Zsh => include_str!("../../shell/karo.zsh"),
            Self::Fish => include_str!("../../shell/karo.fish"),
        }
    }
}

/// How a hook sends a record on its way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// `karo-observe` in the background, one fork for each record.
    #[default]
    Client,
    /// Builtins alone: one small file for each record.
    Spool,
}

impl Mode {
    /// Both ways.
    pub const ALL: [Self; 2] = [Self::Client, Self::Spool];

    /// Returns the word for it, as `--mode` takes it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Spool => "spool",
        }
    }
}

/// What is filled in: whose hook it is, and where that user's Karo lies. All paths are absolute.
#[derive(Debug, Clone, Copy)]
pub struct Baked<'a> {
    /// The user for whom the paths hold; under any other the hook does nothing.
    pub uid: u32,
    /// How records are sent.
    pub mode: Mode,
    /// The `karo-observe` to call; where it is missing the hook spools.
    pub observe: &'a Path,
    /// Where the daemon listens.
    pub socket: &'a Path,
    /// [`client_spool`](karo_protocol::places::Places::client_spool).
    pub client_spool: &'a Path,
    /// [`hook_spool`](karo_protocol::places::Places::hook_spool).
    pub hook_spool: &'a Path,
}

/// Returns the whole hook for `shell`, ready to be evaluated or sourced by its interactive rc file.
pub fn script(shell: HookShell, baked: &Baked<'_>) -> String {
    let template = shell.template();
    let mut script = String::with_capacity(template.len() + 512);
    for line in template.split_inclusive('\n') {
        match split_placeholder(line) {
            Some((before, name)) => {
                script.push_str(before);
                script.push_str(&quoted(shell, value(baked, name)));
                script.push('\n');
            }
            None => script.push_str(line),
        }
    }
    script
}

/// Splits `name=@KARO_X@` into what stands before the placeholder and `X`.
fn split_placeholder(line: &str) -> Option<(&str, &str)> {
    let (before, rest) = line.split_once("@KARO_")?;
    let name = rest.trim_end().strip_suffix('@')?;
    Some((before, name))
}

fn value(baked: &Baked<'_>, name: &str) -> Vec<u8> {
    let path = |path: &Path| path.as_os_str().as_bytes().to_vec();
    match name {
        "UID" => baked.uid.to_string().into_bytes(),
        "MODE" => baked.mode.name().into(),
        "OBSERVE" => path(baked.observe),
        "SOCKET" => path(baked.socket),
        "CLIENT_SPOOL" => path(baked.client_spool),
        "HOOK_SPOOL" => path(baked.hook_spool),
        unknown => unreachable!("the hooks hold no placeholder {unknown}"),
    }
}

/// Quotes bytes so that the shell reads exactly them: printable ASCII in single quotes, all else as escapes.
fn quoted(shell: HookShell, bytes: Vec<u8>) -> String {
    if bytes.iter().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+:,".contains(byte)) && !bytes.is_empty()
    {
        return String::from_utf8(bytes).expect("these bytes are ASCII");
    }
    match shell {
        HookShell::Bash | HookShell::Zsh => {
            let mut text = String::from("$'");
            for byte in bytes {
                push_escaped(&mut text, byte, |text| _ = write!(text, "\\{byte:03o}"));
            }
            text.push('\'');
            text
        }
        // fish knows escapes for bytes only outside of quotes.
        HookShell::Fish => {
            let mut text = String::from("''");
            for byte in bytes {
                push_escaped(&mut text, byte, |text| _ = write!(text, "\\X{byte:02x}"));
            }
            text
        }
    }
}

fn push_escaped(text: &mut String, byte: u8, escape: impl Fn(&mut String)) {
    if byte.is_ascii_alphanumeric() || b"/._-".contains(&byte) {
        text.push(char::from(byte));
    } else {
        escape(text);
    }
}

#[cfg(test)]
mod tests {
    use std::ffi::OsStr;
    use std::process::Command;

    use super::*;

    const ODD: &[u8] = b"/a b/'\"$(x)\\\n\xff@KARO_SOCKET@*~{a,b}%%!;&";

    fn baked(path: &Path) -> Baked<'_> {
        Baked { uid: 7, mode: Mode::Spool, observe: path, socket: path, client_spool: path, hook_spool: path }
    }

    #[test]
    fn every_placeholder_is_filled_in() {
        for shell in HookShell::ALL {
            let script = script(shell, &baked(Path::new("/p")));
            assert!(!script.contains("@KARO_"), "{shell:?}");
            assert_eq!(HookShell::by_name(shell.name()), Some(shell));
        }
    }

    #[test]
    fn each_shell_reads_back_any_path() {
        for shell in HookShell::ALL {
            let word = quoted(shell, ODD.to_vec());
            let output = Command::new(shell.name())
                .args(["-c", &format!("printf %s {word}")])
                .output()
                .expect("the shell is installed");
            assert_eq!(OsStr::from_bytes(&output.stdout), OsStr::from_bytes(ODD), "{shell:?}: {word}");
        }
    }
}
