//! A probe of a BPF program: another one that runs before it and prints its name and its arguments into the kernel's trace.

use super::loaded::Loaded;
use super::sys::{self, PROG_LOAD, RAW_TRACEPOINT_OPEN, Words};
use anyhow::{Context, Result, ensure};
use ktstr_wire::trace::PROGRAM_MARK;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};

/// `BPF_PROG_TYPE_TRACING`.
const TRACING: u32 = 26;
/// `BPF_TRACE_FENTRY`.
const FENTRY: u32 = 24;

/// Helpers by their numbers (`enum bpf_func_id`).
const TRACE_PRINTK: i32 = 6;
const PROBE_READ_KERNEL: i32 = 113;

/// The helper that prints is for programs under this licence alone.
const LICENSE: &[u8] = b"GPL\0";

/// Where the arguments are on the stack, and what is printed below them: `MARK NAME %llx %llx %llx`.
const ARGUMENTS_AT: i16 = -24;
const ARGUMENTS_BYTES: i32 = 24;
const MOST_FORMAT_BYTES: usize = 128;

const LOG_BYTES: usize = 64 << 10;

/// Prints as long as it is there.
pub(crate) struct Probe {
    _link: OwnedFd,
}

/// What `BPF_PROG_LOAD` takes, up to `core_relo_cnt`.
#[repr(C)]
#[derive(Default)]
struct Load {
    kind: u32,
    insn_count: u32,
    insns: u64,
    license: u64,
    log_level: u32,
    log_bytes: u32,
    log: u64,
    kern_version: u32,
    flags: u32,
    name: [u8; 16],
    ifindex: u32,
    expected_attach_type: u32,
    /// `prog_btf_fd` to `line_info_cnt`.
    unused: [u32; 9],
    attach_btf_id: u32,
    attach_prog_fd: u32,
    core_relo_count: u32,
}

// SAFETY: words and bytes without padding; `load` is the only one to make it, of vectors of the sizes that it states.
unsafe impl Words for Load {}

/// Where include/uapi/linux/bpf.h has them.
const _: () = assert!(
    std::mem::offset_of!(Load, expected_attach_type) == 68
        && std::mem::offset_of!(Load, attach_btf_id) == 108
        && size_of::<Load>() == 120
);

/// What `BPF_RAW_TRACEPOINT_OPEN` takes; without a name the program is attached to what it was loaded for.
#[repr(C)]
#[derive(Default)]
struct Open {
    name: u64,
    prog_fd: u32,
    padding: u32,
}

// SAFETY: no padding, no address.
unsafe impl Words for Open {}

impl Probe {
    /// Probes a program.
    pub(crate) fn attach(target: &Loaded) -> Result<Self> {
        let insns = assemble(&target.name)?;
        let program = match load(target, &insns, None) {
            Ok(program) => program,
            Err(error) => {
                let mut log = vec![0; LOG_BYTES];
                // Once more, for the verifier's words.
                let _ = load(target, &insns, Some(&mut log));
                return Err(error).with_context(|| format!("the kernel does not take the probe: {}", last_words(&log)));
            }
        };
        let mut open = Open { prog_fd: program.as_raw_fd() as u32, ..Open::default() };
        let link = sys::open(RAW_TRACEPOINT_OPEN, &mut open).context("the kernel does not attach the probe")?;
        Ok(Self { _link: link })
    }
}

fn load(target: &Loaded, insns: &[u64], log: Option<&mut Vec<u8>>) -> io::Result<OwnedFd> {
    let mut attr = Load {
        kind: TRACING,
        insn_count: insns.len() as u32,
        insns: insns.as_ptr() as u64,
        license: LICENSE.as_ptr() as u64,
        expected_attach_type: FENTRY,
        attach_btf_id: target.function,
        attach_prog_fd: target.fd.as_raw_fd() as u32,
        ..Load::default()
    };
    attr.name[..11].copy_from_slice(b"ktstr_probe");
    if let Some(log) = log {
        (attr.log_level, attr.log_bytes, attr.log) = (1, log.len() as u32, log.as_mut_ptr() as u64);
    }
    sys::open(PROG_LOAD, &mut attr)
}

/// The last line of a verifier's log that is not its statistics.
fn last_words(log: &[u8]) -> String {
    let text = String::from_utf8_lossy(log);
    let mut lines = text.trim_end_matches('\0').lines().rev();
    let words = lines.find(|line| !line.is_empty() && !line.starts_with("processed "));
    words.unwrap_or("it does not say why").to_owned()
}

/// The program, instruction by instruction (Documentation/bpf/standardization/instruction-set.rst). What it is attached to
/// takes one argument, the address of those that the kernel passed.
fn assemble(name: &str) -> Result<Vec<u64>> {
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    ensure!(is_name, "{name:?} is no name of a BPF program");
    let mut format = format!("{PROGRAM_MARK}{name} %llx %llx %llx\0").into_bytes();
    let length = format.len();
    ensure!(length <= MOST_FORMAT_BYTES, "the name {name} is too long");
    format.resize(length.next_multiple_of(8), 0);
    let format_at = ARGUMENTS_AT - format.len() as i16;

    let mut insns = vec![
        load_word(6, 1, 0),
        copy(1, 10),
        add(1, ARGUMENTS_AT.into()),
        set(2, ARGUMENTS_BYTES),
        copy(3, 6),
        call(PROBE_READ_KERNEL),
    ];
    for (number, word) in format.chunks_exact(8).enumerate() {
        let word = word.iter().rev().fold(0_u64, |word, byte| word << 8 | u64::from(*byte));
        insns.extend(set_wide(1, word));
        insns.push(store_word(10, 1, format_at + 8 * number as i16));
    }
    insns.extend([copy(1, 10), add(1, format_at.into()), set(2, length as i32)]);
    insns.extend([load_word(3, 10, -24), load_word(4, 10, -16), load_word(5, 10, -8), call(TRACE_PRINTK)]);
    insns.extend([set(0, 0), insn(0x95, 0, 0, 0, 0)]);
    Ok(insns)
}

fn insn(code: u8, to: u8, from: u8, offset: i16, immediate: i32) -> u64 {
    u64::from(code)
        | u64::from(from << 4 | to) << 8
        | u64::from(offset.cast_unsigned()) << 16
        | u64::from(immediate.cast_unsigned()) << 32
}

/// `BPF_LDX | BPF_MEM | BPF_DW`.
fn load_word(to: u8, from: u8, offset: i16) -> u64 {
    insn(0x79, to, from, offset, 0)
}

/// `BPF_STX | BPF_MEM | BPF_DW`.
fn store_word(to: u8, from: u8, offset: i16) -> u64 {
    insn(0x7b, to, from, offset, 0)
}

/// `BPF_ALU64 | BPF_MOV | BPF_X`.
fn copy(to: u8, from: u8) -> u64 {
    insn(0xbf, to, from, 0, 0)
}

/// `BPF_ALU64 | BPF_MOV | BPF_K`.
fn set(to: u8, value: i32) -> u64 {
    insn(0xb7, to, 0, 0, value)
}

/// `BPF_ALU64 | BPF_ADD | BPF_K`.
fn add(to: u8, value: i32) -> u64 {
    insn(0x07, to, 0, 0, value)
}

/// `BPF_LD | BPF_IMM | BPF_DW`, of two parts.
fn set_wide(to: u8, value: u64) -> [u64; 2] {
    [insn(0x18, to, 0, 0, value as u32 as i32), insn(0, 0, 0, 0, (value >> 32) as i32)]
}

/// `BPF_JMP | BPF_CALL`.
fn call(helper: i32) -> u64 {
    insn(0x85, 0, 0, 0, helper)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn instructions_are_encoded_as_the_kernel_reads_them() {
        assert_eq!(load_word(6, 1, 0).to_le_bytes(), [0x79, 0x16, 0, 0, 0, 0, 0, 0]);
        assert_eq!(store_word(10, 1, -8).to_le_bytes(), [0x7b, 0x1a, 0xf8, 0xff, 0, 0, 0, 0]);
        assert_eq!(add(1, -24).to_le_bytes(), [0x07, 1, 0, 0, 0xe8, 0xff, 0xff, 0xff]);
        let [low, high] = set_wide(1, 0x0102_0304_f506_0708);
        assert_eq!(low.to_le_bytes(), [0x18, 1, 0, 0, 8, 7, 6, 0xf5]);
        assert_eq!(high.to_le_bytes(), [0, 0, 0, 0, 4, 3, 2, 1]);
    }

    #[test]
    fn no_stack_is_too_small_for_a_name() {
        let longest = "a".repeat(MOST_FORMAT_BYTES - format!("{PROGRAM_MARK} %llx %llx %llx\0").len());
        // 6 before, 3 for each word of the format, 9 behind.
        assert_eq!(assemble(&longest).unwrap().len(), 15 + 3 * MOST_FORMAT_BYTES / 8);
        for wrong in [String::new(), "a b".to_owned(), "%s".to_owned(), longest + "a"] {
            assert!(assemble(&wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn the_verifiers_last_words_tell_why() {
        assert_eq!(last_words(b"0: R1=ctx()\nR1 is bad\nprocessed 3 insns\n\0\0"), "R1 is bad");
        assert_eq!(last_words(&[0; 8]), "it does not say why");
    }
}
