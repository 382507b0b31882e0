//! What the kernel says of a scheduler that it has ended.

use crate::skel::types::bss;
use std::fmt;
use std::ptr;

/// Whether the kernel's report is there: its callback writes this last.
pub(crate) fn is_there(bss: &bss) -> bool {
    // SAFETY: a reference is valid for reads. The BPF side writes it while this looks, hence volatile.
    unsafe { ptr::read_volatile(&raw const bss.exit_kind) != 0 }
}

/// The kernel's report, `struct scx_exit_info` (kernel/sched/ext/internal.h).
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Report {
    reason: String,
    message: String,
    dump: String,
}

impl Report {
    /// Reads the report; [`is_there`] must say so before.
    pub(crate) fn read(bss: &bss) -> Self {
        Self { reason: text(&bss.exit_reason), message: text(&bss.exit_message), dump: text(&bss.exit_dump) }
    }
}

/// The dump, if there is one, and the line `EXIT: reason (message)`, as schedulers of the kernel's source write it.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.dump.is_empty() {
            let rule = "=".repeat(80);
            writeln!(f, "DEBUG DUMP\n{rule}\n\n{}\n{rule}\n", self.dump.trim_end())?;
        }
        write!(f, "EXIT: {}", self.reason)?;
        match &self.message[..] {
            "" => Ok(()),
            message => write!(f, " ({message})"),
        }
    }
}

/// A C string.
fn text(chars: &[i8]) -> String {
    let bytes: Vec<u8> = chars.iter().map(|c| *c as u8).take_while(|byte| *byte != 0).collect();
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(message: &str, dump: &str, expected: &str) {
        let report = Report { reason: "runtime error".into(), message: message.into(), dump: dump.into() };
        assert_eq!(report.to_string(), expected);
    }

    #[test]
    fn reports_are_written_as_the_kernel_s_schedulers_do() {
        let rule = "=".repeat(80);
        check("", "", "EXIT: runtime error");
        check("non-existent DSQ 0x1", "", "EXIT: runtime error (non-existent DSQ 0x1)");
        check("m", "a\nb\n", &format!("DEBUG DUMP\n{rule}\n\na\nb\n{rule}\n\nEXIT: runtime error (m)"));
    }

    #[test]
    fn texts_end_at_their_first_zero_or_with_their_array() {
        assert_eq!(text(&[0x61, 0x62, 0, 0x63]), "ab");
        assert_eq!(text(&[0x61, 0x62]), "ab");
    }
}
