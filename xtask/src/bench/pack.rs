//! Packing a payload that is packed already, against looking at each of its inputs once.

use super::row::{Budget, Row};
use super::steady::{Bed, PROGRAM};
use anyhow::{Context, Result};
use ktstr_cache::Cache;
use ktstr_initramfs::{ImageSpec, Sysroot, closure};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::hint::black_box;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Instant;

/// Repetitions of which one round's value is the mean.
const REPEAT: u32 = 200;

/// Measures.
///
/// # Errors
/// When the test program cannot be built or packed.
pub(super) fn measure(rounds: u32) -> Result<Vec<Row>> {
    let bed = Bed::prepare(PROGRAM)?;
    let cache = Cache::open_default()?;
    let spec = ImageSpec::new().program(&bed.program, "/ktstr/test");
    spec.build(&cache)?;
    let mut inputs: Vec<PathBuf> = closure(&bed.program, &Sysroot::host())?.into_iter().map(|it| it.host).collect();
    inputs.push(bed.program.clone());
    let (mut ours, mut reference) = (Vec::new(), Vec::new());
    // These rounds take milliseconds; more of them cost nothing.
    for _ in 0..rounds * 4 {
        ours.push(mean_us(|| spec.build(&cache).map(drop).context("cannot pack the test program"))?);
        reference.push(mean_us(|| look(&inputs))?);
    }
    let what = format!("pack: warm payload of {} files", inputs.len());
    Ok(vec![Row::new(what, "µs", &ours).against("hash of their stats", &reference).within(Budget::Ratio(1.0))])
}

fn mean_us(mut body: impl FnMut() -> Result<()>) -> Result<f64> {
    let began = Instant::now();
    for _ in 0..REPEAT {
        body()?;
    }
    Ok(began.elapsed().as_secs_f64() * 1e6 / f64::from(REPEAT))
}

/// Hashes modification time, size and inode of each input.
fn look(inputs: &[PathBuf]) -> Result<()> {
    let mut hasher = DefaultHasher::new();
    for path in inputs {
        let meta = std::fs::metadata(path).with_context(|| format!("cannot look at {}", path.display()))?;
        (meta.mtime(), meta.mtime_nsec(), meta.size(), meta.ino()).hash(&mut hasher);
    }
    black_box(hasher.finish());
    Ok(())
}
