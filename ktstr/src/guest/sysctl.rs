//! Kernel settings that a test asks for.

use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};

/// Makes the settings below `dir`, which is `/proc/sys`, and reads each back.
///
/// # Errors
/// The first that the kernel does not have, does not take, or keeps as another value.
pub(super) fn set_all(dir: &Path, settings: &[(String, String)]) -> Result<()> {
    settings.iter().try_for_each(|(name, value)| set(dir, name, value))
}

fn set(dir: &Path, name: &str, value: &str) -> Result<()> {
    let path = dir.join(relative(name));
    let with = || format!("cannot set {name} to {value} by {}", path.display());
    fs::write(&path, value).with_context(with)?;
    let found = fs::read_to_string(&path).with_context(with)?;
    // The kernel separates several numbers by tabs.
    let same = found.split_whitespace().eq(value.split_whitespace());
    ensure!(same, "{name} was set to {value} and reads {} in {}", found.trim(), path.display());
    Ok(())
}

/// The file of a setting. Points separate, and a slash is a point within a name (sysctl(8)).
fn relative(name: &str) -> PathBuf {
    let swapped = name.chars().map(|c| match c {
        '.' => '/',
        '/' => '.',
        other => other,
    });
    PathBuf::from(swapped.collect::<String>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_are_made_and_read_back() {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("net/conf/eth0.5")).unwrap();
        fs::write(dir.path().join("net/conf/eth0.5/forwarding"), "0\n").unwrap();
        let set = |name: &str, value: &str| set_all(dir.path(), &[(name.to_owned(), value.to_owned())]);
        set("net.conf.eth0/5.forwarding", "4\t 4 1").unwrap();
        assert_eq!(fs::read_to_string(dir.path().join("net/conf/eth0.5/forwarding")).unwrap(), "4\t 4 1");
        let error = format!("{:#}", set("kernel.absent", "1").unwrap_err());
        assert!(error.contains("cannot set kernel.absent to 1 by") && error.contains("No such file"), "{error}");
    }

    #[test]
    fn another_value_is_an_error() {
        // What is written there is gone.
        let error = set(Path::new("/dev"), "null", "1").unwrap_err().to_string();
        assert_eq!(error, "null was set to 1 and reads  in /dev/null");
    }
}
