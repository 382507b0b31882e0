//! Logs that are made up: what no small real program makes the verifier write.

use super::*;
use proptest::prelude::*;

#[track_caller]
fn check(log: &str, path: &str, is_whole: bool) {
    let rejection = Rejection::of(log.as_bytes());
    assert_eq!((rejection.path_text(log.as_bytes()).as_str(), rejection.is_whole), (path, is_whole), "{log}");
}

#[test]
fn what_other_paths_did_is_passed_over() {
    // Two branches are put off in the first stretch, and one more in that of the second.
    let log = "\
func#0 @0
0: R1=ctx() R10=fp0
0: (15) if r1 == 0x0 goto pc+7
1: (15) if r2 == 0x0 goto pc+4
2: (95) exit

from 1 to 6: R1=1
6: (15) if r3 == 0x0 goto pc+1
7: (95) exit

from 6 to 8: safe

from 0 to 8: R1=0
8: (95) exit
R0 !read_ok
";
    check(log, "0: R1=ctx() R10=fp0\n0: (15) if r1 == 0x0 goto pc+7\nfrom 0 to 8: R1=0\n8: (95) exit\n", true);
}

#[test]
fn the_side_that_was_gone_on_with_put_nothing_off() {
    // Instruction 1 went to 3 at its second time, which was known there; it put 3 off at its first.
    let log = "\
0: R1=ctx()
1: (15) if r1 == 0x0 goto pc+1
2: (05) goto pc-2
1: (15) if r1 == 0x0 goto pc+1
3: (95) exit

from 1 to 3: R1=0
3: (95) exit
R0 !read_ok
";
    check(log, "0: R1=ctx()\n1: (15) if r1 == 0x0 goto pc+1\nfrom 1 to 3: R1=0\n3: (95) exit\n", false);
}

#[test]
fn a_path_whose_beginning_is_missing_is_no_whole_one() {
    check("from 1 to 3: R1=0\n3: (95) exit\nR0 !read_ok\n", "from 1 to 3: R1=0\n3: (95) exit\n", false);
    check("7: (b7) r0 = 0\n8: (95) exit\nR0 !read_ok\n", "7: (b7) r0 = 0\n8: (95) exit\n", false);
    check("0: (b7) r0 = 0\n1: (95) exit\nR0 !read_ok\n", "0: (b7) r0 = 0\n1: (95) exit\n", true);
    check("", "", false);
}

#[test]
fn a_global_function_begins_where_it_is_validated() {
    let log = "0: (95) exit\nprocessed 1 insns\nValidating f() func#1...\n9: R1=scalar()\n9: (79) r0 = *(u64 *)(r1 +0)\nR1 invalid mem access 'scalar'\n";
    check(log, "9: R1=scalar()\n9: (79) r0 = *(u64 *)(r1 +0)\n", true);
}

#[test]
fn the_state_is_that_of_the_frame_at_the_end() {
    let log = "\
0: R1=ctx() R10=fp0
1: (b7) r6 = 1    ; R6=1
2: (85) call pc+5
caller:
 R6=1 R10=fp0
callee:
 frame1: R1=7 R10=fp0
3: frame1: R1=7 R10=fp0
3: (b7) r2 = 3    ; frame1: R2=3 fp-16=0 fp-8=1
4: (85) call f#1    ; frame1: R0=scalar()
5: (95) exit
oh
";
    let state = Rejection::of(log.as_bytes()).state;
    let expected = [("R0", "scalar()"), ("R10", "fp0"), ("fp-8", "1"), ("fp-16", "0")];
    assert_eq!(state, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
}

#[test]
fn words_that_are_not_known_are_the_kernels() {
    let reason = |log: &str| Rejection::of(log.as_bytes()).reason();
    assert_eq!(reason("0: (95) exit\nfirst\nlast words\n"), "last words");
    assert_eq!(reason("0: (95) exit\nx\n\nVerification failed: Policy: No\n\nReason:\n  Not\n  so.\n"), "No: Not so.");
    assert!(reason("0: (95) exit\n").contains("does not say why"));
}

proptest! {
    #[test]
    fn any_log_is_read(log in "(func#0 @0|from 1 to 2: R1=0|from 2 to 1: safe|[0-3]: \\(15\\) if x|[0-3]: R1=1| R1=2|callee:|; x @ a:1|words|é|\n|\n|Validating f\\(\\) func#1...){0,60}") {
        let rejection = Rejection::of(log.as_bytes());
        let mut end = 0;
        for range in &rejection.path {
            prop_assert!(range.start >= end && range.end <= log.len());
            end = range.end;
        }
        let _ = (rejection.path_text(log.as_bytes()), rejection.reason(), rejection.advice());
    }
}
