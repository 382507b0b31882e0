//! A cgroup that allows so much memory and no more.

use super::Specimen;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};

/// Roots of the memory controller in both versions of cgroups, and the files that set a limit.
const PLACES: [(&str, &str); 2] =
    [("/sys/fs/cgroup", "memory.max"), ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")];

/// The cgroup, removed when dropped.
pub(crate) struct MemoryCgroup(PathBuf);

impl MemoryCgroup {
    /// `None` where this process may not make one.
    pub(crate) fn new(bytes: u64) -> Option<Self> {
        let name = format!("ktstr-test-{}", std::process::id());
        PLACES.iter().find_map(|(root, file)| {
            let folder = Path::new(root).join(&name);
            fs::create_dir(&folder).ok()?;
            let this = Self(folder);
            // Swap would give what the limit takes.
            let _ = this.set("memory.swap.max", "0");
            this.set(file, &bytes.to_string()).ok().map(|()| this)
        })
    }

    /// Writes to a file that is there: in what is no cgroup, it would be made.
    fn set(&self, file: &str, value: &str) -> io::Result<()> {
        OpenOptions::new().write(true).open(self.0.join(file))?.write_all(value.as_bytes())
    }

    /// Lets the specimen run in it.
    pub(crate) fn hold(&self, specimen: &mut Specimen) {
        let members = self.0.join("cgroup.procs");
        let enter = move || fs::write(&members, "0");
        // SAFETY: what the closure allocates is safe because this process has just been made and its parent holds no
        // allocator lock while it spawns.
        unsafe { specimen.command().pre_exec(enter) };
    }

    /// Whether a process is in it.
    pub(crate) fn is_empty(&self) -> bool {
        fs::read_to_string(self.0.join("cgroup.procs")).unwrap().is_empty()
    }
}

impl Drop for MemoryCgroup {
    fn drop(&mut self) {
        let _ = fs::remove_dir(&self.0);
    }
}
