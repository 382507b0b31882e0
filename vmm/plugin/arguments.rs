//! The plugin's arguments: `NAME=NUMBER`, as `-plugin FILE,NAME=NUMBER` gives them.

use core::ffi::{CStr, c_char, c_int};

/// The decimal number behind `name`, which ends in `=`; `None` when there is none.
///
/// # Safety
/// `argv` are `argc` C strings.
pub(crate) unsafe fn value_of(name: &CStr, argc: c_int, argv: *const *const c_char) -> Option<i64> {
    (0..argc as usize).find_map(|at| {
        // SAFETY: as the caller promises.
        let argument = unsafe { CStr::from_ptr(*argv.add(at)) };
        number(argument.to_bytes().strip_prefix(name.to_bytes())?)
    })
}

/// By hand, because the library's parsing would bring in parts of it that cannot be linked without its panics.
fn number(digits: &[u8]) -> Option<i64> {
    digits.iter().try_fold(0i64, |number, digit| {
        let digit = digit.checked_sub(b'0').filter(|digit| *digit < 10)?;
        number.checked_mul(10)?.checked_add(digit.into())
    })
}
