//! The shared libraries that a program's loader will load, found by the loader's own rules.
//!
//! What dlopen(3) asks for at run time (plugins, NSS modules) cannot be seen here; add such files explicitly.

use crate::Error;
use crate::elf::{Abi, Facts, facts};
use crate::ldcache::LdCache;
use crate::observed::{Observed, Stat};
use crate::script::{ENV_DIRS, shebang};
use crate::search::{Candidate, Object, candidates, normalized};
use crate::sysroot::Sysroot;
use std::collections::HashMap;
use std::path::{Path, PathBuf};

/// How deep scripts may be run by scripts (`exec_binprm`, fs/exec.c).
const SCRIPT_DEPTH: usize = 5;

/// How a library was found, in the loader's terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Via {
    /// PT_INTERP: the loader itself.
    Interpreter,
    /// The program that a `#!` line names.
    Script,
    /// A DT_NEEDED that is a path.
    Path,
    /// DT_RPATH of the object or of one that led to it.
    Rpath,
    /// LD_LIBRARY_PATH.
    LibraryPath,
    /// DT_RUNPATH of the object.
    Runpath,
    /// `/etc/ld.so.cache`.
    Index,
    /// A default directory.
    Default,
}

/// A file that a program needs in order to start.
#[derive(Debug, Clone)]
pub struct Library {
    /// The name it was asked for by.
    pub name: String,
    /// Where it is on the host.
    pub host: PathBuf,
    /// Where it belongs in the guest.
    pub guest: PathBuf,
    /// How it was found.
    pub via: Via,
    pub(crate) abi: Abi,
    pub(crate) stat: Stat,
    /// Whether the guest's loader finds it at `guest` by itself, with no index and no LD_LIBRARY_PATH.
    pub(crate) certain: bool,
}

/// The files that `program` (ELF or script) needs in order to start, the loader included, the program itself not; in
/// the order of loading. Empty for a static program.
///
/// # Errors
/// [`Error::Missing`] names what is not there and the whole chain that asks for it; [`Error::Read`], [`Error::NotAFile`]
/// and [`Error::NotAProgram`] name a file that cannot be used.
pub fn closure(program: &Path, sysroot: &Sysroot) -> Result<Vec<Library>, Error> {
    let guest = std::path::absolute(program).map_err(|source| Error::Read { path: program.to_owned(), source })?;
    closure_observed(program, &guest, sysroot, &mut Observed::default())
}

/// As [`closure`], for a program that has the path `guest` in the guest; remembers each path looked at.
pub(crate) fn closure_observed(
    host: &Path,
    guest: &Path,
    sysroot: &Sysroot,
    observed: &mut Observed,
) -> Result<Vec<Library>, Error> {
    let mut found = Vec::new();
    let label = host.display().to_string();
    program(host, guest, label, sysroot, observed, SCRIPT_DEPTH, &mut found)?;
    Ok(found)
}

fn program(
    host: &Path,
    guest: &Path,
    label: String,
    sysroot: &Sysroot,
    observed: &mut Observed,
    depth: usize,
    found: &mut Vec<Library>,
) -> Result<(), Error> {
    let (stat, bytes) = read(host, observed)?;
    let Some(bang) = shebang(&bytes) else {
        let facts = facts(&bytes).map_err(|why| Error::NotAProgram { path: host.to_owned(), why })?;
        let mut loading = Loading::new(sysroot, observed);
        loading.add_program(host, guest, label, facts, stat)?;
        found.append(&mut loading.found);
        return Ok(());
    };
    if depth == 0 {
        return Err(Error::NotAProgram { path: host.to_owned(), why: "its `#!` lines go in a circle".to_owned() });
    }
    let looked_up = bang.looked_up.map(|name| ENV_DIRS.map(|dir| format!("{dir}/{name}")).to_vec());
    for places in std::iter::once(vec![bang.interpreter]).chain(looked_up) {
        let chain = format!("needed by the script {label}");
        let (inside, real) = first_present(&places, sysroot, observed).ok_or_else(|| Error::Missing {
            name: places[0].clone(),
            chain,
            looked: places.join(", "),
        })?;
        let (stat, bytes) = read(&real, observed)?;
        // A script as interpreter has no ABI of its own, and needs none: only libraries are linked by ABI.
        let abi = facts(&bytes).map_or(Abi { machine: 0, is_64: true }, |facts| facts.abi);
        let guest = normalized(&inside);
        let name = inside.display().to_string();
        found.push(Library {
            name: name.clone(),
            host: real.clone(),
            guest: guest.clone(),
            via: Via::Script,
            abi,
            stat,
            certain: true,
        });
        let label = format!("{name}, needed by the script {label}");
        program(&real, &guest, label, sysroot, observed, depth - 1, found)?;
    }
    Ok(())
}

fn first_present(places: &[String], sysroot: &Sysroot, observed: &mut Observed) -> Option<(PathBuf, PathBuf)> {
    places.iter().map(PathBuf::from).filter(|path| path.is_absolute()).find_map(|inside| {
        let real = sysroot.host_path(&inside);
        observed.look(&real).map(|_| (inside, real))
    })
}

/// Reads a file whose presence is remembered.
fn read(path: &Path, observed: &mut Observed) -> Result<(Stat, Vec<u8>), Error> {
    let error = |source| Error::Read { path: path.to_owned(), source };
    let stat = observed.look(path);
    let meta = std::fs::metadata(path).map_err(error)?;
    if !meta.is_file() {
        return Err(Error::NotAFile { path: path.to_owned() });
    }
    let bytes = std::fs::read(path).map_err(error)?;
    Ok((stat.unwrap_or_else(|| Stat::from(&meta)), bytes))
}

/// One process being loaded: breadth first, as dl_open_worker and dl_main do.
struct Loading<'a> {
    sysroot: &'a Sysroot,
    observed: &'a mut Observed,
    index: LdCache,
    objects: Vec<Object>,
    /// Objects by each name that satisfies a DT_NEEDED: the name asked for, and the DT_SONAME.
    by_name: HashMap<String, usize>,
    by_file: HashMap<(u64, u64), usize>,
    found: Vec<Library>,
}

impl<'a> Loading<'a> {
    fn new(sysroot: &'a Sysroot, observed: &'a mut Observed) -> Self {
        let index_path = sysroot.host_path(Path::new("/etc/ld.so.cache"));
        observed.look(&index_path);
        // The loader goes on without an index that it cannot read.
        let index = std::fs::read(index_path).map(|bytes| LdCache::parse(&bytes)).unwrap_or_default();
        let (by_name, by_file) = (HashMap::new(), HashMap::new());
        Self { sysroot, observed, index, objects: Vec::new(), by_name, by_file, found: Vec::new() }
    }

    fn add_program(&mut self, host: &Path, guest: &Path, label: String, facts: Facts, stat: Stat) -> Result<(), Error> {
        // The kernel tells the loader the real path of the program, links resolved.
        let real = host.canonicalize().map_err(|source| Error::Read { path: host.to_owned(), source })?;
        let interp = facts.interp.clone();
        let candidate = Candidate { host: real, guest: guest.to_owned(), via: Via::Script, certain: true };
        self.load(label, &candidate, facts, stat, None);
        if let Some(interp) = interp {
            self.add_interpreter(&interp)?;
        }
        let mut at = 0;
        while at < self.objects.len() {
            for name in self.objects[at].facts.needed.clone() {
                self.add_needed(&name, at)?;
            }
            at += 1;
        }
        Ok(())
    }

    fn load(&mut self, label: String, at: &Candidate, facts: Facts, stat: Stat, parent: Option<usize>) {
        let dir = |path: &Path| path.parent().unwrap_or(path).to_owned();
        let id = self.objects.len();
        if let Some(soname) = &facts.soname {
            self.by_name.entry(soname.clone()).or_insert(id);
        }
        self.by_file.insert((stat.dev, stat.ino), id);
        let (origin, guest_origin) = (dir(&at.host), dir(&at.guest));
        self.objects.push(Object { label, origin, guest_origin, certain: at.certain, facts, parent });
    }

    fn add_interpreter(&mut self, path: &str) -> Result<(), Error> {
        let inside = Path::new(path);
        let at = Candidate {
            host: self.sysroot.host_path(inside),
            guest: normalized(inside),
            via: Via::Interpreter,
            certain: true,
        };
        match self.try_candidate(&at, path, 0)? {
            Some(_) if inside.is_absolute() => Ok(()),
            _ => Err(self.missing(path, 0, &[at])),
        }
    }

    fn add_needed(&mut self, name: &str, needer: usize) -> Result<(), Error> {
        if self.by_name.contains_key(name) {
            return Ok(());
        }
        let places = candidates(self.sysroot, &self.index, &self.objects, needer, name);
        for place in &places {
            if let Some(id) = self.try_candidate(place, name, needer)? {
                self.by_name.insert(name.to_owned(), id);
                return Ok(());
            }
        }
        Err(self.missing(name, needer, &places))
    }

    /// Takes what is at a place, unless there is nothing or it is for another kind of CPU (the loader looks further
    /// then). Gives the object's number.
    fn try_candidate(&mut self, place: &Candidate, name: &str, needer: usize) -> Result<Option<usize>, Error> {
        let Some(stat) = self.observed.look(&place.host) else { return Ok(None) };
        let abi = self.objects[needer].facts.abi;
        let known = self.by_file.get(&(stat.dev, stat.ino)).copied();
        let id = match known {
            Some(id) => id,
            None => {
                let (stat, bytes) = read(&place.host, self.observed)?;
                let facts = facts(&bytes).map_err(|why| Error::NotAProgram {
                    path: place.host.clone(),
                    why: format!("{why} ({})", self.chain(needer)),
                })?;
                if facts.abi != abi {
                    return Ok(None);
                }
                self.load(name.to_owned(), place, facts, stat, Some(needer));
                self.objects.len() - 1
            }
        };
        self.found.push(Library {
            name: name.to_owned(),
            host: place.host.clone(),
            guest: place.guest.clone(),
            via: place.via,
            abi,
            stat,
            certain: place.certain,
        });
        Ok(Some(id))
    }

    fn chain(&self, needer: usize) -> String {
        let chain = std::iter::successors(Some(needer), |at| self.objects[*at].parent);
        chain.map(|at| format!("needed by {}", self.objects[at].label)).collect::<Vec<_>>().join(", ")
    }

    fn missing(&self, name: &str, needer: usize, places: &[Candidate]) -> Error {
        let mut looked: Vec<String> = places.iter().map(|place| place.host.display().to_string()).collect();
        looked.dedup();
        if !name.contains('/') {
            looked.push("the index /etc/ld.so.cache".to_owned());
        }
        // A relative path in an object names no place: in the guest the current directory is another one.
        let looked = if looked.is_empty() { "no place at all".to_owned() } else { looked.join(", ") };
        Error::Missing { name: name.to_owned(), chain: self.chain(needer), looked }
    }
}

#[cfg(test)]
#[path = "closure_tests.rs"]
mod tests;
