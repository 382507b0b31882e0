//! ptrace(2), as much of it as is used.

use libc::{c_uint, c_void, user_regs_struct};
use rustix::process::Pid;
use std::io;
use std::mem::{MaybeUninit, zeroed};
use std::ptr::null_mut;

/// All threads and children of what is traced are traced as well, and all die with the tracer.
const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACEEXEC
    | libc::PTRACE_O_EXITKILL;
/// `AUDIT_ARCH_X86_64` of include/uapi/linux/audit.h.
const ARCH: u32 = 0xc000_003e;
/// include/uapi/linux/ptrace.h.
const SETSIGMASK: c_uint = 0x420b;
const GETSIGMASK: c_uint = 0x420a;
/// Size of the kernel's `sigset_t`.
const SIGSET_BYTES: usize = 8;

/// What wait(2) says of a traced thread.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// It stands before or behind a system call.
    Syscall,
    /// It is to have this signal.
    Signal(i32),
    /// It has made the thread or process of `Tracee::message`.
    Child,
    /// It has become another program.
    Exec,
    /// It is stopped, by the tracer or because it is new.
    Trap,
    /// It is stopped by a signal, as a shell's job is.
    JobStop,
    /// There is no such thread any more.
    Gone,
}

impl Event {
    /// Reads the status of wait(2).
    pub(super) fn of(status: i32) -> Self {
        if !libc::WIFSTOPPED(status) {
            return Self::Gone;
        }
        let signal = libc::WSTOPSIG(status);
        match status >> 16 {
            libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Self::Trap,
            libc::PTRACE_EVENT_STOP => Self::JobStop,
            libc::PTRACE_EVENT_EXEC => Self::Exec,
            libc::PTRACE_EVENT_CLONE | libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_VFORK => Self::Child,
            _ if signal == libc::SIGTRAP | 0x80 => Self::Syscall,
            _ => Self::Signal(signal),
        }
    }
}

/// Waits for one of the threads that this thread traces, or a child of its own.
pub(super) fn wait_any() -> io::Result<(Pid, i32)> {
    wait_for(-1)
}

fn wait_for(pid: i32) -> io::Result<(Pid, i32)> {
    loop {
        let mut status = 0;
        // SAFETY: the status is a local.
        let pid = unsafe { libc::waitpid(pid, &mut status, libc::__WALL | libc::__WNOTHREAD) };
        match Pid::from_raw(pid.max(0)) {
            Some(pid) => return Ok((pid, status)),
            None if io::Error::last_os_error().kind() == io::ErrorKind::Interrupted => {}
            None => return Err(io::Error::last_os_error()),
        }
    }
}

/// A thread that is traced. All calls but `interrupt` need it to be stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) struct Tracee(pub(super) Pid);

/// A system call that is about to be made.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) number: u64,
    pub(super) args: [u64; 6],
}

impl Tracee {
    /// From now on it is traced; it runs on until something happens.
    pub(super) fn seize(pid: Pid) -> io::Result<Self> {
        let tracee = Self(pid);
        tracee.call(libc::PTRACE_SEIZE, null_mut(), OPTIONS as usize as *mut c_void)?;
        Ok(tracee)
    }

    /// Waits for its next event.
    pub(super) fn wait(self) -> io::Result<Event> {
        match wait_for(self.0.as_raw_nonzero().get()) {
            Ok((_, status)) => Ok(Event::of(status)),
            Err(error) if error.raw_os_error() == Some(libc::ECHILD) => Ok(Event::Gone),
            Err(error) => Err(error),
        }
    }

    /// Lets it run to the next system call, with a signal if there is one for it.
    pub(super) fn resume(self, signal: i32) -> io::Result<()> {
        self.call(libc::PTRACE_SYSCALL, null_mut(), signal as usize as *mut c_void)
    }

    /// Leaves it stopped as it is by a signal, until one lets it go on.
    pub(super) fn stay_stopped(self) -> io::Result<()> {
        self.call(libc::PTRACE_LISTEN, null_mut(), null_mut())
    }

    /// Has it stop, whatever it does.
    pub(super) fn interrupt(self) -> io::Result<()> {
        self.call(libc::PTRACE_INTERRUPT, null_mut(), null_mut())
    }

    /// Traces it no more and lets it run, with a signal if there is one for it.
    pub(super) fn detach(self, signal: i32) -> io::Result<()> {
        self.call(libc::PTRACE_DETACH, null_mut(), signal as usize as *mut c_void)
    }

    /// The thread that an event is about.
    pub(super) fn message(self) -> io::Result<Option<Pid>> {
        let mut message: libc::c_ulong = 0;
        self.call(libc::PTRACE_GETEVENTMSG, null_mut(), (&raw mut message).cast())?;
        Ok(i32::try_from(message).ok().and_then(Pid::from_raw))
    }

    /// The 64-bit system call before which it stands; `None` where it stands elsewhere.
    pub(super) fn entry(self) -> io::Result<Option<Entry>> {
        // SAFETY: all zeros are a value of this type: numbers and unions of numbers.
        let mut info: libc::ptrace_syscall_info = unsafe { zeroed() };
        let size = size_of_val(&info) as *mut c_void;
        self.call(libc::PTRACE_GET_SYSCALL_INFO, size, (&raw mut info).cast())?;
        if info.op != libc::PTRACE_SYSCALL_INFO_ENTRY || info.arch != ARCH {
            return Ok(None);
        }
        // SAFETY: by `op` this is what the kernel has written.
        let entry = unsafe { info.u.entry };
        Ok(Some(Entry { number: entry.nr, args: entry.args }))
    }

    pub(super) fn registers(self) -> io::Result<user_regs_struct> {
        let mut registers = MaybeUninit::uninit();
        self.call(libc::PTRACE_GETREGS, null_mut(), registers.as_mut_ptr() as *mut c_void)?;
        // SAFETY: the kernel has written all of them.
        Ok(unsafe { registers.assume_init() })
    }

    pub(super) fn set_registers(self, registers: &user_regs_struct) -> io::Result<()> {
        self.call(libc::PTRACE_SETREGS, null_mut(), std::ptr::from_ref(registers).cast_mut().cast())
    }

    /// The signals that wait: a bit for each, from 1 on.
    pub(super) fn blocked_signals(self) -> io::Result<u64> {
        let mut set = 0u64;
        self.call(GETSIGMASK, SIGSET_BYTES as *mut c_void, (&raw mut set).cast())?;
        Ok(set)
    }

    pub(super) fn block_signals(self, mut set: u64) -> io::Result<()> {
        self.call(SETSIGMASK, SIGSET_BYTES as *mut c_void, (&raw mut set).cast())
    }

    fn call(self, request: c_uint, address: *mut c_void, data: *mut c_void) -> io::Result<()> {
        // SAFETY: each caller passes what its request takes: numbers, or a local of the size that the kernel writes.
        let result = unsafe { libc::ptrace(request, self.0.as_raw_nonzero().get(), address, data) };
        if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
    }
}
