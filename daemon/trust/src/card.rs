//! Cards: a node's key and the key that is sealed to it, bound by a signature.

use karo_protocol::group::{CARD_DOMAIN, Card, SealingKey};

use crate::{Signer, verify};

/// Makes the card of a node.
pub fn issue(signer: &dyn Signer, sealing: SealingKey) -> Card {
    Card { node: signer.node_id(), sealing, proof: signer.sign(&covered(&sealing)) }
}

/// Tells whether the node of a card has signed its sealing key: nobody else's can be put in its place.
pub fn is_genuine(card: &Card) -> bool {
    verify(&card.node, &covered(&card.sealing), &card.proof)
}

fn covered(sealing: &SealingKey) -> Vec<u8> {
    [CARD_DOMAIN, sealing.0.as_bytes()].concat()
}

#[cfg(test)]
mod tests {
    use karo_protocol::Timestamp;
    use karo_protocol::node::Hash;

    use super::*;
    use crate::{Identity, System};

    #[test]
    fn a_card_of_another_key_or_node_is_refused() {
        let mut chance = System::default();
        let identity = |chance: &mut System| Identity::generate(chance, Timestamp::from_micros(1));
        let (one, other) = (identity(&mut chance), identity(&mut chance));
        let card = issue(&one, SealingKey(Hash([7; 32])));
        assert!(is_genuine(&card));
        assert!(!is_genuine(&Card { sealing: SealingKey(Hash([8; 32])), ..card }));
        assert!(!is_genuine(&Card { node: Signer::node_id(&other), ..card }));
        assert_ne!(one.sealing_secret(), other.sealing_secret());
        let read = Identity::from_file(&one.to_file()).expect("it was written a moment ago");
        assert_eq!(one.sealing_secret(), read.sealing_secret());
    }
}
