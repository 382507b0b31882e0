//! Which backend runs a machine.

use crate::error::Error;
use crate::{kvm, qemu};
use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// The backend that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Accel {
    /// KVM where a probe finds it usable, else software emulation.
    #[default]
    Auto,
    /// Our own monitor on `/dev/kvm`.
    Kvm,
    /// QEMU with software emulation, deterministic.
    Tcg,
}

/// The backend that runs a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Chosen {
    /// Our own monitor on `/dev/kvm`.
    Kvm,
    /// QEMU with software emulation, deterministic.
    Tcg,
}

impl Accel {
    /// Settles the choice, with a line that says which and why.
    ///
    /// # Errors
    /// Why the backend that was asked for, or any, cannot run here.
    pub fn choose(self) -> Result<(Chosen, String), Error> {
        match self {
            Self::Kvm => {
                kvm::probe()?;
                Ok((Chosen::Kvm, "kvm: asked for, and the probe passed".to_owned()))
            }
            Self::Tcg => {
                let qemu = qemu::Qemu::find()?;
                Ok((Chosen::Tcg, format!("tcg: asked for; QEMU {}", qemu.version)))
            }
            Self::Auto => match (kvm::probe(), qemu::Qemu::find()) {
                (Ok(()), _) => Ok((Chosen::Kvm, "kvm: the probe passed".to_owned())),
                (Err(why), Ok(qemu)) => Ok((Chosen::Tcg, format!("tcg with QEMU {}, because {why}", qemu.version))),
                (Err(kvm), Err(tcg)) => Err(Error::NoAccelerator { kvm: Box::new(kvm), tcg: Box::new(tcg) }),
            },
        }
    }
}

impl FromStr for Accel {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "kvm" => Ok(Self::Kvm),
            "tcg" => Ok(Self::Tcg),
            other => Err(format!("{other:?} is not an accelerator: write auto, kvm or tcg")),
        }
    }
}

impl fmt::Display for Accel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Kvm => Chosen::Kvm.fmt(f),
            Self::Tcg => Chosen::Tcg.fmt(f),
        }
    }
}

impl fmt::Display for Chosen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Kvm => "kvm",
            Self::Tcg => "tcg",
        })
    }
}
