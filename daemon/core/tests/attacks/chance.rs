//! Chance with a seed, and how likely it is that a coin did as well.

/// Numbers that look drawn: SplitMix64 (Steele, Lea, Flood 2014).
#[derive(Debug, Clone)]
pub(crate) struct Chance(u64);

impl Chance {
    pub(crate) const fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Draws from a range; its end is not drawn.
    pub(crate) fn of(&mut self, range: std::ops::Range<u64>) -> u64 {
        range.start + self.next() % (range.end - range.start)
    }

    pub(crate) fn coin(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    /// Puts things in an order.
    pub(crate) fn shuffle<T>(&mut self, things: &mut [T]) {
        for place in (1..things.len()).rev() {
            things.swap(place, self.of(0..place as u64 + 1) as usize);
        }
    }
}

/// Returns the chance that a fair coin wins at least so often.
pub(crate) fn tail(wins: u64, games: u64) -> f64 {
    let mut log_factorials = vec![0.0_f64; games as usize + 1];
    for number in 1..=games as usize {
        log_factorials[number] = log_factorials[number - 1] + (number as f64).ln();
    }
    let log_chance = |won: u64| {
        log_factorials[games as usize]
            - log_factorials[won as usize]
            - log_factorials[(games - won) as usize]
            - games as f64 * 2_f64.ln()
    };
    (wins..=games).map(|won| log_chance(won).exp()).sum()
}

#[test]
fn the_tail_is_that_of_a_coin() {
    let is_near = |found: f64, expected: f64| (found - expected).abs() < 1e-9;
    assert!(is_near(tail(0, 10), 1.0));
    assert!(is_near(tail(10, 10), 1.0 / 1024.0));
    assert!(is_near(tail(8, 10), 56.0 / 1024.0));
    // Of 10,000 games, some 5,155 are what chance still allows at p > 0.001.
    assert!(tail(5160, 10_000) < 0.001 && tail(5150, 10_000) > 0.001);
}
