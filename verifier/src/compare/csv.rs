//! Tables as veristat writes them with `-o csv`, so that it can compare (`veristat -C`) and replay (`veristat -R`) what we write.

use super::Pair;
use super::columns::{COLUMNS, Cell, Column};
use crate::program::Program;
use std::fmt::Write;

/// One run, in the order of names. veristat has no quotes: commas and line ends in names become `_`.
pub fn programs_csv(programs: &[Program]) -> String {
    let header = "file_name,prog_name".to_owned() + &COLUMNS.map(|(name, _)| format!(",{name}")).concat();
    let row = |program: &Program| {
        let cells = COLUMNS.map(|(_, get)| format!(",{}", get(program)));
        ((plain(&program.file), plain(&program.name)), cells.concat())
    };
    table(header, programs.iter().map(row).collect())
}

/// Two runs side by side, as `veristat -C -o csv` writes them. Where two schedulers are compared, a program has the first
/// one's name for its file; veristat takes no programs of two files for the same.
pub fn comparison_csv(pairs: &[Pair]) -> String {
    let header = COLUMNS.map(|(name, _)| format!(",{name}_base,{name}_comp,{name}_diff")).concat();
    let row = |pair: &Pair| {
        let file = pair.before.as_ref().or(pair.after.as_ref()).map_or("", |program| program.file.as_str());
        ((plain(file), plain(&pair.name)), COLUMNS.map(|column| side_by_side(column, pair)).concat())
    };
    table("file_name,prog_name".to_owned() + &header, pairs.iter().map(row).collect())
}

/// Rows by the names of file and program.
type Rows = Vec<((String, String), String)>;

fn table(header: String, mut rows: Rows) -> String {
    rows.sort_by(|(one, _), (other, _)| one.cmp(other));
    let mut text = header + "\n";
    for ((file, name), cells) in rows {
        let _ = writeln!(text, "{file},{name}{cells}");
    }
    text
}

fn side_by_side((_, get): Column, pair: &Pair) -> String {
    let (base, comp) = (pair.before.as_ref().map(get), pair.after.as_ref().map(get));
    let diff = base.as_ref().zip(comp.as_ref()).map(|(base, comp)| difference(base, comp));
    let show = |cell: Option<String>| cell.unwrap_or_else(|| "N/A".to_owned());
    let text = |cell: Option<Cell>| show(cell.map(|cell| cell.to_string()));
    format!(",{},{},{}", text(base), text(comp), show(diff))
}

/// `+3 (+50.00%)`, of 0 in parts of nothing as veristat has it; of words whether they are the same.
fn difference(base: &Cell, comp: &Cell) -> String {
    let (Cell::Number(base), Cell::Number(comp)) = (base, comp) else {
        return if base == comp { "MATCH" } else { "MISMATCH" }.to_owned();
    };
    let difference = i128::from(*comp) - i128::from(*base);
    let percent = match (*base, difference) {
        (0, 0) => 0.0,
        (0, _) => 100.0,
        _ => difference as f64 / *base as f64 * 100.0,
    };
    format!("{difference:+} ({percent:+.2}%)")
}

fn plain(name: &str) -> String {
    name.replace([',', '\n', '\r'], "_")
}

#[cfg(test)]
mod tests {
    use super::super::pair;
    use super::super::tests::{program, refused};
    use super::*;

    #[test]
    fn a_run() {
        let expected = "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,max_states_per_insn,max_mark_read_len,prog_size,prog_size_jited,prog_type,attach_type,stack_depth,mem_peak
a.bpf.o,a,success,7,735,22,22,1,0,-1,-1,unspec,cgroup_inet_ingress,24,-1
a.bpf.o,b_c,failure,0,1,0,0,0,0,-1,-1,unspec,cgroup_inet_ingress,0,-1
";
        assert_eq!(programs_csv(&[refused("b,c"), program("a", 735, 22)]), expected);
        assert_eq!(programs_csv(&[]), expected.lines().next().unwrap().to_owned() + "\n");
    }

    #[test]
    fn two_runs() {
        let cell = |text: &str, row: usize, column: &str| {
            let rows: Vec<Vec<_>> = text.lines().map(|line| line.split(',').collect()).collect();
            let at = rows[0].iter().position(|name| *name == column).unwrap();
            rows[row][at..at + 3].join(" ")
        };
        let before = [program("b", 200, 0), refused("gone")];
        let after = [refused("new"), program("b", 250, 3)];
        let text = comparison_csv(&pair(&before, &after));
        assert_eq!(cell(&text, 1, "verdict_base"), "success success MATCH");
        assert_eq!(cell(&text, 1, "total_insns_base"), "200 250 +50 (+25.00%)");
        assert_eq!(cell(&text, 1, "total_states_base"), "0 3 +3 (+100.00%)");
        assert_eq!(cell(&text, 1, "mem_peak_base"), "-1 -1 +0 (-0.00%)");
        assert_eq!(cell(&text, 2, "total_insns_base"), "1 N/A N/A");
        assert_eq!(cell(&text, 3, "verdict_base"), "N/A failure N/A");
        assert_eq!(comparison_csv(&[]).lines().count(), 1);
    }
}
