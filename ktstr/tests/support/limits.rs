//! Surroundings that lack something, made for one process.

use super::Specimen;
use std::io;
use std::os::unix::process::CommandExt;

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

fn statement(code: u32, k: u32, (jt, jf): (u8, u8)) -> libc::sock_filter {
    libc::sock_filter { code: code as u16, jt, jf, k }
}

fn check(done: i32) -> io::Result<()> {
    if done == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
