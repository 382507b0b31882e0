//! Logs of loops whose counts are known.

use super::*;
use proptest::prelude::*;
use std::fmt::Write;

/// A program that is run through: what it logs is known, and so is what of it repeats.
#[derive(Debug, Clone)]
enum Code {
    /// An instruction that no other place has.
    Insn(u32),
    Loop {
        times: u32,
        body: Vec<Code>,
    },
}

/// Writes what the verifier would, with values that never repeat.
struct Log {
    text: String,
    serial: u64,
}

impl Log {
    fn of(code: &[Code]) -> String {
        let mut log = Self { text: String::new(), serial: 0 };
        log.run(code);
        log.text
    }

    fn run(&mut self, code: &[Code]) {
        for part in code {
            match part {
                Code::Insn(index) => self.insn(*index),
                Code::Loop { times, body } => (0..*times).for_each(|_| self.run(body)),
            }
        }
    }

    fn insn(&mut self, index: u32) {
        self.serial += 1;
        let serial = self.serial;
        if serial.is_multiple_of(7) {
            let _ = writeln!(self.text, "; line({index}); @ a.bpf.c:{index}");
        }
        for _ in 0..serial * 5 % 13 {
            let _ = writeln!(self.text, "mark_precise: frame0: regs=r{} stack= before 3: (07) r6 += 1", serial % 3);
        }
        let _ = writeln!(self.text, "{index}: (07) r6 += 1    ; R6=P{serial}");
    }
}

/// Numbers the instructions, so that no two places are alike.
fn number(code: &mut [Code], next: &mut u32) {
    for part in code {
        match part {
            Code::Insn(index) => {
                *index = *next;
                *next += 1;
            }
            Code::Loop { body, .. } => number(body, next),
        }
    }
}

/// Loops up to three deep. Every loop ends with an instruction of its own, as a branch back is.
fn code() -> impl Strategy<Value = Vec<Code>> {
    let leaf = Just(Code::Insn(0)).boxed();
    let tree = leaf.prop_recursive(3, 40, 4, |inner| {
        let body = prop::collection::vec(inner, 1..4);
        (1_u32..7, body).prop_map(|(times, mut body)| {
            body.push(Code::Insn(0));
            Code::Loop { times, body }
        })
    });
    prop::collection::vec(tree, 1..6).prop_map(|mut code| {
        number(&mut code, &mut 0);
        code
    })
}

/// Lines with instructions that a perfect fold shows: of each loop the first and the last iteration.
fn shown(code: &[Code]) -> u64 {
    let of = |part: &Code| match part {
        Code::Insn(_) => 1,
        Code::Loop { times, body } => u64::from((*times).min(2)) * shown(body),
    };
    code.iter().map(of).sum()
}

fn folded(log: &str) -> String {
    let mut text = Vec::new();
    render(log.as_bytes(), fold_bytes(log.as_bytes()), &mut text).unwrap();
    String::from_utf8(text).unwrap()
}

fn insns(text: &str) -> u64 {
    text.lines().filter(|line| line.contains("(07)") && !line.starts_with("mark")).count() as u64
}

#[track_caller]
fn check(log: &str, expected: &str) {
    let text = folded(log);
    assert_eq!(text, expected);
    assert_eq!(expand(text.as_bytes(), log.as_bytes()).unwrap(), log.as_bytes());
}

/// A log of these instructions, one a letter.
fn letters(word: &str) -> String {
    word.bytes().fold(String::new(), |text, letter| text + &format!("{}: (07) r6 += 1\n", letter - b'a'))
}

/// The folded log, one letter an instruction and the count of iterations left out.
#[track_caller]
fn check_letters(word: &str, expected: &str) {
    let log = letters(word);
    let text = folded(&log);
    let short = |line: &str| match line.strip_prefix("~ ") {
        Some(rest) => format!("({})", rest.split(' ').next().unwrap()),
        None => char::from(b'a' + line.split(':').next().unwrap().parse::<u8>().unwrap()).to_string(),
    };
    assert_eq!(text.lines().map(short).collect::<String>(), expected, "{word}");
    assert_eq!(expand(text.as_bytes(), log.as_bytes()).unwrap(), log.as_bytes());
}

#[test]
fn loops_are_folded() {
    check_letters("abcdef", "abcdef");
    check_letters("abbc", "abbc");
    check_letters("abbbc", "ab(1)bc");
    check_letters("xabcabcabcabcaby", "xabc(2)abcaby");
    check_letters("xxxxxxxxx", "x(7)x");
}

#[test]
fn loops_in_loops_are_folded() {
    check_letters(&"abbbbbc".repeat(9), "ab(3)bc(7)ab(3)bc");
    // However often the inner one runs.
    check_letters("abbbcabbbbcabbbbbbcabbc", "ab(1)bc(2)abbc");
    // At the end of the outer one, and at its beginning.
    check_letters(&"acbcbcb".repeat(4), "acb(1)cb(2)acb(1)cb");
    check_letters(&"cbcbcba".repeat(4), "cb(1)cba(2)cb(1)cba");
    check_letters(&("abb".repeat(3) + "c").repeat(3), "abb(1)abbc(1)abb(1)abbc");
}

#[test]
fn what_is_left_out_is_named() {
    let line = |value: u32| format!("; x @ a.c:1\n3: (07) r6 += 1    ; R6={value}\n");
    let log = (1..=5).map(line).collect::<String>() + "4: (95) exit\n";
    let marker =
        "~ 3 more iterations like lines 1-2: lines 3-8 of the log, bytes 38..152, are left out; then the last one\n";
    check(&log, &(line(1) + marker + &line(5) + "4: (95) exit\n"));
}

#[test]
fn of_many_lines_of_bookkeeping_two_are_shown() {
    let books = |count: u64| (0..count).map(|_| "mark_precise: x\n").collect::<String>();
    let log = |count| format!("1: (07) r6 += 1\n{}1: R6=P1\n2: (95) exit\n", books(count));
    check(&log(4), &log(4));
    let marker = "~ 4 more lines of book-keeping: lines 3-6 of the log, bytes 32..96, are left out\n";
    let six = log(6);
    check(&six, &format!("{}{marker}{}", &six[..32], &six[96..]));
    check(
        &books(5),
        "mark_precise: x\n~ 3 more lines of book-keeping: lines 2-4 of the log, bytes 16..64, are left out\nmark_precise: x\n",
    );
}

#[test]
fn lines_like_ours_are_not_taken_for_ours() {
    let own = "~ 3 more lines of book-keeping: lines 3-8 of the log, bytes 0..9, are left out\n";
    check(own, &format!("~{own}"));
    check("~\n~~ x", "~~\n~~~ x");
}

#[test]
fn what_does_not_belong_together_is_refused() {
    let log = letters("abababab");
    let text = folded(&log);
    let check = |folded: &str, raw: &str, expected| {
        assert_eq!(expand(folded.as_bytes(), raw.as_bytes()), Err(expected));
    };
    check(&text, &letters("ababab"), ExpandError::Foreign(4));
    check(&text, &letters("cbababab"), ExpandError::Foreign(1));
    check(&text, &(log.clone() + "x"), ExpandError::Short(log.len()));
    check(&text.replace("bytes", "octets"), &log, ExpandError::Marker(3));
}

proptest! {
    #[test]
    fn a_known_program_comes_back_and_shows_first_and_last(code in code()) {
        let log = Log::of(&code);
        let text = folded(&log);
        prop_assert_eq!(expand(text.as_bytes(), log.as_bytes()).unwrap(), log.as_bytes());
        prop_assert_eq!(insns(&text), shown(&code), "{}\n{}", text, log);
    }

    #[test]
    fn any_text_comes_back(log in "([0-2]: \\(07\\) r[ab]\n|~|x|SCC 1|from 1 to 2: R1=[0-9]\n|[0-2]: safe\n|\n| ){0,80}") {
        let text = folded(&log);
        prop_assert_eq!(expand(text.as_bytes(), log.as_bytes()).unwrap(), log.as_bytes());
    }

    #[test]
    fn any_bytes_come_back(log in prop::collection::vec(prop::sample::select(&b"~ \n1:\xff"[..]), 0..60)) {
        let mut text = Vec::new();
        render(&log[..], fold_bytes(&log), &mut text).unwrap();
        prop_assert_eq!(expand(&text, &log).unwrap(), log);
    }
}
