//! Getting a thread out of KVM_RUN, whatever its guest does.
//!
//! The flag `immediate_exit` in the page that KVM shares makes the next KVM_RUN return at once; a signal ends the one
//! that is under way, be the guest halted, spinning with interrupts off, or waiting to be started. The flag is set
//! before the signal is sent, so there is no moment at which both could be missed
//! (Documentation/virt/kvm/api.rst, "immediate_exit").

use super::Error;
use kvm_bindings::kvm_run;
use kvm_ioctls::VcpuFd;
use std::io;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use std::sync::{Mutex, Once, PoisonError};

/// Our signal, counted from the first that programs may use.
const SIGNAL_OFFSET: i32 = 5;

/// The page that KVM shares for one vCPU, mapped once more.
struct RunPage {
    page: NonNull<kvm_run>,
}

// SAFETY: only one byte of the page is ever written, by volatile stores, and KVM reads it as it comes; the mapping is this
// value's own.
unsafe impl Send for RunPage {}
// SAFETY: as for Send.
unsafe impl Sync for RunPage {}

impl RunPage {
    fn map(vcpu: &VcpuFd) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice; it aliases no Rust object, for the crate's own
        // mapping of the page is another range of addresses.
        let page = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<kvm_run>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                vcpu.as_raw_fd(),
                0,
            )
        };
        if page == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(page.cast()).map(|page| Self { page }).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    fn leave_at_once(&self) {
        // SAFETY: the field lies in the mapping, which lives as long as `self`; a byte store cannot tear.
        unsafe { (&raw mut (*self.page.as_ptr()).immediate_exit).write_volatile(1) }
    }
}

impl Drop for RunPage {
    fn drop(&mut self) {
        // SAFETY: the mapping that `map` made, of the same size, which nothing uses any more.
        unsafe { libc::munmap(self.page.as_ptr().cast(), size_of::<kvm_run>()) };
    }
}

/// The handle by which one vCPU's thread is told to leave the guest.
pub(crate) struct Kick {
    page: RunPage,
    /// The thread, while it may run the vCPU.
    tid: Mutex<Option<libc::pid_t>>,
}

impl Kick {
    /// A handle for this vCPU, which no thread runs yet.
    ///
    /// # Errors
    /// [`Error::Call`].
    pub(crate) fn new(vcpu: &VcpuFd) -> Result<Self, Error> {
        install_handler();
        let page = RunPage::map(vcpu).map_err(Error::io("map the run page of a vCPU"))?;
        Ok(Self { page, tid: Mutex::new(None) })
    }

    /// Says that the calling thread runs the vCPU, until the guard is dropped.
    pub(crate) fn attach(&self) -> Attached<'_> {
        unblock_signal();
        // SAFETY: plain system call.
        let tid = unsafe { libc::gettid() };
        *self.tid.lock().unwrap_or_else(PoisonError::into_inner) = Some(tid);
        Attached(self)
    }

    /// The thread that runs the vCPU.
    pub(crate) fn tid(&self) -> Option<u32> {
        self.tid.lock().unwrap_or_else(PoisonError::into_inner).and_then(|tid| u32::try_from(tid).ok())
    }

    /// Makes the thread leave the guest, now and each time it enters until it takes the flag back.
    pub(crate) fn kick(&self) {
        self.page.leave_at_once();
        // The lock is held over the call, so that the number is this thread's and no later one's.
        let tid = self.tid.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(tid) = *tid {
            // SAFETY: plain system call on a thread of this process; the signal has a handler since `new`.
            unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, signal()) };
        }
    }
}

/// While it lives, its thread can be kicked.
pub(crate) struct Attached<'a>(&'a Kick);

impl Drop for Attached<'_> {
    fn drop(&mut self) {
        *self.0.tid.lock().unwrap_or_else(PoisonError::into_inner) = None;
    }
}

fn signal() -> i32 {
    libc::SIGRTMIN() + SIGNAL_OFFSET
}

/// A thread inherits what its creator blocks, and programs that handle signals on one thread block them on the others.
fn unblock_signal() {
    // SAFETY: an all-zero set is valid storage for sigemptyset to fill; the calls have no other requirement.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, signal());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

extern "C" fn ignore(_: i32) {}

/// The signal must have a handler, or it would end the process, and no SA_RESTART, or KVM_RUN would go on.
fn install_handler() {
    static INSTALLED: Once = Once::new();
    INSTALLED.call_once(|| {
        // SAFETY: all-zero is a valid sigaction: no flags, an empty mask. The handler does nothing, so it is safe at any
        // moment.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = ignore as *const () as usize;
            libc::sigaction(signal(), &action, std::ptr::null_mut());
        }
    });
}
