//! What goes wrong in the ring between guest and host has the right verdict: somebody writes into it, or the host does
//! not empty it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::prelude::*;
use ktstr_wire::message::encode;
use ktstr_wire::ring::Producer;
use ktstr_wire::{GuestMessage, MappedRegion, Region, Reserved};
use std::fs;
use std::os::fd::AsRawFd;
use std::ptr::NonNull;
use support::Specimen;

/// The reserved range, mapped by the body of a test as the agent maps it.
fn reserved() -> Result<MappedRegion> {
    let cmdline = fs::read_to_string("/proc/cmdline")?;
    let word = cmdline.split_whitespace().find_map(|word| word.strip_prefix("ktstr.reserved="));
    let (gpa, bytes) = word.and_then(ktstr_wire::reserved::parse_cmdline_value).context("no reserved range")?;
    let mem = fs::File::options().read(true).write(true).open("/dev/mem")?;
    let flags = libc::PROT_READ | libc::PROT_WRITE;
    let fd = mem.as_raw_fd();
    // SAFETY: a new shared mapping of guest memory that no Rust value lives in.
    let at = unsafe { libc::mmap(std::ptr::null_mut(), bytes, flags, libc::MAP_SHARED, fd, gpa as libc::off_t) };
    ensure!(at != libc::MAP_FAILED, "cannot map the reserved range");
    let start = NonNull::new(at.cast()).context("mapped at zero")?;
    // SAFETY: mapped just now, page-aligned, and never unmapped.
    Ok(unsafe { MappedRegion::new(start, bytes) })
}

/// Another writing end of the ring to the host, beside the agent's.
fn producer(region: MappedRegion) -> Result<Producer<MappedRegion>> {
    Ok(Reserved::open(region)?.bulk_out()?)
}

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: run by garbage_in_the_ring_is_inconclusive"]
fn garbles_ring(_ctx: &Ctx) -> Result<AssertResult> {
    let region = reserved()?;
    // The header page, the rings, and what lies behind them.
    region.write(0, &vec![0xa5; region.len_bytes().min(9 << 20)]);
    Ok(AssertResult::default())
}

#[test]
fn garbage_in_the_ring_is_inconclusive() {
    Specimen::new("garbles_ring").run().expect("Inconclusive", &["the ring is corrupt"]);
}

#[ktstr_test(cores = 2, duration_s = 600)]
#[ignore = "a specimen: run by milestones_in_the_ring_are_not_believed"]
fn forges_milestones(_ctx: &Ctx) -> Result<AssertResult> {
    let mut producer = producer(reserved()?)?;
    let forged = encode(&GuestMessage::Fault("x".repeat(60_000)));
    // The agent knows nothing of these frames and writes over them. One more than the ring's 8 MiB hold: the host has
    // seen the first then.
    for _ in 0..140 {
        while !producer.push(&forged)? {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
    Ok(AssertResult::default())
}

#[test]
fn milestones_in_the_ring_are_not_believed() {
    let outcome = Specimen::new("forges_milestones").run();
    outcome.expect("Inconclusive", &["a message that belongs on COM2 is in the ring"]);
}

#[ktstr_test(cores = 2, duration_s = 600)]
#[ignore = "a specimen: run by a_full_ring_is_inconclusive"]
fn floods(_ctx: &Ctx) -> Result<AssertResult> {
    let region = reserved()?;
    let text = "x".repeat(64 << 10);
    // While both ends move, their positions may look odd to a third.
    while producer(region).map_or(0, |producer| producer.dropped()) == 0 {
        println!("{text}");
    }
    Ok(AssertResult::default())
}

#[test]
fn a_full_ring_is_inconclusive() {
    let outcome = run_on_and_off("floods");
    outcome.expect("Inconclusive", &["the guest gave up ", " frames because the ring was full"]);
}

const LINES: u32 = 150_000;

#[ktstr_test(cores = 2, duration_s = 600)]
#[ignore = "a specimen: run by what_fits_the_ring_arrives_whole"]
fn prints_much(_ctx: &Ctx) -> Result<AssertResult> {
    (0..LINES).for_each(|line| println!("line {line} of {LINES}"));
    Ok(AssertResult::default())
}

#[test]
fn what_fits_the_ring_arrives_whole() {
    let outcome = run_on_and_off("prints_much");
    outcome.expect("Pass", &[]);
    let lines: String = (0..LINES).map(|line| format!("line {line} of {LINES}\n")).collect();
    assert!(outcome.record.guest.output.contains(&lines), "{}", outcome.output);
}

/// Runs a specimen whose harness is held most of the time, for longer and longer, while its guest runs on.
fn run_on_and_off(name: &'static str) -> support::Outcome {
    let mut specimen = Specimen::new(name);
    let mut child = specimen.spawn();
    let mut turn = Duration::from_secs(1);
    while child.try_wait().unwrap().is_none() {
        if let Some(held) = thread(child.id(), name).and_then(Held::new) {
            std::thread::sleep(turn);
            drop(held);
            turn = (turn * 2).min(Duration::from_secs(16));
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    specimen.collect(child)
}

/// The thread of this name; the test runner names the one that watches the guest after the test.
fn thread(pid: u32, name: &str) -> Option<libc::pid_t> {
    let tids = fs::read_dir(format!("/proc/{pid}/task")).ok()?.filter_map(Result::ok);
    let mut tids = tids.filter_map(|entry| entry.file_name().to_str()?.parse::<libc::pid_t>().ok());
    let name_of = |tid| fs::read_to_string(format!("/proc/{pid}/task/{tid}/comm")).unwrap_or_default();
    tids.find(|&tid| name_of(tid).trim() == name)
}

/// A thread that stands still. A signal would stop the other threads of its process as well, and those may be vCPUs.
struct Held(libc::pid_t);

impl Held {
    /// Holds a thread of our child, unless it has ended.
    fn new(tid: libc::pid_t) -> Option<Self> {
        let (id, options) = (tid as libc::id_t, libc::WSTOPPED | libc::WEXITED | libc::WNOWAIT | libc::__WALL);
        // SAFETY: system calls on our own child, which is not reaped before `Child` does it; `info` is theirs to fill.
        let stopped = unsafe {
            let mut info: libc::siginfo_t = std::mem::zeroed();
            libc::ptrace(libc::PTRACE_SEIZE, tid, 0, 0) == 0
                && libc::ptrace(libc::PTRACE_INTERRUPT, tid, 0, 0) == 0
                && libc::waitid(libc::P_PID, id, &mut info, options) == 0
                && info.si_code == libc::CLD_TRAPPED
        };
        stopped.then_some(Self(tid))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { libc::ptrace(libc::PTRACE_DETACH, self.0, 0, 0) };
    }
}
