//! The first tests: CPU-bound workers in two cgroups under the kernel's own scheduler.

use ktstr::prelude::*;

#[ktstr_test(llcs = 1, cores = 2, threads = 1)]
fn steady(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(llcs = 1, cores = 2, threads = 1)]
fn declared_cgroups(ctx: &Ctx) -> Result<AssertResult> {
    execute_defs(ctx, vec![CgroupDef::named("cg_0").workers(2), CgroupDef::named("cg_1").workers(2)])
}

/// How much of its own time a guest takes for a KiB by either way to the host; `cargo xtask bench ring` reads it.
#[ktstr_test(llcs = 1, cores = 2, threads = 1, duration_s = 60)]
#[ignore = "a measurement"]
fn channels(_ctx: &Ctx) -> Result<AssertResult> {
    use ktstr_wire::{GuestMessage, Stream, control, message};
    use std::io::Write;

    let bytes = vec![b'.'; 32 << 10];
    let ns_per_kib = |pieces: usize, write: &mut dyn FnMut() -> Result<()>| -> Result<u128> {
        let began = std::time::Instant::now();
        (0..pieces).try_for_each(|_| write())?;
        Ok(began.elapsed().as_nanos() / (pieces * bytes.len() / 1024) as u128)
    };
    // The pipe holds two pieces, so that at most those are not yet in the ring in the end.
    let mut output = std::io::stdout().lock();
    let ring = ns_per_kib(100, &mut || Ok(output.write_all(&bytes)?))?;
    let frame =
        control::frame(&message::encode(&GuestMessage::Output { stream: Stream::Stdout, bytes: bytes.clone() }));
    let mut port = std::fs::File::options().write(true).open("/dev/ttyS1")?;
    let com2 = ns_per_kib(4, &mut || Ok(port.write_all(&frame)?))?;
    writeln!(output, "\nring_ns_per_kib={ring}\ncom2_ns_per_kib={com2}")?;
    Ok(AssertResult::default())
}
