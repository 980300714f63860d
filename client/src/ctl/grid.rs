//! A plain table: columns as wide as what is in them, the last one cut to the terminal.

use super::shown::{Newline, columns, cut_end, pad, shown};
use super::table::{DIM, Surface};

/// What a column but the last may take at the most, in columns of the terminal: a host name that is longer is rare.
const COLUMN_MAX: usize = 40;

/// What the last column keeps on the narrowest terminal.
const LAST_MIN: usize = 8;

/// One cell.
#[derive(Debug, Clone, Default)]
pub struct Cell {
    text: String,
    colour: Option<&'static str>,
}

impl Cell {
    /// Makes a cell of a text that may come from anywhere.
    pub fn new(text: impl AsRef<str>) -> Self {
        Self { text: shown(text.as_ref().as_bytes(), Newline::Arrow), colour: None }
    }

    /// Makes a cell of a text, empty if there is none.
    pub fn maybe(text: Option<impl AsRef<str>>) -> Self {
        text.map(Self::new).unwrap_or_default()
    }

    /// Colours it.
    pub fn in_colour(mut self, colour: Option<&'static str>) -> Self {
        self.colour = colour;
        self
    }

    /// Tells whether it holds nothing.
    pub const fn is_empty(&self) -> bool {
        self.text.is_empty()
    }
}

impl Surface {
    /// Writes rows below a line of names; each row has a cell for each name.
    pub fn grid(&self, names: &[&str], rows: &[Vec<Cell>]) -> String {
        let width = |place: usize| {
            let cells = rows.iter().filter_map(|row| row.get(place));
            let widest = cells.map(|cell| columns(&cell.text)).fold(columns(names[place]), usize::max);
            widest.min(COLUMN_MAX)
        };
        let widths: Vec<usize> = (0..names.len()).map(width).collect();
        let before: usize = widths.iter().rev().skip(1).map(|width| width + 2).sum();
        let room = self.columns.map(|all| all.saturating_sub(before).max(LAST_MIN));
        let mut text = String::new();
        let head: Vec<Cell> = names.iter().map(|name| Cell::new(name).in_colour(Some(DIM))).collect();
        for row in std::iter::once(&head).chain(rows) {
            self.grid_line(row, &widths, room, &mut text);
        }
        text
    }

    fn grid_line(&self, row: &[Cell], widths: &[usize], room: Option<usize>, text: &mut String) {
        let Some((last, others)) = row.split_last() else { return };
        for (cell, width) in others.iter().zip(widths) {
            let mut padded = cut_end(&cell.text, *width);
            pad(&mut padded, *width);
            self.coloured(&padded, cell.colour, text);
            text.push_str("  ");
        }
        let cut = room.map_or_else(|| last.text.clone(), |room| cut_end(&last.text, room));
        self.coloured(&cut, last.colour, text);
        // Empty cells at the end leave nothing behind that could be seen or copied.
        text.truncate(text.trim_end_matches(' ').len());
        text.push('\n');
    }
}
