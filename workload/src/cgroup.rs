//! Cgroups of a test, all below one parent (Documentation/admin-guide/cgroup-v2.rst).

use crate::error::Error;
use std::fs;
use std::path::{Component, Path, PathBuf};

/// Makes, changes and removes cgroups below one parent directory.
#[derive(Debug, Clone)]
pub struct CgroupManager {
    parent: PathBuf,
}

impl CgroupManager {
    /// A manager of the cgroups below `parent`, which is made if it isn't there. The controllers that its own parent
    /// hands down are handed on.
    ///
    /// # Errors
    /// [`Error::Cgroup`].
    pub fn new(parent: impl Into<PathBuf>) -> Result<Self, Error> {
        let parent = parent.into();
        make(&parent)?;
        hand_down(&parent)?;
        Ok(Self { parent })
    }

    /// The directory of a cgroup, whether it exists or not.
    ///
    /// # Errors
    /// [`Error::BadName`].
    pub fn path(&self, name: &str) -> Result<PathBuf, Error> {
        let relative = Path::new(name);
        let plain = relative.components().all(|part| matches!(part, Component::Normal(_)));
        if name.is_empty() || !plain {
            return Err(Error::BadName { name: name.to_owned() });
        }
        Ok(self.parent.join(relative))
    }

    /// Makes a cgroup. Those above it on a nested path must exist.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn create(&self, name: &str) -> Result<(), Error> {
        make(&self.path(name)?)
    }

    /// Moves a process, with all its threads.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn move_task(&self, name: &str, pid: i32) -> Result<(), Error> {
        let path = self.path(name)?.join("cgroup.procs");
        let moved = fs::write(&path, pid.to_string());
        moved.map_err(|source| Error::Cgroup { doing: format!("move process {pid} with"), path, source })
    }

    /// Removes a cgroup, after killing what is left in it.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn remove(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name)?;
        // Best effort: what matters is whether the directory can be removed.
        let _ = fs::write(path.join("cgroup.kill"), "1");
        let mut tries = 0;
        loop {
            match fs::remove_dir(&path) {
                Ok(()) => return Ok(()),
                // A killed process counts until its parent has reaped it, or until the kernel has taken it apart.
                Err(error) if error.raw_os_error() == Some(libc::EBUSY) && tries < 500 => {
                    tries += 1;
                    std::thread::sleep(std::time::Duration::from_millis(2));
                }
                Err(source) => return Err(Error::Cgroup { doing: "remove the cgroup".to_owned(), path, source }),
            }
        }
    }
}

/// Cgroups that are removed when this value is dropped, the newest first.
#[derive(Debug)]
pub struct CgroupGroup {
    manager: CgroupManager,
    names: Vec<String>,
}

impl CgroupGroup {
    /// An empty group.
    pub fn new(manager: &CgroupManager) -> Self {
        Self { manager: manager.clone(), names: Vec::new() }
    }

    /// Makes a cgroup that belongs to this group.
    ///
    /// # Errors
    /// As [`CgroupManager::create`].
    pub fn create(&mut self, name: &str) -> Result<(), Error> {
        self.manager.create(name)?;
        self.names.push(name.to_owned());
        Ok(())
    }
}

impl Drop for CgroupGroup {
    fn drop(&mut self) {
        for name in self.names.iter().rev() {
            if let Err(error) = self.manager.remove(name) {
                eprintln!("{error}");
            }
        }
    }
}

fn make(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => {
            Err(Error::Cgroup { doing: "make the cgroup".to_owned(), path: path.to_owned(), source: error })
        }
        _ => Ok(()),
    }
}

fn hand_down(parent: &Path) -> Result<(), Error> {
    let list = parent.join("cgroup.controllers");
    let controllers =
        fs::read_to_string(&list).map_err(|source| Error::Cgroup { doing: "read".to_owned(), path: list, source })?;
    let path = parent.join("cgroup.subtree_control");
    for controller in controllers.split_ascii_whitespace() {
        fs::write(&path, format!("+{controller}")).map_err(|source| Error::Cgroup {
            doing: format!("enable the controller {controller} with"),
            path: path.clone(),
            source,
        })?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_stay_below_the_parent() {
        let manager = CgroupManager { parent: "/sys/fs/cgroup/t".into() };
        assert_eq!(manager.path("a/b").unwrap(), Path::new("/sys/fs/cgroup/t/a/b"));
        for bad in ["", "..", "a/../..", "/etc", "."] {
            assert!(manager.path(bad).is_err(), "{bad}");
        }
    }
}
