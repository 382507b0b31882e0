//! What workers do.

use serde::{Deserialize, Serialize};

/// What a worker does, round after round, until it is told to stop.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum WorkType {
    /// Computes without a pause.
    #[default]
    CpuSpin,
}

impl WorkType {
    /// Its name, in the form in which the field writes names: `cpu_spin`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::CpuSpin => "cpu_spin",
        }
    }
}
