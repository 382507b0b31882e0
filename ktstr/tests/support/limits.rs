//! Surroundings that lack something, made for one process.

use super::Specimen;
use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;

/// The specimen may have no more than this of a resource (getrlimit(2)).
pub(crate) fn limit(specimen: &mut Specimen, resource: libc::__rlimit_resource_t, most: u64) {
    let set = move || {
        let limit = libc::rlimit { rlim_cur: most, rlim_max: most };
        // SAFETY: the limit outlives the call, which only reads it.
        check(unsafe { libc::setrlimit(resource, &raw const limit) })
    };
    // SAFETY: the closure makes one system call and nothing else.
    unsafe { specimen.command().pre_exec(set) };
}

/// The specimen gets no more threads and processes, as when the limit of its user (RLIMIT_NPROC) or its cgroup (pids.max)
/// is reached; a filter of system calls does it for any user.
pub(crate) fn refuse_threads(specimen: &mut Specimen) {
    let set = || {
        let load_number = statement(libc::BPF_LD | libc::BPF_W | libc::BPF_ABS, 0, (0, 0));
        let refuse = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ERRNO | libc::EAGAIN as u32, (0, 0));
        let allow = statement(libc::BPF_RET | libc::BPF_K, libc::SECCOMP_RET_ALLOW, (0, 0));
        let is =
            |call: i64, to_refuse| statement(libc::BPF_JMP | libc::BPF_JEQ | libc::BPF_K, call as u32, (to_refuse, 0));
        let mut program = [
            load_number,
            is(libc::SYS_clone, 4),
            is(libc::SYS_clone3, 3),
            is(libc::SYS_fork, 2),
            is(libc::SYS_vfork, 1),
            allow,
            refuse,
        ];
        let filter = libc::sock_fprog { len: program.len() as u16, filter: program.as_mut_ptr() };
        // SAFETY: system calls on a program that outlives them.
        unsafe {
            check(libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))?;
            check(libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter))
        }
    };
    // SAFETY: the closure makes system calls and allocates nothing.
    unsafe { specimen.command().pre_exec(set) };
}

/// The specimen finds a disk of this size (tmpfs(5)) at this directory, in a mount namespace of its own.
pub(crate) fn small_disk(specimen: &mut Specimen, dir: &Path, size: &'static CStr) {
    let target = CString::new(dir.as_os_str().as_bytes()).unwrap();
    // SAFETY: no arguments, cannot fail.
    let (uid, gid) = unsafe { (libc::getuid(), libc::getgid()) };
    let (uid_map, gid_map) = (format!("0 {uid} 1"), format!("0 {gid} 1"));
    let mount = move || {
        // SAFETY: plain system call.
        check(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_NEWNS) })?;
        fs::write("/proc/self/setgroups", "deny")?;
        fs::write("/proc/self/uid_map", &uid_map)?;
        fs::write("/proc/self/gid_map", &gid_map)?;
        let kind = c"tmpfs".as_ptr();
        // SAFETY: a system call on strings that outlive it.
        check(unsafe { libc::mount(kind, target.as_ptr(), kind, 0, size.as_ptr().cast()) })
    };
    // SAFETY: the closure makes system calls; what it allocates is safe because this process has just been made and its
    // parent holds no allocator lock while it spawns.
    unsafe { specimen.command().pre_exec(mount) };
}

fn statement(code: u32, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

fn check(done: i32) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
