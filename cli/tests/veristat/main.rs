//! What the verb `verifier` says of programs, against what the packaged veristat says, live.
//!
//! veristat comes from the distribution's archive. Where it cannot be had this is a skip, which fails unless
//! `KTSTR_ALLOW_SKIP` allows it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod csv;
mod object;
mod package;

use csv::Table;
use ktstr_verifier::compare::{comparison_csv, pair, programs_csv};
use ktstr_verifier::{Load, Program};
use package::Veristat;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// veristat, or a skip.
fn veristat(test: &str) -> Option<Veristat> {
    let reason = match Veristat::fetch() {
        Ok(veristat) => return Some(veristat),
        Err(error) => format!("Skip: veristat cannot be fetched: {error:#}"),
    };
    assert!(ktstr::Settings::from_env().unwrap().skip_is_allowed(test), "{reason}");
    eprintln!("{reason}");
    None
}

/// Columns that must be the same, of one object on one kernel.
const EXACT: [&str; 9] = [
    "total_insns",
    "total_states",
    "peak_states",
    "max_states_per_insn",
    "max_mark_read_len",
    "prog_size",
    "prog_size_jited",
    "prog_type",
    "attach_type",
];

/// Both load the same objects on the same kernel: schedulers theirs, and veristat those that are in the schedulers' programs.
#[test]
fn real_loads_are_what_veristat_says() {
    let Some(veristat) = veristat("real_loads_are_what_veristat_says") else { return };
    let dir = tempfile::tempdir().unwrap();
    let simple = Path::new(env!("CARGO_TARGET_TMPDIR")).join("../ktstr/sched_ext/scx_simple");
    assert!(simple.is_file(), "run `cargo xtask kernel schedulers --into target/ktstr/sched_ext` first");
    let fixture = ktstr::build_scheduler("scx-ktstr", "scx-ktstr").unwrap();

    let theirs = by_veristat(&veristat, dir.path(), &[(&fixture, &["nr_cpus = 2"]), (&simple, &[])]);
    let rejecting = ["--scheduler", "package:scx-ktstr", "--profile", "reject=--fault verifier-reject"];
    let ours = [by_verb(&rejecting, 1), by_verb(&["--scheduler", &simple.to_string_lossy()], 0)];

    for (number, least, (theirs, ours)) in [(0, 13, (&theirs[0], &ours[0])), (1, 7, (&theirs[1], &ours[1]))] {
        let files = ["theirs", "ours"].map(|name| dir.path().join(format!("{name}-{number}.csv")));
        fs::write(&files[0], theirs).unwrap();
        fs::write(&files[1], ours).unwrap();
        let compared = Table::parse(&veristat.compare(&files[0], &files[1]).unwrap());
        assert!(Table::parse(ours).programs().count() >= least, "{ours}");
        Table::parse(ours).programs().for_each(|program| check_program(&compared, program));
    }
}

/// One program, in what `veristat -C` makes of their figures and ours.
#[track_caller]
fn check_program(compared: &Table, program: &str) {
    let same = |column: &str| {
        let diff = compared.cell(program, &format!("{column}_diff"));
        let cells = ["base", "comp"].map(|side| compared.cell(program, &format!("{column}_{side}")));
        assert!(["MATCH", "+0 (+0.00%)"].contains(&diff), "{program}, {column}: veristat and we say {cells:?}, {diff}");
    };
    same("verdict");
    if compared.cell(program, "verdict_base") == "failure" {
        // veristat has not made it an operation of the scheduler, and what refuses it then comes first.
        return ["prog_size", "prog_type"].into_iter().for_each(same);
    }
    EXACT.into_iter().for_each(same);
    // veristat 0.5.1 does not read the stack's depth as 7.2 and later write it.
    if compared.cell(program, "stack_depth_base") != "0" {
        same("stack_depth");
    }
}

/// What the verb prints.
#[track_caller]
fn by_verb(words: &[&str], code: i32) -> String {
    let output =
        Command::new(env!("CARGO_BIN_EXE_cargo-ktstr")).args(["verifier", "--csv"]).args(words).output().unwrap();
    stdout(&output, code)
}

#[track_caller]
fn stdout(output: &Output, code: i32) -> String {
    assert_eq!(output.status.code(), Some(code), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// What veristat prints in a guest of the object in each of the schedulers, with these of its constants set.
fn by_veristat(veristat: &Veristat, dir: &Path, schedulers: &[(&PathBuf, &[&str])]) -> Vec<String> {
    // As an archive, for the libraries in it are not to be packed with those of this machine.
    let archive = dir.join("veristat.tar");
    let packed = Command::new("tar").arg("-C").arg(&veristat.dir).arg("-cf").arg(&archive).arg(".").status().unwrap();
    assert!(packed.success());
    let objects = dir.join("objects");
    fs::create_dir(&objects).unwrap();
    let mut script = "set -e; mkdir /root/v; /root/tar -C /root/v -xf /root/veristat.tar".to_owned();
    for (program, constants) in schedulers {
        let name = program.file_name().unwrap().to_str().unwrap();
        let bytes = fs::read(program).unwrap();
        fs::write(objects.join(name), object::in_program(&bytes).expect("a scheduler has a BPF object")).unwrap();
        let constants: String = constants.iter().map(|set| format!(" -G '{set}'")).collect();
        script += &format!("; {} -o csv{constants} /root/objects/{name}; echo", Veristat::words("/root/v").join(" "));
    }
    let mut shell = Command::new(env!("CARGO_BIN_EXE_ktstr"));
    let tar = ktstr::find_program("tar", &std::env::var_os("PATH").unwrap()).unwrap();
    shell.arg("shell");
    for included in [&tar, &archive, &objects] {
        shell.arg("--include").arg(included);
    }
    let text = stdout(&shell.args(["--exec", &script]).output().unwrap(), 0);
    text.split_terminator("\n\n").map(|table| table.to_owned() + "\n").collect()
}

/// The logs of the same programs on two kernels, as two runs; one program of each is not in the other.
#[test]
fn two_runs_are_what_veristat_makes_of_them() {
    let Some(veristat) = veristat("two_runs_are_what_veristat_makes_of_them") else { return };
    let (mut before, mut after) = (recorded("6.16.12"), recorded("7.3"));
    before[0].name = "only_before".to_owned();
    after.remove(1);
    after[5].load = Some(Load { kind: 27, attach_kind: 3, insns: 7, jited_bytes: 0 });
    let dir = tempfile::tempdir().unwrap();
    let files = [&before, &after].map(|programs| {
        let path = dir.path().join(format!("{}-programs.csv", programs.len()));
        fs::write(&path, programs_csv(programs)).unwrap();
        path
    });
    let theirs = veristat.compare(&files[0], &files[1]).unwrap();
    assert_eq!(comparison_csv(&pair(&before, &after)), theirs);
    assert_eq!(theirs.lines().count(), 1 + 25);
}

/// Programs with what a load of them might have told.
fn recorded(kernel: &str) -> Vec<Program> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("../verifier/tests/data/{kernel}-small.level4.log"));
    let text = fs::read_to_string(path).unwrap();
    let program = |(number, part): (usize, &str)| {
        let (head, log) = part.split_once('\n').unwrap();
        let words: Vec<_> = head.split(' ').collect();
        let number = number as u32;
        let load = Load { kind: number, attach_kind: number + 30, insns: u64::from(number) * 3, jited_bytes: 0 };
        let program = Program::of(words[0], words[1], log.as_bytes(), words[2] == "err=0");
        Program { load: (!number.is_multiple_of(4)).then_some(load), ..program }
    };
    text.split("=== ").skip(1).enumerate().map(program).collect()
}
