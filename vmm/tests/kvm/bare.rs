//! Kernels of a few instructions, for what no real kernel does on request.

use std::path::Path;

const LOAD_GPA: u64 = 16 << 20;
const HEADER_BYTES: usize = 64;
const PROGRAM_HEADER_BYTES: usize = 56;
const CODE_OFFSET: usize = HEADER_BYTES + PROGRAM_HEADER_BYTES;

/// Turns interrupts off and spins: cli; jmp $
pub(crate) const SPIN: &[u8] = &[0xfa, 0xeb, 0xfe];
/// Halts for ever: cli; hlt; jmp back
pub(crate) const HALT: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];
/// An exception while there is no interrupt table: ud2
pub(crate) const DIE: &[u8] = &[0x0f, 0x0b];
/// mov al, 0xfe; out 0x64, al; jmp $
pub(crate) const RESET: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe];
/// mov dx, 0x600; mov al, 0x34; out dx, al; jmp $
pub(crate) const POWER_OFF: &[u8] = &[0x66, 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xeb, 0xfe];

/// Writes "K" to COM1, then dies: mov dx, 0x3f8; mov al, 'K'; out dx, al; ud2
pub(crate) const LAST_WORD: &[u8] = &[0x66, 0xba, 0xf8, 0x03, 0xb0, b'K', 0xee, 0x0f, 0x0b];

/// Writes the time stamp counter to COM1 for ever, eight bytes each time: rdtsc; shl rdx, 32; or rax, rdx; mov ecx, 8;
/// mov dx, 0x3f8; out: out dx, al; shr rax, 8; loop out; jmp back
pub(crate) const COUNT: &[u8] = &[
    0x0f, 0x31, 0x48, 0xc1, 0xe2, 0x20, 0x48, 0x09, 0xd0, 0xb9, 8, 0, 0, 0, 0x66, 0xba, 0xf8, 0x03, 0xee, 0x48, 0xc1,
    0xe8, 0x08, 0xe2, 0xf9, 0xeb, 0xe5,
];

/// Reads where there is nothing, a port and an address, and powers off if both give ones, else resets:
/// mov dx, 0x1234; in eax, dx; inc eax; jnz bad; mov ebx, 0x30000000; mov eax, \[rbx\]; inc eax; jnz bad;
/// mov dx, 0x600; mov al, 0x34; out dx, al; bad: mov al, 0xfe; out 0x64, al
pub(crate) const READ_NOTHING: &[u8] = &[
    0x66, 0xba, 0x34, 0x12, 0xed, 0xff, 0xc0, 0x75, 0x12, 0xbb, 0x00, 0x00, 0x00, 0x30, 0x8b, 0x03, 0xff, 0xc0, 0x75,
    0x07, 0x66, 0xba, 0x00, 0x06, 0xb0, 0x34, 0xee, 0xb0, 0xfe, 0xe6, 0x64,
];

/// An ELF file that a machine takes for a kernel and that is only this code.
pub(crate) fn write_kernel(path: &Path, code: &[u8]) {
    let mut elf = Vec::new();
    elf.extend(*b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0");
    elf.extend(2_u16.to_le_bytes());
    elf.extend(62_u16.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    elf.extend([LOAD_GPA, HEADER_BYTES as u64, 0].into_iter().flat_map(u64::to_le_bytes));
    elf.extend(0_u32.to_le_bytes());
    elf.extend([HEADER_BYTES as u16, PROGRAM_HEADER_BYTES as u16, 1, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
    elf.extend([1_u32, 5].into_iter().flat_map(u32::to_le_bytes));
    let bytes = code.len() as u64;
    elf.extend([CODE_OFFSET as u64, LOAD_GPA, LOAD_GPA, bytes, bytes, 4096].into_iter().flat_map(u64::to_le_bytes));
    assert_eq!(elf.len(), CODE_OFFSET);
    elf.extend(code);
    std::fs::write(path, elf).unwrap();
}
