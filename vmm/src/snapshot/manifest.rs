//! The file that says what the others must be. It is written last, so a snapshot without one is none.

use super::Error;
use serde::{Deserialize, Serialize};
use std::fs::File;
use std::io::{Read, Write};
use std::path::Path;

const NAME: &str = "snapshot.json";

/// Counts up when the format of any file changes.
const FORMAT: u32 = 1;

/// Far more than one has, identity included.
const MAX_BYTES: u64 = 1 << 20;

/// The manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    format: u32,
    identity: String,
    pub(super) ram: Contents,
    pub(super) state: Contents,
    pub(super) console: Contents,
    pub(super) control: Contents,
}

/// What a file has in it.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Contents {
    pub(super) bytes: u64,
    pub(super) blake3: String,
}

impl Contents {
    /// What a file with these bytes has in it.
    pub(super) fn of(bytes: &[u8]) -> Self {
        Self { bytes: bytes.len() as u64, blake3: blake3::hash(bytes).to_string() }
    }

    /// Compares a checksum with this one.
    ///
    /// # Errors
    /// [`Error::Checksum`].
    pub(super) fn compare(&self, found: &str, path: &Path) -> Result<(), Error> {
        if self.blake3 == found {
            return Ok(());
        }
        let (path, found, expected) = (path.to_owned(), found.to_owned(), self.blake3.clone());
        Err(Error::Checksum { path, found, expected })
    }
}

impl Manifest {
    /// Of files with these contents: RAM, state, console, control.
    pub(super) fn new(identity: &str, [ram, state, console, control]: [Contents; 4]) -> Self {
        Self { format: FORMAT, identity: identity.to_owned(), ram, state, console, control }
    }

    /// Reads the manifest of the snapshot in a directory.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(dir: &Path, identity: &str) -> Result<Self, Error> {
        let path = dir.join(NAME);
        let mut text = Vec::new();
        File::open(&path)
            .and_then(|file| file.take(MAX_BYTES).read_to_end(&mut text))
            .map_err(Error::file("read", &path))?;
        let bad = |why| Error::Manifest { path, why };
        let manifest: Self = match serde_json::from_slice(&text) {
            Ok(manifest) => manifest,
            Err(error) => return Err(bad(format!("it is no manifest of format {FORMAT}: {error}"))),
        };
        if manifest.format != FORMAT {
            return Err(bad(format!("its format is {}, and this program knows {FORMAT}", manifest.format)));
        }
        if manifest.identity != identity {
            let (dir, found, wanted) = (dir.to_owned(), manifest.identity, identity.to_owned());
            return Err(Error::Identity { dir, found, wanted });
        }
        Ok(manifest)
    }

    /// Writes it, which makes a snapshot of the files in this directory.
    ///
    /// # Errors
    /// [`Error::File`].
    pub(super) fn write(&self, dir: &Path) -> Result<(), Error> {
        let path = dir.join(NAME);
        let text = serde_json::to_vec_pretty(self).map_err(std::io::Error::from);
        text.and_then(|text| File::create_new(&path)?.write_all(&text)).map_err(Error::file("write", &path))
    }
}
