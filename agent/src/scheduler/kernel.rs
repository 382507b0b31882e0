//! What the kernel says of sched_ext (Documentation/scheduler/sched-ext.rst, "Switching to and from sched_ext").

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::Path;

const DIR: &str = "/sys/kernel/sched_ext";
const STATE: &str = "/sys/kernel/sched_ext/state";
const ENABLE_SEQ: &str = "/sys/kernel/sched_ext/enable_seq";
const OPS: &str = "/sys/kernel/sched_ext/root/ops";

/// Whether a scheduler is enabled.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Disabled,
    Enabled,
    /// On the way to one of them.
    Between,
}

/// One look at the kernel's files.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Kernel {
    pub(super) state: State,
    /// How many schedulers have been enabled since boot. It is counted a moment after the state says so.
    pub(super) enable_seq: u64,
}

/// Looks.
///
/// # Errors
/// When a file cannot be read or says something strange.
pub(super) fn look() -> Result<Kernel> {
    let seq = read(ENABLE_SEQ)?;
    let enable_seq = seq.parse().with_context(|| format!("{ENABLE_SEQ} is no number: {seq:?}"))?;
    Ok(Kernel { state: parse_state(&read(STATE)?), enable_seq })
}

/// # Errors
/// When the kernel has no sched_ext.
pub(super) fn require() -> Result<()> {
    ensure!(Path::new(DIR).exists(), "this kernel has no {DIR}: it was built without CONFIG_SCHED_CLASS_EXT");
    Ok(())
}

/// The state in the kernel's word; empty where it has none.
pub(super) fn state_word() -> String {
    read(STATE).unwrap_or_default()
}

/// The name of the scheduler that is enabled; empty when there is none any more.
pub(super) fn ops() -> String {
    read(OPS).unwrap_or_default()
}

fn read(path: &str) -> Result<String> {
    let text = fs::read_to_string(path).with_context(|| format!("cannot read {path}"))?;
    Ok(text.trim_end().to_owned())
}

/// Newer kernels may have more words for what is neither; older ones had `prepping`.
fn parse_state(word: &str) -> State {
    match word {
        "disabled" => State::Disabled,
        "enabled" => State::Enabled,
        _ => State::Between,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_that_settle_nothing_are_waited_for() {
        let check = |word, state| assert_eq!(parse_state(word), state, "{word}");
        check("disabled", State::Disabled);
        check("enabled", State::Enabled);
        check("enabling", State::Between);
        check("disabling", State::Between);
        check("", State::Between);
    }
}
