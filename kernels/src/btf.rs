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
use ktstr_btf::{CONST, FUNC, FUNC_PROTO, FWD, PTR, STRUCT, Type, Types};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

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
    /// The `.BTF` section is damaged, or newer than what is known here.
    #[error("the kernel's .BTF section cannot be read: use another kernel, or fetch this one again")]
    Btf(#[from] ktstr_btf::Error),
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
    judge(&section, &elf.section(".BTF_ids")?.unwrap_or_default())
}

/// Judges the contents of `.BTF` and `.BTF_ids`.
pub(crate) fn judge(section: &[u8], ids: &[u8]) -> Result<Report, Error> {
    let types = Types::parse(section)?;
    let has_sched_ext = types.find(STRUCT, "sched_ext_ops").is_some();
    let broken = broken_kfuncs(&types, ids)?;
    let health = if broken.is_empty() { BtfHealth::Sound } else { BtfHealth::BrokenKfuncs(broken) };
    Ok(Report { health, has_sched_ext })
}

/// The functions with implicit arguments, by `.BTF_ids`, that show theirs; sorted.
fn broken_kfuncs(types: &Types<'_>, ids: &[u8]) -> Result<Vec<String>, Error> {
    let mut broken = Vec::new();
    for id in with_implicit_args(types, ids) {
        let Some(function) = types.get(id).filter(|function| takes_prog_aux(types, function)) else { continue };
        let name = types.name(&function)?;
        if !name.ends_with("_impl") {
            broken.push(name.to_owned());
        }
    }
    broken.sort();
    Ok(broken)
}

/// The functions in `.BTF_ids` that a flags word with the bit follows.
fn with_implicit_args(types: &Types<'_>, ids: &[u8]) -> BTreeSet<u32> {
    let (words, _) = ids.as_chunks::<4>();
    let pairs = words.windows(2).map(|pair| (u32::from_le_bytes(pair[0]), u32::from_le_bytes(pair[1])));
    let marked = pairs.filter(|(_, flags)| flags & IMPLICIT_ARGS != 0 && *flags < FLAGS_END);
    // A flags word may look like an id of its neighbour; an id that is no function is such a one.
    marked.map(|(id, _)| id).filter(|id| types.get(*id).is_some_and(|found| found.kind == FUNC)).collect()
}

/// Whether a function's last parameter is a `[const] struct bpf_prog_aux *`.
fn takes_prog_aux(types: &Types<'_>, function: &Type<'_>) -> bool {
    let of_kind = |id: u32, kind: u8| types.get(id).filter(|found| found.kind == kind);
    let prototype = of_kind(function.target, FUNC_PROTO);
    let last = prototype.and_then(|prototype| prototype.last_parameter());
    let Some(pointer) = last.and_then(|last| of_kind(last, PTR)) else { return false };
    let pointee = of_kind(pointer.target, CONST).map_or(pointer.target, |qualifier| qualifier.target);
    let structure = of_kind(pointee, STRUCT).or_else(|| of_kind(pointee, FWD));
    structure.is_some_and(|structure| types.is_named(&structure, "bpf_prog_aux"))
}

#[cfg(test)]
#[path = "btf_tests.rs"]
mod tests;
