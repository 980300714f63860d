//! Boxes that one node alone can open: HPKE (RFC 9180), base mode, X25519, HKDF-SHA256, ChaCha20-Poly1305.
//!
//! What a box is for stands in its `info` and in its associated data, so that one that was carried elsewhere does not
//! open. Who made it is not in it: that is the signature's to say.

use std::fmt;

use hpke::aead::ChaCha20Poly1305;
use hpke::kdf::HkdfSha256;
use hpke::kem::X25519HkdfSha256;
use hpke::rand_core::{CryptoRng, RngCore};
use hpke::{Deserializable, Kem as _, OpModeR, OpModeS, Serializable, single_shot_open, single_shot_seal};
use karo_protocol::group::SealingKey;
use karo_protocol::node::Hash;

type Kem = X25519HkdfSha256;

/// Bytes of the key in front of what is sealed.
const ENCAPSULATED_BYTES: usize = 32;

/// Bytes that a box is longer than what is in it: a key in front, a tag behind.
pub const BOX_BYTES: usize = ENCAPSULATED_BYTES + 16;

/// What opens the boxes that are sealed to a node.
pub struct SealingSecret {
    secret: <Kem as hpke::Kem>::PrivateKey,
    public: SealingKey,
}

impl SealingSecret {
    /// Makes it of 32 secret bytes that the identity derives for this alone.
    pub fn derive(secret: &[u8; 32]) -> Self {
        let (secret, public) = Kem::derive_keypair(secret);
        Self { secret, public: SealingKey(Hash(public.to_bytes().into())) }
    }

    /// Returns the key that boxes are sealed to.
    pub const fn public(&self) -> SealingKey {
        self.public
    }

    /// Opens a box; `None` if it was sealed to another, for something else, or changed.
    pub fn open(&self, info: &[u8], associated: &[u8], sealed: &[u8]) -> Option<Vec<u8>> {
        let (encapsulated, cipher) = sealed.split_at_checked(ENCAPSULATED_BYTES)?;
        let encapsulated = <Kem as hpke::Kem>::EncappedKey::from_bytes(encapsulated).ok()?;
        single_shot_open::<ChaCha20Poly1305, HkdfSha256, Kem>(
            &OpModeR::Base,
            &self.secret,
            &encapsulated,
            info,
            cipher,
            associated,
        )
        .ok()
    }
}

impl fmt::Debug for SealingSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<secret of {}>", self.public.0)
    }
}

/// Seals a text to a key; `None` if the key is none that anything could be sealed to.
///
/// `chance` is 32 fresh random bytes: the same twice would show that two boxes hold the same.
pub fn seal(
    to: SealingKey,
    info: &[u8],
    associated: &[u8],
    text: &[u8],
    chance: &[u8; 32],
) -> Option<Vec<u8>> {
    let to = <Kem as hpke::Kem>::PublicKey::from_bytes(to.0.as_bytes()).ok()?;
    let mut drawn = Drawn(blake3::Hasher::new_keyed(chance).finalize_xof());
    let (encapsulated, cipher) = single_shot_seal::<ChaCha20Poly1305, HkdfSha256, Kem, _>(
        &OpModeS::Base,
        &to,
        info,
        text,
        associated,
        &mut drawn,
    )
    .ok()?;
    Some([encapsulated.to_bytes().as_slice(), &cipher].concat())
}

/// Random bytes, as hpke wants them, of the 32 that were given.
struct Drawn(blake3::OutputReader);

impl RngCore for Drawn {
    fn next_u32(&mut self) -> u32 {
        let mut bytes = [0; 4];
        self.fill_bytes(&mut bytes);
        u32::from_le_bytes(bytes)
    }

    fn next_u64(&mut self) -> u64 {
        let mut bytes = [0; 8];
        self.fill_bytes(&mut bytes);
        u64::from_le_bytes(bytes)
    }

    fn fill_bytes(&mut self, bytes: &mut [u8]) {
        self.0.fill(bytes);
    }
}

impl CryptoRng for Drawn {}

#[cfg(test)]
mod tests {
    use super::*;

    fn secret(of: u8) -> SealingSecret {
        SealingSecret::derive(&[of; 32])
    }

    #[test]
    fn a_box_opens_for_one_and_for_what_it_is() {
        let sealed = seal(secret(1).public(), b"info", b"data", b"text", &[9; 32]).expect("a key");
        assert_eq!(sealed.len(), 4 + BOX_BYTES);
        assert_eq!(secret(1).open(b"info", b"data", &sealed), Some(b"text".to_vec()));
        assert_eq!(secret(2).open(b"info", b"data", &sealed), None);
        assert_eq!(secret(1).open(b"infO", b"data", &sealed), None);
        assert_eq!(secret(1).open(b"info", b"datA", &sealed), None);
        for bit in 0..sealed.len() * 8 {
            let mut flipped = sealed.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            // X25519 ignores the highest bit of a key, but the key is bound to what it makes.
            assert_eq!(secret(1).open(b"info", b"data", &flipped), None, "bit {bit}");
        }
        for length in 0..sealed.len() {
            assert_eq!(secret(1).open(b"info", b"data", &sealed[..length]), None, "{length} bytes");
        }
    }

    #[test]
    fn chance_makes_each_box_another() {
        let one = |chance| seal(secret(1).public(), b"info", b"data", b"text", &[chance; 32]).expect("a key");
        assert_eq!(one(1), one(1));
        assert_ne!(one(1)[..32], one(2)[..32]);
        assert_ne!(one(1)[32..], one(2)[32..]);
    }

    #[test]
    fn nothing_is_sealed_to_a_weak_key() {
        assert_eq!(seal(SealingKey(Hash([0; 32])), b"", b"", b"text", &[9; 32]), None);
    }

    /// RFC 9180, A.2.1: the public key of the recipient from its secret bytes.
    #[test]
    fn a_key_is_derived_as_the_standard_says() {
        let ikm = "1ac01f181fdf9f352797655161c58b75c656a6cc2716dcb66372da835542e1df";
        let public = "4310ee97d88cc1f088a5576c77ab0cf5c3ac797f3d95139c6c84b5429c59662a";
        let ikm: Hash = ikm.parse().expect("hexadecimal digits");
        assert_eq!(SealingSecret::derive(ikm.as_bytes()).public().0.to_string(), public);
    }
}
