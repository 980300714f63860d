//! The backup of an identity: its file, encrypted with a passphrase.
//!
//! argon2id (RFC 9106) makes a key of the passphrase, ChaCha20-Poly1305 (RFC 8439) encrypts with it, and the header
//! is authenticated with the rest. Version 1, big-endian:
//!
//! | bytes | field | unit |
//! | --- | --- | --- |
//! | 0..8 | `KAROBAK` and a NUL | |
//! | 8..10 | version | 1 |
//! | 10..14 | memory of argon2id | KiB |
//! | 14..18 | passes | |
//! | 18..22 | lanes | |
//! | 22..38 | salt | random |
//! | 38..50 | nonce | random |
//! | 50.. | the file, encrypted, and 16 bytes that prove it | |
//!
//! What the header asks for is bounded before any of it is spent, since whoever hands a backup over may have
//! written it.

use argon2::{Algorithm, Argon2, Params, Version};
use karo_protocol::limits::PASSPHRASE_CHARS_MIN;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::Chance;
use crate::identity::wipe;

/// Bytes of the longest one.
pub const PASSPHRASE_BYTES_MAX: usize = 1024;

/// Bytes of the longest file that is sealed or opened.
pub const FILE_BYTES_MAX: usize = 64 * 1024;

/// Memory that a header may ask for, in KiB: four times what is written.
const MEMORY_KIB_MAX: u32 = 256 * 1024;

/// Passes that a header may ask for.
const PASSES_MAX: u32 = 16;

/// Lanes that a header may ask for.
const LANES_MAX: u32 = 16;

/// How a backup begins.
const MAGIC: &[u8; 8] = b"KAROBAK\0";

/// The version that is written, and the only one there is.
const VERSION: u16 = 1;

/// Bytes before what is encrypted.
const HEADER: usize = 50;

/// Bytes that prove what is encrypted.
const TAG: usize = 16;

/// What it costs to make a key of a passphrase.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Cost {
    memory_kib: u32,
    passes: u32,
    lanes: u32,
}

impl Cost {
    /// RFC 9106, section 4: the second recommended option, for where 2 GiB are too much.
    const WRITTEN: Self = Self { memory_kib: 64 * 1024, passes: 3, lanes: 4 };
}

/// Why a backup cannot be made or read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BackupError {
    /// It could be guessed.
    #[error("a passphrase of {0} characters; at least {PASSPHRASE_CHARS_MIN} are demanded")]
    ShortPassphrase(usize),
    /// It is longer than any that is typed.
    #[error("a passphrase of {0} bytes; at most {PASSPHRASE_BYTES_MAX} are taken")]
    LongPassphrase(usize),
    /// The file is none of an identity.
    #[error("{0} bytes; at most {FILE_BYTES_MAX} are sealed or opened")]
    TooLong(usize),
    /// It is something else.
    #[error("this is not a backup of an identity")]
    NotABackup,
    /// It was written by a newer Karo.
    #[error("the backup is of version {0}, and this Karo reads version {VERSION}")]
    Version(u16),
    /// It ends too early.
    #[error("the backup is cut: it has {0} bytes")]
    Cut(usize),
    /// Its header asks for what no backup of ours does.
    #[error("the backup's header asks for {asked} {what}; at most {limit} are spent")]
    Costly {
        /// Of what.
        what: &'static str,
        /// How much.
        asked: u32,
        /// How much is spent at most.
        limit: u32,
    },
    /// Its header contradicts itself.
    #[error("the backup's header is not one that Karo writes")]
    Header,
    /// Not this passphrase, or not these bytes: nobody can tell.
    #[error("the passphrase is wrong, or the backup is damaged")]
    Wrong,
}

/// Encrypts an identity's file with a passphrase. Takes 64 MiB and some tenths of a second.
///
/// # Errors
///
/// [`BackupError`] for a passphrase that is too short or too long, or a file that is.
pub fn seal(file: &[u8], passphrase: &str, chance: &mut impl Chance) -> Result<Vec<u8>, BackupError> {
    let characters = passphrase.chars().count();
    if characters < PASSPHRASE_CHARS_MIN {
        return Err(BackupError::ShortPassphrase(characters));
    }
    seal_at(Cost::WRITTEN, file, passphrase, chance)
}

fn seal_at(
    cost: Cost,
    file: &[u8],
    passphrase: &str,
    chance: &mut impl Chance,
) -> Result<Vec<u8>, BackupError> {
    if file.len() > FILE_BYTES_MAX {
        return Err(BackupError::TooLong(file.len()));
    }
    let (salt, nonce): ([u8; 16], [u8; 12]) = (chance.draw(), chance.draw());
    let mut sealed = Vec::with_capacity(HEADER + file.len() + TAG);
    sealed.extend(MAGIC);
    sealed.extend(VERSION.to_be_bytes());
    for number in [cost.memory_kib, cost.passes, cost.lanes] {
        sealed.extend(number.to_be_bytes());
    }
    sealed.extend(salt);
    sealed.extend(nonce);
    let key = key_of(passphrase, &salt, cost)?;
    let header: [u8; HEADER] = *sealed.first_chunk().expect("the header was written");
    sealed.extend(file);
    let tag = key
        .seal_in_place_separate_tag(nonce_of(nonce), Aad::from(header), &mut sealed[HEADER..])
        .expect("a short file can be sealed");
    sealed.extend(tag.as_ref());
    Ok(sealed)
}

/// Decrypts a backup: the identity's file, as it was sealed.
///
/// # Errors
///
/// [`BackupError`]; a wrong passphrase and a damaged backup cannot be told apart.
pub fn open(sealed: &[u8], passphrase: &str) -> Result<Vec<u8>, BackupError> {
    let (header, encrypted) = read_header(sealed)?;
    let key = key_of(passphrase, &header.salt, header.cost)?;
    let mut file = encrypted.to_vec();
    let aad = Aad::from(&sealed[..HEADER]);
    let Ok(opened) = key.open_in_place(nonce_of(header.nonce), aad, &mut file) else {
        return Err(BackupError::Wrong);
    };
    let opened = opened.to_vec();
    wipe(&mut file);
    Ok(opened)
}

struct Header {
    cost: Cost,
    salt: [u8; 16],
    nonce: [u8; 12],
}

/// Reads the header, and bounds what it asks for.
fn read_header(sealed: &[u8]) -> Result<(Header, &[u8]), BackupError> {
    let rest = sealed.strip_prefix(MAGIC).ok_or(BackupError::NotABackup)?;
    let cut = || BackupError::Cut(sealed.len());
    if sealed.len() > HEADER + FILE_BYTES_MAX + TAG {
        return Err(BackupError::TooLong(sealed.len()));
    }
    let (version, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let version = u16::from_be_bytes(*version);
    if version != VERSION {
        return Err(BackupError::Version(version));
    }
    let (memory_kib, rest) = number(rest).ok_or_else(cut)?;
    let (passes, rest) = number(rest).ok_or_else(cut)?;
    let (lanes, rest) = number(rest).ok_or_else(cut)?;
    let (salt, rest) = rest.split_first_chunk().ok_or_else(cut)?;
    let (nonce, encrypted) = rest.split_first_chunk().ok_or_else(cut)?;
    if encrypted.len() < TAG {
        return Err(cut());
    }
    let bounds = [
        ("KiB of memory", memory_kib, MEMORY_KIB_MAX),
        ("passes", passes, PASSES_MAX),
        ("lanes", lanes, LANES_MAX),
    ];
    if let Some((what, asked, limit)) = bounds.into_iter().find(|(_, asked, limit)| asked > limit) {
        return Err(BackupError::Costly { what, asked, limit });
    }
    let cost = Cost { memory_kib, passes, lanes };
    Ok((Header { cost, salt: *salt, nonce: *nonce }, encrypted))
}

fn number(bytes: &[u8]) -> Option<(u32, &[u8])> {
    let (number, rest) = bytes.split_first_chunk()?;
    Some((u32::from_be_bytes(*number), rest))
}

fn key_of(passphrase: &str, salt: &[u8; 16], cost: Cost) -> Result<LessSafeKey, BackupError> {
    if passphrase.len() > PASSPHRASE_BYTES_MAX {
        return Err(BackupError::LongPassphrase(passphrase.len()));
    }
    let params =
        Params::new(cost.memory_kib, cost.passes, cost.lanes, None).map_err(|_| BackupError::Header)?;
    let mut key = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(passphrase.as_bytes(), salt, &mut key)
        .map_err(|_| BackupError::Header)?;
    let unbound = UnboundKey::new(&CHACHA20_POLY1305, &key).expect("32 bytes are a key");
    wipe(&mut key);
    Ok(LessSafeKey::new(unbound))
}

/// A nonce is used once: the key is made of a salt that is drawn with it.
fn nonce_of(bytes: [u8; 12]) -> Nonce {
    Nonce::assume_unique_for_key(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Dice;

    const PASSPHRASE: &str = "correct horse battery";

    /// The least that argon2 takes, so that a test may seal often.
    const CHEAP: Cost = Cost { memory_kib: 8, passes: 1, lanes: 1 };

    fn cheap() -> Vec<u8> {
        seal_at(CHEAP, b"an identity", PASSPHRASE, &mut Dice(1)).unwrap()
    }

    #[test]
    fn what_was_sealed_is_opened_by_its_passphrase() {
        let sealed = seal(b"an identity", PASSPHRASE, &mut Dice(1)).unwrap();
        assert_eq!(open(&sealed, PASSPHRASE).unwrap(), b"an identity");
        assert_eq!(open(&sealed, "correct horse batterz"), Err(BackupError::Wrong));
        let (header, _) = read_header(&sealed).unwrap();
        assert_eq!(header.cost, Cost::WRITTEN);
        let again = seal(b"an identity", PASSPHRASE, &mut Dice(2)).unwrap();
        assert_ne!(again[22..50], sealed[22..50], "salt and nonce are drawn");
    }

    #[test]
    fn a_changed_bit_is_found_wherever_it_is() {
        let sealed = cheap();
        assert_eq!(open(&sealed, PASSPHRASE).unwrap(), b"an identity");
        for bit in 0..sealed.len() * 8 {
            let mut changed = sealed.clone();
            changed[bit / 8] ^= 1 << (bit % 8);
            // A bit of the cost may ask for much that is still allowed: no need to spend it here.
            if (80..176).contains(&bit) && read_header(&changed).is_ok() {
                continue;
            }
            assert!(open(&changed, PASSPHRASE).is_err(), "bit {bit}");
        }
        let mut dearer = sealed;
        dearer[13] = 9;
        assert_eq!(open(&dearer, PASSPHRASE), Err(BackupError::Wrong));
    }

    #[test]
    fn a_cut_backup_is_refused() {
        let sealed = cheap();
        for length in 0..sealed.len() {
            assert!(open(&sealed[..length], PASSPHRASE).is_err(), "{length} bytes");
        }
        assert_eq!(open(&sealed[..40], PASSPHRASE), Err(BackupError::Cut(40)));
        assert_eq!(open(b"age-encryption.org/v1", PASSPHRASE), Err(BackupError::NotABackup));
    }

    #[test]
    fn a_header_asks_for_gigabytes_and_gets_none() {
        for (place, what, limit) in
            [(10, "KiB of memory", MEMORY_KIB_MAX), (14, "passes", PASSES_MAX), (18, "lanes", LANES_MAX)]
        {
            for asked in [limit + 1, u32::MAX] {
                let mut hostile = cheap();
                hostile[place..place + 4].copy_from_slice(&asked.to_be_bytes());
                assert_eq!(read_header(&hostile).err(), Some(BackupError::Costly { what, asked, limit }));
            }
        }
        let mut nothing = cheap();
        nothing[18..22].fill(0);
        assert_eq!(open(&nothing, PASSPHRASE), Err(BackupError::Header));
    }

    #[test]
    fn a_passphrase_has_bounds() {
        let sealed = |passphrase: &str| seal(b"an identity", passphrase, &mut Dice(1)).err();
        assert_eq!(sealed(""), Some(BackupError::ShortPassphrase(0)));
        assert_eq!(sealed("elevenchars"), Some(BackupError::ShortPassphrase(11)));
        assert_eq!(sealed("ääääääääää"), Some(BackupError::ShortPassphrase(10)), "characters, not bytes");
        let long = "a".repeat(PASSPHRASE_BYTES_MAX + 1);
        assert_eq!(sealed(&long), Some(BackupError::LongPassphrase(long.len())));
        let file = vec![0; FILE_BYTES_MAX + 1];
        assert_eq!(seal(&file, PASSPHRASE, &mut Dice(1)).err(), Some(BackupError::TooLong(file.len())));
    }
}
