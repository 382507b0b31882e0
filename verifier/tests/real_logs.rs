//! Logs that kernels 6.16.12 and 7.3.4 wrote of the programs in `data/*.bpf.c`, built by clang 19 with `-mcpu=v3`.

#![allow(clippy::unwrap_used, clippy::panic)]

use ktstr_verifier::fold::{Like, Omitted, Piece, expand, fold_bytes, render};
use ktstr_verifier::{Line, Program, Rejection, Stats, libbpf};
use std::path::Path;

const KERNELS: [&str; 2] = ["6.16.12", "7.3"];

fn log(name: &str) -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data").join(name);
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// The instructions of a path.
fn insns(rejection: &Rejection, log: &[u8]) -> Vec<u32> {
    let path: Vec<u8> = rejection.path.iter().flat_map(|range| log[range.clone()].iter().copied()).collect();
    let text = String::from_utf8(path).unwrap();
    let insn = |line| if let Line::Insn(insn) = Line::parse(line) { Some(insn.index) } else { None };
    text.lines().filter_map(insn).collect()
}

#[test]
fn the_path_is_the_one_that_the_kernel_keeps_at_level_1() {
    for kernel in KERNELS {
        for program in ["bad_unreleased", "bad_null", "deep_loop"] {
            let level = |level: u32| log(&format!("{kernel}-{program}.level{level}.log"));
            let (one, two) = (level(1), level(2));
            let (short, long) = (Rejection::of(&one), Rejection::of(&two));
            assert_eq!(insns(&long, &two), insns(&short, &one), "{kernel} {program}");
            assert!(short.is_whole && long.is_whole && !insns(&long, &two).is_empty(), "{kernel} {program}");
            assert_eq!((long.reason(), long.state), (short.reason(), short.state), "{kernel} {program}");
        }
    }
}

#[test]
fn reasons() {
    for kernel in KERNELS {
        let of = |program: &str| Rejection::of(&log(&format!("{kernel}-{program}.level2.log")));
        let unreleased = of("bad_unreleased");
        let words = "A reference (number 2) that instruction 4 has acquired is not released on this path.";
        assert_eq!(unreleased.reason(), words);
        assert_eq!(unreleased.insn.map(|insn| insn.index), Some(18));
        assert_eq!(unreleased.report.is_some(), kernel == "7.3");
        let null = of("bad_null");
        assert_eq!(null.reason(), "R7 may be NULL here (map_value_or_null), and the program goes where it points.");
        assert_eq!(null.source.and_then(|source| source.line), Some(63));
        assert!(null.state.contains(&("R7".to_owned(), "map_value_or_null(id=1,map=hash,ks=4,vs=8)".to_owned())));
        assert!(
            null.meaning.as_ref().map(|meaning| meaning.advice.as_str()).is_some_and(|advice| advice.contains("NULL"))
        );
    }
}

#[test]
fn a_loop_of_five_is_folded() {
    for kernel in KERNELS {
        let log = log(&format!("{kernel}-ok_calls.level2.log"));
        let pieces = fold_bytes(&log);
        let counts: Vec<_> = pieces
            .iter()
            .filter_map(|piece| match piece {
                Piece::Omitted(Omitted { like: Like::Iterations { count, .. }, .. }) => Some(*count),
                _ => None,
            })
            .collect();
        // The fifth leaves the loop.
        assert_eq!(counts, [2], "{kernel}");
        let mut text = Vec::new();
        render(&log[..], pieces, &mut text).unwrap();
        assert_eq!(expand(&text, &log).unwrap(), log);
        let sources = |text: &[u8]| String::from_utf8_lossy(text).matches("for (int i = 0; i < 5; i++)").count();
        assert!(sources(&text) >= 2 && sources(&text) < sources(&log), "{kernel}");
    }
}

#[test]
fn figures() {
    let of = |kernel: &str, level: u32| {
        Program::of("small", "ok_calls", &log(&format!("{kernel}-ok_calls.level{level}.log")), true).stats
    };
    let common = Stats {
        insns: Some(77),
        insn_limit: Some(1_000_000),
        max_states_per_insn: Some(1),
        total_states: Some(8),
        peak_states: Some(8),
        mark_read: Some(1),
        ..Stats::default()
    };
    assert_eq!(of("6.16.12", 2), common);
    assert_eq!(of("7.3", 2), Stats { mark_read: Some(0), ..common.clone() });
    assert_eq!(of("6.16.12", 4), Stats { time_us: Some(1309), stack_bytes: vec![0; 3], ..common });
    let newer = of("7.3", 4);
    assert_eq!((newer.insns, newer.max_stack_bytes, newer.stack_bytes), (Some(77), Some(0), vec![0; 3]));
}

#[test]
fn a_loaders_output() {
    let output = log("6.16.12-deep.stderr");
    let programs = libbpf::program_logs(&output);
    let told: Vec<_> =
        programs.iter().map(|program| (program.name.as_str(), program.error.as_deref(), program.is_whole)).collect();
    assert_eq!(told, ["deep_loop", "deep_call", "deep_global"].map(|name| (name, Some("Permission denied"), true)));
    for program in programs {
        let rejection = Rejection::of(&output[program.log]);
        assert!(rejection.meaning.is_some() && rejection.is_whole, "{}: {:?}", program.name, rejection.message);
        assert_eq!(rejection.source.and_then(|source| source.file).as_deref(), Some("deep.bpf.c"));
    }
}
