//! What a guest prints on its console.

/// The first byte says in what pieces it comes; what comes of it must not depend on that.
pub(crate) fn run(bytes: &[u8]) {
    let Some((piece, text)) = bytes.split_first() else { return };
    let found = ktstr::fuzzing::console(text, usize::from(*piece));
    assert_eq!(ktstr::fuzzing::console(text, text.len()), found);
}

/// Trouble of several kinds, and a dump.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    use ktstr_wire::dump::{BEGINS, ENDS};
    let texts = [
        "[ 1.0] BUG: unable to handle page fault\r\n[ 1.1] Oops: 0002 [#1]\n[ 1.2] Call Trace:\n[ 1.3]  f+0x1/0x2\n".to_owned(),
        "[ 2.0] ------------[ cut here ]------------\n[ 2.1] WARNING: CPU: 0 PID: 1 at a.c:1\n[ 2.2] ---[ end trace ]---\n".to_owned(),
        "[ 3.0] Kernel panic - not syncing: Attempted to kill init!\n".to_owned(),
        "[ 4.0] watchdog: BUG: soft lockup - CPU#0 stuck\n[ 4.1] rcu: INFO: rcu_sched self-detected stall\n".to_owned(),
        "[ 5.0] sched_ext: BPF scheduler \"qmap\" disabled (runnable task stall)\n".to_owned(),
        format!("{BEGINS}\n[ 6.0] sysrq: Show State\n{ENDS}\n"),
    ];
    texts.into_iter().map(|text| [&[7], text.as_bytes()].concat()).collect()
}
