//! Schedulers that are in the kernel, and are turned on and off by its files.

use anyhow::{Context, Result};
use std::fs::File;
use std::io::Write;

/// Writes values into files, in their order.
///
/// # Errors
/// The first that cannot be written; those behind it are not tried.
pub(super) fn set(values: &[(String, String)]) -> Result<()> {
    for (path, value) in values {
        // Made by the kernel or not at all: a file that this makes would take any value.
        let written = File::options().write(true).open(path).and_then(|mut file| file.write_all(value.as_bytes()));
        written.with_context(|| format!("cannot write {value:?} to {path}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_that_takes_no_value_is_named() {
        let value = |path: &str| (path.to_owned(), "1".to_owned());
        set(&[value("/dev/null")]).unwrap();
        let error = set(&[value("/dev/null"), value("/proc/self/absent"), value("/dev/full")]).unwrap_err();
        assert_eq!(
            format!("{error:#}"),
            "cannot write \"1\" to /proc/self/absent: No such file or directory (os error 2)"
        );
        let error = set(&[value("/dev/full")]).unwrap_err();
        assert_eq!(format!("{error:#}"), "cannot write \"1\" to /dev/full: No space left on device (os error 28)");
    }
}
