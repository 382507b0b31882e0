//! How a machine comes to its hello and to its order: it boots, or goes on from where another one was.
//!
//! Where snapshots can be had the order comes after the hello: what is kept of the machine is nobody's run yet. Under
//! emulation the machine stands still meanwhile, at the same instruction in each run, be it the first or one that goes on
//! from it, so that all of them are the same.

use super::{Session, SessionError};
use crate::host::phases::Phase;
use crate::host::snapshots::Place;
use crate::record::BootPart;
use ktstr_vmm::{Chosen, RamRegion, Vm, VmConfig};
use ktstr_wire::message::encode;
use ktstr_wire::{Reserved, Run};
use std::fs::File;

/// What a guest is to do.
pub(crate) struct Errand<'a> {
    /// The archive of programs that it needs.
    pub(crate) archive: File,
    pub(crate) archive_bytes: usize,
    pub(crate) order: &'a Run,
}

/// When a guest gets its errand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Moment {
    /// Before it starts: what a guest with a clock of its own sees must not depend on when the host got round to it.
    First,
    /// While it boots, which takes no longer for it.
    Meanwhile,
    /// When it stands still.
    Frozen,
}

/// An errand that waits for a machine to stand still.
pub(super) struct Waiting<'a> {
    errand: Errand<'a>,
    reserved: Reserved<RamRegion>,
    place: Option<&'a Place<'a>>,
}

/// The machine, whether it is a fork, and its reserved range.
pub(super) fn machine(
    config: &VmConfig,
    place: Option<&Place<'_>>,
) -> Result<(Vm, BootPart, Reserved<RamRegion>), SessionError> {
    if let Some((vm, reserved)) = place.and_then(|place| place.fork(config)) {
        return Ok((vm, BootPart::Forked, reserved));
    }
    let vm = Vm::new(config)?;
    let reserved = Reserved::format(vm.reserved()?)?;
    Ok((vm, BootPart::Booted, reserved))
}

/// When this machine is to get its errand.
pub(super) fn moment(vm: &mut Vm, boot: &BootPart, accel: Chosen, has_place: bool) -> Moment {
    match accel {
        _ if *boot == BootPart::Forked => Moment::First,
        Chosen::Tcg if vm.stop_at_mark() => Moment::Frozen,
        Chosen::Tcg => Moment::First,
        Chosen::Kvm if has_place => Moment::Frozen,
        Chosen::Kvm => Moment::Meanwhile,
    }
}

impl<'a> Waiting<'a> {
    pub(super) fn new(errand: Errand<'a>, reserved: Reserved<RamRegion>, place: Option<&'a Place<'a>>) -> Self {
        Self { errand, reserved, place }
    }
}

/// Puts the archive and then the order into the reserved range.
pub(super) fn deliver(errand: &mut Errand<'_>, reserved: &Reserved<RamRegion>) -> Result<(), SessionError> {
    reserved.put_payload(&mut errand.archive, errand.archive_bytes)?;
    let order = encode(errand.order);
    if reserved.orders_out()?.push(&order)? { Ok(()) } else { Err(SessionError::OrderTooLarge { bytes: order.len() }) }
}

impl Session<'_> {
    /// Once the guest stands still: keeps it for others, gives it its errand and lets it go on.
    pub(super) fn begin_if_frozen(&mut self) -> Result<(), SessionError> {
        let may_be_frozen = !self.real_time || self.clock.phase() == Phase::Ready;
        if self.waiting.is_none() || !may_be_frozen || !self.vm.freeze()? {
            return Ok(());
        }
        let Some(Waiting { mut errand, reserved, place }) = self.waiting.take() else { return Ok(()) };
        // What it said up to now is said by each fork of it, too.
        while self.look()?.is_any() {}
        let trouble = self.console.trouble();
        self.seen.boot = place.map_or(BootPart::Booted, |place| place.keep(&mut self.vm, trouble));
        deliver(&mut errand, &reserved)?;
        // What the guest has put there before is in what was kept, too, and is taken by each run anew.
        self.ring = Some(reserved.bulk_in()?);
        Ok(self.vm.resume()?)
    }
}
