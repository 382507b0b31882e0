//! The place of the host-side reader of scheduler state: BTF, symbols, page tables, runqueues, sched_ext, BPF maps.
