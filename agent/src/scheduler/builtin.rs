//! Schedulers that are in the kernel, and are turned on and off by its files.

use anyhow::{Context, Result, anyhow};
use std::fs::File;
use std::io::Write;

/// Turns one on, all of it or nothing.
///
/// # Errors
/// The first value that cannot be written, and what is left on because of it.
pub(super) fn turn_on(enable: &[(String, String)], disable: &[(String, String)]) -> Result<()> {
    set(enable).map_err(|error| match set(disable) {
        Ok(()) => error,
        Err(left) => anyhow!("{error:#}; what had been turned on before may still be on: {left:#}"),
    })
}

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
    use std::os::fd::AsRawFd;

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

    #[test]
    fn what_is_half_on_is_turned_off() {
        let feature = rustix::fs::memfd_create("feature", rustix::fs::MemfdFlags::CLOEXEC).unwrap();
        let file = format!("/proc/self/fd/{}", feature.as_raw_fd());
        let value = |path: &str, value: &str| (path.to_owned(), value.to_owned());
        let enable = [value(&file, "1"), value("/dev/full", "1")];
        let error = turn_on(&enable, &[value(&file, "0")]).unwrap_err();
        assert_eq!(format!("{error:#}"), "cannot write \"1\" to /dev/full: No space left on device (os error 28)");
        assert_eq!(std::fs::read_to_string(&file).unwrap(), "0");
        let error = turn_on(&enable, &[value("/dev/full", "0")]).unwrap_err();
        assert!(error.to_string().contains("may still be on: cannot write \"0\" to /dev/full"), "{error:#}");
    }
}
