//! The distribution's archive, through apt itself with a state directory of its own: no root, and nothing of the
//! system's is touched. apt checks the signatures.

pub(crate) mod packages;
mod room;
pub(crate) mod sources;

pub use packages::Package;
pub(crate) use packages::{by_version, carriers, is_cloud_image, kernel_release};

use crate::command::{self, Finished};
use crate::progress::Progress;
use ktstr_cache::{Cache, Lock};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, SystemTime};

/// Why the archive could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The cache, which holds the private state.
    #[error(transparent)]
    Cache(#[from] ktstr_cache::Error),
    /// A file of the private state.
    #[error("cannot {doing} {}{}", path.display(), ktstr_cache::hint(source))]
    Io {
        /// The operation, as a verb phrase.
        doing: &'static str,
        /// What it was done to.
        path: PathBuf,
        /// What came back.
        source: io::Error,
    },
    /// Not a machine with apt.
    #[error("cannot run {program}, which fetches kernels: on a system without apt, choose `host` or a path: spec")]
    NoApt {
        /// The program.
        program: &'static str,
        /// What came back.
        source: io::Error,
    },
    /// No entry of the distribution in the system's sources.
    #[error(
        "no Debian archive among the package sources in {} to fetch kernels from: add one, or choose `host` or a path: spec",
        etc.display()
    )]
    NoSources {
        /// The directory that was searched.
        etc: PathBuf,
    },
    /// The archive cannot be reached, and no earlier index is there.
    #[error(
        "cannot get the package index: {said}; check the network, or choose a cached kernel, `host` or a path: spec"
    )]
    Offline {
        /// What apt says.
        said: String,
    },
    /// A command that failed.
    #[error("{what} failed: {said}")]
    Failed {
        /// The command's purpose.
        what: String,
        /// What apt says.
        said: String,
    },
}

/// Where the system keeps its package sources.
const ETC: &str = "/etc/apt";
/// Beside the state, so that the state can be removed under it.
const LOCK: &str = ".apt.lock";

/// Room that a refresh needs, in bytes: the index of five suites, apt's caches of it, and what is unpacked on the way.
const INDEX_BYTES: u64 = 512 << 20;

/// How long an archive that could not be reached is left alone: each try waits for time-outs.
const ASK_AGAIN_AFTER: Duration = Duration::from_secs(300);

/// What a refresh did.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Index {
    /// Nothing: the index was young enough.
    Fresh,
    /// It was read anew.
    Renewed,
    /// An old index is all there is; why.
    Unreachable(String),
}

/// apt with a private state, locked while this value lives.
pub(crate) struct Apt {
    dir: PathBuf,
    _lock: Lock,
}

impl Apt {
    /// Opens the private state `<cache>/apt`, waiting for another process that uses it.
    pub(crate) fn open(cache: &Cache) -> Result<Self, Error> {
        let dir = cache.root().join("apt");
        for part in ["lists/partial", "cache/archives/partial", "sources.d"] {
            let path = dir.join(part);
            io_context(fs::create_dir_all(&path), "create the directory", &path)?;
        }
        let lock = Lock::acquire(&cache.root().join(LOCK))?;
        let apt = Self { dir, _lock: lock };
        apt.write("status", "")?;
        apt.write("apt.conf", &apt.configuration())?;
        Ok(apt)
    }

    /// Brings the index up to date when it is older than `at_most`, or when the sources have changed. A suite that
    /// cannot be had is a warning while others can.
    pub(crate) fn refresh(&self, at_most: Duration, progress: &dyn Progress) -> Result<Index, Error> {
        let etc = PathBuf::from(ETC);
        let text = sources::rewrite(&sources::read(&etc)).ok_or(Error::NoSources { etc })?;
        let same = fs::read_to_string(self.dir.join("sources.d/ktstr.sources")).is_ok_and(|old| old == text);
        if same && self.age("refreshed").is_some_and(|age| age < at_most) {
            return Ok(Index::Fresh);
        }
        if same && self.has_index() && self.age("unreachable").is_some_and(|age| age < ASK_AGAIN_AFTER) {
            return Ok(Index::Unreachable("the archive could not be reached a moment ago".to_owned()));
        }
        room::require(&self.dir, INDEX_BYTES)?;
        self.write("sources.d/ktstr.sources", &text)?;
        progress.step("refreshing the package index");
        let finished = self.apt_get(&["update"], &self.dir, &mut |share| progress.bytes(share, Some(PER_MYRIAD)))?;
        let suites = sources::suites_of(&text);
        let failed = failed_suites(&finished, &suites);
        if failed.len() < suites.len() && (finished.status.success() || !failed.is_empty()) {
            failed.iter().for_each(|(suite, said)| progress.warn(&format!("suite {suite} cannot be read: {said}")));
            self.write("refreshed", "")?;
            return Ok(Index::Renewed);
        }
        let said = first_complaint(&finished.errors);
        if !self.has_index() {
            return Err(Error::Offline { said });
        }
        self.write("unreachable", "")?;
        progress.warn(&format!("the package index stays as it was: {said}"));
        Ok(Index::Unreachable(said))
    }

    /// Time since a stamp was set.
    fn age(&self, stamp: &str) -> Option<Duration> {
        let stamp = fs::metadata(self.dir.join(stamp)).and_then(|found| found.modified()).ok()?;
        SystemTime::now().duration_since(stamp).ok()
    }

    fn has_index(&self) -> bool {
        let lists = fs::read_dir(self.dir.join("lists")).into_iter().flatten().filter_map(Result::ok);
        lists.map(|entry| entry.file_name()).any(|name| name.to_string_lossy().contains("_Packages"))
    }

    /// The names of packages that start so.
    pub(crate) fn names(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let (text, finished) = self.apt_cache(&["pkgnames", prefix])?;
        check(&finished, || format!("listing the packages {prefix}*"))?;
        Ok(text.lines().map(str::to_owned).collect())
    }

    /// All versions of the named packages; names that nothing has are left out.
    pub(crate) fn show(&self, names: &[&str]) -> Result<Vec<Package>, Error> {
        if names.is_empty() {
            return Ok(Vec::new());
        }
        // apt-cache fails when one name is unknown, and shows the others all the same.
        let (text, _) = self.apt_cache(&[&["show", "--"], names].concat())?;
        Ok(packages::parse(&text))
    }

    /// Fetches a package into a directory.
    pub(crate) fn download(&self, package: &Package, into: &Path, progress: &dyn Progress) -> Result<PathBuf, Error> {
        let (name, size) = (format!("{}={}", package.name, package.version), package.size);
        room::require(into, size)?;
        progress.step(&format!("fetching {name}"));
        let finished = self.apt_get(&["download", &name], into, &mut |share| {
            progress.bytes(size * share / PER_MYRIAD, Some(size));
        })?;
        check(&finished, || format!("fetching {name}"))?;
        progress.bytes(size, Some(size));
        let files = io_context(fs::read_dir(into), "read the directory", into)?.filter_map(Result::ok);
        let ours = |path: &PathBuf| {
            let file = path.file_name().unwrap_or_default().to_string_lossy();
            file.starts_with(&format!("{}_", package.name)) && file.ends_with(".deb")
        };
        files.map(|entry| entry.path()).find(ours).ok_or_else(|| Error::Failed {
            what: format!("fetching {name}"),
            said: format!("apt-get left no package in {}", into.display()),
        })
    }

    fn apt_get(&self, arguments: &[&str], dir: &Path, share: &mut dyn FnMut(u64)) -> Result<Finished, Error> {
        let mut command = self.command("apt-get");
        command.args(["-q", "-o", "APT::Status-Fd=1"]).args(arguments).current_dir(dir);
        let told = |line: &str| parse_share(line).into_iter().for_each(&mut *share);
        let ran = command::run_watched(&mut command, told, |silence| room::worth_waiting(&self.dir, silence));
        let finished = ran.map_err(|source| match source.kind() {
            io::ErrorKind::StorageFull => Error::Io { doing: "fetch packages into", path: self.dir.clone(), source },
            io::ErrorKind::TimedOut => Error::Failed { what: "apt-get".to_owned(), said: source.to_string() },
            _ => Error::NoApt { program: "apt-get", source },
        })?;
        self.not_full(finished)
    }

    fn apt_cache(&self, arguments: &[&str]) -> Result<(String, Finished), Error> {
        let ran = command::output(self.command("apt-cache").args(arguments));
        let (text, finished) = ran.map_err(|source| Error::NoApt { program: "apt-cache", source })?;
        Ok((text, self.not_full(finished)?))
    }

    /// A full disk is an error of its own: with it apt says that a suite cannot be read, or does not know a package.
    fn not_full(&self, finished: Finished) -> Result<Finished, Error> {
        match finished.errors.contains("No space left on device") {
            true => {
                let source = io::Error::from_raw_os_error(libc::ENOSPC);
                Err(Error::Io { doing: "fetch packages into", path: self.dir.clone(), source })
            }
            false => Ok(finished),
        }
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .arg("-c")
            .arg(self.dir.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8")
            .env("DEBIAN_FRONTEND", "noninteractive");
        command
    }

    fn write(&self, name: &str, text: &str) -> Result<(), Error> {
        let path = self.dir.join(name);
        io_context(fs::write(&path, text), "write", &path)
    }

    /// Source: apt.conf(5). Read after the system's own, whose proxies and trust it keeps; hooks and further index
    /// files of the system are not for this state.
    fn configuration(&self) -> String {
        let dir = self.dir.display();
        format!(
            "#clear APT::Update::Pre-Invoke;\n#clear APT::Update::Post-Invoke;\n#clear APT::Update::Post-Invoke-Success;\n\
             #clear Acquire::IndexTargets::deb::DEP-11;\n#clear Acquire::IndexTargets::deb::DEP-11-icons;\n\
             #clear Acquire::IndexTargets::deb::DEP-11-icons-small;\n#clear Acquire::IndexTargets::deb::CNF;\n\
             Dir::State \"{dir}\";\nDir::State::lists \"{dir}/lists\";\nDir::State::status \"{dir}/status\";\n\
             Dir::Cache \"{dir}/cache\";\nDir::Cache::pkgcache \"pkgcache.bin\";\nDir::Cache::srcpkgcache \"srcpkgcache.bin\";\n\
             Dir::Etc::sourcelist \"/dev/null\";\nDir::Etc::sourceparts \"{dir}/sources.d\";\n\
             Acquire::Languages \"none\";\nAcquire::PDiffs \"false\";\nAcquire::Retries \"1\";\nAPT::Sandbox::User \"root\";\n"
        )
    }
}

/// Removes the private state.
pub(crate) fn remove_state(cache: &Cache) -> Result<(), Error> {
    let dir = cache.root().join("apt");
    if !dir.exists() {
        return Ok(());
    }
    let _lock = Lock::acquire(&cache.root().join(LOCK))?;
    io_context(fs::remove_dir_all(&dir), "remove", &dir)
}

/// What a share of a whole is counted in.
const PER_MYRIAD: u64 = 10_000;

/// The share done, of [`PER_MYRIAD`], in a line such as `dlstatus:1:20.5:Retrieving file 1 of 1`.
/// Source: apt's README.progress-reporting.
fn parse_share(line: &str) -> Option<u64> {
    let percent: f64 = line.strip_prefix("dlstatus:")?.split(':').nth(1)?.parse().ok()?;
    // Out of 0..=100 the cast saturates; a status line is only shown.
    Some(((percent * 100.0) as u64).min(PER_MYRIAD))
}

/// The suites that `apt-get update` could not read, each with a line that says why.
fn failed_suites(finished: &Finished, suites: &[String]) -> Vec<(String, String)> {
    let names = |line: &str, suite: &str| {
        [format!(" {suite} InRelease"), format!(" {suite} Release"), format!("/dists/{suite}/")]
            .iter()
            .any(|mark| line.contains(mark.as_str()))
    };
    let complaint = |suite: &String| {
        let line = finished.errors.lines().find(|line| line.starts_with(['W', 'E']) && names(line, suite))?;
        Some((suite.clone(), line.get(3..).unwrap_or(line).to_owned()))
    };
    suites.iter().filter_map(complaint).collect()
}

fn first_complaint(errors: &str) -> String {
    let line =
        errors.lines().find(|line| line.starts_with("E: ")).or(errors.lines().find(|line| line.starts_with("W: ")));
    line.map_or("apt-get gives no reason", |line| &line[3..]).to_owned()
}

fn check(finished: &Finished, what: impl FnOnce() -> String) -> Result<(), Error> {
    match finished.status.success() {
        true => Ok(()),
        false => Err(Error::Failed { what: what(), said: first_complaint(&finished.errors) }),
    }
}

fn io_context<T>(result: io::Result<T>, doing: &'static str, path: &Path) -> Result<T, Error> {
    result.map_err(|source| Error::Io { doing, path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    #[test]
    fn reads_the_share_done() {
        assert_eq!(parse_share("dlstatus:1:20.5:Retrieving file 1 of 1"), Some(2050));
        assert_eq!(parse_share("dlstatus:1:100.0000:x"), Some(10_000));
        for other in ["", "dlstatus:1", "dlstatus:1:x:", "Get:1 http://m.example sid"] {
            assert_eq!(parse_share(other), None, "{other:?}");
        }
    }

    #[test]
    fn names_the_suites_that_failed() {
        let errors = "W: GPG error: http://m.example/debian sid InRelease: the key is missing\n\
                      E: The repository 'http://m.example/debian sid InRelease' is not signed.\n\
                      W: Failed to fetch http://m.example/debian/dists/trixie/InRelease  404\n";
        let finished = Finished { status: ExitStatus::from_raw(100 << 8), errors: errors.into() };
        let suites = ["bookworm", "sid", "trixie", "trixie-backports"].map(str::to_owned);
        let failed: Vec<_> = failed_suites(&finished, &suites).into_iter().map(|(suite, _)| suite).collect();
        assert_eq!(failed, ["sid", "trixie"]);
        assert!(first_complaint(errors).starts_with("The repository"));
        assert_eq!(first_complaint(""), "apt-get gives no reason");
    }

    #[test]
    fn a_full_disk_is_no_missing_suite() {
        let dir = tempfile::tempdir().unwrap();
        let apt = Apt::open(&Cache::at(dir.path())).unwrap();
        let finished = |errors: &str| Finished { status: ExitStatus::from_raw(0), errors: errors.to_owned() };
        let said = "W: Failed to fetch http://m.example/dists/sid  Error writing to file - write (28: No space left on device)";
        let error = apt.not_full(finished(said)).unwrap_err().to_string();
        assert!(error.contains("the disk is full"), "{error}");
        apt.not_full(finished("W: Failed to fetch http://m.example/dists/sid  404")).unwrap();
    }

    #[test]
    fn the_private_state_is_all_below_the_cache() {
        let dir = tempfile::tempdir().unwrap();
        let apt = Apt::open(&Cache::at(dir.path())).unwrap();
        let text = fs::read_to_string(dir.path().join("apt/apt.conf")).unwrap();
        assert!(text.contains(&format!("Dir::State \"{}/apt\"", dir.path().display())));
        assert!(!apt.has_index() && apt.age("refreshed").is_none());
        fs::write(dir.path().join("apt/lists/m_dists_sid_main_binary-amd64_Packages.lz4"), "").unwrap();
        fs::write(dir.path().join("apt/refreshed"), "").unwrap();
        assert!(apt.has_index() && apt.age("refreshed").is_some());
    }
}
