//! Stop points by the processor's debug registers.

use super::{Files, Init, one_at_a_time, run_to_end};
use ktstr_vmm::Exit;
use ktstr_vmm::stops::{Base, Read, Register};
use ktstr_wire::Topology;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

/// The list of symbols beside the kernel: address, kind, name.
fn address(symbol: &str) -> u64 {
    let kernel = PathBuf::from(std::env::var_os("KTSTR_TEST_KERNEL").unwrap());
    let symbols = std::fs::read_to_string(kernel.with_file_name("symbols")).unwrap();
    let line = symbols.lines().find(|line| line.split(' ').nth(2) == Some(symbol)).unwrap();
    u64::from_str_radix(line.split(' ').next().unwrap(), 16).unwrap()
}

fn number(console: &str, word: &str) -> u64 {
    let line = console.lines().find_map(|line| line.strip_prefix(word)).unwrap();
    line.trim().parse().unwrap()
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn hooks_count_what_the_kernel_counts() {
    let _one = one_at_a_time();
    let files = Files::new();
    let init = Init::new().show("/proc/stat").power_off();
    let mut vm = files.linux(init, Topology::new(1, 2, 1));
    let (switches, at_look) = (Arc::new(AtomicU64::new(0)), Arc::new(AtomicU64::new(0)));
    let count = Arc::clone(&switches);
    let hits = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&hits);
    if let Err(error) = vm.stop_at(address("nr_context_switches"), |_, _| {}) {
        // A guest that is never stopped must not look like one in which nothing happens.
        assert!(error.to_string().contains("does not stop a guest at breakpoints"), "{error}");
        eprintln!("not tried further: {error}");
        return;
    }
    let current =
        Read { base: Base::Register(Register::GsBase), offset: address("current_task").cast_signed(), bytes: 8 };
    vm.record_at(address("__switch_to"), &[current], move |hit| {
        count.fetch_add(1, Ordering::SeqCst);
        into.lock().unwrap().push(hit.clone());
    })
    .unwrap();
    let (count, look) = (Arc::clone(&switches), Arc::clone(&at_look));
    vm.stop_at(address("nr_context_switches"), move |_, _| {
        look.store(count.load(Ordering::SeqCst), Ordering::SeqCst);
    })
    .unwrap();
    let (exit, console) = run_to_end(&mut vm);
    assert_eq!(exit, Exit::PowerOff, "{console}");
    let (seen, told) = (at_look.load(Ordering::SeqCst), number(&console, "ctxt "));
    // The vCPUs run side by side: one may switch between the look and the count.
    assert!(seen > 100 && seen.abs_diff(told) <= 8, "{seen} switches seen, {told} told");
    for hit in hits.lock().unwrap().iter() {
        let current = hit.values[0].as_ref().unwrap().number();
        assert_eq!(hit.registers.unwrap().argument(0), Some(current), "{hit:?}");
    }
}
