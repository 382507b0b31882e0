//! The kernel command line, as far as every machine has it in common.

use crate::config::VmConfig;
use crate::error::Error;
use crate::layout::{COM1, RamLayout};

/// Options that every guest gets. None of them changes what the scheduler does.
const COMMON: &[&str] = &[
    // Warnings and worse: findings are made from them, and each byte costs the guest time. First, because the next option
    // prints at once what has been said so far, at the level that is set by then.
    "loglevel=5",
    // Output before the real console driver is there, or an early panic would be silent.
    "earlycon=uart8250,io,0x3f8,115200",
    "console=ttyS0,115200",
    // A panic ends the machine at once, through the keyboard controller that both backends have.
    "panic=-1",
    "reboot=k",
    // Background work of a booting kernel that would compete with the test's workers: self-tests of crypto algorithms
    // took most of two CPUs for ten seconds of guest time under emulation, DAMON samples memory for ever.
    "cryptomgr.notests=1",
    "damon_stat.enabled=N",
    // A quarter of an emulated boot: rewriting the print formats of trace events so that names stand for numbers, looking
    // up the name of every function that can be traced, to leave out of the list those that are overridden, and checking
    // certificates for modules that nobody loads.
    "initcall_blacklist=trace_eval_init,ftrace_check_for_weak_functions,load_system_certificate_list,\
     load_revocation_certificate_list",
    // The host's SysRq keys ask for dumps, which distributions let no keyboard do. Without such a key nothing changes.
    "sysrq_always_enabled",
    // A kernel that does not answer those gets an NMI. No other comes unless something is broken, and then it should end.
    "unknown_nmi_panic",
    // The agent, in the initramfs.
    "rdinit=/init",
];
const _: () = assert!(COM1.0 == 0x3f8);

/// The whole command line of a machine. `extra` is what the backend adds before the configuration's own `kargs`.
///
/// # Errors
/// As [`VmConfig::ram_layout`].
pub fn build(config: &VmConfig, extra: &[String]) -> Result<String, Error> {
    let mut words: Vec<String> = COMMON.iter().map(|word| (*word).to_owned()).collect();
    words.push(reserved_word(&config.ram_layout()?));
    words.extend(extra.iter().cloned());
    words.extend(config.kargs.iter().cloned());
    Ok(words.join(" "))
}

/// Tells the agent where the reserved range is.
fn reserved_word(layout: &RamLayout) -> String {
    let reserved = layout.reserved;
    format!("{}={:#x},{:#x}", ktstr_wire::reserved::CMDLINE_KEY, reserved.gpa, reserved.bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::reserved::parse_cmdline_value;

    #[test]
    fn the_agent_can_read_where_the_reserved_range_is() {
        let layout = RamLayout::new(&[512 << 20], 64 << 20).unwrap();
        let word = reserved_word(&layout);
        let value = word.strip_prefix("ktstr.reserved=").unwrap();
        assert_eq!(parse_cmdline_value(value), Some((layout.reserved.gpa, layout.reserved.bytes as usize)));
    }
}
