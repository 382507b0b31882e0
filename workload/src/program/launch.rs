//! From a program's name to its first instruction.

use super::Program;
use crate::error::Error;
use crate::team::pipe;
use std::ffi::{CString, OsStr, OsString};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::ptr::null;

/// Variables for the test itself, such as the one that names its way to the host.
const OWN_VARIABLES: &str = "KTSTR_";

/// How a shell's user knows a program that could not be started.
const CANNOT_START: i32 = 127;

/// All that execve(2) takes, made before the fork.
#[derive(Debug)]
pub(crate) struct Launch {
    path: CString,
    args: Vec<CString>,
    env: Vec<CString>,
    failure: String,
}

/// The pipes for what it prints.
pub(crate) struct Outputs {
    pub(super) from: [OwnedFd; 2],
    pub(super) into: [OwnedFd; 2],
}

/// Pointers into a [`Launch`], and the pipes' ends.
pub(crate) struct ExecArgs {
    args: Vec<*const libc::c_char>,
    env: Vec<*const libc::c_char>,
    streams: [RawFd; 2],
}

impl Outputs {
    pub(crate) fn new() -> io::Result<Self> {
        let ((out_from, out_into), (err_from, err_into)) = (pipe()?, pipe()?);
        Ok(Self { from: [out_from, err_from], into: [out_into, err_into] })
    }
}

impl Launch {
    /// Looks for the program, and checks what else could be wrong with it.
    pub(crate) fn prepare(program: &Program) -> Result<Self, Error> {
        program.metrics.iter().try_for_each(|metric| metric.regex().map(drop))?;
        let path = find(&program.name, &std::env::var_os("PATH").unwrap_or_default())?;
        let own = |name: &OsStr| name.as_bytes().starts_with(OWN_VARIABLES.as_bytes());
        let inherited = std::env::vars_os().filter(|(name, _)| !own(name));
        let added = program.env.iter().map(|(name, value)| (OsString::from(name), OsString::from(value)));
        let set = |name: &OsStr| program.env.iter().any(|(other, _)| OsStr::new(other) == name);
        let env = inherited.filter(|(name, _)| !set(name)).chain(added).map(|(name, value)| {
            let text = [name.as_bytes(), b"=", value.as_bytes()].concat();
            c_string(&program.name, text)
        });
        let args = std::iter::once(&program.name).chain(&program.args);
        Ok(Self {
            failure: format!("cannot start {}: execve(2) failed\n", path.display()),
            path: c_string(&program.name, path.into_os_string().into_vec())?,
            args: args.map(|arg| c_string(&program.name, arg.clone().into_bytes())).collect::<Result<_, _>>()?,
            env: env.collect::<Result<_, _>>()?,
        })
    }

    /// What a process that prints to these pipes needs for [`Launch::exec`].
    pub(crate) fn exec_args(&self, outputs: &Outputs) -> ExecArgs {
        let pointers = |list: &[CString]| list.iter().map(|text| text.as_ptr()).chain([null()]).collect();
        let streams = [&outputs.into[0], &outputs.into[1]].map(AsRawFd::as_raw_fd);
        ExecArgs { args: pointers(&self.args), env: pointers(&self.env), streams }
    }

    /// Becomes the program, in a process group of its own. Between `fork` and `execve`: no allocation, no locks.
    pub(crate) fn exec(&self, ExecArgs { args, env, streams }: &ExecArgs) -> ! {
        // SAFETY: system calls on descriptors of this process and on texts that end in zero, in lists that end in null. What
        // the test has open is closed, and signals that it ignores are not ignored by the program.
        unsafe {
            libc::setpgid(0, 0);
            let empty = libc::open(c"/dev/null".as_ptr(), libc::O_RDONLY);
            libc::dup2(empty, libc::STDIN_FILENO);
            libc::dup2(streams[0], libc::STDOUT_FILENO);
            libc::dup2(streams[1], libc::STDERR_FILENO);
            libc::syscall(libc::SYS_close_range, 3, u32::MAX, libc::CLOSE_RANGE_CLOEXEC);
            libc::signal(libc::SIGPIPE, libc::SIG_DFL);
            libc::execve(self.path.as_ptr(), args.as_ptr(), env.as_ptr());
            libc::write(libc::STDERR_FILENO, self.failure.as_ptr().cast(), self.failure.len());
            libc::_exit(CANNOT_START)
        }
    }
}

fn c_string(name: &str, bytes: Vec<u8>) -> Result<CString, Error> {
    CString::new(bytes).map_err(|_| Error::ZeroByte { program: name.to_owned() })
}

/// Where a program is: the path that is given, or its file name on the search path, by which packed programs go.
fn find(name: &str, search_path: &OsStr) -> Result<PathBuf, Error> {
    let given = name.contains('/').then(|| PathBuf::from(name));
    let file_name = Path::new(name).file_name().unwrap_or_default();
    let places: Vec<PathBuf> =
        given.into_iter().chain(std::env::split_paths(search_path).map(|dir| dir.join(file_name))).collect();
    let is_program =
        |path: &&PathBuf| path.metadata().is_ok_and(|meta| meta.is_file() && meta.permissions().mode() & 0o111 != 0);
    places.iter().find(is_program).cloned().ok_or_else(|| Error::NoProgram {
        name: name.to_owned(),
        looked: places.iter().map(|place| place.display().to_string()).collect::<Vec<_>>().join(", "),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_that_is_not_here_is_known_by_its_file_name() {
        let search = OsStr::new("/absent:/bin");
        assert_eq!(find("sh", search).unwrap(), Path::new("/bin/sh"));
        assert_eq!(find("./target/sh", search).unwrap(), Path::new("/bin/sh"));
        let own = std::env::current_exe().unwrap();
        assert_eq!(find(own.to_str().unwrap(), search).unwrap(), own);
        let error = find("a-program-that-nobody-has", search).unwrap_err().to_string();
        assert!(error.contains("programs = [\"a-program-that-nobody-has\"]"), "{error}");
        assert!(error.contains("/absent/a-program-that-nobody-has, /bin/a-program-that-nobody-has"), "{error}");
    }

    #[test]
    fn what_could_not_start_is_told_before() {
        let error = |program: &Program| Launch::prepare(program).unwrap_err().to_string();
        assert!(error(&Program::new("sh").metric("m", "(")).contains("no regular expression"));
        assert!(error(&Program::new("sh").arg("a\0b")).contains("zero byte"));
    }
}
