//! veristat's columns.
//!
//! Source: `stat_defs` and `append_stat_value` in tools/testing/selftests/bpf/veristat.c; veristat 0.5.1. It compares files
//! that have the same columns only, so all of them are there, and what is not known has veristat's value for that.

use crate::program::{Load, Program};
use std::fmt;

/// What is in a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Cell {
    Number(i64),
    Word(String),
}

impl fmt::Display for Cell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Number(number) => number.fmt(f),
            Self::Word(word) => f.write_str(word),
        }
    }
}

/// A column's name, and what a program has there.
pub(super) type Column = (&'static str, fn(&Program) -> Cell);

/// Behind the file's name and the program's.
pub(super) const COLUMNS: [Column; 13] = [
    ("verdict", |program| Cell::Word(if program.is_loaded() { "success" } else { "failure" }.to_owned())),
    ("duration", |program| counted(program.stats.time_us)),
    ("total_insns", |program| counted(program.stats.insns)),
    ("total_states", |program| counted(program.stats.total_states)),
    ("peak_states", |program| counted(program.stats.peak_states)),
    ("max_states_per_insn", |program| counted(program.stats.max_states_per_insn)),
    ("max_mark_read_len", |program| counted(program.stats.mark_read)),
    ("prog_size", |program| number(program.load.as_ref().map(|load| load.insns))),
    ("prog_size_jited", |program| number(program.load.as_ref().map(|load| load.jited_bytes))),
    ("prog_type", |program| word(PROG_TYPES, program, |load| load.kind)),
    ("attach_type", |program| word(ATTACH_TYPES, program, |load| load.attach_kind)),
    ("stack_depth", |program| counted(program.stats.total_stack_bytes())),
    // The most memory that the loader's cgroup had meanwhile, which is nobody's here who loads all of a scheduler's programs.
    ("mem_peak", |_| number(None)),
];

/// A figure of the log's; veristat has 0 for what a log does not tell.
fn counted(figure: Option<u64>) -> Cell {
    number(Some(figure.unwrap_or(0)))
}

/// A figure that is not the log's; veristat has -1 where it could not ask.
fn number(figure: Option<u64>) -> Cell {
    Cell::Number(figure.map_or(-1, |figure| i64::try_from(figure).unwrap_or(i64::MAX)))
}

/// A type's name. One that has none here is a number, which veristat does not read: it is not to be taken for another type.
fn word(names: &[&str], program: &Program, get: fn(&Load) -> u32) -> Cell {
    let number = program.load.as_ref().map_or(0, get);
    let name = names.get(number as usize).map(|name| (*name).to_owned());
    Cell::Word(name.unwrap_or_else(|| number.to_string()))
}

/// `prog_type_name` of tools/lib/bpf/libbpf.c, by `BPF_PROG_TYPE_…`.
#[rustfmt::skip]
const PROG_TYPES: &[&str] = &[
    "unspec", "socket_filter", "kprobe", "sched_cls", "sched_act", "tracepoint", "xdp", "perf_event", "cgroup_skb",
    "cgroup_sock", "lwt_in", "lwt_out", "lwt_xmit", "sock_ops", "sk_skb", "cgroup_device", "sk_msg", "raw_tracepoint",
    "cgroup_sock_addr", "lwt_seg6local", "lirc_mode2", "sk_reuseport", "flow_dissector", "cgroup_sysctl",
    "raw_tracepoint_writable", "cgroup_sockopt", "tracing", "struct_ops", "ext", "lsm", "sk_lookup", "syscall", "netfilter",
];

/// `attach_type_name` of tools/lib/bpf/libbpf.c, by `enum bpf_attach_type`. For an operation of a structure veristat, too, has
/// the name that belongs to the operation's place.
#[rustfmt::skip]
const ATTACH_TYPES: &[&str] = &[
    "cgroup_inet_ingress", "cgroup_inet_egress", "cgroup_inet_sock_create", "cgroup_sock_ops", "sk_skb_stream_parser",
    "sk_skb_stream_verdict", "cgroup_device", "sk_msg_verdict", "cgroup_inet4_bind", "cgroup_inet6_bind",
    "cgroup_inet4_connect", "cgroup_inet6_connect", "cgroup_inet4_post_bind", "cgroup_inet6_post_bind", "cgroup_udp4_sendmsg",
    "cgroup_udp6_sendmsg", "lirc_mode2", "flow_dissector", "cgroup_sysctl", "cgroup_udp4_recvmsg", "cgroup_udp6_recvmsg",
    "cgroup_getsockopt", "cgroup_setsockopt", "trace_raw_tp", "trace_fentry", "trace_fexit", "modify_return", "lsm_mac",
    "trace_iter", "cgroup_inet4_getpeername", "cgroup_inet6_getpeername", "cgroup_inet4_getsockname",
    "cgroup_inet6_getsockname", "xdp_devmap", "cgroup_inet_sock_release", "xdp_cpumap", "sk_lookup", "xdp", "sk_skb_verdict",
    "sk_reuseport_select", "sk_reuseport_select_or_migrate", "perf_event", "trace_kprobe_multi", "lsm_cgroup", "struct_ops",
    "netfilter", "tcx_ingress", "tcx_egress", "trace_uprobe_multi", "cgroup_unix_connect", "cgroup_unix_sendmsg",
    "cgroup_unix_recvmsg", "cgroup_unix_getpeername", "cgroup_unix_getsockname", "netkit_primary", "netkit_peer",
    "trace_kprobe_session", "trace_uprobe_session", "trace_fsession",
];

#[cfg(test)]
mod tests {
    use super::*;

    fn check(load: Option<Load>, expected: &str) {
        let program = Program { load, ..Program::of("f", "p", b"", true) };
        let cells: Vec<_> = COLUMNS[7..11].iter().map(|(_, get)| get(&program).to_string()).collect();
        assert_eq!(cells.join(" "), expected);
    }

    #[test]
    fn what_a_load_tells() {
        let load = Load { kind: 26, attach_kind: 24, insns: 18, jited_bytes: 115 };
        check(Some(load.clone()), "18 115 tracing trace_fentry");
        check(Some(Load { kind: 27, attach_kind: 0, ..load.clone() }), "18 115 struct_ops cgroup_inet_ingress");
        check(Some(Load { kind: 99, attach_kind: 58, ..load }), "18 115 99 trace_fsession");
        check(None, "-1 -1 unspec cgroup_inet_ingress");
    }
}
