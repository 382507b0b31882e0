//! What the kernel's scheduler does, recorded at stop points where that costs the guest nothing.

use crate::record::SchedulePart;
use ktstr_kernels::Kernel;
use ktstr_monitor::schedule::{Places, Recorder, Schedule};
use ktstr_vmm::{Chosen, Error, Vm, stops};
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// The end of the file's name, in the place of the console's.
const SUFFIX: &str = ".schedule";
const CONSOLE_SUFFIX: &str = ".console.log";

/// A recorder that will see a machine.
pub(crate) struct Watch {
    places: Places,
    recorder: Arc<Mutex<Recorder>>,
    /// Why the machine does not tell.
    refusal: OnceLock<String>,
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
        Ok(Self { places, recorder: Arc::default(), refusal: OnceLock::new() })
    }

    /// Has the machine tell, before it starts. A backend that cannot is no error: the test runs without.
    ///
    /// # Errors
    /// As [`Vm::record_at`].
    pub(crate) fn set(&self, vm: &mut Vm) -> Result<(), Error> {
        for place in self.places.iter() {
            let (recorder, point) = (Arc::clone(&self.recorder), place.point);
            let told = vm.record_at(place.address, &place.reads, move |hit| {
                recorder.lock().unwrap_or_else(PoisonError::into_inner).hit(point, hit);
            });
            if let Some(why) = refusal(told)? {
                self.refusal.get_or_init(|| why);
                break;
            }
        }
        Ok(())
    }

    /// What happened since that moment of the guest's clock, once the machine is gone.
    ///
    /// # Errors
    /// Why that is not known, for people.
    pub(crate) fn since(&self, started_ns: Option<u64>) -> Result<Schedule, String> {
        if let Some(why) = self.refusal.get() {
            return Err(why.clone());
        }
        let started_ns = started_ns.ok_or("the test binary was not started")?;
        let recorder = std::mem::take(&mut *self.recorder.lock().unwrap_or_else(PoisonError::into_inner));
        recorder.finish(started_ns).ok_or_else(|| "the kernel did not tell its clock".to_owned())
    }
}

/// Why the backend has no stop points, if that is all that is wrong.
fn refusal(told: Result<(), Error>) -> Result<Option<String>, Error> {
    match told {
        Err(Error::Stop(stops::Error::Backend { why, .. })) => Ok(Some(why)),
        other => other.map(|()| None),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_backend_without_stop_points_is_gone_without() {
        let stop = |error: stops::Error| refusal(Err(error.into()));
        let why = stop(stops::Error::Backend { address: 1, why: "use another".into() }).unwrap();
        assert_eq!(why.as_deref(), Some("use another"));
        assert!(matches!(stop(stops::Error::Running { address: 1 }), Err(Error::Stop(_))));
        assert_eq!(refusal(Ok(())).unwrap(), None);
    }
}
