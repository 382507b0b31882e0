//! The last lines that the outer machine said, for when it has to be told what went wrong.

use std::collections::VecDeque;
use std::io::Read;
use std::sync::{Mutex, PoisonError};

const LINES: usize = 50;
const LINE_BYTES: usize = 400;

/// The last lines of the outer kernel's console and of QEMU itself.
#[derive(Debug, Default)]
pub(super) struct Console {
    lines: Mutex<VecDeque<String>>,
}

impl Console {
    /// Keeps what comes from a source until it ends.
    pub(super) fn follow(&self, mut source: impl Read) {
        let mut line = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = source.read(&mut buffer) {
            for &byte in buffer.iter().take(count) {
                match byte {
                    b'\n' => self.push(&std::mem::take(&mut line)),
                    b'\r' => {}
                    _ if line.len() < LINE_BYTES => line.push(byte),
                    _ => {}
                }
            }
        }
        if !line.is_empty() {
            self.push(&line);
        }
    }

    fn push(&self, line: &[u8]) {
        let mut lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() == LINES {
            lines.pop_front();
        }
        lines.push_back(line.escape_ascii().to_string());
    }

    /// The last lines, indented, with a heading; a note when there are none.
    pub(super) fn tail(&self) -> String {
        let lines = self.lines.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.is_empty() {
            return "the machine's console is empty".into();
        }
        lines
            .iter()
            .fold(String::from("last lines of the machine's console:"), |text, line| format!("{text}\n  {line}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keeps_the_last_lines() {
        let console = Console::default();
        let text: String = (0..100).map(|n| format!("line {n}\r\n")).collect();
        console.follow(text.as_bytes());
        console.follow(b"cut \x1b off".as_slice());
        let tail = console.tail();
        assert!(tail.ends_with("  line 98\n  line 99\n  cut \\x1b off"), "{tail}");
        assert_eq!(tail.lines().count(), LINES + 1);
    }

    #[test]
    fn an_endless_line_takes_no_memory() {
        let console = Console::default();
        console.follow(vec![b'x'; 100_000].as_slice());
        assert!(console.tail().len() < 2 * LINE_BYTES);
    }
}
