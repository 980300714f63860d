//! Names for events: UUIDv7, each greater than the one drawn before.

use karo_protocol::{EventId, Timestamp};

/// How far the clock may fall behind the last name before names follow the clock again, in µs.
///
/// Short setbacks keep the order; a clock that once was years ahead must not bind all later names.
const SETBACK_MAX_US: u64 = 10_000_000;

/// Draws names, all in one thread.
#[derive(Debug, Default)]
pub(super) struct Ids {
    last: EventId,
}

impl Ids {
    /// Draws the next name.
    pub(super) fn draw(&mut self, now: Timestamp) -> EventId {
        let drawn = self.last.drawn_at();
        // RFC 9562, section 6.2: within a tick of the clock the random bits are counted up.
        let is_same_tick = now.as_micros().div_euclid(1000) <= drawn.as_micros().div_euclid(1000);
        let counted = match is_same_tick && drawn.since(now).0 <= SETBACK_MAX_US {
            true => counted_up(self.last, drawn),
            false => None,
        };
        self.last = counted.unwrap_or_else(|| EventId::new(now, self.chance(now)));
        self.last
    }

    fn chance(&self, now: Timestamp) -> [u8; 10] {
        let mut bytes = [0; 10];
        if getrandom::fill(&mut bytes).is_err() {
            // A name must be unlike others, not unguessable: the one before and the time make it so.
            let mut hasher = blake3::Hasher::new();
            hasher.update(self.last.as_bytes()).update(&now.as_micros().to_be_bytes());
            bytes.copy_from_slice(&hasher.finalize().as_bytes()[..10]);
        }
        // Room to count up within the tick.
        bytes[2] &= 0x1f;
        bytes
    }
}

/// Adds one to the 62 random bits at the end; `None` when they are all ones.
fn counted_up(id: EventId, drawn: Timestamp) -> Option<EventId> {
    let mut random = [0; 10];
    random.copy_from_slice(&id.as_bytes()[6..]);
    let (_, low) = random.split_at_mut(2);
    let mut bits = [0; 8];
    bits.copy_from_slice(low);
    let next = (u64::from_be_bytes(bits) & (u64::MAX >> 2)) + 1;
    if next >> 62 != 0 {
        return None;
    }
    low.copy_from_slice(&next.to_be_bytes());
    Some(EventId::new(drawn, random))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_rise_whatever_the_clock_does() {
        let mut ids = Ids::default();
        let mut last = ids.draw(Timestamp::from_micros(1_000_000_000));
        for step in [0, 1, 999, 1_000, -5_000, 0, 7] {
            let next = ids.draw(Timestamp::from_micros(1_000_000_000 + step));
            assert!(next > last, "{next} after {last}");
            last = next;
        }
        let early = Timestamp::from_micros(1_000_000);
        assert_eq!(ids.draw(early).drawn_at(), early);
    }
}
