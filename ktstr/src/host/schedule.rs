//! What the kernel's scheduler does, recorded at stop points where that costs the guest nothing.

use crate::record::SchedulePart;
use ktstr_kernels::Kernel;
use ktstr_monitor::schedule::{Places, Recorder, Schedule};
use ktstr_vmm::{Chosen, Vm};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

/// The end of the file's name, in the place of the console's.
const SUFFIX: &str = ".schedule";
const CONSOLE_SUFFIX: &str = ".console.log";

/// A recorder that will see a machine.
pub(crate) struct Watch {
    places: Places,
    recorder: Arc<Mutex<Recorder>>,
}

impl Watch {
    /// For a machine with that kernel.
    ///
    /// # Errors
    /// Why its scheduler cannot be seen, for people.
    pub(crate) fn new(kernel: &Kernel, accel: Chosen) -> Result<Self, String> {
        if accel == Chosen::Kvm {
            let why = "under KVM each stop takes time from the guest: emulation tells it (KTSTR_ACCEL=tcg)";
            return Err(why.to_owned());
        }
        let symbols = kernel.symbols().map_err(|error| error.to_string())?;
        let btf = kernel.btf().map_err(|error| error.to_string())?.ok_or("this kernel has no BTF")?;
        let places = Places::of(|name| symbols.address(name), &btf).map_err(|error| error.to_string())?;
        Ok(Self { places, recorder: Arc::default() })
    }

    /// Has the machine tell, before it starts.
    ///
    /// # Errors
    /// As [`Vm::record_at`].
    pub(crate) fn set(&self, vm: &mut Vm) -> Result<(), ktstr_vmm::Error> {
        for place in self.places.iter() {
            let (recorder, point) = (Arc::clone(&self.recorder), place.point);
            vm.record_at(place.address, &place.reads, move |hit| {
                recorder.lock().unwrap_or_else(PoisonError::into_inner).hit(point, hit);
            })?;
        }
        Ok(())
    }

    /// What happened since that moment of the guest's clock, once the machine is gone.
    ///
    /// # Errors
    /// Why that is not known, for people.
    pub(crate) fn since(&self, started_ns: Option<u64>) -> Result<Schedule, String> {
        let started_ns = started_ns.ok_or("the test binary was not started")?;
        let recorder = std::mem::take(&mut *self.recorder.lock().unwrap_or_else(PoisonError::into_inner));
        recorder.finish(started_ns).ok_or_else(|| "the kernel did not tell its clock".to_owned())
    }
}

/// Writes it beside the console's log.
pub(crate) fn keep(schedule: &Schedule, dir: &Path, console_log: &str) -> SchedulePart {
    let name = format!("{}{SUFFIX}", console_log.trim_end_matches(CONSOLE_SUFFIX));
    match write(schedule, &dir.join(&name)) {
        Ok(()) => SchedulePart { file: Some(name), without: None },
        Err(error) => SchedulePart { file: None, without: Some(format!("cannot write {name}: {error}")) },
    }
}

fn write(schedule: &Schedule, path: &Path) -> io::Result<()> {
    let mut file = BufWriter::new(File::create(path)?);
    serde_json::to_writer(&mut file, schedule)?;
    file.flush()
}
