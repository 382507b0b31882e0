//! Calls of a scheduler's BPF programs, from when it is enabled on: before that there are none to be probed.

use super::{tell, tell_probe};
use crate::bpf::{Probe, struct_ops};
use crate::link::Link;
use anyhow::{Context, Result};
use ktstr_wire::trace::{TraceEvent, TraceProbeKind};
use std::fs;

/// The most programs that are probed; a scheduler has as many as it has callbacks.
const MOST: usize = 64;

/// What a probe prints is this event. Loading a probe enables it where the kernel's own trace goes.
pub(super) const EVENT: &str = "bpf_trace/bpf_trace_printk";
const GLOBAL_SWITCH: &str = "/sys/kernel/tracing/events/bpf_trace/bpf_trace_printk/enable";

/// The probes of the scheduler that runs.
#[derive(Default)]
pub(super) struct Programs {
    probes: Vec<Probe>,
    is_followed: bool,
}

impl Programs {
    /// Probes the programs of a scheduler when it is enabled, and lets go of them when it is not any more: whatever is probed
    /// stays in the kernel.
    pub(super) fn follow(&mut self, is_enabled: bool, link: &mut Link) -> Result<()> {
        if is_enabled == self.is_followed {
            return Ok(());
        }
        self.is_followed = is_enabled;
        self.probes.clear();
        if !is_enabled {
            return Ok(());
        }
        match struct_ops() {
            Err(error) => tell(link, TraceEvent::Note(format!("no BPF program is traced: {error:#}")))?,
            Ok(programs) => {
                for program in programs.iter().take(MOST) {
                    let probe = Probe::attach(program);
                    tell_probe(link, TraceProbeKind::Program, &program.name, &probe)?;
                    self.probes.extend(probe.ok());
                }
            }
        }
        if let Err(error) = be_quiet_elsewhere() {
            tell(link, TraceEvent::Note(format!("{error:#}")))?;
        }
        Ok(())
    }
}

fn be_quiet_elsewhere() -> Result<()> {
    fs::write(GLOBAL_SWITCH, "0").with_context(|| format!("cannot write to {GLOBAL_SWITCH}"))
}
