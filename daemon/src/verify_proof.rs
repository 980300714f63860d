//! `karod verify-proof FILE`: looks at exported audit entries without a daemon, a store or a network.
//!
//! The file is JSON, an [`AuditExport`] as `karoctl audit export` writes it. What is proven is
//! [`karo_trust::audit::verify_export`]'s to decide; here it is read and told.

use std::fmt::Write as _;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use karo_protocol::Timestamp;
use karo_protocol::audit::{AuditEntry, AuditExport, Reason};
use karo_trust::audit::{ExportFault, Proven, verify_export};
use karo_trust::fingerprint;

/// Bytes of a file that is read: some hundred thousand entries with their proofs.
const FILE_BYTES_MAX: u64 = 256 << 20;

/// Why nothing is proven.
#[derive(Debug, thiserror::Error)]
pub enum Unproven {
    /// The file cannot be read.
    #[error("could not read {}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is longer than any export.
    #[error("{} is longer than {FILE_BYTES_MAX} bytes: export fewer entries at a time", path.display())]
    TooLong {
        /// The file.
        path: PathBuf,
    },
    /// It is no export.
    #[error("{} is not what `karoctl audit export` writes: {source}", path.display())]
    Form {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// It is one, and does not hold.
    #[error("NOT proven: {0}")]
    Refuted(#[from] ExportFault),
}

impl Unproven {
    /// Returns the exit code: 1 when nothing could be looked at, 6 when the proof does not hold.
    pub const fn code(&self) -> u8 {
        match self {
            Self::File { .. } | Self::TooLong { .. } | Self::Form { .. } => 1,
            Self::Refuted(_) => 6,
        }
    }
}

/// Verifies a file and returns the verdict, in lines for people.
///
/// # Errors
///
/// [`Unproven`], a sentence for the person who asked.
pub fn verify_file(path: &Path) -> Result<String, Unproven> {
    let mut bytes = Vec::new();
    let opened = File::open(path).and_then(|file| file.take(FILE_BYTES_MAX + 1).read_to_end(&mut bytes));
    opened.map_err(|source| Unproven::File { path: path.to_owned(), source })?;
    if bytes.len() as u64 > FILE_BYTES_MAX {
        return Err(Unproven::TooLong { path: path.to_owned() });
    }
    let export: AuditExport =
        serde_json::from_slice(&bytes).map_err(|source| Unproven::Form { path: path.to_owned(), source })?;
    Ok(verdict(&verify_export(&export)?))
}

/// Writes what is proven, and what is not.
fn verdict(proven: &Proven) -> String {
    let Proven { node, head, signed_at, entries } = proven;
    let log: String = head.log.0.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut text = format!(
        "proven: {} are in the audit log that {node} ({}) signed\n\
         log {log}, {} entries, signed {}\n\n",
        counted(entries.len()),
        fingerprint(node),
        head.size,
        moment(*signed_at),
    );
    for (index, entry) in entries {
        text.push_str(&line(*index, entry));
    }
    text.push_str(
        "\nThis proves who signed these entries and their places, not that no other log was signed: compare\n\
         the size and the root with what a peer has seen.\nroot ",
    );
    head.root.0.iter().for_each(|byte| write!(text, "{byte:02x}").expect("a string takes everything"));
    text.push('\n');
    text
}

fn counted(entries: usize) -> String {
    if entries == 1 { "1 entry".to_owned() } else { format!("{entries} entries") }
}

fn line(index: u64, entry: &AuditEntry) -> String {
    let mut line = format!("{index:>8}  {}  {:<18} {:>4}", moment(entry.at), entry.deed.name(), entry.count);
    let peer = entry.peer.map(|peer| peer.to_string());
    let trust = entry.trust.map(|trust| format!("trust {}", trust.name()));
    let day = entry.day.map(|day| format!("day {}", date(day)));
    let reason = (entry.reason != Reason::None).then(|| entry.reason.name().to_owned());
    for part in [peer, trust, day, reason].into_iter().flatten() {
        line.push_str("  ");
        line.push_str(&part);
    }
    line.push('\n');
    line
}

fn moment(at: Timestamp) -> String {
    // What lies beyond the years that jiff knows is told as a number.
    jiff::Timestamp::from_microsecond(at.as_micros())
        .map_or_else(|_| format!("{} us", at.as_micros()), |at| format!("{at:.3}"))
}

fn date(day: i32) -> String {
    let start = jiff::Timestamp::from_second(i64::from(day) * 86_400);
    start.map_or_else(|_| day.to_string(), |start| start.strftime("%Y-%m-%d").to_string())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use karo_protocol::audit::Deed;
    use karo_protocol::node::Nonce;
    use karo_trust::audit::{AuditLog, Line, Stored, inclusion_proof};
    use karo_trust::{Identity, System, object};

    use super::*;

    struct Lines(Vec<Line>);

    impl Stored for Lines {
        fn tile(&self, _: u8, _: u64) -> Option<Vec<karo_protocol::node::Hash>> {
            None
        }

        fn leaf(&self, index: u64) -> Option<karo_protocol::node::Hash> {
            Some(self.0.get(index as usize)?.hash)
        }
    }

    fn export() -> AuditExport {
        let at = Timestamp::from_micros(1_795_000_000_000_000);
        let identity = Identity::generate(&mut System::default(), at);
        let mut log = AuditLog::begin(Nonce([4; 16]));
        let mut lines = Lines(Vec::new());
        for deed in [Deed::LogOpened, Deed::IdentityCreated, Deed::Deleted] {
            let day = (deed == Deed::Deleted).then_some(20_000);
            let reason = Reason::Command;
            let entry = AuditEntry { at, deed, peer: None, count: 3, trust: None, day, reason, other: None };
            lines.0.push(log.add(&entry, &mut System::default()).line);
        }
        let head = object::sign(&identity, log.head(), None, at, at, Nonce([5; 16])).expect("it is short");
        let proven = |index: u64| {
            let Line { random, entry, .. } = lines.0[index as usize].clone();
            (index, (random, entry, inclusion_proof(&lines, index, 3).expect("all is there")))
        };
        AuditExport { node: identity.node_id(), head, entries: [0, 2].map(proven).into() }
    }

    #[test]
    fn a_file_is_judged_and_told() {
        let directory = tempfile::tempdir().expect("a directory");
        let path = directory.path().join("proof.json");
        let good = export();
        fs::write(&path, serde_json::to_vec(&good).expect("it is JSON")).expect("it is written");
        let told = verify_file(&path).expect("it holds");
        let node = good.node;
        assert!(told.starts_with(&format!("proven: 2 entries are in the audit log that {node} (")), "{told}");
        assert!(
            told.contains(
                "2  2026-11-18T11:06:40.000Z  deleted               3  day 2024-10-04  by command\n"
            ),
            "{told}"
        );
        let mut bad = good;
        bad.entries.get_mut(&2).expect("it is there").0.0[0] ^= 1;
        fs::write(&path, serde_json::to_vec(&bad).expect("it is JSON")).expect("it is written");
        let refuted = verify_file(&path).expect_err("it was changed");
        assert_eq!(
            refuted.to_string(),
            format!("NOT proven: entry 2 is not in the log of 3 entries that {node} signed")
        );
        assert_eq!(refuted.code(), 6);
        fs::write(&path, b"{\"node\":").expect("it is written");
        assert_eq!(verify_file(&path).expect_err("it is none").code(), 1);
        assert_eq!(verify_file(&directory.path().join("none")).expect_err("there is none").code(), 1);
    }
}
