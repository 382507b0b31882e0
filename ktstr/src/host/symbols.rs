//! Addresses of the kernel's symbols in the running guest.

use ktstr_kernels::Kernel;
use ktstr_wire::{Hello, Symbol};

/// The first symbol of an image, which the agent reads from /proc/kallsyms.
const ANCHOR: &str = "_text";

/// What observers of the scheduler start from. Names that a release doesn't have are left out.
const WANTED: &[&str] = &[
    "_text",
    "__per_cpu_offset",
    "init_task",
    "page_offset_base",
    "phys_base",
    "runqueues",
    "scx_root",
    "scx_watchdog_timeout",
];

/// The addresses in the guest that said `hello`: the image's, plus the distance by which KASLR moved the image. Empty
/// when either side does not tell.
pub(crate) fn in_guest(kernel: &Kernel, hello: &Hello) -> Vec<Symbol> {
    let Ok(symbols) = kernel.symbols() else { return Vec::new() };
    let told = hello.symbols.iter().find(|symbol| symbol.name == ANCHOR);
    let (Some(image), Some(guest)) = (symbols.address(ANCHOR), told) else { return Vec::new() };
    let slide = guest.gva.wrapping_sub(image);
    let moved = |address: u64| if address >= image { address.wrapping_add(slide) } else { address };
    let found = WANTED.iter().filter_map(|name| Some((name, symbols.address(name)?)));
    found.map(|(name, address)| Symbol { name: (*name).to_owned(), gva: moved(address) }).collect()
}
