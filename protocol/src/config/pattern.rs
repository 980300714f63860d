//! Patterns over commands and directories: `*`, `?` and `\`, over bytes, in quadratic time at the worst.

/// Bytes of a pattern at the most.
const PATTERN_BYTES_MAX: usize = 4096;

/// A checked pattern.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Byte(u8),
    AnyByte,
    AnyText,
}

impl Pattern {
    /// Reads a pattern; on refusal returns what would be accepted.
    pub(super) fn new(text: &str) -> Result<Self, &'static str> {
        if text.is_empty() {
            return Err("a pattern that is not empty");
        }
        if text.len() > PATTERN_BYTES_MAX {
            return Err("a pattern of at most 4096 bytes");
        }
        let mut parts = Vec::with_capacity(text.len());
        let mut bytes = text.bytes();
        while let Some(byte) = bytes.next() {
            parts.push(match byte {
                b'*' if parts.last() == Some(&Part::AnyText) => continue,
                b'*' => Part::AnyText,
                b'?' => Part::AnyByte,
                b'\\' => Part::Byte(bytes.next().ok_or("a pattern that does not end in \\")?),
                literal => Part::Byte(literal),
            });
        }
        Ok(Self { parts })
    }

    /// Tells whether the pattern describes the whole text.
    pub fn matches(&self, text: &[u8]) -> bool {
        let (mut part, mut at) = (0, 0);
        // Only the last `*` needs a second try: an earlier one could gain nothing that it cannot.
        let mut retry = None;
        loop {
            match (self.parts.get(part), text.get(at)) {
                (None, None) => return true,
                (Some(Part::AnyText), _) => {
                    retry = Some((part + 1, at));
                    part += 1;
                    continue;
                }
                (Some(Part::AnyByte), Some(_)) => {
                    (part, at) = (part + 1, at + 1);
                    continue;
                }
                (Some(Part::Byte(wanted)), Some(found)) if wanted == found => {
                    (part, at) = (part + 1, at + 1);
                    continue;
                }
                (Some(Part::AnyByte | Part::Byte(_)) | None, _) => {}
            }
            match retry {
                Some((after, from)) if from < text.len() => {
                    retry = Some((after, from + 1));
                    (part, at) = (after, from + 1);
                }
                Some(_) | None => return false,
            }
        }
    }

    /// Tells whether the pattern describes an absolute path or a directory above it.
    pub fn matches_at_or_above(&self, path: &[u8]) -> bool {
        let ends = path.iter().enumerate().filter(|(at, byte)| **byte == b'/' && *at > 0).map(|(at, _)| at);
        [1.min(path.len()), path.len()].into_iter().chain(ends).any(|end| self.matches(&path[..end]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns_describe_whole_texts() {
        let cases = [
            ("ls", "ls", true),
            ("ls", "ls ", false),
            ("ls*", "ls -l", true),
            ("*secret*", "echo secret", true),
            ("*secret*", "echo secre", false),
            ("a*b*c", "a--b--b-c", true),
            ("a*b*c", "a--c--b", false),
            ("?s", "ls", true),
            ("?s", "s", false),
            (r"\*", "*", true),
            (r"\*", "x", false),
            ("*", "", true),
            ("**", "line\nline", true),
        ];
        for (pattern, text, expected) in cases {
            let found = Pattern::new(pattern).expect("the pattern is right").matches(text.as_bytes());
            assert_eq!(found, expected, "{pattern} on {text}");
        }
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = Pattern::new(&"a*".repeat(1000)).expect("the pattern is right");
        assert!(!pattern.matches(&[b'b'; 60_000]));
    }

    #[test]
    fn a_directory_holds_for_all_below_it() {
        let pattern = Pattern::new("/mnt/*/vault").expect("the pattern is right");
        assert!(pattern.matches_at_or_above(b"/mnt/a/vault"));
        assert!(pattern.matches_at_or_above(b"/mnt/a/vault/b/c"));
        assert!(!pattern.matches_at_or_above(b"/mnt/a/vaults"));
        assert!(Pattern::new("/").expect("the pattern is right").matches_at_or_above(b"/any"));
    }

    #[test]
    fn wrong_patterns_are_refused() {
        assert!(Pattern::new("").is_err() && Pattern::new("a\\").is_err());
        assert!(Pattern::new(&"x".repeat(5000)).is_err());
    }
}
