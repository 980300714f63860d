//! Secrets that are arguments: `--password X`, `mysql -pX`, `curl -u user:X`, `aws configure set NAME X`.
//!
//! It looks at the programs of the line and at those of each quoted word, one level deep.

use std::ops::Range;

use karo_protocol::event::Secret;

use super::Found;
use super::names::{Says, ask};
use super::scan::step;
use super::values::{inside_quotes, is_secret};
use crate::line::{Found as Run, for_each_run};

/// Where the secret stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// It is the next word.
    Next,
    /// It is the rest of the word: `-pX`.
    Attached,
    /// Either of these.
    Either,
    /// Behind the first such byte of the rest of the word, or of the next word: `-u user:X`.
    After(u8),
    /// The next word without this head: `-passin pass:X`.
    Headed(&'static str),
}

/// A flag of some programs: a row of the table.
pub(super) struct Flag {
    /// Names of the programs.
    programs: &'static [&'static str],
    flag: &'static str,
    shape: Shape,
    /// It counts only behind this word: `docker login -p X`, but `docker run -p 80:80`.
    behind: Option<&'static str>,
    /// A line in which `CANARY` is the secret.
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) example: &'static str,
    /// A line that holds no secret.
    #[cfg_attr(not(test), expect(dead_code, reason = "each row carries its own test"))]
    pub(super) near_miss: &'static str,
}

const fn row(
    programs: &'static [&'static str],
    flag: &'static str,
    shape: Shape,
    example: &'static str,
    near_miss: &'static str,
) -> Flag {
    Flag { programs, flag, shape, behind: None, example, near_miss }
}

use Shape::{After, Attached, Either, Headed, Next};

const MYSQL: &[&str] = &[
    "mysql",
    "mysqldump",
    "mysqladmin",
    "mysqlimport",
    "mysqlcheck",
    "mysqlshow",
    "mysqlslap",
    "mysqlbinlog",
    "mysqlpump",
    "mycli",
    "mariadb",
    "mariadb-dump",
    "mariadb-admin",
    "mariadb-import",
    "mariadb-check",
];
const MONGO: &[&str] =
    &["mongo", "mongosh", "mongodump", "mongorestore", "mongoexport", "mongoimport", "mongostat"];
const LDAP: &[&str] =
    &["ldapsearch", "ldapadd", "ldapmodify", "ldapdelete", "ldappasswd", "ldapwhoami", "ldapcompare"];
const SAMBA: &[&str] = &["smbclient", "rpcclient", "smbget", "smbcacls", "net"];
const LOGIN: &[&str] =
    &["docker", "podman", "nerdctl", "buildah", "skopeo", "helm", "az", "oc", "cf", "ibmcloud", "atuin"];
const ATTACK: &[&str] =
    &["evil-winrm", "crackmapexec", "netexec", "nxc", "hydra", "medusa", "smbmap", "kerbrute"];

pub(super) static FLAGS: &[Flag] = &[
    row(MYSQL, "-p", Attached, "mysql -u root -pCANARY db", "mysql -u root -p db"),
    row(
        &["mysqladmin", "mariadb-admin"],
        "password",
        Next,
        "mysqladmin -u root password CANARY",
        "mysqladmin status",
    ),
    row(MONGO, "-p", Either, "mongosh -u bob -p CANARY", "mongosh --port 27017"),
    row(&["sshpass"], "-p", Either, "sshpass -p 'CANARY' ssh bob@host", "sshpass -f file ssh -p 22 host"),
    row(
        &["curl"],
        "-u",
        After(b':'),
        "curl -sSu bob:CANARY https://example.org",
        "curl -u bob https://example.org",
    ),
    row(&["curl"], "--user", After(b':'), "curl --user bob:CANARY x", "curl --user-agent a:b x"),
    row(&["curl"], "-U", After(b':'), "curl -U bob:CANARY -x proxy:80 x", "curl -x proxy:80 x"),
    row(&["curl"], "--proxy-user", After(b':'), "curl --proxy-user bob:CANARY x", "curl --proxy bob:80 x"),
    row(&["http", "https", "xh", "xhs"], "-a", After(b':'), "http -a bob:CANARY x", "http localhost:80/x"),
    row(&["http", "https", "xh", "xhs"], "--auth", After(b':'), "http --auth bob:CANARY x", "http x auth:=1"),
    row(&["ab"], "-A", After(b':'), "ab -A bob:CANARY http://x/", "ab -H 'a:b' http://x/"),
    row(&["lftp"], "-u", After(b','), "lftp -u bob,CANARY host", "lftp -u bob host"),
    row(SAMBA, "-U", After(b'%'), "smbclient -U bob%CANARY //host/share", "smbclient -U bob //host/share"),
    row(&["redis-cli", "valkey-cli"], "-a", Next, "redis-cli -a CANARY ping", "redis-cli -h host ping"),
    row(LDAP, "-w", Either, "ldapsearch -x -D cn=bob -w CANARY", "ldapsearch -x -W -D cn=bob"),
    row(
        &["mosquitto_pub", "mosquitto_sub"],
        "-P",
        Next,
        "mosquitto_pub -u bob -P CANARY",
        "mosquitto_pub -p 1883",
    ),
    row(
        &["sqlcmd", "bcp", "osql", "tsql", "isql"],
        "-P",
        Either,
        "sqlcmd -U sa -P CANARY",
        "sqlcmd -E -Q select",
    ),
    row(&["zip", "unzip", "zipcloak"], "-P", Either, "unzip -P CANARY a.zip", "unzip -p a.zip x"),
    row(&["7z", "7za", "7zr", "7zz"], "-p", Attached, "7z x -pCANARY a.7z", "7z x -p a.7z"),
    row(&["rar", "unrar"], "-p", Attached, "unrar x -pCANARY a.rar", "unrar x a.rar"),
    row(&["rar"], "-hp", Attached, "rar a -hpCANARY a.rar x", "rar a a.rar x"),
    row(
        &["openssl"],
        "-passin",
        Headed("pass:"),
        "openssl rsa -passin pass:CANARY",
        "openssl rsa -passin env:X",
    ),
    row(
        &["openssl"],
        "-passout",
        Headed("pass:"),
        "openssl rsa -passout pass:CANARY",
        "openssl rsa -passout stdin",
    ),
    row(&["openssl"], "-pass", Headed("pass:"), "openssl enc -pass pass:CANARY", "openssl enc -pass file:x"),
    row(&["openssl"], "-k", Next, "openssl enc -aes-256-cbc -k CANARY", "openssl enc -kfile x"),
    row(&["openssl"], "-K", Next, "openssl enc -aes-256-cbc -K CANARY", "openssl enc -iv 00"),
    row(&["rdesktop"], "-p", Either, "rdesktop -u bob -p CANARY host", "rdesktop -u bob host"),
    row(
        &["xfreerdp", "wlfreerdp", "xfreerdp3"],
        "/p:",
        Attached,
        "xfreerdp /u:bob /p:CANARY /v:host",
        "xfreerdp /v:host",
    ),
    row(ATTACK, "-p", Either, "evil-winrm -i host -u bob -p CANARY", "evil-winrm -i host -P 5985"),
    row(&["ipmitool"], "-P", Next, "ipmitool -H host -U bob -P CANARY", "ipmitool -H host -E power"),
    row(&["useradd", "usermod"], "-p", Next, "useradd -m -p CANARY bob", "useradd -m bob"),
    row(&["nmcli"], "password", Next, "nmcli dev wifi connect home password CANARY", "nmcli dev wifi list"),
    row(&["vault"], "login", Next, "vault login CANARY", "vault login -method=userpass"),
    Flag {
        behind: Some("login"),
        ..row(LOGIN, "-p", Either, "docker login -u bob -p CANARY", "docker run -p 8080:80 x")
    },
];

/// Programs whose `-u` is no user with a password, but a group, an address, a protocol.
const OTHER_USERS: [&[u8]; 9] =
    [b"docker", b"podman", b"nerdctl", b"buildah", b"kubectl", b"sudo", b"socat", b"nmap", b"rsync"];

pub(super) fn find(found: &mut Found<'_>) {
    let text = found.text;
    let mut scripts = Vec::new();
    find_in(found, 0..text.len(), Some(&mut scripts));
    for script in scripts {
        find_in(found, script, None);
    }
}

/// Looks at the programs in a part of the text; notes the quoted words in it that could be lines themselves.
fn find_in(found: &mut Found<'_>, part: Range<usize>, mut scripts: Option<&mut Vec<Range<usize>>>) {
    let text = &found.text[part.clone()];
    step(text.len());
    for_each_run(text, |run| {
        let (Run::Program { name, arguments } | Run::Wrapper { name, arguments }) = run else { return };
        if arguments.is_empty() {
            return;
        }
        let words: Vec<Range<usize>> =
            arguments.iter().map(|word| part.start + word.start..part.start + word.end).collect();
        let mut program = Program { found, name, words: &words };
        program.find();
        if let Some(scripts) = &mut scripts {
            let whole = |word: &Range<usize>| {
                Some(inside_quotes(found.text, word.clone())).filter(|inner| inner != word)
            };
            scripts.extend(
                words.iter().filter_map(whole).filter(|inner| found.text[inner.clone()].contains(&b' ')),
            );
        }
    });
}

/// One program with the words behind its name.
struct Program<'a, 'b> {
    found: &'a mut Found<'b>,
    name: &'a [u8],
    words: &'a [Range<usize>],
}

impl Program<'_, '_> {
    fn find(&mut self) {
        let rows: Vec<&Flag> =
            FLAGS.iter().filter(|row| row.programs.iter().any(|name| name.as_bytes() == self.name)).collect();
        let mut sets_next = matches!(self.name, b"set" | b"setenv");
        let mut seen: Vec<&str> = Vec::new();
        for at in 0..self.words.len() {
            let word = self.words[at].clone();
            let inner = inside_quotes(self.found.text, word.clone());
            let bytes = &self.found.text[inner.clone()];
            step(bytes.len());
            let mut is_flag = false;
            for row in rows.iter().filter(|row| row.behind.is_none_or(|behind| seen.contains(&behind))) {
                is_flag |= self.flag(row, at, &inner);
            }
            seen.extend(
                rows.iter().filter_map(|row| row.behind).filter(|behind| behind.as_bytes() == bytes).take(1),
            );
            // A flag of the table is not looked at by its name as well: `openssl -pass file:x`, `mysql -pMyPass`.
            if !is_flag {
                self.named(at, bytes, sets_next);
            }
            self.any_user(at, bytes);
            sets_next |= bytes == b"set";
        }
    }

    /// Cuts the value of a flag of the table; tells whether it is that flag.
    fn flag(&mut self, row: &Flag, at: usize, word: &Range<usize>) -> bool {
        let bytes = &self.found.text[word.clone()];
        let Some(length) = flag_length(bytes, row) else { return false };
        let rest = word.start + length..word.end;
        let is_alone = rest.is_empty();
        match row.shape {
            Attached | Either if !is_alone => self.cut_inside(rest),
            Next | Either if is_alone => self.cut_next(at, Secret::Password),
            After(byte) if !is_alone => self.cut_after(byte, rest),
            After(byte) => {
                if let Some(next) = self.value_at(at + 1) {
                    self.cut_after(byte, next);
                }
            }
            Headed(head) if is_alone => {
                if let Some(next) = self.value_at(at + 1)
                    && self.found.text[next.clone()].starts_with(head.as_bytes())
                {
                    self.cut(next.start + head.len()..next.end);
                }
            }
            Next | Attached | Either | Headed(_) => {}
        }
        true
    }

    /// Cuts the word behind an option with a secret name, or behind a secret name that is being set.
    fn named(&mut self, at: usize, word: &[u8], is_set: bool) {
        let is_option = word.len() > 3 && word.starts_with(b"-") && !word.contains(&b'=');
        if !(is_option || is_set) || !is_name(word) {
            return;
        }
        match ask(word) {
            Says::Password => self.cut_next(at, Secret::Password),
            Says::Secret => self.cut_next(at, Secret::Token),
            Says::Nothing => {}
        }
    }

    /// Cuts the password of `-u user:password`, whatever the program.
    fn any_user(&mut self, at: usize, word: &[u8]) {
        if word != b"-u" || OTHER_USERS.contains(&self.name) {
            return;
        }
        let Some(next) = self.value_at(at + 1) else { return };
        let value = &self.found.text[next.clone()];
        let Some(colon) = self.found.position_of(b':', next.clone()) else { return };
        let user = &self.found.text[next.start..colon];
        let is_user = !user.is_empty()
            && user.iter().all(|byte| {
                byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'_' | b'-' | b'+' | b'@' | b'$')
            });
        let is_number = value.iter().all(|byte| byte.is_ascii_digit() || *byte == b':');
        if is_user && !is_number && !self.found.text[colon..next.end].starts_with(b"://") {
            self.cut(colon + 1..next.end);
        }
    }

    /// Returns the inside of a word that is no option.
    fn value_at(&self, at: usize) -> Option<Range<usize>> {
        let word = self.words.get(at)?;
        let inner = inside_quotes(self.found.text, word.clone());
        step(inner.len());
        (!self.found.text[inner.clone()].starts_with(b"-") || inner != *word).then_some(inner)
    }

    fn cut_next(&mut self, at: usize, kind: Secret) {
        if let Some(next) = self.value_at(at + 1) {
            self.cut_as(next, kind);
        }
    }

    fn cut_after(&mut self, byte: u8, range: Range<usize>) {
        if let Some(at) = self.found.position_of(byte, range.clone()) {
            self.cut(at + 1..range.end);
        }
    }

    fn cut_inside(&mut self, range: Range<usize>) {
        let inner = inside_quotes(self.found.text, range);
        self.cut(inner);
    }

    fn cut(&mut self, secret: Range<usize>) {
        self.cut_as(secret, Secret::Password);
    }

    fn cut_as(&mut self, secret: Range<usize>, kind: Secret) {
        if is_secret(self.found.text, &secret) {
            self.found.push(secret, kind);
        }
    }
}

/// Returns the length of a row's flag at the head of a word; a short one may end a cluster such as `-sSu`.
fn flag_length(word: &[u8], row: &Flag) -> Option<usize> {
    let flag = row.flag.as_bytes();
    let is_whole_only = matches!(row.shape, Next | Headed(_)) || flag.starts_with(b"--");
    if is_whole_only {
        return (word == flag).then_some(flag.len());
    }
    if word.starts_with(flag) {
        return Some(flag.len());
    }
    let is_cluster = matches!(row.shape, After(_))
        && flag.len() == 2
        && word.len() > 2
        && word[0] == b'-'
        && word[1..].iter().all(u8::is_ascii_alphabetic)
        && word.last() == flag.last();
    is_cluster.then_some(word.len())
}

fn is_name(word: &[u8]) -> bool {
    word.iter().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b':' | b'/'))
}
