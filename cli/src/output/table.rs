//! Tables for people.

use unicode_width::UnicodeWidthStr;

use super::{bold, printable, say};

/// Rows under a header, in columns as wide as they must be.
#[derive(Debug)]
pub(crate) struct Table<const N: usize> {
    header: [&'static str; N],
    rows: Vec<[String; N]>,
}

impl<const N: usize> Table<N> {
    /// No rows yet.
    pub(crate) fn new(header: [&'static str; N]) -> Self {
        Self { header, rows: Vec::new() }
    }

    /// Adds a row; what a terminal would not show as text is replaced.
    pub(crate) fn row(&mut self, cells: [String; N]) {
        self.rows.push(cells.map(|cell| printable(&cell)));
    }

    /// Writes it, or `nothing` when it has no rows.
    pub(crate) fn print(&self, nothing: &str) {
        if self.rows.is_empty() {
            return say(nothing);
        }
        let mut lines = self.lines().into_iter();
        if let Some(header) = lines.next() {
            say(bold(&header));
        }
        lines.for_each(say);
    }

    fn lines(&self) -> Vec<String> {
        let header = self.header.map(str::to_owned);
        let rows: Vec<&[String; N]> = std::iter::once(&header).chain(&self.rows).collect();
        let width = |column: usize| rows.iter().map(|row| row[column].width()).max().unwrap_or(0);
        let widths: [usize; N] = std::array::from_fn(width);
        let line = |row: &&[String; N]| {
            let mut line = String::new();
            for (cell, width) in row.iter().zip(widths) {
                line.push_str(cell);
                line.push_str(&" ".repeat(2 + width - cell.width()));
            }
            line.truncate(line.trim_end().len());
            line
        };
        rows.iter().map(line).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_are_as_wide_as_what_is_seen_of_them() {
        let mut table = Table::new(["NAME", "STATE"]);
        table.row(["日本".into(), "up".into()]);
        table.row(["a\x1b[31m".into(), String::new()]);
        let lines = table.lines();
        assert_eq!(lines, ["NAME    STATE", "日本    up", "a\u{fffd}[31m"]);
    }
}
