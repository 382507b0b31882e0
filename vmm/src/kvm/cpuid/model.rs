//! What Linux makes of a processor by its vendor, family and model.

use super::Leaves;

/// Who made the processor: the two describe caches and topology differently.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Vendor {
    Amd,
    Intel,
}

/// A processor model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Model {
    pub(super) vendor: Vendor,
    hygon: bool,
    family: u32,
    model: u32,
}

/// First family with an L3 for a part of a package: Zen.
const ZEN: u32 = 0x17;
/// The last model of the first Zen generations.
const LAST_ZEN_PLUS: u32 = 0x1f;

impl Model {
    pub(super) fn of(leaves: &Leaves) -> Self {
        let word = |function| leaves.get(function, 0).copied().unwrap_or_default();
        let (name, version) = (word(0), word(1).eax);
        let name: Vec<u8> = [name.ebx, name.edx, name.ecx].into_iter().flat_map(u32::to_le_bytes).collect();
        let hygon = name == b"HygonGenuine";
        let vendor = if hygon || name == b"AuthenticAMD" { Vendor::Amd } else { Vendor::Intel };
        let (family, model) = (version >> 8 & 0xf, version >> 4 & 0xf);
        let model = model | (version >> 16 & 0xf) << 4;
        Self { vendor, hygon, family: if family == 0xf { family + (version >> 20 & 0xff) } else { family }, model }
    }

    /// How many low bits of an APIC id Linux drops to number an LLC, where it does not ask the processor: the core complex
    /// is bit 3 there, whatever the caches' leaf says (arch/x86/kernel/cpu/cacheinfo.c, cacheinfo_amd_init_llc_id and
    /// cacheinfo_hygon_init_llc_id).
    pub(crate) fn fixed_llc_shift(&self) -> Option<u32> {
        let zen_1 = self.family == ZEN && self.model <= LAST_ZEN_PLUS;
        (self.vendor == Vendor::Amd && (self.hygon || zen_1)).then_some(3)
    }

    /// The most LLCs that Linux can tell apart: before Zen it takes the node's number for the LLC's, which has 8 bits in leaf
    /// 0x8000001E.
    pub(crate) fn most_llcs(&self) -> u32 {
        if self.vendor == Vendor::Amd && !self.hygon && self.family < ZEN { 1 << 8 } else { u32::MAX }
    }

    /// The most SMT threads of a core: leaf 0x8000001E counts them with 8 bits, leaf 0xB with 16.
    pub(crate) fn most_threads(&self) -> u32 {
        match self.vendor {
            Vendor::Amd => 1 << 8,
            Vendor::Intel => (1 << 16) - 1,
        }
    }
}
