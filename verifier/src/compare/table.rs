//! Tables for people.

use super::{Pair, change_percent};
use crate::program::Program;

/// From this part of the instruction limit on, it is marked.
const NEAR_LIMIT: f64 = 0.5;

/// One run: what each program cost, and how near to the limit it is.
pub fn programs_table(programs: &[Program]) -> String {
    let header = ["program", "verdict", "insns", "of limit", "states", "peak", "per insn", "stack", "time µs"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(programs.iter().map(|program| {
        let stats = &program.stats;
        vec![
            program.name.clone(),
            verdict(program).to_owned(),
            number(stats.insns),
            limit(program),
            number(stats.total_states),
            number(stats.peak_states),
            number(stats.max_states_per_insn),
            number(stats.max_stack_bytes.or_else(|| stats.total_stack_bytes())),
            number(stats.time_us),
        ]
    }));
    align(&rows)
}

/// Two runs side by side.
pub fn comparison_table(pairs: &[Pair]) -> String {
    let header = ["program", "verdict", "insns", "", "change", "of limit", "", "states", "", "change"];
    let mut rows = vec![header.map(str::to_owned).to_vec()];
    rows.extend(pairs.iter().map(|pair| {
        let side =
            |get: fn(&Program) -> Option<u64>| (pair.before.as_ref().and_then(get), pair.after.as_ref().and_then(get));
        let insns = side(|program| program.stats.insns);
        let states = side(|program| program.stats.total_states);
        let share = |program: &Option<Program>| program.as_ref().map_or_else(|| NONE.to_owned(), limit);
        vec![
            pair.name.clone(),
            verdicts(pair),
            number(insns.0),
            number(insns.1),
            change(insns),
            share(&pair.before),
            share(&pair.after),
            number(states.0),
            number(states.1),
            change(states),
        ]
    }));
    align(&rows)
}

const NONE: &str = "–";

fn verdict(program: &Program) -> &'static str {
    if program.is_loaded() { "loaded" } else { "refused" }
}

fn verdicts(pair: &Pair) -> String {
    match (&pair.before, &pair.after) {
        (Some(before), Some(after)) if before.is_loaded() == after.is_loaded() => verdict(before).to_owned(),
        (Some(before), Some(after)) => format!("{} → {}", verdict(before), verdict(after)),
        (Some(before), None) => format!("{}, only before", verdict(before)),
        (None, Some(after)) => format!("{}, only after", verdict(after)),
        (None, None) => NONE.to_owned(),
    }
}

fn number(number: Option<u64>) -> String {
    number.map_or_else(|| NONE.to_owned(), |number| number.to_string())
}

fn limit(program: &Program) -> String {
    program.stats.limit_share().map_or_else(
        || NONE.to_owned(),
        |share| format!("{:.1} %{}", share * 100.0, if share >= NEAR_LIMIT { " !" } else { "" }),
    )
}

fn change((before, after): (Option<u64>, Option<u64>)) -> String {
    match change_percent(before, after) {
        Some(percent) => format!("{percent:+.1} %"),
        None if before == Some(0) && after.is_some() => "from 0".to_owned(),
        None => NONE.to_owned(),
    }
}

/// Columns two blanks apart, the first two to the left, numbers to the right.
fn align(rows: &[Vec<String>]) -> String {
    let columns = rows.first().map_or(0, Vec::len);
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let widths: Vec<_> = (0..columns).map(width).collect();
    let line = |row: &Vec<String>| {
        let cells = row.iter().zip(&widths).enumerate().map(|(column, (cell, width))| {
            if column < 2 { format!("{cell:<width$}") } else { format!("{cell:>width$}") }
        });
        cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
    };
    rows.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::super::pair;
    use super::super::tests::{program, refused};
    use super::*;

    #[test]
    fn a_run() {
        let expected = "\
program  verdict   insns  of limit  states  peak  per insn  stack  time µs
a        loaded      735     0.1 %      22    22         1     24        7
big      loaded   600000  60.0 % !       9     9         1     24        7
b        refused       1     0.0 %       0     –         –      –        –
";
        assert_eq!(programs_table(&[program("a", 735, 22), program("big", 600_000, 9), refused("b")]), expected);
    }

    #[test]
    fn two_runs() {
        let pairs = pair(
            &[program("a", 200, 0), program("gone", 5, 1), program("b", 9, 1)],
            &[program("a", 250, 3), refused("b"), program("new", 2, 2)],
        );
        let expected = "\
program  verdict              insns        change  of limit         states       change
a        loaded                 200  250  +25.0 %     0.0 %  0.0 %       0  3    from 0
gone     loaded, only before      5    –        –     0.0 %      –       1  –         –
b        loaded → refused         9    1  -88.9 %     0.0 %  0.0 %       1  0  -100.0 %
new      loaded, only after       –    2        –         –  0.0 %       –  2         –
";
        assert_eq!(comparison_table(&pairs), expected);
    }
}
