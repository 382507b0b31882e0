//! Stop points under emulation: the harness's end of what it shares with the plugin, and the thread that calls back.

mod caller;
pub(super) mod layout;
pub(super) mod looks;

use crate::config::Pace;
use crate::memfd;
use crate::memory::GuestRam;
use crate::qemu::args::ICOUNT_SHIFT;
use crate::stops::{Base, Callback, Error, Hook, MAX_READS, MAX_VALUE_BYTES};
use caller::Caller;
use layout::{BASE_NONE, BASE_VALUE, Counts, MAX_HOOKS, NOT_COUNTED, SLOTS, Shared, VALUE_WORDS};
use std::fs::File;
use std::io;
use std::os::fd::{AsRawFd, RawFd};
use std::ptr::NonNull;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

const _: () = assert!(MAX_READS == layout::MAX_READS && MAX_VALUE_BYTES == VALUE_WORDS * 8);
const _: () = assert!(u64::from_le_bytes(layout::MARK) == u64::from_le_bytes(ktstr_wire::MARK));

/// All stop points of one machine.
pub(super) struct Stops {
    file: File,
    shared: Arc<Mapping>,
    hooks: Vec<Hook>,
    thread: Option<JoinHandle<()>>,
    state: Arc<State>,
}

/// What the thread and its owner share.
#[derive(Default)]
struct State {
    /// The machine is gone: nothing is written any more.
    over: AtomicBool,
    /// Why a callback could not be made.
    failure: Mutex<Option<String>>,
}

impl Stops {
    /// None yet.
    ///
    /// # Errors
    /// What the host returned.
    pub(super) fn new(pace: Pace) -> io::Result<Self> {
        let file = memfd::create(c"ktstr-stops")?;
        file.set_len(size_of::<Shared>() as u64)?;
        let shared = Mapping::new(&file)?;
        let shift = if pace == Pace::Instructions { ICOUNT_SHIFT } else { NOT_COUNTED };
        shared.counts().icount_shift.store(shift, Ordering::SeqCst);
        Ok(Self { file, shared: Arc::new(shared), hooks: Vec::new(), thread: None, state: Arc::default() })
    }

    /// What the plugin maps.
    pub(super) fn raw_fd(&self) -> RawFd {
        self.file.as_raw_fd()
    }

    /// Has the machine stop at the guest's mark; false where this QEMU lacks what that needs.
    pub(super) fn stop_at_mark(&self) -> bool {
        self.shared.counts().stops_at_mark.store(1, Ordering::SeqCst);
        !self.is_refused()
    }

    /// Whether this QEMU lacks functions that the plugin calls.
    fn is_refused(&self) -> bool {
        self.shared.counts().refused.load(Ordering::SeqCst) != 0
    }

    /// Whether this QEMU lacks what keeps a run from being another on a busy host; known once the machine runs.
    pub(super) fn are_disturbed(&self) -> bool {
        let counts = self.shared.counts();
        counts.icount_shift.load(Ordering::SeqCst) != NOT_COUNTED
            && (self.is_refused() || counts.disturbed.load(Ordering::SeqCst) != 0)
    }

    /// Sets one, before the machine runs.
    ///
    /// # Errors
    /// Why it cannot be set.
    pub(super) fn add(&mut self, hook: Hook) -> Result<(), Error> {
        let address = hook.address;
        if self.hooks.len() == MAX_HOOKS {
            return Err(Error::TooMany { address, limit: MAX_HOOKS, accel: "emulation" });
        }
        if self.is_refused() {
            let why = "this QEMU does not export the functions that stop points need (icount_update, cpu_memory_rw_debug and \
                       others): use one that does (Debian's)";
            return Err(Error::Backend { address, why: why.to_owned() });
        }
        self.shared.set_hook(self.hooks.len(), &hook);
        self.hooks.push(hook);
        self.shared.counts().hooks.store(self.hooks.len() as u32, Ordering::SeqCst);
        Ok(())
    }

    /// Calls back from now on.
    ///
    /// # Errors
    /// When there is no thread for it.
    pub(super) fn start(&mut self, ram: &GuestRam) -> io::Result<()> {
        if self.hooks.is_empty() {
            return Ok(());
        }
        let caller = Caller {
            shared: Arc::clone(&self.shared),
            state: Arc::clone(&self.state),
            hooks: std::mem::take(&mut self.hooks),
            ram: ram.clone(),
        };
        self.thread = Some(std::thread::Builder::new().name("stop-points".into()).spawn(move || caller.run())?);
        Ok(())
    }

    /// Why no callback is made any more, and the machine stands still.
    pub(super) fn failure(&self) -> Option<String> {
        self.state.failure.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The machine is gone: returns when all callbacks have been made.
    pub(super) fn finish(&mut self) {
        self.state.over.store(true, Ordering::SeqCst);
        wake(&self.shared.counts().written);
        if let Some(thread) = self.thread.take() {
            // Callbacks that panic are caught.
            let _ = thread.join();
        }
    }
}

impl Drop for Stops {
    fn drop(&mut self) {
        self.finish();
    }
}

/// The file, mapped.
struct Mapping(NonNull<Shared>);

// SAFETY: the mapping is this value's own and not tied to a thread; see `hit` and `set_hook` for what is read and written.
unsafe impl Send for Mapping {}
// SAFETY: as for Send.
unsafe impl Sync for Mapping {}

impl Mapping {
    fn new(file: &File) -> io::Result<Self> {
        // SAFETY: a fresh mapping at an address of the kernel's choice, of a file that has this size and keeps it.
        let start = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                size_of::<Shared>(),
                libc::PROT_READ | libc::PROT_WRITE,
                libc::MAP_SHARED,
                file.as_raw_fd(),
                0,
            )
        };
        if start == libc::MAP_FAILED {
            return Err(io::Error::last_os_error());
        }
        NonNull::new(start.cast()).map(Self).ok_or_else(|| io::ErrorKind::AddrNotAvailable.into())
    }

    fn counts(&self) -> &Counts {
        // SAFETY: mapped as long as `self`; all of it are atomics.
        unsafe { &(*self.0.as_ptr()).counts }
    }

    /// A hit that was written and not yet handled.
    fn hit(&self, number: u32) -> layout::Hit {
        // SAFETY: within the mapping; plain numbers, which the emulator leaves alone until they are handled.
        unsafe {
            (&raw const (*self.0.as_ptr()).hit).cast::<layout::Hit>().add((number % SLOTS) as usize).read_volatile()
        }
    }

    /// Describes a stop point to the plugin, before the machine runs; its reads have been checked.
    fn set_hook(&self, number: usize, hook: &Hook) {
        let mut read = [layout::Read { base: BASE_NONE, bytes: 0, offset: 0 }; layout::MAX_READS];
        let mut words = Vec::new();
        for (slot, wanted) in read.iter_mut().zip(&hook.reads) {
            let base = match wanted.base {
                Base::None => BASE_NONE,
                Base::Register(register) => register as u32,
                Base::Value(number) => BASE_VALUE + words[..number].iter().sum::<u32>(),
            };
            words.push(wanted.bytes.div_ceil(8) as u32);
            *slot = layout::Read { base, bytes: wanted.bytes as u32, offset: wanted.offset };
        }
        let stands = u32::from(matches!(hook.callback, Callback::Standing(_)));
        let raw = layout::Hook { address: hook.address, stands, reads: hook.reads.len() as u32, read };
        // SAFETY: the caller has less than `MAX_HOOKS` of them; nobody else reads or writes it yet.
        unsafe { (&raw mut (*self.0.as_ptr()).hook).cast::<layout::Hook>().add(number).write_volatile(raw) };
    }
}

impl Drop for Mapping {
    fn drop(&mut self) {
        // SAFETY: the mapping that `new` made, of the same size, which nothing uses any more.
        unsafe { libc::munmap(self.0.as_ptr().cast(), size_of::<Shared>()) };
    }
}

fn wake(word: &AtomicU32) {
    // SAFETY: a system call on a word that stays mapped.
    unsafe { libc::syscall(libc::SYS_futex, word.as_ptr(), libc::FUTEX_WAKE, 1) };
}
