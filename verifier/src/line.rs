//! One line of a verifier's log.
//!
//! Source: kernel/bpf/verifier.c, kernel/bpf/log.c, kernel/bpf/backtrack.c, kernel/bpf/states.c, of Linux 6.12 to 7.3.

use crate::state::State;

/// A line, as far as it is understood.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing, or white space.
    Blank,
    /// `; text @ file:line`: the source line of the instructions that follow.
    Source(Source<'a>),
    /// `12: (85) call f#1    ; R0=scalar()`: an instruction is verified.
    Insn(Insn<'a>),
    /// Registers and stack slots, after an instruction (`12: R1=1`) or of a whole frame (` frame1: R1=ctx()`).
    State {
        /// The instruction that they are told of; `None` where a whole frame is told.
        index: Option<u32>,
        /// What has changed, or all.
        state: State<'a>,
    },
    /// `from 12 to 20: R0=…`: a branch that was put off is taken up.
    Branch(Branch<'a>),
    /// `12: safe`: a state like this one was verified before.
    Safe {
        /// The instruction where that was seen.
        index: u32,
    },
    /// The verifier's own book-keeping: precision, loops of the control flow.
    Bookkeeping(&'a str),
    /// `Validating f() func#1...`: a global function is verified for itself.
    Validating {
        /// Its name.
        function: &'a str,
    },
    /// `Func#1 ('f') is safe for any args that match its prototype`, or 6.12's without name.
    Validated,
    /// `func#1 @9`: a subprogram's first instruction.
    Function {
        /// Number of the subprogram.
        number: u32,
        /// Its first instruction.
        first_insn: u32,
    },
    /// `caller:`, `callee:`, `returning from callee:`, `to caller at 12:`: whose state follows.
    Frame(&'a str),
    /// An instruction of a listing that is made before verification begins; it is indented.
    Listing(&'a str),
    /// A figure about the whole program, for [`crate::Stats`].
    Figure(&'a str),
    /// Anything else: the verifier's messages above all.
    Other(&'a str),
}

/// A source line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Source<'a> {
    /// Its text.
    pub text: &'a str,
    /// Its file's name, without folders, and the line's number.
    pub place: Option<(&'a str, u32)>,
}

/// An instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Insn<'a> {
    /// Its number in the program; a 64-bit load counts as two.
    pub index: u32,
    /// The instruction as the kernel prints it, with its code: `(85) call f#1`.
    pub text: &'a str,
    /// What it has changed.
    pub state: Option<State<'a>>,
    /// All that is known where its branch was taken up, if that is another state. At level 1, where the log of what was in
    /// between is gone, such a state comes to stand behind the instruction: `13: (16) if w1 == 0x7 goto pc+4 18: R0=1`.
    pub resumed: Option<State<'a>>,
}

/// A branch that was put off and is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Branch<'a> {
    /// The instruction that branched.
    pub from: u32,
    /// The one that is verified next.
    pub to: u32,
    /// All registers and slots there; `None` when the branch was found safe at once.
    pub state: Option<State<'a>>,
}

/// How the lines of the verifier's book-keeping begin.
const BOOKKEEPING: [&str; 8] = [
    "mark_precise: ",
    "force_precise: ",
    "SCC ",
    "last_idx ",
    "regs=",
    "parent didn't have ",
    "parent already had ",
    "propagating ",
];

/// How the lines of figures begin.
const FIGURES: [&str; 4] = ["processed ", "verification time ", "stack depth ", "subprog "];

const FRAMES: [&str; 3] = ["caller:", "callee:", "returning from callee:"];

impl<'a> Line<'a> {
    /// Reads a line, with or without its end. Every text is some line.
    pub fn parse(text: &'a str) -> Self {
        let text = text.trim_end_matches(['\n', '\r']);
        match text.as_bytes().first() {
            None => Self::Blank,
            Some(b' ' | b'\t') => indented(text),
            Some(b';') => Self::Source(source(text[1..].trim_start())),
            Some(b'0'..=b'9') => numbered(text).unwrap_or(Self::Other(text)),
            Some(_) => worded(text),
        }
    }

    /// Reads a line that may not be text: what is none is [`Line::Other`], empty.
    pub fn parse_bytes(bytes: &'a [u8]) -> Self {
        std::str::from_utf8(bytes).map_or(Self::Other(""), Self::parse)
    }
}

fn indented(text: &str) -> Line<'_> {
    let inner = text.trim_start();
    if inner.is_empty() {
        return Line::Blank;
    }
    if let Some(state) = State::parse(inner) {
        return Line::State { index: None, state };
    }
    match number(inner) {
        Some((_, rest)) if rest.starts_with(": ") => Line::Listing(text),
        _ => Line::Other(text),
    }
}

fn source(text: &str) -> Source<'_> {
    let place = text.rsplit_once(" @ ").and_then(|(text, place)| {
        let (file, line) = place.rsplit_once(':')?;
        Some((text, (file, line.parse().ok()?)))
    });
    match place {
        Some((text, place)) => Source { text, place: Some(place) },
        None => Source { text, place: None },
    }
}

/// What begins with an instruction's number.
fn numbered(text: &str) -> Option<Line<'_>> {
    let (index, rest) = number(text)?;
    let rest = rest.strip_prefix(':')?.trim_start();
    if rest == "safe" {
        return Some(Line::Safe { index });
    }
    if let Some(code) = rest.strip_prefix('(')
        && code.get(2..3) == Some(")")
    {
        return Some(Line::Insn(insn(index, rest)));
    }
    let state = if rest.is_empty() { State::default() } else { State::parse(rest)? };
    Some(Line::State { index: Some(index), state })
}

fn insn(index: u32, text: &str) -> Insn<'_> {
    if let Some((text, resumed)) = resumed(text) {
        return Insn { index, text: text.trim_end(), state: None, resumed: Some(resumed) };
    }
    let (text, state) = match text.split_once(';') {
        Some((text, state)) => (text, Some(State::parse(state.trim_start()).unwrap_or_default())),
        None => (text, None),
    };
    Insn { index, text: text.trim_end(), state, resumed: None }
}

/// What is before ` 18: ` and the state behind it.
fn resumed(text: &str) -> Option<(&str, State<'_>)> {
    let (before, state) = text.split_once(": ")?;
    let (before, index) = before.rsplit_once(' ')?;
    index.parse::<u32>().ok()?;
    Some((before, State::parse(state)?))
}

fn worded(text: &str) -> Line<'_> {
    if let Some(rest) = text.strip_prefix("from ") {
        return branch(rest).map_or(Line::Other(text), Line::Branch);
    }
    if BOOKKEEPING.iter().any(|start| text.starts_with(start)) || is_propagation(text) {
        return Line::Bookkeeping(text);
    }
    if FIGURES.iter().any(|start| text.starts_with(start)) {
        return Line::Figure(text);
    }
    if FRAMES.contains(&text.trim_end()) || text.starts_with("to caller at ") {
        return Line::Frame(text);
    }
    if let Some((function, _)) = text.strip_prefix("Validating ").and_then(|rest| rest.split_once("() func#")) {
        return Line::Validating { function };
    }
    if text.starts_with("Func#") && text.ends_with("match its prototype") {
        return Line::Validated;
    }
    function(text).unwrap_or(Line::Other(text))
}

/// `12 to 20: R0=…`, `12 to 20 (speculative execution): R0=…` or `12 to 20: safe`.
fn branch(text: &str) -> Option<Branch<'_>> {
    let (from, rest) = number(text)?;
    let (to, rest) = number(rest.strip_prefix(" to ")?)?;
    let rest = rest.strip_prefix(" (speculative execution)").unwrap_or(rest).strip_prefix(':')?.trim();
    let state = if rest == "safe" { None } else { Some(State::parse(rest).unwrap_or_default()) };
    Some(Branch { from, to, state })
}

/// `func#1 @9`.
fn function(text: &str) -> Option<Line<'_>> {
    let (number_, rest) = number(text.strip_prefix("func#")?)?;
    let (first_insn, _) = number(rest.strip_prefix(" @")?)?;
    Some(Line::Function { number: number_, first_insn })
}

/// `frame 0: propagating r6`.
fn is_propagation(text: &str) -> bool {
    text.strip_prefix("frame ").and_then(number).is_some_and(|(_, rest)| rest.starts_with(": propagating "))
}

/// The decimal number at the start, and what follows.
fn number(text: &str) -> Option<(u32, &str)> {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    Some((text[..end].parse().ok()?, &text[end..]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Line<'_>) {
        assert_eq!(Line::parse(text), expected, "{text}");
    }

    fn state(text: &str) -> State<'_> {
        State::parse(text).expect("a state")
    }

    #[test]
    fn instructions() {
        let text = "(85) call f#1";
        check("6: (85) call f#1", Line::Insn(Insn { index: 6, text, state: None, resumed: None }));
        let after = "R0=scalar(var_off=(0x0; 0xff)) R10=fp0";
        let line = format!("6: (85) call f#1                   ; {after}\n");
        check(&line, Line::Insn(Insn { index: 6, text, state: Some(state(after)), resumed: None }));
        check(
            "0: (b7) r0 = 0    ;",
            Line::Insn(Insn { index: 0, text: "(b7) r0 = 0", state: Some(State::default()), resumed: None }),
        );
        let glued = Insn { index: 13, text: "(16) if w1 == 0x7 goto pc+4", state: None, resumed: Some(state("R0=1")) };
        check("13: (16) if w1 == 0x7 goto pc+4 18: R0=1", Line::Insn(glued));
    }

    #[test]
    fn states() {
        check("0: R1=ctx() R10=fp0", Line::State { index: Some(0), state: state("R1=ctx() R10=fp0") });
        check("7: frame1: R1=2", Line::State { index: Some(7), state: state("frame1: R1=2") });
        check("7:", Line::State { index: Some(7), state: State::default() });
        check(" frame1: R1=ctx() cb", Line::State { index: None, state: state("frame1: R1=ctx() cb") });
        check("callee:", Line::Frame("callee:"));
        check("to caller at 12:", Line::Frame("to caller at 12:"));
    }

    #[test]
    fn branches() {
        let all = Some(state("R0=1 fp-8=mmmm????"));
        check("from 12 to 20: R0=1 fp-8=mmmm????", Line::Branch(Branch { from: 12, to: 20, state: all }));
        let told = "from 1 to 2 (speculative execution): R0=1 fp-8=mmmm????";
        check(told, Line::Branch(Branch { from: 1, to: 2, state: all }));
        check("from 12 to 20: safe", Line::Branch(Branch { from: 12, to: 20, state: None }));
        check("20: safe", Line::Safe { index: 20 });
    }

    #[test]
    fn sources() {
        check("; a @ b(c); @ x.bpf.c:12", Line::Source(Source { text: "a @ b(c);", place: Some(("x.bpf.c", 12)) }));
        check("; if (x) {", Line::Source(Source { text: "if (x) {", place: None }));
        check(";", Line::Source(Source { text: "", place: None }));
    }

    #[test]
    fn whole_programs() {
        check("func#1 @9", Line::Function { number: 1, first_insn: 9 });
        check("Validating f() func#1...", Line::Validating { function: "f" });
        check("Func#1 ('f') is safe for any args that match its prototype", Line::Validated);
        check("stack depth 8+0", Line::Figure("stack depth 8+0"));
        check("subprog 0 (f) main insns_self 3", Line::Figure("subprog 0 (f) main insns_self 3"));
    }

    #[test]
    fn books_and_listings() {
        for text in
            ["mark_precise: frame0: regs=r2 stack= before 6: (85) call f#1", "frame 0: propagating r6", "SCC exit (1)"]
        {
            check(text, Line::Bookkeeping(text));
        }
        for text in ["  3: (bf) r2 = r10\tr2: _ -> fp0+0", "      0: .......... (85) call f#7"] {
            check(text, Line::Listing(text));
        }
    }

    #[test]
    fn what_is_not_known_stays() {
        for text in [
            "R1 !read_ok",
            "from here",
            "12",
            "12x",
            "99999999999: (85) x",
            "é: safe",
            "5: (",
            "5: (85",
            "  insn 17",
            "func#",
        ] {
            check(text, Line::Other(text));
        }
        check("", Line::Blank);
        check("   \n", Line::Blank);
        assert_eq!(Line::parse_bytes(b"\xff\xfe"), Line::Other(""));
    }
}
