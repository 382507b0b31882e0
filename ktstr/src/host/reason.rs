//! An error in words: what failed, why, and what to do where the host is short of something.

use std::error::Error;

/// An error with what caused it.
pub(crate) fn reason(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(cause) = source {
        let cause_text = cause.to_string();
        // A transparent error and its source say the same.
        if !text.ends_with(&cause_text) {
            text.push_str(": ");
            text.push_str(&cause_text);
        }
        source = cause.source();
    }
    match errno(&text).and_then(advice) {
        Some(advice) => format!("{text} ({advice})"),
        None => text,
    }
}

/// Whether it is the host that is short of something, or does not allow it.
pub(crate) fn is_of_host(error: &dyn Error) -> bool {
    let refuses = |errno| advice(errno).is_some() || [libc::EACCES, libc::EPERM].contains(&errno);
    errno(&reason(error)).is_some_and(refuses)
}

/// The number in the words of the standard library, which are in those of every library above it.
fn errno(text: &str) -> Option<i32> {
    let (_, number) = text.rsplit_once("(os error ")?;
    number.split(')').next()?.parse().ok()
}

/// What to do about what the host lacks.
fn advice(errno: i32) -> Option<&'static str> {
    match errno {
        libc::ENOMEM => Some(
            "free host memory, raise `ulimit -v` or the memory limit of the cgroup, or declare less with `memory_mb`",
        ),
        libc::EMFILE => Some("raise `ulimit -n`: a machine takes a few files, and under kvm one for each vCPU"),
        libc::ENFILE => Some("raise the host's limit of open files, `sysctl fs.file-max`"),
        libc::EAGAIN => Some("raise `ulimit -u` or pids.max of the cgroup, or end what runs beside this"),
        libc::EFBIG => Some("raise `ulimit -f`: a machine's memory is a file"),
        libc::ENOSPC | libc::EDQUOT => {
            Some("make room on the disk that KTSTR_CACHE_DIR and the target directory are on")
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    #[derive(Debug, thiserror::Error)]
    enum Outer {
        #[error(transparent)]
        Same(#[from] Inner),
        #[error("cannot begin")]
        Begin(#[source] Inner),
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open: {0}")]
    struct Inner(#[source] io::Error);

    fn check(error: &dyn Error, expected: &str) {
        assert_eq!(reason(error), expected);
    }

    #[test]
    fn says_each_cause_once_and_what_to_do() {
        let refused = || Inner(io::Error::from_raw_os_error(libc::EACCES));
        check(&Outer::from(refused()), "cannot open: Permission denied (os error 13)");
        check(&Outer::Begin(refused()), "cannot begin: cannot open: Permission denied (os error 13)");
        let advised = reason(&Outer::Begin(Inner(io::Error::from_raw_os_error(libc::EMFILE))));
        assert!(advised.starts_with("cannot begin: cannot open: Too many open files (os error 24) (raise `ulimit -n`"));
    }

    #[test]
    fn knows_whose_it_is() {
        let of = |errno| is_of_host(&Outer::Begin(Inner(io::Error::from_raw_os_error(errno))));
        assert!(of(libc::EMFILE) && of(libc::EACCES) && !of(libc::ENOENT) && !of(libc::EIO));
    }
}
