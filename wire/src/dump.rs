//! Dumps of the kernel's CPUs and tasks on the console: who asks for them, the guest's agent or the host, presses the
//! same SysRq keys (Documentation/admin-guide/sysrq.rst) and marks where they begin.

/// The keys: a backtrace of every CPU, tasks that are blocked, all tasks, and the state of sched_ext
/// (kernel/sched/ext.c; a kernel without it lists its keys instead).
pub const KEYS: &[u8] = b"lwtD";

/// The agent's line before a dump.
pub const BEGINS: &str = "ktstr: a dump begins";

/// The agent's line behind a dump.
pub const ENDS: &str = "ktstr: the dump ends";
