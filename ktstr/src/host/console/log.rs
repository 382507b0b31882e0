//! The console with the host's times: in a file beside the record, and live for who watches.

use super::ends::Tail;
use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Write};
use std::path::Path;
use std::time::Duration;

/// How much the file takes as it comes, and how much of the end when there is more: a flood fills no disk.
const HEAD_BYTES: u64 = 64 << 20;
const TAIL_BYTES: usize = 4 << 20;

/// Where the lines go.
#[derive(Debug, Default)]
pub(crate) struct Log {
    file: Option<Bounded>,
    /// Standard error's lines begin with this.
    live: Option<String>,
}

#[derive(Debug)]
struct Bounded {
    file: BufWriter<File>,
    room_bytes: u64,
    tail: Tail,
}

impl Log {
    /// A new file in `dir` for a console, and its name, which begins with `stem`.
    ///
    /// # Errors
    /// What creating the directory or the file returned.
    pub(crate) fn create(dir: &Path, stem: &str) -> io::Result<(Self, String)> {
        std::fs::create_dir_all(dir)?;
        for number in 1.. {
            let suffix = if number == 1 { String::new() } else { format!(".{number}") };
            let name = format!("{stem}{suffix}.console.log");
            match File::create_new(dir.join(&name)) {
                Ok(file) => return Ok((Self { file: Some(Bounded::new(file)), live: None }, name)),
                Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
                Err(error) => return Err(error),
            }
        }
        unreachable!("the numbers do not end")
    }

    /// The same, which also goes to standard error as it comes.
    pub(crate) fn live(mut self, test: &str) -> Self {
        self.live = Some(test.to_owned());
        self
    }

    /// One line, with or without its end, and when it began.
    pub(super) fn write(&mut self, line: &[u8], at: Duration) {
        let text = String::from_utf8_lossy(line);
        let stamped = format!("[{:12.6}] {}\n", at.as_secs_f64(), text.trim_end());
        if let Some(test) = &self.live {
            // Not by a macro: a test runner would keep that until the test has ended.
            let _ = io::stderr().write_all(format!("{test} {stamped}").as_bytes());
        }
        let written = self.file.as_mut().map_or(Ok(()), |file| file.write(stamped.as_bytes()));
        self.give_up_on(written);
    }

    /// What has been written can be read.
    pub(super) fn flush(&mut self) {
        let flushed = self.file.as_mut().map_or(Ok(()), |bounded| bounded.file.flush());
        self.give_up_on(flushed);
    }

    /// Nothing follows.
    pub(super) fn end(mut self) {
        let ended = self.file.take().map_or(Ok(()), Bounded::end);
        self.give_up_on(ended);
    }

    /// A full disk costs the file, not the verdict, which is made from what is in memory.
    fn give_up_on(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            eprintln!("ktstr: warning: the file of the console ends here: {error}");
            self.file = None;
        }
    }
}

impl Bounded {
    fn new(file: File) -> Self {
        Self { file: BufWriter::new(file), room_bytes: HEAD_BYTES, tail: Tail::new(TAIL_BYTES) }
    }

    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        match self.room_bytes.checked_sub(line.len() as u64) {
            Some(left) => {
                self.room_bytes = left;
                self.file.write_all(line)
            }
            None => {
                self.room_bytes = 0;
                self.tail.push(line);
                Ok(())
            }
        }
    }

    fn end(mut self) -> io::Result<()> {
        self.file.write_all(&self.tail.into_bytes())?;
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_has_times_and_both_ends_of_a_flood() {
        let dir = tempfile::tempdir().unwrap();
        let (mut log, name) = Log::create(dir.path(), "a.b").unwrap();
        assert_eq!(name, "a.b.console.log");
        log.write(b"first\r\n", Duration::from_millis(1500));
        let line = [b'x'; 1 << 20];
        (0..80).for_each(|_| log.write(&line, Duration::ZERO));
        log.write(b"last", Duration::from_secs(2));
        log.end();
        let text = std::fs::read_to_string(dir.path().join(name)).unwrap();
        assert!(text.starts_with("[    1.500000] first\n"), "{}", &text[..40]);
        assert!(text.ends_with("[    2.000000] last\n"));
        assert!(text.contains(" bytes are left out here]\n"));
        assert!(text.len() < HEAD_BYTES as usize + TAIL_BYTES + 200);
    }

    #[test]
    fn a_second_run_has_a_file_of_its_own() {
        let dir = tempfile::tempdir().unwrap();
        let names = [(); 2].map(|()| Log::create(dir.path(), "a").unwrap().1);
        assert_eq!(names, ["a.console.log", "a.2.console.log"]);
    }
}
