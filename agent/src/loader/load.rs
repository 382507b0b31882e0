//! `BPF_PROG_LOAD` with a log.

use super::attr::Attr;
use super::call::{Call, Halt, Room};
use super::news::{News, Teller};
use super::ptrace::Tracee;
use super::{memory, ops};
use crate::bpf::btf_section;
use crate::bpf::prog::prog_info;
use crate::now_ns;
use anyhow::{Context, Result};
use ktstr_btf::{FUNC, Types};
use ktstr_wire::scheduler::{MAX_PIECE_BYTES, ProgramLoad};
use std::os::fd::AsFd;

/// Room for the block, in front of the log.
const HEAD_BYTES: u64 = 4096;
/// Room for the log; of a longer one the kernel keeps the end. Only what is written to takes memory, unless the program
/// has locked all that it maps, so less will do if there is not that much.
const LOG_BYTES: [u64; 2] = [64 << 20, 4 << 20];
/// libbpf tries out what the kernel can do with programs that have no name, or one of these (tools/lib/bpf/features.c);
/// those of an object have theirs.
const PROBES: [&str; 4] = ["", "libbpf_nametest", "det_arg_ctx", "global_reloc"];

/// What came of a load.
struct Outcome {
    result: i64,
    took_ns: u64,
    log: Log,
}

/// A log in the memory of the process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Log {
    address: u64,
    bytes: u64,
    lost_bytes: u64,
}

/// The name of the last program that did not load; libbpf loads it once more, with a log of its own.
pub(super) type Failed = Option<String>;

/// Whether the load is one of those of an object.
pub(super) fn is_of_interest(attr: &Attr) -> bool {
    !PROBES.contains(&&*attr.prog_name())
}

/// Loads a program with a log, and tells of it. The program sees what it would have seen without.
pub(super) fn load(
    mut call: Call,
    attr: &Attr,
    level: u32,
    failed: &mut Failed,
    teller: &mut Teller,
) -> Result<(), Halt> {
    if attr.log_level() != 0 {
        return load_with_own_log(call, attr, failed, teller);
    }
    let mut errno = 0;
    for bytes in LOG_BYTES {
        match Room::map(&mut call, HEAD_BYTES + bytes)? {
            Ok(room) => return load_with_room(call, room, attr, level, failed, teller),
            Err(why) => errno = why,
        }
    }
    let why = std::io::Error::from_raw_os_error(errno);
    let trouble = format!("no verifier log of the program {}: no memory for it, {why}", attr.prog_name());
    teller.tell(&News::Trouble(trouble)).map_err(Halt::Failed)?;
    call.give_up()
}

fn load_with_room(
    mut call: Call,
    room: Room,
    attr: &Attr,
    level: u32,
    failed: &mut Failed,
    teller: &mut Teller,
) -> Result<(), Halt> {
    let (tracee, own) = (call.tracee, call.entry.args);
    let room_bytes = (room.bytes - HEAD_BYTES) as u32;
    let mut with_log = attr.clone();
    with_log.ask_for_log(level, room.address + HEAD_BYTES, room_bytes);
    write(tracee, room.address, with_log.bytes())?;
    let start_ns = now_ns();
    let mut result = call.make_own([own[0], room.address, with_log.bytes().len() as u64, own[3], own[4], own[5]])?;
    let took_ns = now_ns().saturating_sub(start_ns);
    read(tracee, room.address, with_log.bytes_mut())?;
    let log = Log::new(room.address + HEAD_BYTES, room_bytes, with_log.log_true_size());
    // A log that is longer than its room, or that cannot be written, makes the load fail (bpf_vlog_finalize in
    // kernel/bpf/log.c). What the program is to see is what comes of it without.
    if [-i64::from(libc::ENOSPC), -i64::from(libc::EFAULT)].contains(&result) {
        result = call.make_own(own)?;
    }
    tell(tracee, attr, &Outcome { result, took_ns, log }, teller)?;
    room.unmap(&mut call)?;
    *failed = (result < 0).then(|| attr.prog_name());
    call.finish(result)
}

/// A program that asks for a log by itself is left alone, and its log is read. The one that libbpf asks for once a load
/// has failed has been told of by then.
fn load_with_own_log(mut call: Call, attr: &Attr, failed: &mut Failed, teller: &mut Teller) -> Result<(), Halt> {
    let (tracee, own) = (call.tracee, call.entry.args);
    let start_ns = now_ns();
    let result = call.make_own(own)?;
    let took_ns = now_ns().saturating_sub(start_ns);
    if *failed != Some(attr.prog_name()) {
        let mut after = attr.clone();
        read(tracee, own[1], after.bytes_mut())?;
        let (address, room_bytes) = after.log();
        let log = Log::new(address, room_bytes, after.log_true_size());
        tell(tracee, attr, &Outcome { result, took_ns, log }, teller)?;
    }
    call.finish(result)
}

impl Log {
    /// `true_bytes` counts the zero byte behind it.
    fn new(address: u64, room_bytes: u32, true_bytes: u32) -> Self {
        let there = true_bytes.min(room_bytes);
        let lost_bytes = u64::from(true_bytes - there);
        Self { address, bytes: u64::from(there.saturating_sub(1)), lost_bytes }
    }
}

fn tell(tracee: Tracee, attr: &Attr, outcome: &Outcome, teller: &mut Teller) -> Result<(), Halt> {
    let program = describe(tracee, attr, outcome).map_err(Halt::Failed)?;
    teller.tell(&News::Program(program)).map_err(Halt::Failed)?;
    let mut at = 0;
    while at < outcome.log.bytes {
        let mut piece = vec![0; (outcome.log.bytes - at).min(MAX_PIECE_BYTES as u64) as usize];
        read(tracee, outcome.log.address + at, &mut piece)?;
        at += piece.len() as u64;
        teller.tell(&News::Log(piece)).map_err(Halt::Failed)?;
    }
    Ok(())
}

fn describe(tracee: Tracee, attr: &Attr, outcome: &Outcome) -> Result<ProgramLoad> {
    let Outcome { result, took_ns, log } = *outcome;
    let mut program = ProgramLoad {
        name: attr.prog_name(),
        function: function(tracee, attr),
        kind: attr.prog_type(),
        attach_kind: attr.attach_type(),
        insns: attr.insns(),
        errno: result.min(0).unsigned_abs() as i32,
        took_ns,
        verified_insns: None,
        xlated_bytes: 0,
        jited_bytes: 0,
        log_bytes: log.bytes,
        log_lost_bytes: log.lost_bytes,
    };
    if let Ok(fd) = i32::try_from(result)
        && fd >= 0
    {
        let fd = ops::descriptor(tracee, fd)?;
        let info = prog_info(fd.as_fd()).with_context(|| format!("cannot ask what became of {}", program.name))?;
        program.verified_insns = Some(info.verified_insns);
        (program.name, program.kind) = (info.name, info.kind);
        (program.xlated_bytes, program.jited_bytes) = (info.xlated_bytes, info.jited_bytes);
    }
    Ok(program)
}

/// The name of the program's function. A program whose BTF does not tell is told of by the kernel's name for it.
fn function(tracee: Tracee, attr: &Attr) -> Option<String> {
    // `struct bpf_func_info`: the offset of the first instruction, and the function's type.
    let mut first = [0; 8];
    memory::read(tracee.0, attr.func_info()?, &mut first).ok()?;
    let [_, _, _, _, id @ ..] = first;
    let btf = ops::descriptor(tracee, attr.btf_fd()).ok()?;
    let section = btf_section(btf.as_fd()).ok()?;
    let types = Types::parse(&section).ok()?;
    types
        .get(u32::from_ne_bytes(id))
        .filter(|found| found.kind == FUNC)
        .and_then(|found| types.name(&found).ok())
        .map(str::to_owned)
}

/// Memory that could be read a moment ago and cannot now is that of a process that is gone.
fn read(tracee: Tracee, address: u64, into: &mut [u8]) -> Result<(), Halt> {
    memory::read(tracee.0, address, into).map_err(Halt::Failed)
}

fn write(tracee: Tracee, address: u64, bytes: &[u8]) -> Result<(), Halt> {
    memory::write(tracee.0, address, bytes).map_err(Halt::Failed)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(room_bytes: u32, true_bytes: u32, bytes: u64, lost_bytes: u64) {
        assert_eq!(Log::new(7, room_bytes, true_bytes), Log { address: 7, bytes, lost_bytes });
    }

    #[test]
    fn a_log_ends_with_a_zero_byte_that_is_none_of_it() {
        check(100, 0, 0, 0);
        check(100, 1, 0, 0);
        check(100, 100, 99, 0);
        check(100, 101, 99, 1);
        check(100, u32::MAX, 99, u64::from(u32::MAX) - 100);
    }
}
