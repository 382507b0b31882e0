//! Whether a kernel's BTF lets BPF programs call its kfuncs.
//!
//! A kfunc with `KF_IMPLICIT_ARGS` (since Linux 7.0) takes a last argument `const struct bpf_prog_aux *aux` that the
//! verifier supplies. `resolve_btfids` makes two BTF functions of it at build time: `NAME_impl` with the argument, and
//! `NAME` without, which programs declare. It finds kfuncs by the `bpf_kfunc` declaration tags that pahole wrote. Some
//! builds lack a random part of those tags; each untagged function keeps the argument in its public prototype, so
//! libbpf refuses the program ("func_proto incompatible"), and few sched_ext schedulers load. Found broken: Debian's
//! 7.1.3, 7.1.13, 7.2.6, 7.2.9, 7.2.11, 7.2.12, each with another set of functions; sound: 6.16.12, 7.0.13, 7.2.13,
//! 7.3.4.
//!
//! The check needs no list of names. `.BTF_ids` holds pairs of BTF id and flags for every registered kfunc
//! (include/linux/btf_ids.h, `BTF_ID_FLAGS`). A function that is there with the flag, and still has the argument, is
//! broken. Functions such as `bpf_prog_get_assoc_struct_ops` have the same last parameter but are no kfuncs.

use crate::extract::elf::{self, Elf};
use btf_rs::{Btf, BtfType, Type};
use serde::{Deserialize, Serialize};
use std::collections::HashSet;

/// What the kernel's BTF is worth to BPF programs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BtfHealth {
    /// There, and every kfunc can be called.
    Sound,
    /// The kernel has no `.BTF`.
    Missing,
    /// There, but these kfuncs have a prototype that no program can match.
    BrokenKfuncs(Vec<String>),
}

impl BtfHealth {
    /// Whether BPF programs that call kfuncs load.
    pub fn is_sound(&self) -> bool {
        *self == BtfHealth::Sound
    }

    /// What is wrong, as a sentence to show; `None` when nothing is.
    pub fn complaint(&self) -> Option<String> {
        match self {
            BtfHealth::Sound => None,
            BtfHealth::Missing => Some("it has no BTF (CONFIG_DEBUG_INFO_BTF): no sched_ext scheduler loads".into()),
            BtfHealth::BrokenKfuncs(names) => Some(format!(
                "its BTF is broken: {} kfuncs ({}{}) show an argument that only the verifier may pass, so BPF programs \
                 that call them do not load",
                names.len(),
                names.iter().take(3).cloned().collect::<Vec<_>>().join(", "),
                if names.len() > 3 { ", …" } else { "" },
            )),
        }
    }
}

/// Why BTF could not be judged.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The ELF file.
    #[error(transparent)]
    Elf(#[from] elf::Error),
    /// The `.BTF` section is damaged.
    #[error("the kernel's .BTF section is damaged: use another kernel, or fetch this one again")]
    Btf(#[from] btf_rs::Error),
}

/// What was read from a kernel's type information.
pub(crate) struct Report {
    pub(crate) health: BtfHealth,
    /// Whether `struct sched_ext_ops` is known, which says the same as `CONFIG_SCHED_CLASS_EXT`.
    pub(crate) has_sched_ext: bool,
}

/// `KF_IMPLICIT_ARGS` of include/linux/btf.h.
const IMPLICIT_ARGS: u32 = 1 << 16;
/// Flags end below this; a larger word beside an id is not a flags word.
const FLAGS_END: u32 = 1 << 20;

/// Judges the BTF of a kernel.
pub(crate) fn examine(elf: &Elf<'_>) -> Result<Report, Error> {
    let Some(section) = elf.section(".BTF")? else {
        return Ok(Report { health: BtfHealth::Missing, has_sched_ext: false });
    };
    let btf = Btf::from_bytes(&section)?;
    let has_sched_ext = btf.resolve_ids_by_name("sched_ext_ops").is_ok_and(|ids| !ids.is_empty());
    let ids = elf.section(".BTF_ids")?.unwrap_or_default();
    let broken = broken_kfuncs(&btf, &with_implicit_args(&ids))?;
    let health = if broken.is_empty() { BtfHealth::Sound } else { BtfHealth::BrokenKfuncs(broken) };
    Ok(Report { health, has_sched_ext })
}

/// The ids in `.BTF_ids` that a flags word with the bit follows.
fn with_implicit_args(section: &[u8]) -> HashSet<u32> {
    let (words, _) = section.as_chunks::<4>();
    let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
    let marked = |pair: &&[u32]| pair[1] & IMPLICIT_ARGS != 0 && pair[1] < FLAGS_END;
    words.windows(2).filter(marked).map(|pair| pair[0]).collect()
}

fn broken_kfuncs(btf: &Btf, marked: &HashSet<u32>) -> Result<Vec<String>, Error> {
    let mut broken = Vec::new();
    for id in marked {
        // A flags word may look like an id of its neighbour; an id that is no function is such a one.
        let Ok(Type::Func(function)) = btf.resolve_type_by_id(*id) else { continue };
        let name = btf.resolve_name(&function)?;
        if !name.ends_with("_impl") && takes_prog_aux(btf, &function) {
            broken.push(name);
        }
    }
    broken.sort();
    Ok(broken)
}

/// Whether the last parameter is a `[const] struct bpf_prog_aux *`.
fn takes_prog_aux(btf: &Btf, function: &btf_rs::Func) -> bool {
    let Ok(Type::FuncProto(prototype)) = btf.resolve_chained_type(function) else { return false };
    let Some(last) = prototype.parameters.last() else { return false };
    let Ok(Type::Ptr(pointer)) = btf.resolve_chained_type(last) else { return false };
    let pointee = match btf.resolve_chained_type(&pointer) {
        Ok(Type::Const(qualifier)) => btf.resolve_chained_type(&qualifier),
        other => other,
    };
    match pointee {
        Ok(Type::Struct(found)) => btf.resolve_name(&found as &dyn BtfType).is_ok_and(|name| name == "bpf_prog_aux"),
        Ok(Type::Fwd(found)) => btf.resolve_name(&found as &dyn BtfType).is_ok_and(|name| name == "bpf_prog_aux"),
        _ => false,
    }
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
