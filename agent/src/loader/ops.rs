//! `BPF_MAP_UPDATE_ELEM` of a scheduler's operations, with another watchdog.
//!
//! libbpf gives the kernel a `struct_ops` by an update of its map. The value is a structure of the kernel around the
//! operations (`struct bpf_struct_ops_sched_ext_ops`), so where the watchdog's time is in it is asked of the kernel's BTF.

use super::attr::Attr;
use super::call::{Call, Halt, Room};
use super::memory;
use super::news::{News, Teller};
use super::ptrace::Tracee;
use crate::bpf::{MapInfo, STRUCT_OPS, map_info};
use anyhow::{Context, Result};
use ktstr_btf::{STRUCT, Types};
use libc::c_void;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::process::{PidfdFlags, PidfdGetfdFlags, pidfd_getfd, pidfd_open};
use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::null_mut;

const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";
/// Where the block is in the room; the value is behind.
const VALUE_AT: u64 = 4096;
/// `struct sched_ext_ops` has less than two thousand.
const MAX_VALUE_BYTES: u32 = 1 << 20;

/// The watchdog that is asked for, and where it goes.
pub(super) struct Watchdog {
    timeout_ms: u32,
    /// The type of the value, in the kernel's BTF.
    value_type_id: u32,
    /// Where `timeout_ms` is in the value, in bytes.
    offset_bytes: u32,
}

impl Watchdog {
    /// Asks the running kernel where the value is.
    pub(super) fn new(timeout_ms: u32) -> Result<Self> {
        let btf = KernelBtf::open().with_context(|| format!("cannot read {KERNEL_BTF}"))?;
        let types = Types::parse(btf.bytes()).with_context(|| format!("cannot use {KERNEL_BTF}"))?;
        let (value_type_id, offset_bytes) = place(&types)?;
        Ok(Self { timeout_ms, value_type_id, offset_bytes })
    }

    /// Whether an update is of a scheduler's operations: the map, then.
    pub(super) fn concerns(&self, tracee: Tracee, attr: &Attr) -> Option<MapInfo> {
        // What is no map of the program's is the kernel's to refuse.
        let map = descriptor(tracee, attr.map_fd()).ok()?;
        let info = map_info(map.as_fd()).ok()?;
        let is_ops = info.kind == STRUCT_OPS && info.kernel_value_type_id == self.value_type_id;
        let fits = (self.offset_bytes + 4..=MAX_VALUE_BYTES).contains(&info.value_bytes);
        (is_ops && fits).then_some(info)
    }

    /// Makes the update, with the watchdog in a copy of the value.
    pub(super) fn update(&self, mut call: Call, attr: &Attr, map: &MapInfo, teller: &mut Teller) -> Result<(), Halt> {
        let (tracee, own) = (call.tracee, call.entry.args);
        let mut value = vec![0; map.value_bytes as usize];
        if memory::read(tracee.0, attr.value(), &mut value).is_err() {
            // The kernel cannot read it either.
            return call.give_up();
        }
        let at = self.offset_bytes as usize;
        value[at..at + 4].copy_from_slice(&self.timeout_ms.to_ne_bytes());
        let room = match Room::map(&mut call, VALUE_AT + u64::from(map.value_bytes))? {
            Ok(room) => room,
            // Nothing is told, so the agent will complain.
            Err(_) => return call.give_up(),
        };
        let mut changed = attr.clone();
        changed.set_value(room.address + VALUE_AT);
        memory::write(tracee.0, room.address, changed.bytes()).map_err(Halt::Failed)?;
        memory::write(tracee.0, room.address + VALUE_AT, &value).map_err(Halt::Failed)?;
        let result = call.make_own([own[0], room.address, changed.bytes().len() as u64, own[3], own[4], own[5]])?;
        room.unmap(&mut call)?;
        call.finish(result)?;
        if result == 0 {
            teller.tell(&News::WatchdogSet).map_err(Halt::Failed)?;
        }
        Ok(())
    }
}

/// The bytes of the kernel's BTF: mapped where the kernel allows it (since Linux 6.16), for a read of that file gives a page
/// at most, and there are more than a thousand.
enum KernelBtf {
    Mapped(*mut c_void, usize),
    Read(Vec<u8>),
}

impl KernelBtf {
    fn open() -> io::Result<Self> {
        let mut file = File::open(KERNEL_BTF)?;
        let bytes = file.metadata()?.len() as usize;
        // SAFETY: a new mapping at an address of the kernel's choice.
        if let Ok(start) = unsafe { mmap(null_mut(), bytes, ProtFlags::READ, MapFlags::PRIVATE, &file, 0) } {
            return Ok(Self::Mapped(start, bytes));
        }
        let mut section = Vec::with_capacity(bytes);
        file.read_to_end(&mut section)?;
        Ok(Self::Read(section))
    }

    fn bytes(&self) -> &[u8] {
        match self {
            // SAFETY: mapped by `open` until it is dropped; the kernel does not change its own BTF.
            Self::Mapped(start, bytes) => unsafe { std::slice::from_raw_parts(start.cast(), *bytes) },
            Self::Read(section) => section,
        }
    }
}

impl Drop for KernelBtf {
    fn drop(&mut self) {
        if let Self::Mapped(start, bytes) = *self {
            // SAFETY: mapped by `open`, and nobody else has it. Failing leaves it mapped.
            let _ = unsafe { munmap(start, bytes) };
        }
    }
}

/// The type of a value, and where the time is in it.
fn place(types: &Types<'_>) -> Result<(u32, u32)> {
    let find = |name: &str| types.find(STRUCT, name).with_context(|| format!("{KERNEL_BTF} has no struct {name}"));
    let (value, ops) = (find("bpf_struct_ops_sched_ext_ops")?, find("sched_ext_ops")?);
    let offset = |holder, name: &str| {
        types.member_offset(holder, name).with_context(|| format!("{KERNEL_BTF} does not tell where {name} is"))
    };
    Ok((value.id, offset(&value, "data")? + offset(&ops, "timeout_ms")?))
}

/// A descriptor of the tracee's, as one of our own.
pub(super) fn descriptor(tracee: Tracee, number: i32) -> Result<OwnedFd> {
    // A thread's own pidfd is known since Linux 6.9 (PIDFD_THREAD), and sched_ext since 6.12.
    let thread = PidfdFlags::from_bits_retain(libc::PIDFD_THREAD);
    let process = pidfd_open(tracee.0, thread).context("cannot open a thread of the scheduler")?;
    pidfd_getfd(process, number, PidfdGetfdFlags::empty())
        .with_context(|| format!("cannot take descriptor {number} of the scheduler"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_btf::builder::Builder;

    fn check(build: impl FnOnce(&mut Builder), expected: Result<(u32, u32), &str>) {
        let mut btf = Builder::default();
        build(&mut btf);
        let section = btf.section();
        let found = place(&Types::parse(&section).unwrap());
        assert_eq!(found.map_err(|error| error.to_string()), expected.map_err(|text| format!("{KERNEL_BTF} {text}")));
    }

    #[test]
    fn the_place_is_the_sum_of_two_offsets() {
        let build = |btf: &mut Builder| {
            let ops =
                btf.members("sched_ext_ops", STRUCT, 400, &[("select_cpu", [0, 0]), ("timeout_ms", [0, 352 * 8])]);
            btf.members("bpf_struct_ops_sched_ext_ops", STRUCT, 512, &[("common", [0, 0]), ("data", [ops, 512])]);
        };
        check(build, Ok((2, 64 + 352)));
    }

    #[test]
    fn a_kernel_that_does_not_know_is_told_of() {
        check(|btf| _ = btf.members("other", STRUCT, 8, &[]), Err("has no struct bpf_struct_ops_sched_ext_ops"));
        let build = |btf: &mut Builder| {
            btf.members("sched_ext_ops", STRUCT, 8, &[]);
            btf.members("bpf_struct_ops_sched_ext_ops", STRUCT, 512, &[("data", [1, 512])]);
        };
        check(build, Err("does not tell where timeout_ms is"));
    }
}
