//! veristat's columns, as it writes them with `-o csv`, so that it can compare (`veristat -C`) and replay what we write.
//!
//! Source: `stat_defs` and `output_stats` in tools/testing/selftests/bpf/veristat.c; veristat 0.5.1. Columns that only the
//! program's object or its machine code tells (`prog_size`, `prog_size_jited`, `prog_type`, `attach_type`, `mem_peak`) are
//! left out, for veristat takes any choice of columns, and a figure that is not known would be taken for a 0.

use super::Pair;
use crate::program::Program;
use std::fmt::Write;

/// A column of numbers.
type Column = (&'static str, fn(&Program) -> Option<u64>);

const COLUMNS: [Column; 7] = [
    ("duration", |program| program.stats.time_us),
    ("total_insns", |program| program.stats.insns),
    ("total_states", |program| program.stats.total_states),
    ("peak_states", |program| program.stats.peak_states),
    ("max_states_per_insn", |program| program.stats.max_states_per_insn),
    ("max_mark_read_len", |program| program.stats.mark_read),
    ("stack_depth", |program| program.stats.total_stack_bytes()),
];

/// Columns that at least one program has a figure for; veristat has a 0 for what a log does not tell, and so have we in the
/// rest of such a column.
fn columns<'a>(programs: impl Iterator<Item = &'a Program> + Clone) -> Vec<Column> {
    COLUMNS.into_iter().filter(|(_, get)| programs.clone().any(|program| get(program).is_some())).collect()
}

fn verdict(program: &Program) -> &'static str {
    if program.is_loaded() { "success" } else { "failure" }
}

/// One run. veristat has no quotes: commas and line ends in names become `_`.
pub fn programs_csv(programs: &[Program]) -> String {
    let columns = columns(programs.iter());
    let mut text = "file_name,prog_name,verdict".to_owned();
    text.extend(columns.iter().map(|(name, _)| format!(",{name}")));
    for program in programs {
        let _ = write!(text, "\n{},{},{}", plain(&program.file), plain(&program.name), verdict(program));
        text.extend(columns.iter().map(|(_, get)| format!(",{}", get(program).unwrap_or(0))));
    }
    text + "\n"
}

/// Two runs side by side, as `veristat -C -o csv` writes them.
pub fn comparison_csv(pairs: &[Pair]) -> String {
    let columns = columns(pairs.iter().flat_map(|pair| [&pair.before, &pair.after]).flatten());
    let mut text = "file_name,prog_name,verdict_base,verdict_comp,verdict_diff".to_owned();
    text.extend(columns.iter().map(|(name, _)| format!(",{name}_base,{name}_comp,{name}_diff")));
    for pair in pairs {
        let (before, after) = (pair.before.as_ref(), pair.after.as_ref());
        let file = before.or(after).map_or("", |program| program.file.as_str());
        let _ = write!(text, "\n{},{},{}", plain(file), plain(&pair.name), verdicts(before, after));
        text.extend(columns.iter().map(|(_, get)| format!(",{}", numbers(before.map(get), after.map(get)))));
    }
    text + "\n"
}

fn verdicts(before: Option<&Program>, after: Option<&Program>) -> String {
    let (base, comp) = (before.map_or("N/A", verdict), after.map_or("N/A", verdict));
    let diff = match (before, after) {
        (Some(_), Some(_)) if base == comp => "MATCH",
        (Some(_), Some(_)) => "MISMATCH",
        _ => "N/A",
    };
    format!("{base},{comp},{diff}")
}

fn numbers(before: Option<Option<u64>>, after: Option<Option<u64>>) -> String {
    let show = |number: Option<Option<u64>>| number.map_or("N/A".to_owned(), |number| number.unwrap_or(0).to_string());
    let diff = match (before, after) {
        (Some(before), Some(after)) => difference(before.unwrap_or(0), after.unwrap_or(0)),
        _ => "N/A".to_owned(),
    };
    format!("{},{},{diff}", show(before), show(after))
}

/// `+3 (+50.00%)`, of 0 in parts of nothing as veristat has it.
fn difference(before: u64, after: u64) -> String {
    let difference = i128::from(after) - i128::from(before);
    let percent = match (before, after) {
        (0, 0) => 0.0,
        (0, _) => 100.0,
        _ => difference as f64 / before as f64 * 100.0,
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
        let expected = "file_name,prog_name,verdict,duration,total_insns,total_states,peak_states,max_states_per_insn,max_mark_read_len,stack_depth
a.bpf.o,a,success,7,735,22,22,1,0,24
a.bpf.o,b,failure,0,1,0,0,0,0,0
";
        assert_eq!(programs_csv(&[program("a", 735, 22), refused("b")]), expected);
    }

    #[test]
    fn what_nobody_tells_has_no_column() {
        let expected = "file_name,prog_name,verdict,total_insns,total_states\na.bpf.o,b_c,failure,1,0\n";
        assert_eq!(programs_csv(&[refused("b,c")]), expected);
        assert_eq!(programs_csv(&[]), "file_name,prog_name,verdict\n");
    }

    #[test]
    fn two_runs() {
        let mut before = program("a", 200, 4);
        let mut after = program("a", 250, 4);
        for program in [&mut before, &mut after] {
            program.stats = crate::Stats { insns: program.stats.insns, ..Default::default() };
        }
        let text = comparison_csv(&pair(&[before], &[after, refused("b")]));
        let expected = "file_name,prog_name,verdict_base,verdict_comp,verdict_diff,total_insns_base,total_insns_comp,total_insns_diff,total_states_base,total_states_comp,total_states_diff
a.bpf.o,a,success,success,MATCH,200,250,+50 (+25.00%),0,0,+0 (+0.00%)
a.bpf.o,b,N/A,failure,N/A,N/A,1,N/A,N/A,0,N/A
";
        assert_eq!(text, expected);
    }
}
