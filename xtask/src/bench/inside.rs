//! The inner half of the measurements in the lab.

use super::row::Row;
use super::steady::Bed;
use super::{Name, forks, hello, kvm, rss};
use anyhow::{Result, bail};
use std::path::Path;

/// Measures with a test program that was built outside.
///
/// # Errors
/// As the measurement's own, and for one that needs no lab.
pub(super) fn measure(name: Name, program: &Path, rounds: u32) -> Result<Vec<Row>> {
    let bed = Bed::with_program(program.to_owned())?;
    match name {
        Name::Kvm => kvm::measure(&bed, rounds),
        Name::HelloKvm => hello::kvm(&bed, rounds),
        Name::ForksKvm => forks::kvm(&bed, rounds),
        Name::Rss => rss::kvm(&bed),
        Name::Author
        | Name::Pack
        | Name::Books
        | Name::Ring
        | Name::Stops
        | Name::Tcg
        | Name::Hello
        | Name::Forks
        | Name::Gauntlet
        | Name::RssTcg
        | Name::Verifier => {
            bail!("this is not measured in the lab")
        }
    }
}
