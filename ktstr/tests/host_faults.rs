//! What goes wrong on the host, or before the guest's user space, has the right verdict, says what to do, and leaves
//! nothing behind.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod support;

use ktstr::Record;
use ktstr::prelude::*;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use support::limits::small_disk;
use support::patched::tests_kernel;
use support::{Specimen, wait_until_gone};

#[ktstr_test(cores = 2)]
#[ignore = "a specimen: a good test in bad surroundings"]
fn good(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[ktstr_test(cores = 2, duration_s = 600)]
#[ignore = "a specimen: lasts until it is interrupted"]
fn endless(ctx: &Ctx) -> Result<AssertResult> {
    scenarios::steady(ctx)
}

#[test]
fn unknown_kernel_spec() {
    let outcome = Specimen::new("good").env("KTSTR_KERNEL", "no such spec").run();
    outcome.expect("Inconclusive", &["cannot understand the kernel spec \"no such spec\""]);
}

#[test]
fn kernel_that_is_no_kernel() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("vmlinux");
    for (bytes, reason) in
        [(b"#!/bin/sh\n".repeat(500), "cannot get the kernel"), (Vec::new(), "cannot get the kernel")]
    {
        fs::write(&path, bytes).unwrap();
        let outcome = Specimen::new("good").env("KTSTR_KERNEL", format!("path:{}", path.display())).run();
        outcome.expect("Inconclusive", &[reason, "vmlinux"]);
    }
}

#[test]
fn missing_qemu() {
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "tcg").env("KTSTR_QEMU", "/absent/qemu").run();
    outcome.expect("Inconclusive", &["cannot find /absent/qemu", "install QEMU"]);
}

#[test]
fn qemu_that_ends_at_once() {
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "tcg").env("KTSTR_QEMU", "/bin/false").run();
    outcome.expect("Inconclusive", &["cannot tell the version of /bin/false"]);
}

#[test]
fn qemu_that_refuses_the_plugin_goes_without() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "tcg").env("KTSTR_QEMU", pretender(dir.path())).run();
    let Record { host, guest, .. } = outcome.record;
    assert!(host.accel_reason.contains("without our plugin"), "{}", host.accel_reason);
    assert!(host.accel_reason.contains("Could not load plugin"), "{}", host.accel_reason);
    assert!(guest.hello.is_some());
}

/// The QEMU of this host, which says that it is of a release whose plugins it does not take.
fn pretender(dir: &Path) -> PathBuf {
    let qemu = std::env::var("KTSTR_QEMU").unwrap_or_else(|_| "qemu-system-x86_64".to_owned());
    let said = Command::new(&qemu).arg("--version").output().unwrap();
    let said = String::from_utf8_lossy(&said.stdout).into_owned();
    let other = if [" version 7.", " version 8."].iter().any(|old| said.contains(old)) { "11.1" } else { "8.1" };
    let text =
        format!("#!/bin/sh\ntest \"$1\" = --version && exec echo QEMU emulator version {other}\nexec {qemu} \"$@\"\n");
    let (plain, program) = (dir.join("text"), dir.join("qemu"));
    fs::write(&plain, text).unwrap();
    // Nobody can run a program that this process may still have open for writing.
    assert!(
        Command::new("install")
            .args(["-m755".as_ref(), plain.as_os_str(), program.as_os_str()])
            .status()
            .unwrap()
            .success()
    );
    program
}

#[test]
fn qemu_that_hides_what_a_run_depends_on_is_told() {
    let dir = tempfile::tempdir().unwrap();
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "tcg").env("KTSTR_QEMU", hider(dir.path())).run();
    outcome.expect("Pass", &[]);
    let told = outcome.record.host.accel_reason;
    assert!(told.contains("on a busy host the same seed may be another run"), "{told}");
}

/// The QEMU of this host, with another name for what the plugin finds QEMU's RCU thread by.
fn hider(dir: &Path) -> PathBuf {
    // Where it looks for its firmware depends on where it is.
    let copy = "program=$(command -v \"${KTSTR_QEMU:-qemu-system-x86_64}\") && cd \"$0\" && mkdir bin && \
                ln -s \"${program%/bin/*}/share\" \"${program%/bin/*}/lib\" . && \
                sed s/get_ptr_rcu_reader/get_ptr_rcu_hidden/ \"$program\" >bin/qemu && chmod +x bin/qemu";
    assert!(Command::new("sh").arg("-ec").arg(copy).arg(dir).env("LC_ALL", "C").status().unwrap().success());
    dir.join("bin/qemu")
}

#[test]
fn missing_kvm() {
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "kvm").env("KTSTR_KVM_DEVICE", "/absent/kvm").run();
    outcome.expect("Inconclusive", &["/absent/kvm"]);
}

#[test]
fn auto_without_kvm_is_tcg_and_says_so() {
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "auto").env("KTSTR_KVM_DEVICE", "/absent/kvm").run();
    outcome.expect("Pass", &[]);
    assert!(outcome.record.host.accel_reason.starts_with("tcg with QEMU"), "{}", outcome.record.host.accel_reason);
    assert!(outcome.record.host.accel_reason.contains("/absent/kvm"), "{}", outcome.record.host.accel_reason);
}

#[test]
fn unknown_accelerator() {
    let outcome = Specimen::new("good").env("KTSTR_ACCEL", "xen").run();
    outcome.expect("Inconclusive", &["KTSTR_ACCEL=\"xen\"", "auto, kvm or tcg"]);
}

#[test]
fn another_machine_than_declared() {
    let outcome = Specimen::new("good").env("KTSTR_KARGS", "maxcpus=1").run();
    outcome.expect(
        "Inconclusive",
        &["this is not the declared machine: the CPUs that are online are 0, declared are 0-1"],
    );
}

#[test]
fn missing_init_is_a_panic() {
    let outcome = Specimen::new("good").env("KTSTR_KARGS", "rdinit=/absent").run();
    outcome.expect("Fail", &["kernel panic on the console"]);
}

#[test]
fn panic_at_boot() {
    let outcome = Specimen::new("good").env("KTSTR_KARGS", "rdinit=/dev/console").run();
    outcome.expect("Fail", &["kernel panic on the console"]);
}

#[test]
fn guest_that_never_says_hello() {
    // Whoever waits for readers of RCU waits for ever, PID 1 when it mounts cgroups at the latest, and nobody complains.
    let stuck = "initcall_blacklist=rcu_spawn_gp_kthread sysctl.kernel.hung_task_timeout_secs=0 loglevel=8";
    let outcome = Specimen::new("good").env("KTSTR_KARGS", stuck).env("KTSTR_BOOT_TIMEOUT_S", "6").run();
    outcome.expect("Inconclusive", &["after 6 s the host still waited for the kernel to start the agent", "console: "]);
    // It serves interrupts, so it tells what it waits for.
    outcome.expect("Inconclusive", &["the record has the kernel's dumps"]);
    let dumps = &outcome.record.guest.dumps;
    assert!(dumps.contains("Show Blocked State") && dumps.contains(" state:D stack:0     pid:1 "), "{dumps}");
}

#[test]
fn full_cache_disk() {
    let dir = tempfile::tempdir().unwrap();
    let mut specimen = Specimen::new("good").env("KTSTR_CACHE_DIR", dir.path()).env("KTSTR_KERNEL", any_kernel());
    small_disk(&mut specimen, dir.path(), c"size=64k");
    specimen.run().expect("Inconclusive", &["No space left on device", "make room on the disk"]);
}

#[test]
fn full_disk_for_records() {
    let mut specimen = Specimen::new("good");
    let dir = specimen.records_dir();
    fs::create_dir_all(&dir).unwrap();
    small_disk(&mut specimen, &dir, c"size=4k");
    let child = specimen.spawn();
    let mark = format!("ktstr-{}", child.id());
    let done = child.wait_with_output().unwrap();
    let output = String::from_utf8_lossy(&done.stdout).into_owned() + &String::from_utf8_lossy(&done.stderr);
    assert!(!done.status.success() && output.contains("No space left on device"), "{output}");
    wait_until_gone(&mark);
    assert_eq!(fs::read_dir(&dir).unwrap().count(), 0);
}

#[test]
fn racing_runs_share_a_fresh_cache() {
    let dir = tempfile::tempdir().unwrap();
    let kernel = any_kernel();
    let start = || {
        let mut specimen = Specimen::new("good").env("KTSTR_CACHE_DIR", dir.path()).env("KTSTR_KERNEL", &kernel);
        let child = specimen.spawn();
        (specimen, child)
    };
    let runs: Vec<_> = (0..3).map(|_| start()).collect();
    for (specimen, child) in runs {
        specimen.collect(child).expect("Pass", &[]);
    }
    assert_eq!(leftovers(dir.path()), Vec::<String>::new());
}

#[test]
fn interrupt_at_each_stage_leaves_nothing() {
    let kernel = any_kernel();
    for (stage_ms, signal) in [(5, libc::SIGINT), (150, libc::SIGTERM), (1500, libc::SIGINT), (4000, libc::SIGKILL)] {
        let dir = tempfile::tempdir().unwrap();
        let mut specimen = Specimen::new("endless").env("KTSTR_CACHE_DIR", dir.path()).env("KTSTR_KERNEL", &kernel);
        let child = specimen.spawn();
        let pid = child.id();
        std::thread::sleep(Duration::from_millis(stage_ms));
        // SAFETY: our own child, not reaped yet.
        unsafe { libc::kill(pid as libc::pid_t, signal) };
        let done = child.wait_with_output().unwrap();
        assert!(!done.status.success(), "interrupted after {stage_ms} ms and yet successful");
        wait_until_gone(&format!("ktstr-{pid}"));
        if signal != libc::SIGKILL {
            assert_eq!(leftovers(dir.path()), Vec::<String>::new(), "after {stage_ms} ms");
        }
        assert!(!specimen.records_dir().join("endless.json").exists());
    }
}

/// The kernel that the tests run with, as a file that any cache can take.
fn any_kernel() -> String {
    format!("path:{}", tests_kernel().dir.display())
}

/// Hidden files in the cache: locks and unfinished entries.
fn leftovers(dir: &Path) -> Vec<String> {
    let output = Command::new("find").arg(dir).args(["-name", ".*.tmp", "-o", "-name", ".*.lock"]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect()
}
