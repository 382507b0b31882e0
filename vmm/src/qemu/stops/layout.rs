//! What the harness and the plugin share of stop points: a file that both map. The plugin is compiled with this file too.

use core::sync::atomic::AtomicU32;

/// As `ktstr_wire::MARK`, which the plugin cannot see.
pub(crate) const MARK: [u8; 8] = [0x0f, 0x1f, 0x84, 0x00, b'k', b't', b's', b't'];

/// Stop points of one machine.
pub(crate) const MAX_HOOKS: usize = 64;
/// Values that are taken at one stop point.
pub(crate) const MAX_READS: usize = 16;
/// Words of eight bytes for all values of one stop point.
pub(crate) const VALUE_WORDS: usize = 20;
/// Hits that wait for the harness. A power of two.
pub(crate) const SLOTS: u32 = 4096;
/// RAX, RBX, RCX, RDX, RSI, RDI, RBP, RSP, R8 to R15, and the base of GS.
pub(crate) const REGISTERS: usize = 17;
/// [`Read::base`]: this, plus the number of a word among the values that were taken before.
pub(crate) const BASE_VALUE: u32 = 64;
/// [`Read::base`]: nothing; the offset is the address.
pub(crate) const BASE_NONE: u32 = u32::MAX;

/// The file. All zeros is a machine without stop points.
#[repr(C)]
pub(crate) struct Shared {
    pub(crate) counts: Counts,
    pub(crate) hook: [Hook; MAX_HOOKS],
    pub(crate) hit: [Hit; SLOTS as usize],
}

/// What both sides read and write while the machine runs.
#[repr(C)]
pub(crate) struct Counts {
    /// The plugin says that this QEMU lacks what it needs for stop points.
    pub(crate) refused: AtomicU32,
    /// The plugin says that other threads of this QEMU may end vCPUs' turns, for it did not find what they do that with.
    pub(crate) disturbed: AtomicU32,
    /// Guest nanoseconds per instruction are 2 to this power; [`NOT_COUNTED`] where they are the host's.
    pub(crate) icount_shift: AtomicU32,
    /// Whether the machine is to stop at the guest's [`MARK`], once.
    pub(crate) stops_at_mark: AtomicU32,
    /// Stop points that are set. None is set once the machine runs.
    pub(crate) hooks: AtomicU32,
    /// Hits that were written, and those that the harness is through with; both wrap.
    pub(crate) written: AtomicU32,
    pub(crate) handled: AtomicU32,
    /// Whether the harness, or the machine, sleeps until the other's count changes.
    pub(crate) harness_sleeps: AtomicU32,
    pub(crate) machine_sleeps: AtomicU32,
    /// The host's CPU on which the machine waited for a callback last.
    pub(crate) machine_cpu: AtomicU32,
}

/// See [`Counts::icount_shift`].
pub(crate) const NOT_COUNTED: u32 = u32::MAX;

/// A stop point.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Hook {
    pub(crate) address: u64,
    /// Whether the machine stands still until the harness is through with the hit.
    pub(crate) stands: u32,
    pub(crate) reads: u32,
    pub(crate) read: [Read; MAX_READS],
}

/// Guest memory to be copied at a stop point.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Read {
    /// A register's number, [`BASE_VALUE`] and a word's number, or [`BASE_NONE`].
    pub(crate) base: u32,
    /// They fill whole words, with zeros behind.
    pub(crate) bytes: u32,
    pub(crate) offset: i64,
}

/// A vCPU was at a stop point.
#[repr(C)]
#[derive(Clone, Copy)]
pub(crate) struct Hit {
    pub(crate) hook: u32,
    pub(crate) vcpu: u32,
    /// Guest time since the machine started; 0 where it is the host's.
    pub(crate) time_ns: u64,
    /// Whether [`Self::register`] is filled.
    pub(crate) has_registers: u32,
    /// Bit N says that read N could be done.
    pub(crate) read: u32,
    pub(crate) register: [u64; REGISTERS],
    pub(crate) value: [u64; VALUE_WORDS],
}
