//! Numbers for eyes: bars, shares, and counts that can be read at a glance.

/// Writes a bar of so many columns at the most, in eighths of a column: as much of it as `part` is of `whole`.
///
/// Something is never shown as nothing.
pub fn bar(part: u64, whole: u64, columns: usize) -> String {
    const EIGHTHS: [&str; 8] = ["", "▏", "▎", "▍", "▌", "▋", "▊", "▉"];
    if part == 0 || whole == 0 {
        return String::new();
    }
    let all = columns as u128 * 8;
    let filled = (u128::from(part.min(whole)) * all / u128::from(whole)).max(1) as usize;
    format!("{}{}", "█".repeat(filled / 8), EIGHTHS[filled % 8])
}

/// Writes numbers as a row of bars, a column each, as high as each is of the greatest; zero is a dot.
pub fn spark(numbers: &[u32]) -> String {
    const HEIGHTS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let most = numbers.iter().copied().max().unwrap_or(0);
    let height = |number: u32| match (number, most) {
        (0, _) | (_, 0) => '·',
        (_, _) => HEIGHTS[(u64::from(number) * 8).div_ceil(u64::from(most)) as usize - 1],
    };
    numbers.iter().map(|number| height(*number)).collect()
}

/// Writes millionths as per cent.
pub fn percent(ppm: u32) -> String {
    format!("{}.{}%", ppm / 10_000, ppm / 1_000 % 10)
}

/// Writes a part of a whole as per cent; a dash of nothing.
pub fn share(part: u64, whole: u64) -> String {
    match whole {
        0 => "-".to_owned(),
        _ => percent((u128::from(part) * 1_000_000 / u128::from(whole)).min(u128::from(u32::MAX)) as u32),
    }
}

/// Writes a change from one number to another, in whole per cent.
pub fn change(before: f64, after: f64) -> String {
    if before <= 0.0 {
        return if after > 0.0 { "new".to_owned() } else { "=".to_owned() };
    }
    let change = ((after / before - 1.0) * 100.0).round();
    match () {
        () if change == 0.0 => "=".to_owned(),
        () if change >= 900.0 => format!("x{:.0}", after / before),
        () => format!("{change:+.0}%"),
    }
}

/// Writes a count with a comma before each three digits.
pub fn grouped(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// Writes a number of things.
pub fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(count), if count == 1 { one } else { many })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bars_are_in_proportion_and_never_vanish() {
        assert_eq!(bar(0, 10, 4), "");
        assert_eq!(bar(1, 1_000_000, 4), "▏");
        assert_eq!(bar(5, 10, 4), "██");
        assert_eq!(bar(9, 16, 4), "██▎");
        assert_eq!(bar(10, 10, 4), "████");
        assert_eq!(bar(u64::MAX, u64::MAX, 4), "████");
        assert_eq!(bar(3, 0, 4), "");
    }

    #[test]
    fn sparks_show_the_greatest_highest() {
        assert_eq!(spark(&[0, 1, 4, 8]), "·▁▄█");
        assert_eq!(spark(&[0, 0]), "··");
        assert_eq!(spark(&[u32::MAX, 1]), "█▁");
    }

    #[test]
    fn numbers_are_read_at_a_glance() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([0, 4_000, 1_000_000].map(percent), ["0.0%", "0.4%", "100.0%"]);
        assert_eq!((share(1, 3), share(0, 0)), ("33.3%".to_owned(), "-".to_owned()));
        let changes = [(10.0, 12.0), (10.0, 9.96), (10.0, 5.0), (0.0, 1.0), (1.0, 12.0)];
        assert_eq!(changes.map(|(before, after)| change(before, after)), ["+20%", "=", "-50%", "new", "x12"]);
    }
}
