//! PID 1 of the guest.
//!
//! Mounts what a user space needs, maps the reserved range, tells what the kernel says of the machine, says hello, unpacks
//! the payload, starts the scheduler under test, runs the one program that the host ordered, forwards what both say, and
//! powers off. Whatever goes wrong is told to the host in words, on the control channel and on the console, before the
//! machine goes down.

mod bpf;
mod control;
mod dump;
mod entropy;
mod input;
mod kallsyms;
mod link;
mod loader;
mod machine;
mod mark;
mod mounts;
mod payload;
mod pipe;
mod program;
mod reap;
mod run;
mod scheduler;
mod terminal;
mod trace;

use anyhow::Result;
use control::Control;
use ktstr_wire::{GuestMessage, Hello, PROTOCOL_VERSION};
use link::Link;
use rustix::system::{RebootCommand, reboot, uname};

/// The exit code of a shell that cannot start a program.
const NOT_STARTED: i32 = 127;

fn main() {
    if let Some(outcome) = loader::role() {
        return outcome.unwrap_or_else(|error| {
            eprintln!("{error:#}");
            std::process::exit(NOT_STARTED);
        });
    }
    let control = Control::open();
    let tell = control.clone();
    std::panic::set_hook(Box::new(move |panic| {
        tell.fault(&format!("the agent panicked: {panic}"));
        power_off();
    }));
    if let Err(error) = serve(&control) {
        control.fault(&format!("{error:#}"));
    }
    control.send(&GuestMessage::Bye { at_ns: now_ns() });
    power_off();
}

fn serve(control: &Control) -> Result<()> {
    mounts::mount_devices()?;
    control.connect()?;
    control.send(&GuestMessage::Up { at_ns: now_ns() });
    let warnings = mounts::mount_rest()?;
    let mut link = Link::map()?;
    link.send(&GuestMessage::Machine(machine::report()?))?;
    control.send(&GuestMessage::Hello(hello(warnings)?));
    mark::here();
    let order = link.order()?;
    order.entropy.as_ref().map_or(Ok(()), entropy::begin_with)?;
    payload::unpack(link.reserved())?;
    run::run(&order, control, &mut link)
}

fn hello(warnings: Vec<String>) -> Result<Hello> {
    Ok(Hello {
        protocol: PROTOCOL_VERSION,
        release: uname().release().to_string_lossy().into_owned(),
        symbols: kallsyms::addresses(ktstr_wire::message::SYMBOLS)?,
        warnings,
        at_ns: now_ns(),
    })
}

/// The guest's `CLOCK_MONOTONIC`.
fn now_ns() -> u64 {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Monotonic);
    now.tv_sec as u64 * 1_000_000_000 + now.tv_nsec as u64
}

fn power_off() -> ! {
    // A machine that cannot be powered off is reset, which ends it as well.
    let _ = reboot(RebootCommand::PowerOff);
    let _ = reboot(RebootCommand::Restart);
    loop {
        std::thread::park();
    }
}
