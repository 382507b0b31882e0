//! How much processor time folding takes for a MiB of a log, and how much memory.
//!
//! For each round a line: µs for a MiB of 10 MB and of 100 MB with nested loops, the same without any, and the most memory
//! that the process has had so far, in KiB.

use ktstr_verifier::fold::fold;
use std::fmt::Write as _;
use std::io::{self, BufReader, Read};

const SHORT_BYTES: u64 = 10_000_000;
const LONG_BYTES: u64 = 100_000_000;
const PIECE_BYTES: usize = 64 << 10;

/// A log that is made as it is read.
struct Made<F> {
    next: F,
    line: u64,
    text: String,
    at: usize,
    left: u64,
}

impl<F: Fn(u64, &mut String)> Made<F> {
    fn new(bytes: u64, next: F) -> BufReader<Self> {
        BufReader::with_capacity(PIECE_BYTES, Self { next, line: 0, text: String::new(), at: 0, left: bytes })
    }
}

impl<F: Fn(u64, &mut String)> Read for Made<F> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        if self.at == self.text.len() {
            self.text.clear();
            self.at = 0;
            while self.text.len() < PIECE_BYTES {
                (self.next)(self.line, &mut self.text);
                self.line += 1;
            }
        }
        let most = usize::try_from(self.left).unwrap_or(usize::MAX);
        let taken = into.len().min(self.text.len() - self.at).min(most);
        into[..taken].copy_from_slice(&self.text.as_bytes()[self.at..self.at + taken]);
        self.at += taken;
        self.left -= taken as u64;
        Ok(taken)
    }
}

/// A loop of twenty instructions, run through nine times in each iteration of a longer one.
fn nested(line: u64, text: &mut String) {
    let (outer, inner) = (line % 200, line % 200 % 20);
    let index = if outer < 180 { inner } else { outer };
    let _ = writeln!(text, "{index}: (07) r6 += 1                         ; R6=P{line} R7=scalar(id={line})");
}

/// Instructions of which no two are alike.
fn unlike(line: u64, text: &mut String) {
    let _ = writeln!(text, "{line}: (07) r6 += 1                         ; R6=P{line} R7=scalar(id={line})");
}

/// The processor time for a MiB, in µs, of as many logs as are a long one together: as much is measured of each.
fn time(bytes: u64, next: impl Fn(u64, &mut String) + Copy) -> io::Result<f64> {
    let began = cpu_ns()?;
    for _ in 0..LONG_BYTES / bytes {
        let mut pieces = 0_u64;
        fold(Made::new(bytes, next), |_| pieces += 1)?;
        assert!(pieces > 0, "nothing came out");
    }
    Ok((cpu_ns()? - began) as f64 / 1e3 / (LONG_BYTES as f64 / f64::from(1 << 20)))
}

/// What this process's only thread has run: a busy host takes nothing of it.
fn cpu_ns() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/schedstat")?;
    let first = text.split(' ').next().and_then(|word| word.parse().ok());
    first.ok_or_else(|| io::Error::other("/proc/self/schedstat has no time"))
}

fn peak_kib() -> io::Result<u64> {
    let text = std::fs::read_to_string("/proc/self/status")?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
    number.ok_or_else(|| io::Error::other("/proc/self/status has no VmHWM"))
}

fn main() -> io::Result<()> {
    let rounds = std::env::args().nth(1).and_then(|word| word.parse().ok()).unwrap_or(3);
    for _ in 0..rounds {
        let mut line = String::new();
        for bytes in [SHORT_BYTES, LONG_BYTES] {
            let _ = write!(line, "{} ", time(bytes, nested)?);
        }
        for bytes in [SHORT_BYTES, LONG_BYTES] {
            let _ = write!(line, "{} ", time(bytes, unlike)?);
        }
        println!("{line}{}", peak_kib()?);
    }
    Ok(())
}
