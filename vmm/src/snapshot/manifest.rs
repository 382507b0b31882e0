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

/// Far more than any file has that is read into memory.
const MAX_READ_BYTES: u64 = 256 << 20;

/// The manifest.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
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
        let manifest = Self::parse(&text).map_err(|why| Error::Manifest { path, why })?;
        match first_difference(&manifest.identity, identity) {
            Some((found, wanted)) => Err(Error::Identity { dir: dir.to_owned(), found, wanted }),
            None => Ok(manifest),
        }
    }

    /// Reads the text of a manifest.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, String> {
        let manifest: Self =
            serde_json::from_slice(text).map_err(|error| format!("it is no manifest of format {FORMAT}: {error}"))?;
        if manifest.format != FORMAT {
            return Err(format!("its format is {}, and this program knows {FORMAT}", manifest.format));
        }
        let Self { state, console, control, .. } = &manifest;
        match [state, console, control].iter().find(|file| file.bytes > MAX_READ_BYTES) {
            Some(file) => Err(format!("{} bytes are more than any machine has besides its RAM", file.bytes)),
            None => Ok(manifest),
        }
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

/// The first line of an identity that is another than the one wanted, and that one.
fn first_difference(found: &str, wanted: &str) -> Option<(String, String)> {
    let same = found.bytes().zip(wanted.bytes()).take_while(|(found, wanted)| found == wanted).count();
    let start = found.get(..same).and_then(|both| both.rfind('\n')).map_or(0, |end| end + 1);
    let line = |text: &str| text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default().to_owned();
    (found != wanted).then(|| (line(found), line(wanted)))
}
