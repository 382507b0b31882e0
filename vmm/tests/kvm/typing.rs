//! A Linux guest whose console is typed into.

use crate::init::Init;
use ktstr_vmm::Vm;
use std::time::{Duration, Instant};

/// For a host that emulates the processor which runs the guest.
const PATIENCE: Duration = Duration::from_secs(240);

/// Less than the kernel keeps for a terminal that nobody reads, or what arrives could be lost in the guest.
const LINES: usize = 40;
const LINE_BYTES: usize = 1000;

/// How often each SysRq key is pressed.
const PRESSES: usize = 10;

/// The guest repeats each line that is typed, then waits.
pub(crate) fn guest() -> Init {
    let init = Init::new().no_echo().say("READY\n");
    (0..LINES).fold(init, |init, _| init.repeat_line(LINE_BYTES)).say("DONE\n").pause()
}

/// What is typed arrives whole and in order, and a BREAK gives commands to the kernel.
pub(crate) fn check(mut vm: Vm) {
    vm.start().unwrap();
    let mut console = String::new();
    wait_for(&mut vm, &mut console, "READY");
    let lines: Vec<String> = (0..LINES).map(line).collect();
    vm.type_into_console(lines.concat().as_bytes()).unwrap();
    wait_for(&mut vm, &mut console, "DONE");
    for line in &lines {
        assert!(console.contains(line.trim_end()), "not on the console: {line}; but {console}");
    }
    // Under emulation a guest that waits lets hours of its time pass in a second: between BREAK and key none may.
    for (command, answer) in [(b'h', "sysrq: HELP"), (b'9', "sysrq: Changing Loglevel")].repeat(PRESSES) {
        console.clear();
        vm.send_sysrq(command).unwrap();
        wait_for(&mut vm, &mut console, answer);
    }
    assert_eq!(vm.exit(), None);
}

fn line(number: usize) -> String {
    let mut line = format!("line {number}: ");
    line.extend((line.len()..LINE_BYTES - 1).map(|at| char::from(b'a' + ((at * 7 + number) % 26) as u8)));
    line.push('\n');
    line
}

/// Reads the console until it has this text.
pub(crate) fn wait_for(vm: &mut Vm, console: &mut String, text: &str) {
    let begin = Instant::now();
    while !console.contains(text) {
        let last = console.lines().last();
        assert!(begin.elapsed() < PATIENCE, "the guest did not print {text:?}; the last line: {last:?}");
        assert_eq!(vm.exit(), None, "the guest ended before it printed {text:?}; the last line: {last:?}");
        console.push_str(&String::from_utf8_lossy(&vm.read_console().unwrap()));
        std::thread::sleep(Duration::from_millis(2));
    }
}
