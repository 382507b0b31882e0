//! Tests of the parser, on what a runner printed in a machine and on variations of it.

use super::*;

/// All tests of Linux 7.3.4, with the longer outputs cut.
const RECORDED: &str = include_str!("../../tests/data/selftests-7.3.4.txt");

/// A line each second.
fn lines(text: &str) -> Vec<Line> {
    let line = |(number, text): (usize, &str)| (Duration::from_secs(number as u64), text.to_owned());
    text.lines().enumerate().map(line).collect()
}

fn named<'a>(parsed: &'a Parsed, name: &str) -> &'a Case {
    parsed.cases.iter().find(|case| case.name == name).unwrap()
}

#[test]
fn a_recorded_run_is_understood() {
    let parsed = parse(&lines(RECORDED));
    assert_eq!(parsed.totals, Some(Totals { passed: 32, skipped: 1, failed: 0 }));
    assert_eq!(parsed.cases.len(), 33);
    let not_passed: Vec<&str> =
        parsed.cases.iter().filter(|case| case.outcome != Outcome::Pass).map(|case| case.name.as_str()).collect();
    assert_eq!(not_passed, ["nohz_tick"]);
    assert_eq!(named(&parsed, "nohz_tick").outcome, Outcome::Skip);
    assert!(parsed.cases.iter().all(|case| case.seconds.is_some_and(|seconds| seconds >= 6.0)));
}

#[test]
fn results_inside_of_a_tests_output_are_output() {
    let parsed = parse(&lines(RECORDED));
    let output = &named(&parsed, "rt_stall").output;
    assert!(output.iter().any(|line| line == "ok 1 PASS: FAIR task got more than 4.00% of runtime"), "{output:?}");
    assert!(!output.iter().any(|line| line.contains("rt_stall")), "{output:?}");
}

#[test]
fn a_failure_has_its_output() {
    let text = "===== START =====\nTEST: a\nDESCRIPTION: x\nOUTPUT:\nERR: a.c:1\nnot ok 1 a #\n=====  END  =====\n";
    let parsed = parse(&lines(text));
    assert_eq!(
        parsed.cases,
        [Case { name: "a".into(), outcome: Outcome::Fail, seconds: Some(6.0), output: vec!["ERR: a.c:1".into()] }]
    );
    assert_eq!(parsed.totals, None);
}

#[test]
fn a_test_without_result_is_unknown() {
    let check = |rest: &str| {
        let parsed = parse(&lines(&format!("===== START =====\nTEST: a\nOUTPUT:\n{rest}")));
        let case = &parsed.cases[0];
        assert_eq!((case.outcome, case.seconds), (Outcome::Unknown, None), "{rest:?}");
    };
    check("");
    check("ok 1 other #\n=====  END  =====\n");
    check("<UNKNOWN> 1 a #\n=====  END  =====\n");
    check("ok 1 a # SOON\n");
    check("ok x a #\n");
    check("ok 1 a\n");
}

#[test]
fn a_run_cut_short_has_no_totals() {
    for end in
        ["RESULTS:\n\nPASSED:  1\nSKIPPED: 0\n", "RESULTS:\nPASSED: x\nSKIPPED: 0\nFAILED: 0\n", "PASSED: 1\n", ""]
    {
        assert_eq!(parse(&lines(end)).totals, None, "{end:?}");
    }
    assert_eq!(parse(&lines("")), Parsed::default());
}

proptest::proptest! {
    #[test]
    fn no_text_makes_it_panic(text in "(===== START =====|TEST: a|OUTPUT:|ok 1 a #|=====  END  =====|RESULTS:|PASSED: 1|\n|.){0,60}") {
        parse(&lines(&text));
    }
}
