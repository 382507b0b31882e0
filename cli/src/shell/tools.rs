//! The guest's user space: the host's shell and tools.
//!
//! Busybox gives a name to nearly everything; bash is the better shell, and what looks at schedulers is better in full.

use crate::setup;
use anyhow::{Context, Result, bail};
use ktstr_initramfs::ImageSpec;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;

/// Where a person starts, and where included files are.
pub(crate) const HOME: &str = "/root";

/// Places that scripts name.
const FIXED: &[&str] = &["/bin/sh", "/bin/bash", "/usr/bin/env"];

/// Tools that are taken from the host although busybox may have them.
const FULL: &[&str] = &[
    "bpftool",
    "chrt",
    "htop",
    "less",
    "lscpu",
    "numactl",
    "pidstat",
    "ps",
    "schedtool",
    "strace",
    "stress",
    "stress-ng",
    "taskset",
    "top",
    "trace-cmd",
];

/// Tools that are taken from the host when there is no busybox.
const BASIC: &[&str] = &[
    "awk", "cat", "chmod", "cp", "cut", "date", "dd", "df", "dmesg", "du", "echo", "env", "expr", "false", "find",
    "free", "grep", "head", "hostname", "id", "ionice", "kill", "ln", "ls", "mkdir", "mount", "mv", "nice", "nproc",
    "pgrep", "pkill", "printf", "pwd", "readlink", "realpath", "renice", "rm", "rmdir", "sed", "seq", "sleep", "sort",
    "stat", "stty", "sync", "tail", "tee", "test", "time", "timeout", "touch", "tr", "true", "tty", "umount", "uname",
    "uniq", "uptime", "vi", "watch", "wc", "which", "xargs", "yes",
];

/// Directories in which descriptions of terminals are (terminfo(5)).
const TERMINFO: &[&str] = &["/etc/terminfo", "/lib/terminfo", "/usr/share/terminfo", "/usr/lib/terminfo"];

/// A user space.
pub(crate) struct Userland {
    /// What it is made of.
    pub(crate) image: ImageSpec,
    /// The shell and its arguments.
    pub(crate) shell: Vec<String>,
}

impl Userland {
    /// The best that the host's tools make.
    pub(crate) fn find() -> Result<Self> {
        let (busybox, bash) = (setup::program("busybox"), setup::program("bash"));
        let shell: &[&str] = match (&bash, &busybox) {
            (Some(_), _) => &["/bin/bash"],
            (None, Some(_)) => &["/bin/busybox", "sh"],
            (None, None) => bail!(
                "there is neither busybox nor bash on the search path, so the guest would have no shell: install one (Debian: \
                 `apt-get install busybox-static`)"
            ),
        };
        let mut parts = Parts::default();
        FIXED.iter().filter(|path| Path::new(path).is_file()).for_each(|path| parts.program(path.into(), path));
        if let Some(bash) = bash {
            parts.program(bash, "/bin/bash");
        }
        parts.tools(FULL);
        match busybox {
            Some(busybox) => parts.busybox(busybox)?,
            None => parts.tools(BASIC),
        }
        let image =
            terminals(parts.image).dir(HOME).bytes("/etc/passwd", 0o644, b"root:x:0:0:root:/root:/bin/sh\n".into());
        let image = image.bytes("/etc/group", 0o644, b"root:x:0:\n".into());
        Ok(Self { image, shell: shell.iter().map(|word| (*word).to_owned()).collect() })
    }
}

/// An image, and the paths that it has so far.
#[derive(Default)]
struct Parts {
    image: ImageSpec,
    taken: BTreeSet<String>,
}

impl Parts {
    fn program(&mut self, host: PathBuf, guest: &str) {
        if self.taken.insert(guest.to_owned()) {
            self.image = std::mem::take(&mut self.image).program(host, guest);
        }
    }

    /// Those of the tools that the host has.
    fn tools(&mut self, names: &[&'static str]) {
        for name in names {
            if let Some(host) = setup::program(name) {
                self.program(host, &format!("/bin/{name}"));
            }
        }
    }

    /// Busybox, with a link for each of its names that is still free.
    fn busybox(&mut self, busybox: PathBuf) -> Result<()> {
        let output = Command::new(&busybox).arg("--list").output();
        let output = output.with_context(|| format!("cannot ask {} for its tools", busybox.display()))?;
        self.program(busybox, "/bin/busybox");
        for name in String::from_utf8_lossy(&output.stdout).lines().filter(|name| !name.contains('/')) {
            let guest = format!("/bin/{name}");
            if self.taken.insert(guest.clone()) {
                self.image = std::mem::take(&mut self.image).symlink(guest, "busybox");
            }
        }
        Ok(())
    }
}

/// The description of this terminal.
fn terminals(image: ImageSpec) -> ImageSpec {
    let name = terminal_name();
    let Some(initial) = name.chars().next() else { return image };
    let file = TERMINFO.iter().map(|dir| format!("{dir}/{initial}/{name}")).find(|file| Path::new(file).is_file());
    match file {
        Some(file) => image.file(file.clone(), file, 0o644),
        None => image,
    }
}

/// What kind of terminal this is; one without abilities where it is not known.
fn terminal_name() -> String {
    let plain = |name: &String| {
        !name.is_empty()
            && name.chars().all(|c| c.is_ascii_alphanumeric() || "+-._".contains(c))
            && !name.starts_with('.')
    };
    std::env::var("TERM").ok().filter(plain).unwrap_or_else(|| "dumb".to_owned())
}

/// Environment of the shell.
pub(crate) fn environment() -> Vec<(String, String)> {
    let terminal = terminal_name();
    let variables = [
        ("HOME", HOME),
        ("USER", "root"),
        ("PATH", "/root:/bin:/usr/bin:/sbin:/usr/sbin:/usr/local/bin"),
        ("LANG", "C.UTF-8"),
        ("PS1", "ktstr:\\w\\$ "),
        ("TERM", &terminal),
    ];
    variables.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec()
}
