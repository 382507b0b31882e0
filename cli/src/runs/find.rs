//! Which run a person means.

use super::record_files;
use anyhow::{Context, Result, ensure};
use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use xshell::Shell;

/// The directory of the run that `name` stands for, an id or a directory; without a name, that of the newest one.
///
/// # Errors
/// When there is no such run.
pub(crate) fn find(name: Option<&str>) -> Result<PathBuf> {
    let runs_dir = || -> Result<PathBuf> { Ok(ktstr::runs_dir(&crate::cargo::target_dir(&Shell::new()?)?)) };
    match name {
        // No workspace is needed.
        Some(dir) if has_records(Path::new(dir)) => Ok(dir.into()),
        Some(id) => by_id(&runs_dir()?, id),
        None => newest(&runs_dir()?),
    }
}

fn by_id(runs_dir: &Path, id: &str) -> Result<PathBuf> {
    let dir = runs_dir.join(id);
    ensure!(has_records(&dir), "there are no records in {id}, nor in {}", dir.display());
    Ok(dir)
}

fn newest(runs_dir: &Path) -> Result<PathBuf> {
    let entries = fs::read_dir(runs_dir).with_context(|| format!("there are no runs in {}", runs_dir.display()))?;
    let dated = entries.filter_map(|entry| {
        let dir = entry.ok()?.path();
        Some((newest_record(&dir)?, dir))
    });
    let (_, dir) =
        dated.max().with_context(|| format!("there are no records in {}: run some tests first", runs_dir.display()))?;
    Ok(dir)
}

fn has_records(dir: &Path) -> bool {
    record_files(dir).is_ok_and(|files| !files.is_empty())
}

/// When the last record of a run was written. The directory's own time would be that of the last report, too.
fn newest_record(dir: &Path) -> Option<SystemTime> {
    let files = record_files(dir).ok()?;
    files.iter().filter_map(|file| fs::metadata(dir.join(file)).ok()?.modified().ok()).max()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn runs_are_found_by_id_by_directory_and_by_age() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert!(newest(dir).unwrap_err().to_string().contains("run some tests first"));
        for (age, name) in ["new", "old", "older"].into_iter().enumerate() {
            let run = dir.join(name);
            fs::create_dir(&run).unwrap();
            fs::write(run.join("a.json"), "{}").unwrap();
            let written = SystemTime::now() - Duration::from_secs(60 * age as u64);
            fs::File::options().write(true).open(run.join("a.json")).unwrap().set_modified(written).unwrap();
        }
        fs::write(dir.join("old/report.html"), "").unwrap();
        fs::create_dir(dir.join("empty")).unwrap();
        assert_eq!(newest(dir).unwrap(), dir.join("new"));
        assert_eq!(by_id(dir, "old").unwrap(), dir.join("old"));
        assert_eq!(find(dir.join("older").to_str()).unwrap(), dir.join("older"));
        assert!(by_id(dir, "empty").unwrap_err().to_string().contains("there are no records in"));
    }
}
