//! Cgroups of a test, all below one parent (Documentation/admin-guide/cgroup-v2.rst).

use crate::def::CpuMax;
use crate::error::Error;
use ktstr_wire::CpuSet;
use std::io::Write;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;
use std::{fs, io};

/// How often it is looked whether a cgroup is frozen, every 2 ms.
const FREEZE_TRIES: u32 = 1000;

/// How often the processes of a cgroup are moved until none is left in it.
const MOVE_TRIES: u32 = 100;

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

    /// A manager of the cgroups below a directory that is set up already; nothing is made or looked at.
    pub fn existing(parent: impl Into<PathBuf>) -> Self {
        Self { parent: parent.into() }
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

    /// Makes a cgroup if it isn't there, and those above it on a nested path, which hand their controllers down. A cgroup
    /// that does so has no processes of its own (Documentation/admin-guide/cgroup-v2.rst, "No Internal Process
    /// Constraint"): put workers into leaves.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn create(&self, name: &str) -> Result<(), Error> {
        let path = self.path(name)?;
        let mut above: Vec<&Path> = path.ancestors().skip(1).take_while(|above| *above != self.parent).collect();
        above.reverse();
        for above in above {
            make(above)?;
            hand_down(above)?;
        }
        make(&path)
    }

    /// Sets `cpuset.cpus`, and sees that it is so.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`], [`Error::NoSetting`], [`Error::NotTaken`].
    pub fn set_cpuset(&self, name: &str, cpus: &CpuSet) -> Result<(), Error> {
        self.set(name, "cpuset.cpus", &cpus.to_string(), |said| said.parse() == Ok(cpus.clone()))
    }

    /// Clears `cpuset.cpus`: the cgroup has the CPUs of the one above it.
    ///
    /// # Errors
    /// As [`CgroupManager::set_cpuset`].
    pub fn clear_cpuset(&self, name: &str) -> Result<(), Error> {
        // Writing nothing at all would not reach the kernel.
        self.set(name, "cpuset.cpus", "\n", str::is_empty)
    }

    /// Sets `cpu.weight`, and sees that it is so.
    ///
    /// # Errors
    /// As [`CgroupManager::set_cpuset`].
    pub fn set_weight(&self, name: &str, weight: u32) -> Result<(), Error> {
        self.set(name, "cpu.weight", &weight.to_string(), |said| said.parse() == Ok(weight))
    }

    /// Sets `cpu.max`, or lifts it, and sees that it is so.
    ///
    /// # Errors
    /// As [`CgroupManager::set_cpuset`].
    pub fn set_max(&self, name: &str, max: Option<CpuMax>) -> Result<(), Error> {
        let value = max.map_or("max".to_owned(), |max| format!("{} {}", max.quota_us, max.period_us));
        self.set(name, "cpu.max", &value, |said| match max {
            Some(_) => said == value,
            None => said.starts_with("max "),
        })
    }

    /// Sets `cpu.uclamp.min` and `cpu.uclamp.max`, in percent, and sees that they are so.
    ///
    /// # Errors
    /// As [`CgroupManager::set_cpuset`]; [`Error::NoSetting`] for a kernel without CONFIG_UCLAMP_TASK_GROUP.
    pub fn set_uclamp(&self, name: &str, (min_pct, max_pct): (f64, f64)) -> Result<(), Error> {
        for (file, pct) in [("cpu.uclamp.min", min_pct), ("cpu.uclamp.max", max_pct)] {
            let value = format!("{pct:.2}");
            self.set(name, file, &value, |said| said == value || (said == "max" && value == "100.00"))?;
        }
        Ok(())
    }

    /// Freezes the cgroup's tasks, or lets them go on, and waits until that is done.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn set_frozen(&self, name: &str, frozen: bool) -> Result<(), Error> {
        let wanted = u8::from(frozen).to_string();
        self.write(name, "cgroup.freeze", &wanted)?;
        for _ in 0..FREEZE_TRIES {
            let events = self.read(name, "cgroup.events")?;
            if events.lines().any(|line| line.strip_prefix("frozen ") == Some(&wanted)) {
                return Ok(());
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        let doing = format!("see \"frozen {wanted}\" within {} ms in", 2 * FREEZE_TRIES);
        let path = self.path(name)?.join("cgroup.events");
        Err(Error::Cgroup { doing, path, source: io::ErrorKind::TimedOut.into() })
    }

    /// Moves every process of one cgroup to another, those that are forked meanwhile too.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn move_all_tasks(&self, from: &str, to: &str) -> Result<(), Error> {
        for _ in 0..MOVE_TRIES {
            let pids = self.read(from, "cgroup.procs")?;
            if pids.is_empty() {
                return Ok(());
            }
            for pid in pids.lines() {
                match self.write(to, "cgroup.procs", pid) {
                    Err(Error::Cgroup { source, .. }) if source.raw_os_error() == Some(libc::ESRCH) => {}
                    moved => moved?,
                }
            }
        }
        let (doing, path) = (format!("empty, in {MOVE_TRIES} tries,"), self.path(from)?);
        Err(Error::Cgroup { doing, path, source: io::ErrorKind::ResourceBusy.into() })
    }

    /// What a cgroup's file says, without the space around it.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn read(&self, name: &str, file: &str) -> Result<String, Error> {
        let path = self.path(name)?.join(file);
        let text = fs::read_to_string(&path);
        let text = text.map_err(|source| Error::Cgroup { doing: "read".to_owned(), path, source })?;
        Ok(text.trim().to_owned())
    }

    /// Writes to a cgroup's file.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`], [`Error::NoSetting`].
    pub fn write(&self, name: &str, file: &str, value: &str) -> Result<(), Error> {
        let directory = self.path(name)?;
        let path = directory.join(file);
        // Not made if it isn't there, which the kernel would answer as if it were forbidden.
        let written = fs::File::options().write(true).open(&path).and_then(|mut file| file.write_all(value.as_bytes()));
        written.map_err(|source| match source.kind() {
            io::ErrorKind::NotFound if directory.is_dir() => Error::NoSetting { path, option: option_of(file) },
            _ => Error::Cgroup { doing: format!("write {:?} to", value.trim()), path, source },
        })
    }

    fn set(&self, name: &str, file: &'static str, value: &str, is_so: impl Fn(&str) -> bool) -> Result<(), Error> {
        self.write(name, file, value)?;
        let got = self.read(name, file)?;
        if is_so(&got) {
            return Ok(());
        }
        let (whom, asked) = (format!("cgroup {name}"), value.trim().to_owned());
        Err(Error::NotTaken { what: file, whom, asked, got })
    }

    /// Moves a process, with all its threads.
    ///
    /// # Errors
    /// [`Error::BadName`], [`Error::Cgroup`].
    pub fn move_task(&self, name: &str, pid: i32) -> Result<(), Error> {
        self.write(name, "cgroup.procs", &pid.to_string())
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
                    std::thread::sleep(Duration::from_millis(2));
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

    /// Its cgroups, those above others before them.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// Makes a cgroup that belongs to this group, as do those above it that were not there.
    ///
    /// # Errors
    /// As [`CgroupManager::create`].
    pub fn create(&mut self, name: &str) -> Result<(), Error> {
        let ends = name.match_indices('/').map(|(end, _)| end).chain([name.len()]);
        for part in ends.map(|end| &name[..end]) {
            if !self.manager.path(part)?.exists() {
                self.manager.create(part)?;
                self.names.push(part.to_owned());
            }
        }
        Ok(())
    }

    /// Removes a cgroup of this group now.
    ///
    /// # Errors
    /// As [`CgroupManager::remove`].
    pub fn remove(&mut self, name: &str) -> Result<(), Error> {
        self.manager.remove(name)?;
        self.names.retain(|other| other != name);
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

/// What a kernel needs to have such a file.
fn option_of(file: &str) -> &'static str {
    match file.rsplit_once('.').map_or(file, |(family, _)| family) {
        "cpu.uclamp" => "CONFIG_UCLAMP_TASK_GROUP",
        "cpuset" => "CONFIG_CPUSETS",
        _ if file == "cpu.max" => "CONFIG_CFS_BANDWIDTH",
        "cpu" => "CONFIG_CGROUP_SCHED",
        _ => "CONFIG_CGROUPS",
    }
}

fn make(path: &Path) -> Result<(), Error> {
    match fs::create_dir(path) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
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
