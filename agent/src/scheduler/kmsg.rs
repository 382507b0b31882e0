//! The kernel's log as it grows (Documentation/ABI/testing/dev-kmsg).

use anyhow::{Context, Result};
use rustix::fs::{OFlags, SeekFrom, seek};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;

const DEVICE: &str = "/dev/kmsg";

/// The kernel gives no longer record (include/linux/printk.h, `PRINTK_MESSAGE_MAX`, and what goes around the text).
const RECORD_BYTES: usize = 8 << 10;

/// Records that come after it was opened.
pub(super) struct Kmsg {
    device: File,
    /// The number that the next record has if none is missed.
    next_seq: Option<u64>,
    /// How many the kernel had overwritten, or could not give.
    overwritten: u64,
}

/// One record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    /// 0 for an emergency to 7 for debugging (include/linux/kern_levels.h).
    pub(super) level: u8,
    /// 0 is the kernel; what programs write here has others.
    facility: u64,
    seq: u64,
    /// By the kernel's clock for its log, which begins with `CLOCK_MONOTONIC` and stays near it.
    pub(super) at_ns: u64,
    /// May have several lines.
    pub(super) text: String,
}

impl Kmsg {
    /// Opens it at its end.
    pub(super) fn open() -> Result<Self> {
        let mut options = File::options();
        options.read(true).custom_flags(OFlags::NONBLOCK.bits().cast_signed());
        let device = options.open(DEVICE).with_context(|| format!("cannot open {DEVICE}"))?;
        seek(&device, SeekFrom::End(0)).with_context(|| format!("cannot go to the end of {DEVICE}"))?;
        Ok(Self { device, next_seq: None, overwritten: 0 })
    }

    /// The next record of the kernel's own, if there is one now.
    pub(super) fn next(&mut self) -> Result<Option<Record>> {
        let mut bytes = [0; RECORD_BYTES];
        loop {
            let count = match self.device.read(&mut bytes) {
                Ok(count) => count,
                // The next read gives the oldest that is still there; its number tells how many are not.
                Err(error) if error.raw_os_error() == Some(libc::EPIPE) => {
                    self.overwritten += u64::from(self.next_seq.is_none());
                    continue;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error).with_context(|| format!("cannot read {DEVICE}")),
            };
            let Some(record) = bytes.get(..count).and_then(parse) else {
                self.overwritten += 1;
                continue;
            };
            let expected = self.next_seq.replace(record.seq.saturating_add(1)).unwrap_or(record.seq);
            self.overwritten += record.seq.saturating_sub(expected);
            if record.facility == 0 {
                return Ok(Some(record));
            }
        }
    }

    /// How many were missed since this was last asked.
    pub(super) fn take_overwritten(&mut self) -> u64 {
        std::mem::take(&mut self.overwritten)
    }
}

impl AsFd for Kmsg {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.device.as_fd()
    }
}

/// `PRIORITY,SEQUENCE,MICROSECONDS,FLAGS[,…];TEXT`, then lines with properties of the device that it is about.
fn parse(record: &[u8]) -> Option<Record> {
    let split = record.iter().position(|byte| *byte == b';')?;
    let (prefix, text) = (str::from_utf8(record.get(..split)?).ok()?, record.get(split + 1..)?);
    let mut numbers = prefix.split(',').map(|number| number.parse::<u64>().ok());
    let (priority, seq, at_us) = (numbers.next()??, numbers.next()??, numbers.next()??);
    let text = text.split(|byte| *byte == b'\n').next()?;
    Some(Record {
        level: (priority & 7) as u8,
        facility: priority >> 3,
        seq,
        at_ns: at_us.saturating_mul(1000),
        text: String::from_utf8_lossy(&unescape(text)).into_owned(),
    })
}

/// Bytes that are not printable ASCII, and the backslash, come as `\xNN`.
fn unescape(text: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [first, after @ ..] = rest {
        let escaped = match rest {
            [b'\\', b'x', high, low, ..] => hex(*high).zip(hex(*low)).map(|(high, low)| high << 4 | low),
            _ => None,
        };
        plain.push(escaped.unwrap_or(*first));
        rest = if escaped.is_some() { &rest[4..] } else { after };
    }
    plain
}

fn hex(digit: u8) -> Option<u8> {
    char::from(digit).to_digit(16).map(|digit| digit as u8)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &str, level: u8, facility: u64, seq: u64, at_ns: u64, text: &str) {
        let expected = Record { level, facility, seq, at_ns, text: text.to_owned() };
        assert_eq!(parse(record.as_bytes()), Some(expected), "{record:?}");
    }

    #[test]
    fn records_are_read() {
        let line = "sched_ext: BPF scheduler \"simple\" enabled";
        check(&format!("6,399,6314129,-;{line}\n"), 6, 0, 399, 6_314_129_000, line);
        check("4,7,5,-,caller=T1;text; more\n SUBSYSTEM=acpi\n DEVICE=+acpi:x\n", 4, 0, 7, 5000, "text; more");
        check("12,8,5,-;from a program\n", 4, 1, 8, 5000, "from a program");
        check("3,9,0,c;no end", 3, 0, 9, 0, "no end");
    }

    #[test]
    fn escapes_are_undone() {
        check("6,1,1,-;a\\x0ab\\x5cx41 \\x4 \\xzz \\", 6, 0, 1, 1000, "a\nb\\x41 \\x4 \\xzz \\");
        check("6,1,1,-;\\xc3\\xa4\\xff", 6, 0, 1, 1000, "ä\u{fffd}");
    }

    #[test]
    fn what_is_no_record_is_none() {
        for record in ["", ";", "6,1;text", "6,1,x,-;text", "-6,1,1,-;text", "6,1,1,-"] {
            assert_eq!(parse(record.as_bytes()), None, "{record:?}");
        }
    }
}
