//! Lines made by seed: a template with values drawn for its places.
//!
//! `{a36}` is 36 letters and digits; `{!a36}` as well, and it is the secret. Parts are joined by `+`, so that no
//! file holds anything like a token: `{!ghp_+a36}`. `⏎` is a newline.
//!
//! | part | is |
//! | --- | --- |
//! | `a` `h` `d` `l` `C` `w` `b` `B` and a number | so many letters and digits, hex digits, digits, small letters and digits, capitals and digits, letters with `_`, base64 of URLs, base64 |
//! | `n` | the name of somebody or something |
//! | `u` | a UUID |
//! | `pw` `pq` `ps` `pu` | a password: of letters and digits; with signs, for quotes; for JSON and SQL; for URLs |
//! | `k3` | lines of a key |
//! | else | itself |

use std::ops::Range;

/// Numbers by a seed, the same ones in each run (SplitMix64, Steele, Lea and Flood 2014).
pub(crate) struct Dice(pub(crate) u64);

impl Dice {
    pub(crate) fn below(&mut self, below: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((mixed ^ (mixed >> 31)) % below as u64) as usize
    }

    fn pick<'a>(&mut self, from: &[&'a str]) -> &'a str {
        from[self.below(from.len())]
    }

    fn bytes(&mut self, alphabet: &str, count: usize) -> String {
        let alphabet = alphabet.as_bytes();
        (0..count).map(|_| char::from(alphabet[self.below(alphabet.len())])).collect()
    }
}

const SMALL: &str = "abcdefghijklmnopqrstuvwxyz";
const CAPITAL: &str = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
const DIGIT: &str = "0123456789";
const NAMES: &[&str] = &[
    "alice",
    "bob",
    "backup",
    "deploy",
    "svc-app",
    "jenkins",
    "ops",
    "webapp",
    "inventory",
    "orders",
    "acme",
    "lab",
    "staging",
    "reports",
    "carol",
    "dbadmin",
    "shop",
    "metrics",
];
const WORDS: &[&str] = &[
    "summer", "winter", "dragon", "monkey", "secure", "welcome", "orange", "falcon", "hunter", "matrix",
    "tiger",
];

/// A line with the ranges of its secrets.
pub(crate) struct Line {
    pub(crate) text: String,
    pub(crate) secrets: Vec<Range<usize>>,
}

/// Fills a template.
pub(crate) fn line(template: &str, dice: &mut Dice) -> Line {
    let mut made = Line { text: String::new(), secrets: Vec::new() };
    let template = template.replace('⏎', "\n");
    let mut rest = template.as_str();
    while let Some(open) = rest.find('{') {
        made.text.push_str(&rest[..open]);
        let inner = &rest[open + 1..];
        let spec = inner.split_once('}').map(|(spec, _)| spec).filter(|spec| is_spec(spec));
        let Some(spec) = spec else {
            made.text.push('{');
            rest = inner;
            continue;
        };
        let start = made.text.len();
        made.text.push_str(&value(spec.trim_start_matches('!'), dice));
        if spec.starts_with('!') {
            made.secrets.push(start..made.text.len());
        }
        rest = &inner[spec.len() + 1..];
    }
    made.text.push_str(rest);
    made
}

fn is_spec(spec: &str) -> bool {
    spec.starts_with('!') || matches!(spec, "n" | "u" | "pw" | "pq" | "word") || counted(spec).is_some()
}

fn counted(part: &str) -> Option<(u8, usize)> {
    let class = *part.as_bytes().first().filter(|class| b"ahdlCwbBkm".contains(class))?;
    Some((class, part[1..].parse().ok()?))
}

fn value(spec: &str, dice: &mut Dice) -> String {
    spec.split('+').map(|part| drawn(part, dice)).collect()
}

fn drawn(part: &str, dice: &mut Dice) -> String {
    match part {
        "n" => return dice.pick(NAMES).to_owned(),
        "word" => return dice.pick(WORDS).to_owned(),
        "u" => return [8, 4, 4, 4, 12].map(|count| dice.bytes("0123456789abcdef", count)).join("-"),
        "pw" => return password("_", dice),
        "pq" => return password("!@#%^&*()_+= ", dice),
        "ps" => return password("!@#%*_", dice),
        "pu" => return password("-_.~", dice),
        _ => {}
    }
    let Some((class, count)) = counted(part) else { return part.to_owned() };
    let all = format!("{SMALL}{CAPITAL}{DIGIT}");
    match class {
        b'a' => dice.bytes(&all, count),
        b'h' => dice.bytes("0123456789abcdef", count),
        b'd' => dice.bytes(DIGIT, count),
        b'l' => dice.bytes(&format!("{SMALL}{DIGIT}"), count),
        b'm' => dice.bytes(SMALL, count),
        b'C' => dice.bytes(&format!("{CAPITAL}{DIGIT}"), count),
        b'w' => dice.bytes(&format!("{all}_"), count),
        b'b' => dice.bytes(&format!("{all}-_"), count),
        b'B' => dice.bytes(&format!("{all}+/"), count),
        _ => (0..count).map(|_| dice.bytes(&format!("{all}+/"), 64)).collect::<Vec<_>>().join("\n"),
    }
}

/// Draws a password: one in three is a word with a number, as people make them.
fn password(signs: &str, dice: &mut Dice) -> String {
    let first = dice.bytes(&format!("{SMALL}{CAPITAL}"), 1);
    if dice.below(3) == 0 {
        let word = dice.pick(WORDS);
        let number = 10 + dice.below(2000);
        return match dice.below(2) {
            0 => format!("{word}{number}"),
            _ => format!("{}{}{number}", word[..1].to_uppercase(), &word[1..]),
        };
    }
    let count = 8 + dice.below(8);
    let middle = dice.bytes(&format!("{SMALL}{CAPITAL}{DIGIT}{signs}"), count);
    format!("{first}{}{middle}{}", dice.below(10), dice.bytes(SMALL, 1))
}
