//! A kernel of which one function is other code, for what no kernel does on request.

use ktstr_cache::Cache;
use ktstr_kernels::{Kernel, Kernels, Spec};
use std::fs;
use std::path::Path;

/// Turns interrupts off and spins: cli; jmp $
pub(crate) const SPIN: &[u8] = &[0xfa, 0xeb, 0xfe];

/// An exception where there is no interrupt table: push 0; push 0; lidt \[rsp\]; ud2
pub(crate) const TRIPLE_FAULT: &[u8] = &[0x6a, 0x00, 0x6a, 0x00, 0x0f, 0x01, 0x1c, 0x24, 0x0f, 0x0b];

/// Asks the keyboard controller for a reset: mov al, 0xfe; out 0x64, al; jmp $
pub(crate) const RESET: &[u8] = &[0xb0, 0xfe, 0xe6, 0x64, 0xeb, 0xfe];

/// What may come before a function's own code: endbr64, a call or a long NOP of the function tracer's.
const ENDBR64: &[u8] = &[0xf3, 0x0f, 0x1e, 0xfa];
const CALL: u8 = 0xe8;
const CALL_BYTES: usize = 5;
const LONG_NOP: &[u8] = &[0x0f, 0x1f, 0x44, 0x00, 0x00];

/// Writes the kernel that the tests run with into `dir`, with `code` in place of `function`; gives its spec.
pub(crate) fn kernel(dir: &Path, function: &str, code: &[u8]) -> String {
    let kernel = tests_kernel();
    let address = kernel.symbols().unwrap().address(function).unwrap();
    let mut image = fs::read(kernel.vmlinux()).unwrap();
    let at = body(&image, offset_of(&image, address));
    image[at..at + code.len()].copy_from_slice(code);
    let dir = dir.join("kernel");
    fs::create_dir_all(&dir).unwrap();
    fs::write(dir.join("vmlinux"), image).unwrap();
    fs::copy(kernel.dir.join("config"), dir.join("config")).unwrap();
    format!("path:{}", dir.display())
}

/// The kernel that the tests run with.
pub(crate) fn tests_kernel() -> Kernel {
    let spec = std::env::var("KTSTR_KERNEL").unwrap_or_else(|_| "latest".to_owned());
    let cache = Cache::open_default().unwrap();
    Kernels::new(cache).resolve(&spec.parse::<Spec>().unwrap(), &()).unwrap()
}

/// Where the function's own code begins.
fn body(image: &[u8], mut at: usize) -> usize {
    if image[at..].starts_with(ENDBR64) {
        at += ENDBR64.len();
    }
    if image[at] == CALL || image[at..].starts_with(LONG_NOP) {
        at += CALL_BYTES;
    }
    at
}

/// The place in an ELF file of what is loaded at a virtual address (elf(5), `Elf64_Phdr`).
fn offset_of(image: &[u8], address: u64) -> usize {
    const LOAD: u64 = 1;
    let field = |at: usize, bytes: usize| {
        let mut value = [0; 8];
        value[..bytes].copy_from_slice(&image[at..at + bytes]);
        u64::from_le_bytes(value)
    };
    let (table, size, count) = (field(32, 8), field(54, 2), field(56, 2));
    let headers = (0..count).map(|number| (table + number * size) as usize).filter(|at| field(*at, 4) == LOAD);
    let mut segments = headers.map(|at| (field(at + 8, 8), field(at + 16, 8), field(at + 32, 8)));
    let (offset, from, _) = segments.find(|(_, from, bytes)| (*from..from + bytes).contains(&address)).unwrap();
    (offset + address - from) as usize
}
