//! Our CSV and that of Debian's veristat 0.5.1, of the same object (`data/small.bpf.c`) on the same machine.
//!
//! `data/*-small.level4.log` has the log of each program with `BPF_LOG_STATS`, behind a line that names it;
//! `data/*-small.veristat.csv` is what `veristat -o csv` printed.

#![allow(clippy::unwrap_used, clippy::panic)]

use ktstr_verifier::Program;
use ktstr_verifier::compare::programs_csv;
use std::collections::BTreeMap;
use std::path::Path;

/// By program and column.
type Cells = BTreeMap<(String, String), String>;

fn data(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The programs in `=== FILE NAME err=ERRNO insns=N` and what follows each.
fn programs(text: &str) -> Vec<Program> {
    let one = |part: &str| {
        let (head, log) = part.split_once('\n').unwrap();
        let words: Vec<_> = head.split(' ').collect();
        Program::of(words[0], words[1], log.as_bytes(), words[2] == "err=0")
    };
    text.split("=== ").skip(1).map(one).collect()
}

fn cells(csv: &str) -> Cells {
    let mut lines = csv.lines().map(|line| line.split(',').map(str::to_owned).collect::<Vec<_>>());
    let header = lines.next().unwrap();
    let name = header.iter().position(|column| column == "prog_name").unwrap();
    let row = |row: Vec<String>| {
        let program = row[name].clone();
        header.clone().into_iter().zip(row).map(move |(column, cell)| ((program.clone(), column), cell))
    };
    lines.flat_map(row).collect()
}

/// What a log alone does not tell.
const OF_THE_LOAD: [&str; 5] = ["prog_size", "prog_size_jited", "prog_type", "attach_type", "mem_peak"];

/// All of our columns that are of the log, but some, are there, with the same cells.
#[track_caller]
fn check(kernel: &str, but: &[&str]) {
    let ours = cells(&programs_csv(&programs(&data(&format!("{kernel}-small.level4.log")))));
    let theirs = cells(&data(&format!("{kernel}-small.veristat.csv")));
    let but = [but, &OF_THE_LOAD].concat();
    let compared: Vec<_> = ours.iter().filter(|((_, column), _)| !but.contains(&column.as_str())).collect();
    assert_eq!(compared.len(), 24 * (15 - but.len()), "programs and columns");
    for (key, cell) in compared {
        assert_eq!(theirs.get(key), Some(cell), "{kernel}: {key:?}");
    }
}

#[test]
fn what_veristat_counts_we_count() {
    // The time is another each time.
    check("6.16.12", &["duration"]);
    // veristat 0.5.1 does not read the stack's depth as 7.2 and later write it.
    check("7.3", &["duration", "stack_depth"]);
}
