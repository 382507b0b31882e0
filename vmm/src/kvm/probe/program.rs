//! The probe's guest: its memory and what it executes. Values only.

use crate::kvm::registers::{self, CODE_SELECTOR};
use kvm_bindings::{kvm_regs, kvm_sregs};

pub(super) const PAGE_TABLES_GPA: u64 = 0x1000;
pub(super) const GDT_GPA: u64 = 0x4000;
const IDT_GPA: u64 = 0x4100;
pub(super) const CODE_GPA: u64 = 0x5000;
const HANDLER_GPA: u64 = 0x5800;
const PAIR_GPA: u64 = 0x6000;
const XSAVE_AREA_GPA: u64 = 0x6400;
const STACK_TOP_GPA: u64 = 0x8000;
const IMAGE_BYTES: usize = STACK_TOP_GPA as usize;

const IDT_GATE_BYTES: usize = 16;
const BREAKPOINT_VECTOR: usize = 3;
const IDT_BYTES: usize = (BREAKPOINT_VECTOR + 1) * IDT_GATE_BYTES;
/// A present 64-bit interrupt gate of privilege level 0 (SDM volume 3, section 6.14.1).
const INTERRUPT_GATE: u8 = 0x8e;

const CR4_OSFXSR: u64 = 1 << 9;
const CR4_OSXSAVE: u64 = 1 << 18;
const MSR_LSTAR: u32 = 0xc000_0082;

const _: () = assert!(PAGE_TABLES_GPA as usize + registers::PAGE_TABLE_BYTES <= GDT_GPA as usize);
const _: () = assert!(GDT_GPA as usize + size_of_val(&registers::GDT) <= IDT_GPA as usize);
const _: () = assert!(IDT_GPA as usize + IDT_BYTES <= CODE_GPA as usize);
const _: () = assert!(XSAVE_AREA_GPA.is_multiple_of(64) && PAIR_GPA.is_multiple_of(16));

/// What the guest tries, in order. Its number is in R9 while it is tried; [`WRONG`] is added when the result is wrong.
const INSTRUCTIONS: [&str; 5] = ["int3", "lock cmpxchg16b", "xrstor", "wrmsr", "hlt"];
const INT3: u32 = 1;
const CMPXCHG16B: u32 = 2;
const XRSTOR: u32 = 3;
const WRMSR: u32 = 4;
const HLT: u32 = 5;
const WRONG: u32 = 0x80;

/// How far the guest came.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Step {
    /// The instruction that was tried last.
    pub(super) instruction: &'static str,
    /// Whether it is the last of all.
    pub(super) last: bool,
    /// Whether it did something else than it should.
    pub(super) wrong: bool,
}

impl Step {
    pub(super) const UNKNOWN: Self = Self { instruction: "an unknown instruction", last: false, wrong: false };
}

/// Reads from the guest's registers how far it came.
pub(super) fn step(regs: &kvm_regs) -> Step {
    let number = regs.r9 & !u64::from(WRONG);
    let index = usize::try_from(number).ok().and_then(|number| number.checked_sub(1));
    let Some(instruction) = index.and_then(|index| INSTRUCTIONS.get(index)) else { return Step::UNKNOWN };
    Step { instruction, last: number == u64::from(HLT), wrong: regs.r9 & u64::from(WRONG) != 0 }
}

/// The registers that the guest starts with: the code relies on them.
pub(super) fn start_registers() -> kvm_regs {
    kvm_regs {
        rip: CODE_GPA,
        rsp: STACK_TOP_GPA,
        rdi: PAIR_GPA,
        rsi: XSAVE_AREA_GPA,
        rbx: 0x1111,
        rcx: 0x2222,
        rflags: 1 << 1,
        ..Default::default()
    }
}

/// The guest's memory from address 0 on.
pub(super) struct Image {
    pub(super) bytes: Vec<u8>,
    has_xsave: bool,
}

impl Image {
    /// The table of interrupt gates, and XSAVE if the guest has it.
    pub(super) fn set_system_registers(&self, sregs: &mut kvm_sregs) {
        sregs.idt.base = IDT_GPA;
        sregs.idt.limit = (IDT_BYTES - 1) as u16;
        sregs.cr4 |= CR4_OSFXSR;
        if self.has_xsave {
            sregs.cr4 |= CR4_OSXSAVE;
        }
    }
}

/// Builds the image; `xrstor` is tried only where there is XSAVE.
pub(super) fn image(has_xsave: bool) -> Image {
    let mut bytes = vec![0; IMAGE_BYTES];
    let mut put = |gpa: u64, part: &[u8]| bytes[gpa as usize..gpa as usize + part.len()].copy_from_slice(part);
    put(PAGE_TABLES_GPA, &registers::identity_map(PAGE_TABLES_GPA));
    put(GDT_GPA, &registers::gdt_bytes());
    put(IDT_GPA + (BREAKPOINT_VECTOR * IDT_GATE_BYTES) as u64, &gate(HANDLER_GPA));
    put(CODE_GPA, &code(has_xsave));
    // inc r8; iretq
    put(HANDLER_GPA, &[0x49, 0xff, 0xc0, 0x48, 0xcf]);
    Image { bytes, has_xsave }
}

fn gate(handler: u64) -> [u8; IDT_GATE_BYTES] {
    let mut gate = [0; IDT_GATE_BYTES];
    let handler = handler.to_le_bytes();
    gate[..2].copy_from_slice(&handler[..2]);
    gate[2..4].copy_from_slice(&CODE_SELECTOR.to_le_bytes());
    gate[5] = INTERRUPT_GATE;
    gate[6..12].copy_from_slice(&handler[2..]);
    gate
}

/// The code: each step says its number, does its instruction, and halts early when the result is wrong.
fn code(has_xsave: bool) -> Vec<u8> {
    let mut code = Vec::new();
    code.extend(step_number(INT3));
    // int3; cmp r8, 1 (the handler ran once)
    code.extend([0xcc, 0x49, 0x83, 0xf8, 0x01]);
    code.extend(halt_unless_equal());
    code.extend(step_number(CMPXCHG16B));
    // lock cmpxchg16b [rdi]: RDX:RAX and memory are both zero, so RCX:RBX goes to memory
    code.extend([0xf0, 0x48, 0x0f, 0xc7, 0x0f]);
    code.extend(halt_unless_equal());
    // cmp rbx, [rdi]
    code.extend([0x48, 0x3b, 0x1f]);
    code.extend(halt_unless_equal());
    if has_xsave {
        code.extend(step_number(XRSTOR));
        // mov eax, 1; xor edx, edx; xrstor64 [rsi]: the x87 state, which every XCR0 has
        code.extend([0xb8, 1, 0, 0, 0, 0x31, 0xd2, 0x48, 0x0f, 0xae, 0x2e]);
    }
    code.extend(step_number(WRMSR));
    // mov ecx, MSR; mov eax, 0x5000; xor edx, edx; wrmsr
    code.push(0xb9);
    code.extend(MSR_LSTAR.to_le_bytes());
    code.extend([0xb8, 0x00, 0x50, 0, 0, 0x31, 0xd2, 0x0f, 0x30]);
    code.extend(step_number(HLT));
    code.push(0xf4);
    code
}

/// mov r9d, number
fn step_number(number: u32) -> [u8; 6] {
    let [a, b, c, d] = number.to_le_bytes();
    [0x41, 0xb9, a, b, c, d]
}

/// je over; or r9d, WRONG; hlt
fn halt_unless_equal() -> [u8; 10] {
    let [a, b, c, d] = WRONG.to_le_bytes();
    [0x74, 0x08, 0x41, 0x81, 0xc9, a, b, c, d, 0xf4]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(r9: u64, instruction: &str, last: bool, wrong: bool) {
        let step = step(&kvm_regs { r9, ..Default::default() });
        assert_eq!((step.instruction, step.last, step.wrong), (instruction, last, wrong), "{r9:#x}");
    }

    #[test]
    fn the_step_is_read_from_the_registers() {
        check(1, "int3", false, false);
        check(0x82, "lock cmpxchg16b", false, true);
        check(5, "hlt", true, false);
        check(0, "an unknown instruction", false, false);
        check(u64::MAX, "an unknown instruction", false, false);
    }

    #[test]
    fn xrstor_is_only_tried_where_there_is_xsave() {
        let xrstor = [0x48, 0x0f, 0xae, 0x2e];
        let has = |code: Vec<u8>| code.windows(xrstor.len()).any(|window| window == xrstor);
        assert!(has(code(true)) && !has(code(false)));
        assert!(code(true).len() < (HANDLER_GPA - CODE_GPA) as usize);
    }

    /// Runs the check-and-halt jump in the head: it must land right behind the halt.
    #[test]
    fn the_jump_goes_over_the_halt() {
        let bytes = halt_unless_equal();
        assert_eq!(usize::from(bytes[1]) + 2, bytes.len());
    }
}
