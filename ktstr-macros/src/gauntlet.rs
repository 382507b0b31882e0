//! Which presets a test has variants on.

use crate::machine::MachineAttrs;
use crate::values::{Given, boolean, count};
use ktstr_presets::{PRESETS, Preset};
use proc_macro2::Span;
use syn::spanned::Spanned;
use syn::{Error, MetaNameValue, Result};

/// What the attribute says of the machines that the test is for.
#[derive(Default)]
pub(crate) struct Gauntlet {
    /// `gauntlet = false`, and where.
    wanted: Option<Given<bool>>,
    requires_smt: bool,
    llcs: Range,
    cpus: Range,
    numa_nodes: Range,
    /// Where the first constraint is.
    constrained: Option<Span>,
}

/// The least and the most of something.
#[derive(Default)]
struct Range {
    min: Option<Given<u32>>,
    max: Option<Given<u32>>,
}

impl Gauntlet {
    /// Takes one of the gauntlet's words; whether it is one.
    pub(crate) fn set(&mut self, name: &str, pair: &MetaNameValue) -> Result<bool> {
        let value = &pair.value;
        if name == "gauntlet" {
            self.wanted = Some(Given::new(value, boolean(name, value)?));
            return Ok(true);
        }
        let slot = match name {
            "requires_smt" => {
                self.requires_smt = boolean(name, value)?;
                self.constrained.get_or_insert(pair.path.span());
                return Ok(true);
            }
            "min_llcs" => &mut self.llcs.min,
            "max_llcs" => &mut self.llcs.max,
            "min_cpus" => &mut self.cpus.min,
            "max_cpus" => &mut self.cpus.max,
            "min_numa_nodes" => &mut self.numa_nodes.min,
            "max_numa_nodes" => &mut self.numa_nodes.max,
            _ => return Ok(false),
        };
        *slot = Some(Given::new(value, count(name, value)?));
        self.constrained.get_or_insert(pair.path.span());
        Ok(true)
    }

    /// Checks the constraints against each other and the presets; `span` is where all attributes are.
    pub(crate) fn check(&self, machine: &MachineAttrs, span: Span) -> Result<()> {
        if let (false, Some(constraint)) = (self.is_wanted(), self.constrained) {
            let message =
                "this chooses among the presets, and `gauntlet = false` leaves out all of them: give one of them";
            return Err(Error::new(constraint, message));
        }
        self.llcs.check("llcs")?;
        self.cpus.check("cpus")?;
        self.numa_nodes.check("numa_nodes")?;
        if self.is_wanted() && self.presets(machine).next().is_none() {
            let message = "no preset is like this: widen `min_…`, `max_…`, `requires_smt` or `memory_mb`, or say `gauntlet = false`";
            return Err(Error::new(self.constrained.unwrap_or(span), message));
        }
        Ok(())
    }

    pub(crate) fn is_wanted(&self) -> bool {
        self.wanted.as_ref().is_none_or(|given| given.value)
    }

    /// Those on which the test has variants, with their numbers.
    pub(crate) fn presets(&self, machine: &MachineAttrs) -> impl Iterator<Item = (usize, &'static Preset)> {
        let memory_mb = machine.memory_mb.as_ref().map_or(0, |given| given.value);
        PRESETS.iter().enumerate().filter(move |(_, preset)| self.fits(preset, memory_mb))
    }

    fn fits(&self, preset: &Preset, memory_mb: u32) -> bool {
        // Where the preset does not say how much memory there is, there will be as much as the test needs.
        let has_memory = preset.node_memory_mb.is_empty() || preset.node_memory_mb.iter().sum::<u32>() >= memory_mb;
        self.llcs.has(preset.llcs)
            && self.cpus.has(preset.cpus())
            && self.numa_nodes.has(preset.numa_nodes)
            && (preset.threads_per_core > 1 || !self.requires_smt)
            && has_memory
    }
}

impl Range {
    fn check(&self, what: &str) -> Result<()> {
        match (&self.min, &self.max) {
            (Some(min), Some(max)) if min.value > max.value => {
                let message =
                    format!("`max_{what}` is {} and `min_{what}` {}: nothing is between", max.value, min.value);
                Err(max.error(message))
            }
            _ => Ok(()),
        }
    }

    fn has(&self, number: u32) -> bool {
        self.min.as_ref().is_none_or(|min| number >= min.value)
            && self.max.as_ref().is_none_or(|max| number <= max.value)
    }
}
