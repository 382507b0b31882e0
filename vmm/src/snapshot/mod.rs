//! Snapshots: what a machine was at one moment, as files from which any number of machines go on.
//!
//! A snapshot is a directory, written once and never changed: whoever replaces it renames a new one into its place, and
//! machines that were made of the old one keep its files. Nothing in it is believed before its checksum has been compared,
//! which for RAM, the one large file, is done once for as long as nobody writes to it.

mod error;
mod manifest;
mod pages;
mod ram;
mod save;
mod stamp;
#[cfg(test)]
mod tests;

pub use error::Error;
pub(crate) use manifest::Manifest;
pub(crate) use ram::{copy_into_files, copy_into_memory, data_blocks};
pub(crate) use save::save;

use manifest::Contents;
use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

/// Guest RAM: one sparse file, the nodes behind each other. Pages of zeros are holes.
const RAM: &str = "ram";
/// What the backend needs besides.
const STATE: &str = "state";
/// That the checksum of RAM has been compared.
const COMPARED: &str = "ram-compared";
/// All that the guest had written to COM1.
const CONSOLE: &str = "console";
/// All that the guest had written to COM2.
const CONTROL: &str = "control";

/// More than enough for no two identities ever to have the same name.
const NAME_DIGITS: usize = 32;

/// A snapshot that is whole, and of the machine that is wanted.
#[derive(Debug)]
pub struct Snapshot {
    dir: PathBuf,
    ram: File,
    ram_bytes: u64,
    state: Vec<u8>,
    console: Vec<u8>,
    control: Vec<u8>,
}

impl Snapshot {
    /// A name for the snapshot of this identity: hexadecimal digits, always the same.
    pub fn name(identity: &str) -> String {
        blake3::hash(identity.as_bytes()).to_hex().chars().take(NAME_DIGITS).collect()
    }

    /// Opens the snapshot in this directory and checks all of it; `identity` is what was given to [`crate::Vm::save`].
    ///
    /// # Errors
    /// Which of its files is missing or damaged, or what else it is a snapshot of.
    pub fn open(dir: &Path, identity: &str) -> Result<Self, Error> {
        let manifest = Manifest::read(dir, identity)?;
        let (ram, ram_bytes) = open_ram(dir, &manifest.ram)?;
        Ok(Self {
            dir: dir.to_owned(),
            ram,
            ram_bytes,
            state: read(&dir.join(STATE), &manifest.state)?,
            console: read(&dir.join(CONSOLE), &manifest.console)?,
            control: read(&dir.join(CONTROL), &manifest.control)?,
        })
    }

    /// The file of its RAM, if that is as much as the machine has.
    ///
    /// # Errors
    /// [`Error::OtherRam`].
    pub(crate) fn ram(&self, machine_bytes: u64) -> Result<&File, Error> {
        if self.ram_bytes != machine_bytes {
            let (dir, found_bytes) = (self.dir.clone(), self.ram_bytes);
            return Err(Error::OtherRam { dir, found_bytes, machine_bytes });
        }
        Ok(&self.ram)
    }

    /// What the backend saved.
    pub(crate) fn state(&self) -> &[u8] {
        &self.state
    }

    /// What the guest had written to COM1 and to COM2.
    pub(crate) fn logs(&self) -> [&[u8]; 2] {
        [&self.console, &self.control]
    }
}

fn open(path: &Path, expected: &Contents) -> Result<File, Error> {
    let opened = File::open(path).and_then(|file| Ok((file.metadata()?.len(), file)));
    let (found_bytes, file) = opened.map_err(Error::file("open", path))?;
    if found_bytes != expected.bytes {
        return Err(Error::Length { path: path.to_owned(), found_bytes, bytes: expected.bytes });
    }
    Ok(file)
}

fn open_ram(dir: &Path, expected: &Contents) -> Result<(File, u64), Error> {
    let (path, note) = (dir.join(RAM), dir.join(COMPARED));
    let file = open(&path, expected)?;
    if !stamp::is_noted(&note, &file) {
        let found = pages::digest(&file, expected.bytes).map_err(Error::file("read", &path))?;
        expected.compare(&found, &path)?;
        stamp::put(&note, &file);
    }
    Ok((file, expected.bytes))
}

fn read(path: &Path, expected: &Contents) -> Result<Vec<u8>, Error> {
    let mut bytes = Vec::new();
    // No more than there was, however long it has become.
    open(path, expected)?.take(expected.bytes).read_to_end(&mut bytes).map_err(Error::file("read", path))?;
    expected.compare(&Contents::of(&bytes).blake3, path)?;
    Ok(bytes)
}
