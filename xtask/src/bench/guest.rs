//! The least guest: a first process that says on the console that it runs, and powers the machine off.

use anyhow::{Context, Result};
use ktstr_cache::Cache;
use ktstr_initramfs::ImageSpec;
use std::path::PathBuf;
use std::process::Command;

/// The console's port (COM1), and the byte that the first process sends there: a kernel's text has no such control
/// character, and no setting of the port is this value. A host sees the write in its trace.
pub(super) const MARK: (u16, u8) = (0x3f8, 0x1e);

/// What is on the console when the guest went down by itself.
pub(super) const POWERED_OFF: &str = "reboot: Power down";

const SOURCE: &str = r#"
    use std::io::Write;
    unsafe extern "C" {
        fn tcdrain(fd: i32) -> i32;
        fn reboot(command: i32) -> i32;
    }
    fn main() {
        let _ = std::io::stdout().write_all(&[MARK]);
        let _ = std::io::stdout().flush();
        // LINUX_REBOOT_CMD_POWER_OFF, include/uapi/linux/reboot.h
        unsafe {
            tcdrain(1);
            reboot(0x4321fedc);
        }
    }
"#;

/// Builds the initramfs of this guest.
///
/// # Errors
/// When the compiler fails or the cache cannot be written.
pub(super) fn initramfs(cache: &Cache) -> Result<PathBuf> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let (source, program) = (dir.path().join("init.rs"), dir.path().join("init"));
    std::fs::write(&source, SOURCE.replace("MARK", &MARK.1.to_string())).context("cannot write a source")?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--target=x86_64-unknown-linux-gnu", "-Copt-level=s", "-Cpanic=abort"]);
    rustc.args(["-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-o"]).arg(&program).arg(&source);
    super::process::measure(&mut rustc).context("the guest's first process does not compile")?;
    let bytes = std::fs::read(&program).context("cannot read the guest's first process")?;
    let spec = ImageSpec::new().dir("/dev").node("/dev/console", 0o600, 5, 1);
    Ok(spec.bytes("/init", 0o755, bytes).build(cache)?.path)
}
