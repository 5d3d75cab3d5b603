//! Tables for people: columns as wide as they must be.

/// A table. The columns of numbers are flush right.
#[derive(Debug, Default)]
pub(super) struct Table {
    heads: Vec<(String, Side)>,
    rows: Vec<Vec<String>>,
}

/// Where a column's texts stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Side {
    Left,
    Right,
}

impl Table {
    /// A table with these columns.
    pub(super) fn new(heads: impl IntoIterator<Item = (impl Into<String>, Side)>) -> Self {
        let heads = heads.into_iter().map(|(head, side)| (head.into(), side));
        Table { heads: heads.collect(), rows: Vec::new() }
    }

    /// Adds a row; what it lacks is empty.
    pub(super) fn row(&mut self, cells: impl IntoIterator<Item = impl ToString>) {
        self.rows.push(cells.into_iter().map(|cell| visible(&cell.to_string())).collect());
    }

    /// The table's lines.
    pub(super) fn text(&self) -> String {
        let width = |column: usize| {
            let cells = self.rows.iter().filter_map(|row| row.get(column));
            let all = cells.chain(self.heads.get(column).map(|(head, _)| head));
            all.map(|cell| cell.chars().count()).max().unwrap_or(0)
        };
        let widths: Vec<usize> = (0..self.heads.len()).map(width).collect();
        let heads: Vec<String> = self.heads.iter().map(|(head, _)| head.clone()).collect();
        let mut text = String::new();
        for row in std::iter::once(&heads).chain(&self.rows) {
            let mut line = String::new();
            for (index, (_, side)) in self.heads.iter().enumerate() {
                let cell = row.get(index).map_or("", String::as_str);
                let fill = " ".repeat(widths[index] - cell.chars().count());
                let gap = if index == 0 { "" } else { "  " };
                match side {
                    Side::Left => line.extend([gap, cell, &fill]),
                    Side::Right => line.extend([gap, &fill, cell]),
                }
            }
            text.push_str(line.trim_end());
            text.push('\n');
        }
        text
    }
}

/// The text with nothing in it that could drive a terminal or break a line.
fn visible(text: &str) -> String {
    let shown = |character: char| match character.is_control() {
        true => character.escape_default().to_string(),
        false => character.to_string(),
    };
    text.chars().map(shown).collect()
}

#[cfg(test)]
mod tests {
    use super::{Side, Table};

    #[test]
    fn columns_are_as_wide_as_they_must_be() {
        let mut table = Table::new([("name", Side::Left), ("n", Side::Right), ("", Side::Left)]);
        table.row(["a", "1", "x"]);
        table.row(["länger\n", "12345"]);
        assert_eq!(table.text(), "name          n\na             1  x\nlänger\\n  12345\n");
    }
}
