//! The history files of shells that have no hooks: what is in them, and where to read on.
//!
//! Both are binary, append commands as they are typed, and number them for good, so a command is
//! named by its number wherever the file is read from.
//!
//! | shell | file |
//! | --- | --- |
//! | mksh | `ab cd`, then for each command `ff`, its number (u32, big-endian), its text, NUL |
//! | ksh 93 | `81 01`, then for each command its text, LF, NUL, padded to an even place by NUL; `81 00` takes the last one back; `82 00`, the next number (u24, big-endian), NUL says where the count is |

use karo_protocol::ShellKind;

/// One command of a history file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Its number, from 1.
    pub number: u64,
    /// Its text, as typed.
    pub text: Vec<u8>,
}

/// Reads whole commands off a history file as far as it was read before, and what came since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reader {
    format: Format,
    /// Bytes before this place were read.
    offset: usize,
    /// Number of the next command, for a file that does not say it with each.
    next: u64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Mksh,
    Ksh,
}

impl Reader {
    /// Makes the reader of a shell's history file; `None` for a shell that is recorded by hooks.
    pub const fn new(shell: ShellKind) -> Option<Self> {
        let format = match shell {
            ShellKind::Mksh => Format::Mksh,
            ShellKind::Ksh => Format::Ksh,
            ShellKind::Bash | ShellKind::Zsh | ShellKind::Fish | ShellKind::Other => return None,
        };
        Some(Self { format, offset: 0, next: 1 })
    }

    /// Returns the commands that are whole in `file` and were not returned before.
    ///
    /// `file` is all of the file; one that is shorter than before was written anew and is read from
    /// its beginning. A file that does not begin as it should holds nothing.
    pub fn read(&mut self, file: &[u8]) -> Vec<Line> {
        if file.len() < self.offset {
            *self = Self { format: self.format, offset: 0, next: 1 };
        }
        if self.offset == 0 {
            let magic: &[u8] = match self.format {
                Format::Mksh => &[0xab, 0xcd],
                Format::Ksh => &[0x81, 0x01],
            };
            if !file.starts_with(magic) {
                return Vec::new();
            }
            self.offset = magic.len();
        }
        let mut lines = Vec::new();
        while let Some(length) = match self.format {
            Format::Mksh => self.mksh(&file[self.offset..], &mut lines),
            Format::Ksh => self.ksh(&file[self.offset..], &mut lines),
        } {
            self.offset += length;
        }
        lines
    }

    /// Reads one entry and returns its length; `None` when it is not whole.
    fn mksh(&self, rest: &[u8], lines: &mut Vec<Line>) -> Option<usize> {
        let (first, behind) = rest.split_first()?;
        if *first != 0xff {
            // Not the beginning of an entry: look for the next.
            return Some(1);
        }
        let (number, text) = behind.split_first_chunk::<4>()?;
        let length = memchr::memchr(0, text)?;
        lines.push(Line { number: u32::from_be_bytes(*number).into(), text: text[..length].to_vec() });
        Some(1 + 4 + length + 1)
    }

    /// Reads one entry and returns its length; `None` when it is not whole.
    fn ksh(&mut self, rest: &[u8], lines: &mut Vec<Line>) -> Option<usize> {
        match rest {
            [0, ..] => Some(1),
            [0x81, 0, ..] => {
                if lines.pop().is_some() {
                    self.next -= 1;
                }
                Some(2)
            }
            [0x82, 0, a, b, c, _, ..] => {
                self.next = u64::from(u32::from_be_bytes([0, *a, *b, *c]));
                Some(6)
            }
            [0x81 | 0x82, ..] if rest.len() < 6 => None,
            _ => {
                let length = memchr::memchr(0, rest)?;
                let text = rest[..length].strip_suffix(b"\n").unwrap_or(&rest[..length]);
                lines.push(Line { number: self.next, text: text.to_vec() });
                self.next += 1;
                Some(length + 1)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MKSH: &[u8] = b"\xab\xcd\xff\0\0\0\x01echo one\0\xff\0\0\0\x02echo \"a\nb\"\0";
    const KSH: &[u8] = b"\x81\x01echo one\n\0 echo sp\n\0\0echo \"a\nb\"\n\0";

    fn read(shell: ShellKind, file: &[u8]) -> Vec<(u64, String)> {
        let mut reader = Reader::new(shell).expect("it has no hook");
        texts(reader.read(file))
    }

    fn texts(lines: Vec<Line>) -> Vec<(u64, String)> {
        lines
            .into_iter()
            .map(|line| (line.number, String::from_utf8_lossy(&line.text).into_owned()))
            .collect()
    }

    fn pairs(expected: &[(u64, &str)]) -> Vec<(u64, String)> {
        expected.iter().map(|(number, text)| (*number, (*text).to_owned())).collect()
    }

    #[test]
    fn both_files_read() {
        assert_eq!(read(ShellKind::Mksh, MKSH), pairs(&[(1, "echo one"), (2, "echo \"a\nb\"")]));
        assert_eq!(
            read(ShellKind::Ksh, KSH),
            pairs(&[(1, "echo one"), (2, " echo sp"), (3, "echo \"a\nb\"")])
        );
        assert_eq!(read(ShellKind::Mksh, KSH), []);
        assert_eq!(read(ShellKind::Ksh, b"echo plain\n"), []);
    }

    #[test]
    fn a_growing_file_gives_each_command_once() {
        for (shell, file) in [(ShellKind::Mksh, MKSH), (ShellKind::Ksh, KSH)] {
            let mut reader = Reader::new(shell).expect("it has no hook");
            let mut found = Vec::new();
            for length in 0..=file.len() {
                found.extend(reader.read(&file[..length]));
            }
            assert_eq!(texts(found), read(shell, file));
            assert_eq!(reader.read(file), []);
        }
    }

    #[test]
    fn ksh_counts_from_its_marker_and_takes_back() {
        let file = b"\x81\x01a\n\0\0\x81\0b\n\0\0\x82\0\0\x01\0\0c\n\0";
        assert_eq!(read(ShellKind::Ksh, file), pairs(&[(1, "b"), (256, "c")]));
    }
}
