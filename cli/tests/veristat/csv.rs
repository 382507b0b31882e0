//! Tables with a header.

use std::collections::BTreeMap;

/// Cells by program and column.
pub(crate) struct Table(BTreeMap<String, BTreeMap<String, String>>);

impl Table {
    pub(crate) fn parse(text: &str) -> Self {
        let mut lines = text.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
        let header = lines.next().expect("a CSV has a header");
        let row = |cells: Vec<String>| (cells[1].clone(), header.iter().cloned().zip(cells).collect());
        Self(lines.map(row).collect())
    }

    pub(crate) fn programs(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    #[track_caller]
    pub(crate) fn cell(&self, program: &str, column: &str) -> &str {
        let row = self.0.get(program).unwrap_or_else(|| panic!("there is no program {program}"));
        row.get(column).unwrap_or_else(|| panic!("there is no column {column}"))
    }
}
