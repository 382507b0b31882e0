//! What the verb `verifier` says of programs, against what the packaged veristat says, live.
//!
//! veristat comes from the distribution's archive. Where it cannot be had this is a skip, which fails unless
//! `KTSTR_ALLOW_SKIP` allows it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod csv;
mod loader;
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
const EXACT: [&str; 10] = [
    "verdict",
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

    let objects = [&fixture, &simple].map(|program| embedded(program, dir.path()));
    let theirs = by_veristat(&veristat, dir.path(), &[(&objects[0], &["nr_cpus = 2"]), (&objects[1], &[])]);
    let rejecting = ["--scheduler", "package:scx-ktstr", "--profile", "reject=--fault verifier-reject"];
    let ours = [by_verb(&rejecting, 1), by_verb(&["--scheduler", &simple.to_string_lossy()], 0)];

    for (number, least) in [13, 7].into_iter().enumerate() {
        let compared = compared(&veristat, dir.path(), &theirs[number], &ours[number]);
        assert!(compared.ours.len() >= least, "{:?}", compared.ours);
        for program in &compared.ours {
            let is_refused = compared.table.cell(program, "verdict_base") == "failure";
            // veristat has not made it an operation of the scheduler, and what refuses it then comes first.
            let columns = if is_refused { &["verdict", "prog_size", "prog_type"] } else { &EXACT[..] };
            check_program(&compared.table, program, columns);
        }
    }
}

/// veristat loads an object that is mostly refused, and loads it once more as the loader that the verb watches.
#[test]
fn refusals_are_what_veristat_says() {
    let Some(veristat) = veristat("refusals_are_what_veristat_says") else { return };
    let dir = tempfile::tempdir().unwrap();
    let object = compiled(&veristat, dir.path());
    let theirs = by_veristat(&veristat, dir.path(), &[(&object, &[])]);
    let place = tempfile::tempdir().unwrap();
    let script = loader::script(&veristat, &object, place.path());
    let ours = by_verb(&["--scheduler", &script.to_string_lossy()], 1);
    let compared = compared(&veristat, dir.path(), &theirs[0], &ours);
    assert_eq!(compared.ours.len(), 24, "{:?}", compared.ours);
    compared.ours.iter().for_each(|program| check_program(&compared.table, program, &EXACT));
    let refused = compared.ours.iter().filter(|program| compared.table.cell(program, "verdict_base") == "failure");
    assert!(refused.count() >= 15, "{:?}", compared.ours);
}

/// Programs made to be refused, and some that are not.
fn compiled(veristat: &Veristat, dir: &Path) -> PathBuf {
    let search_path = std::env::var_os("PATH").unwrap();
    let names = ["clang", "clang-22", "clang-21", "clang-20", "clang-19", "clang-18", "clang-17", "clang-16"];
    let clang = names.iter().find_map(|name| ktstr::find_program(name, &search_path).ok());
    let object = dir.join("small.bpf.o");
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("../verifier/tests/data/small.bpf.c");
    let mut command = Command::new(clang.expect("this test needs clang: run `cargo xtask setup bpf`"));
    command.args(["-target", "bpf", "-mcpu=v3", "-O2", "-g", "-w", "-I/usr/include/x86_64-linux-gnu", "-I"]);
    let output = command.arg(&veristat.dir).arg("-c").arg(source).arg("-o").arg(&object).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    object
}

/// What `veristat -C` makes of their figures and ours.
struct Compared {
    table: Table,
    /// Programs that we told of.
    ours: Vec<String>,
}

#[track_caller]
fn compared(veristat: &Veristat, dir: &Path, theirs: &str, ours: &str) -> Compared {
    let files = [("theirs.csv", theirs), ("ours.csv", ours)].map(|(name, text)| {
        fs::write(dir.join(name), text).unwrap();
        dir.join(name)
    });
    let table = Table::parse(&veristat.compare(&files[0], &files[1]).unwrap());
    Compared { table, ours: Table::parse(ours).programs().map(str::to_owned).collect() }
}

/// One program has the same in these columns.
#[track_caller]
fn check_program(compared: &Table, program: &str, columns: &[&str]) {
    let same = |column: &str| {
        let diff = compared.cell(program, &format!("{column}_diff"));
        let cells = ["base", "comp"].map(|side| compared.cell(program, &format!("{column}_{side}")));
        assert!(["MATCH", "+0 (+0.00%)"].contains(&diff), "{program}, {column}: veristat and we say {cells:?}, {diff}");
    };
    columns.iter().for_each(|column| same(column));
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

/// The object in a scheduler's program, as a file of the scheduler's name.
fn embedded(program: &Path, dir: &Path) -> PathBuf {
    let to = dir.join(program.file_name().unwrap());
    let bytes = fs::read(program).unwrap();
    fs::write(&to, object::in_program(&bytes).expect("a scheduler has a BPF object")).unwrap();
    to
}

/// What veristat prints of each of these objects in a guest, with these of its constants set.
fn by_veristat(veristat: &Veristat, dir: &Path, objects: &[(&PathBuf, &[&str])]) -> Vec<String> {
    // As an archive, for the libraries in it are not to be packed with those of this machine.
    let archive = dir.join("veristat.tar");
    let mut packed = Command::new("tar");
    packed.arg("-C").arg(&veristat.dir).arg("-cf").arg(&archive).args(Veristat::files());
    assert!(packed.status().unwrap().success());
    let tar = ktstr::find_program("tar", &std::env::var_os("PATH").unwrap()).unwrap();
    let mut script = "set -e; mkdir /root/v; /root/tar -C /root/v -xf /root/veristat.tar".to_owned();
    for (object, constants) in objects {
        let name = object.file_name().unwrap().to_str().unwrap();
        let constants: String = constants.iter().map(|set| format!(" -G '{set}'")).collect();
        script += &format!("; {} -o csv{constants} /root/{name}; echo", Veristat::words("/root/v").join(" "));
    }
    let mut shell = Command::new(env!("CARGO_BIN_EXE_ktstr"));
    shell.arg("shell");
    for included in [&tar, &archive].into_iter().chain(objects.iter().map(|(object, _)| *object)) {
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
