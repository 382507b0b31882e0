//! The least guest: a first process that says on a port that it runs, and powers the machine off.

use anyhow::{Context, Result};
use ktstr_cache::Cache;
use ktstr_initramfs::ImageSpec;
use std::path::PathBuf;
use std::process::Command;

/// The I/O port that the first process writes to. No device has it; a host sees the write in its trace.
pub(super) const MARK_PORT: u16 = 0x5e8;

/// What is on the console when the guest went down by itself.
pub(super) const POWERED_OFF: &str = "reboot: Power down";

/// The kernel writes to the port for it: one's own access to ports fails where KVM is itself emulated.
const SOURCE: &str = r#"
    use std::os::unix::fs::FileExt;
    unsafe extern "C" {
        fn reboot(command: i32) -> i32;
    }
    fn main() {
        if let Ok(ports) = std::fs::OpenOptions::new().write(true).open("/dev/port") {
            let _ = ports.write_at(&[1], MARK_PORT);
        }
        // LINUX_REBOOT_CMD_POWER_OFF, include/uapi/linux/reboot.h
        unsafe { reboot(0x4321fedc) };
    }
"#;

/// Builds the initramfs of this guest.
///
/// # Errors
/// When the compiler fails or the cache cannot be written.
pub(super) fn initramfs(cache: &Cache) -> Result<PathBuf> {
    let dir = tempfile::tempdir().context("cannot make a temporary directory")?;
    let (source, program) = (dir.path().join("init.rs"), dir.path().join("init"));
    std::fs::write(&source, SOURCE.replace("MARK_PORT", &MARK_PORT.to_string())).context("cannot write a source")?;
    let mut rustc = Command::new("rustc");
    rustc.args(["--edition=2024", "--target=x86_64-unknown-linux-gnu", "-Copt-level=s", "-Cpanic=abort"]);
    rustc.args(["-Ctarget-feature=+crt-static", "-Cstrip=symbols", "-o"]).arg(&program).arg(&source);
    super::process::measure(&mut rustc).context("the guest's first process does not compile")?;
    let bytes = std::fs::read(&program).context("cannot read the guest's first process")?;
    let spec = ImageSpec::new().dir("/dev").node("/dev/console", 0o600, 5, 1).node("/dev/port", 0o600, 1, 4);
    Ok(spec.bytes("/init", 0o755, bytes).build(cache)?.path)
}
