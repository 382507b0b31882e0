//! The plugin's arguments: `NAME=NUMBER`, as `-plugin FILE,NAME=NUMBER` gives them.

use core::ffi::{CStr, c_char, c_int};

/// All of them, in their order.
pub(crate) struct Arguments {
    count: usize,
    first: *const *const c_char,
}

impl Arguments {
    /// Takes what QEMU hands over.
    ///
    /// # Safety
    /// `argv` are `argc` C strings, which outlive this value.
    pub(crate) unsafe fn new(argc: c_int, argv: *const *const c_char) -> Self {
        Self { count: argc as usize, first: argv }
    }

    /// Names, each with its `=`, and numbers; what is no number is left out.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&[u8], i64)> {
        (0..self.count).filter_map(|at| {
            // SAFETY: as `new` was promised.
            let argument = unsafe { CStr::from_ptr(*self.first.add(at)) }.to_bytes();
            let (name, value) = argument.split_at_checked(argument.iter().position(|byte| *byte == b'=')? + 1)?;
            Some((name, number(value)?))
        })
    }
}

/// By hand, because the library's parsing would bring in parts of it that cannot be linked without its panics.
fn number(text: &[u8]) -> Option<i64> {
    let (sign, digits) = text.strip_prefix(b"-").map_or((1, text), |digits| (-1, digits));
    digits.iter().try_fold(0i64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(sign * i64::from(digit))
    })
}
