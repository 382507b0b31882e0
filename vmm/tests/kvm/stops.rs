//! Stop points by the processor's debug registers.

use super::{Files, Init, one_at_a_time, run_to_end};
use crate::snapshot::{save, wait_for_exit};
use crate::typing::wait_for;
use ktstr_vmm::stops::{Base, Hit, Read, Register};
use ktstr_vmm::{Exit, Vm};
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

/// What stands after this word, line by line.
fn numbers(console: &str, word: &str) -> Vec<u64> {
    let after = console.lines().filter_map(|line| line.strip_prefix(word));
    after.map(|number| number.trim().parse().unwrap()).collect()
}

/// Whether this host's KVM refuses stop points, which is said.
fn are_refused(vm: &mut Vm) -> bool {
    let Err(error) = vm.stop_at(address("nr_context_switches"), |_, _| {}) else { return false };
    // A guest that is never stopped must not look like one in which nothing happens.
    assert!(error.to_string().contains("does not stop a guest at breakpoints"), "{error}");
    eprintln!("not tried further: {error}");
    true
}

/// Has `looks` be how many context switches there were at each of the kernel's own looks at their number.
fn count_switches(vm: &mut Vm, looks: &Arc<Mutex<Vec<u64>>>, mut each: impl FnMut(&Hit) + Send + 'static) {
    let switches = Arc::new(AtomicU64::new(0));
    let (count, looks) = (Arc::clone(&switches), Arc::clone(looks));
    let current =
        Read { base: Base::Register(Register::GsBase), offset: address("current_task").cast_signed(), bytes: 8 };
    vm.record_at(address("__switch_to"), &[current], move |hit| {
        count.fetch_add(1, Ordering::SeqCst);
        each(hit);
    })
    .unwrap();
    vm.stop_at(address("nr_context_switches"), move |_, _| {
        looks.lock().unwrap().push(switches.load(Ordering::SeqCst));
    })
    .unwrap();
}

#[test]
#[ignore = "needs a /dev/kvm"]
fn hooks_count_what_the_kernel_counts() {
    let _one = one_at_a_time();
    let files = Files::new();
    let init = Init::new().show("/proc/stat").power_off();
    let mut vm = files.linux(init, Topology::new(1, 2, 1));
    if are_refused(&mut vm) {
        return;
    }
    let (looks, hits) = (Arc::default(), Arc::new(Mutex::new(Vec::new())));
    let into = Arc::clone(&hits);
    count_switches(&mut vm, &looks, move |hit| into.lock().unwrap().push(hit.clone()));
    let (exit, console) = run_to_end(&mut vm);
    assert_eq!(exit, Exit::PowerOff, "{console}");
    let (seen, told) = (*looks.lock().unwrap().last().unwrap(), numbers(&console, "ctxt ")[0]);
    // The vCPUs run side by side: one may switch between the look and the count.
    assert!(seen > 100 && seen.abs_diff(told) <= 8, "{seen} switches seen, {told} told");
    for hit in hits.lock().unwrap().iter() {
        let current = hit.values[0].as_ref().unwrap().number();
        assert_eq!(hit.registers.unwrap().argument(0), Some(current), "{hit:?}");
    }
}

/// Between two looks of a machine that goes on from a snapshot.
#[test]
#[ignore = "needs a genuine /dev/kvm and KTSTR_TEST_KERNEL"]
fn hooks_count_in_a_fork() {
    let _one = one_at_a_time();
    let files = Files::new();
    let (first, second) = ("look\n", "look again\n");
    let init = Init::new().no_echo().say("READY\n").repeat_line(first.len()).show("/proc/stat");
    let init = init.say("LOOKED\n").repeat_line(second.len()).show("/proc/stat").power_off();
    let config = files.linux_config(init, Topology::new(1, 2, 1));
    let mut vm = Vm::new(&config).unwrap();
    if are_refused(&mut vm) {
        return;
    }
    vm.start().unwrap();
    wait_for(&mut vm, &mut String::new(), "READY\r\n");
    let snapshot = save(&mut vm, &files.path("snapshot"));
    drop(vm);
    let mut vm = Vm::fork(&config, &snapshot).unwrap();
    let looks = Arc::default();
    count_switches(&mut vm, &looks, |_| {});
    vm.start().unwrap();
    let mut console = String::new();
    vm.type_into_console(first.as_bytes()).unwrap();
    wait_for(&mut vm, &mut console, "LOOKED\r\n");
    vm.type_into_console(second.as_bytes()).unwrap();
    assert_eq!(wait_for_exit(&mut vm, &mut console), Exit::PowerOff, "{console}");
    let (looks, told) = (looks.lock().unwrap(), numbers(&console, "ctxt "));
    let ([.., before, after], &[told_before, told_after]) = (&looks[..], &told[..]) else {
        panic!("{looks:?} {told:?}: {console}")
    };
    let (seen, told) = (after - before, told_after - told_before);
    assert!(seen > 0 && seen.abs_diff(told) <= 8, "{seen} switches seen, {told} told");
}
