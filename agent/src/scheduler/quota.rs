//! How much of the kernel's log is told.

/// The most lines and bytes of one kind.
struct Limit {
    lines: u64,
    bytes: u64,
}

/// What is about sched_ext, and warnings and worse.
const IMPORTANT: Limit = Limit { lines: 8192, bytes: 1 << 20 };

/// Everything else.
const OTHER: Limit = Limit { lines: 1024, bytes: 128 << 10 };

/// The level of warnings (include/linux/kern_levels.h); lower ones are worse.
const WARNING: u8 = 4;

/// What has been told so far.
#[derive(Default)]
pub(super) struct Quota {
    important: Used,
    other: Used,
    left_out: u64,
}

#[derive(Default)]
struct Used {
    lines: u64,
    bytes: u64,
}

impl Quota {
    /// Whether a line of this level is told; counts it as told or as left out.
    pub(super) fn takes(&mut self, level: u8, line: &str) -> bool {
        let important = level <= WARNING || line.contains("sched_ext");
        let (used, limit) = if important { (&mut self.important, IMPORTANT) } else { (&mut self.other, OTHER) };
        let takes = used.take(line.len() as u64, &limit);
        self.left_out += u64::from(!takes);
        takes
    }

    /// How many were left out since this was last asked.
    pub(super) fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }
}

impl Used {
    fn take(&mut self, bytes: u64, limit: &Limit) -> bool {
        let fits = self.lines < limit.lines && self.bytes + bytes <= limit.bytes;
        if fits {
            self.lines += 1;
            self.bytes += bytes;
        }
        fits
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(level: u8, line: &str, lines: u64, told: u64) {
        let mut quota = Quota::default();
        let taken = (0..lines).filter(|_| quota.takes(level, line)).count() as u64;
        assert_eq!((taken, quota.take_left_out()), (told, lines - told), "{level} {line:.20}");
        assert_eq!(quota.take_left_out(), 0);
    }

    #[test]
    fn chatter_is_cut_long_before_what_matters() {
        check(6, "usb 1-1: new device", 2000, OTHER.lines);
        check(6, "sched_ext: something", 2000, 2000);
        check(4, "a warning", 10_000, IMPORTANT.lines);
        check(5, &"long ".repeat(2000), 100, OTHER.bytes / 10_000);
    }

    #[test]
    fn chatter_takes_nothing_from_what_matters() {
        let mut quota = Quota::default();
        while quota.takes(6, "chatter") {}
        assert!(quota.takes(4, "a warning") && quota.takes(6, "sched_ext: x"));
        assert_eq!(quota.take_left_out(), 1);
    }
}
