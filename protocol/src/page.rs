//! What goes into one frame: pages, cut by their bytes and by their items.
//!
//! A frame is refused beyond [`FRAME_BYTES_MAX`](crate::limits::FRAME_BYTES_MAX) and beyond
//! [`ITEMS_MAX`], whichever is met first, so whoever fills pages counts both.

use crate::limits::{ITEMS_MAX, PAGE_BYTES_TARGET};

/// What something takes in a frame, at the most.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Weight {
    /// Bytes.
    pub bytes: usize,
    /// Items: array elements, map keys and map values.
    pub items: usize,
}

/// Items of a page beyond which it is sent: together with one explanation of the largest size, and what stands
/// around them, they stay below [`ITEMS_MAX`].
const PAGE_ITEMS_TARGET: usize = ITEMS_MAX as usize / 4;

impl Weight {
    /// Bytes that stand before a text or list, at the most.
    const HEAD: usize = 5;

    /// Returns what a text takes.
    pub const fn of_text(bytes: usize) -> Self {
        Self { bytes: bytes + Self::HEAD, items: 1 }
    }

    /// Returns what a list of texts takes.
    pub fn of_texts<T: AsRef<[u8]>>(texts: &[T]) -> Self {
        texts.iter().fold(Self::of_text(0), |sum, text| sum.plus(Self::of_text(text.as_ref().len())))
    }

    /// Returns what so many numbers, flags and short names take.
    pub const fn of_numbers(count: usize) -> Self {
        Self { bytes: count * 9, items: count }
    }

    /// Returns the sum of both.
    #[must_use]
    pub const fn plus(self, other: Self) -> Self {
        Self { bytes: self.bytes.saturating_add(other.bytes), items: self.items.saturating_add(other.items) }
    }

    /// Takes that much off, if it is there.
    pub const fn spend(&mut self, other: Self) -> bool {
        if other.bytes > self.bytes || other.items > self.items {
            return false;
        }
        self.bytes -= other.bytes;
        self.items -= other.items;
        true
    }

    /// Tells whether a page of that weight is to be sent.
    pub const fn fills_a_page(self) -> bool {
        self.bytes >= PAGE_BYTES_TARGET || self.items >= PAGE_ITEMS_TARGET
    }
}

/// Puts things into pages, in their order; none of the pages is empty.
pub fn pages<T>(things: impl IntoIterator<Item = T>, weight: impl Fn(&T) -> Weight) -> Vec<Vec<T>> {
    let mut pages = Vec::new();
    let mut open = Vec::new();
    let mut open_weight = Weight::default();
    for thing in things {
        open_weight = open_weight.plus(weight(&thing));
        open.push(thing);
        if open_weight.fills_a_page() {
            pages.push(std::mem::take(&mut open));
            open_weight = Weight::default();
        }
    }
    if !open.is_empty() {
        pages.push(open);
    }
    pages
}

/// Cuts a text to so many bytes, the last three of them `…` when it was longer.
pub fn cut(text: &mut String, bytes_max: usize) {
    if text.len() > bytes_max {
        text.truncate(text.floor_char_boundary(bytes_max.saturating_sub(3)));
        text.push('…');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_cut_by_bytes_and_by_items() {
        let lengths = |count: usize, weight: Weight| -> Vec<usize> {
            pages(0..count, |_| weight).iter().map(Vec::len).collect()
        };
        assert_eq!(lengths(0, Weight::default()), [0; 0]);
        assert_eq!(lengths(5, Weight { bytes: PAGE_BYTES_TARGET / 2, items: 1 }), [2, 2, 1]);
        assert_eq!(lengths(3, Weight { bytes: 1, items: PAGE_ITEMS_TARGET }), [1, 1, 1]);
    }

    #[test]
    fn a_long_text_is_cut_between_characters() {
        let mut text = "é".repeat(10);
        cut(&mut text, 20);
        assert_eq!(text, "é".repeat(10));
        cut(&mut text, 12);
        assert_eq!(text, "éééé…");
    }
}
