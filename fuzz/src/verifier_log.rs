//! Logs of the kernel's BPF verifier.

use ktstr_verifier::{Program, fold, libbpf};

/// Folds a log and puts it together again, and looks for figures, for a refusal and for programs.
pub(crate) fn run(bytes: &[u8]) {
    let mut text = Vec::new();
    let pieces = fold::fold_bytes(bytes);
    let rendered = fold::render(bytes, pieces, &mut text);
    assert!(rendered.is_ok_and(|()| fold::expand(&text, bytes).as_deref() == Ok(bytes)), "the fold loses something");
    let _ = fold::expand(bytes, &text);

    let program = Program::of("fuzz", "log", bytes, false);
    if let Some(rejection) = &program.rejection {
        let _ = (rejection.reason(), rejection.path_text(bytes));
    }
    for log in libbpf::program_logs(bytes) {
        assert!(bytes.get(log.log).is_some(), "a log outside of the output");
    }
}

/// Loops, branches, calls, a refusal with a report, and a loader's lines around them.
pub(crate) fn seeds() -> Vec<Vec<u8>> {
    let iteration = "; sum += i; @ a.bpf.c:3\n1: (07) r6 += 1   ; R6=P1\n2: (56) if w6 != 0x9 goto pc-2\n\
                     mark_precise: frame0: regs=r6 stack= before 1: (07) r6 += 1\n2: R6=2\n";
    let log = [
        "func#0 @0\nfunc#1 @9\n  0: (b7) r6 = 0\nLive regs before insn:\n      0: .... (b7) r6 = 0\n",
        "0: R1=ctx() R10=fp0\n0: (b7) r6 = 0   ; R6=0\n",
        &iteration.repeat(5),
        "3: (85) call pc+5\ncaller:\n R6=1 R10=fp0\ncallee:\n frame1: R1=scalar(var_off=(0x0; 0xff)) fp-8=mmmm???? refs=1,2 cb\n",
        "9: safe\n\nfrom 2 to 3 (speculative execution): R6=1\n3: (95) exit\n\nfrom 2 to 3: safe\nValidating f() func#1...\n",
        "13: (16) if w1 == 0x7 goto pc+4 18: R0=1\nR1 invalid mem access 'scalar'\n\n",
        "Verification failed: Memory Safety: No\n\nReason:\n  a\n\nAt:\n  f @ a.c:1:2\n\nSuggestion:\n  b\n\n",
        "verification time 7 usec\nstack depth 8+0 max 8\nsubprog 0 (f) main insns_self 3 insns_total 4 stack 8\n",
        "processed 9 insns (limit 1000000) max_states_per_insn 1 total_states 2 peak_states 2 mark_read 1\n",
    ]
    .concat();
    let loader = format!(
        "libbpf: prog 'f': BPF program load failed: Permission denied\nlibbpf: prog 'f': -- BEGIN PROG LOAD LOG --\n{log}\
         -- END PROG LOAD LOG --\n"
    );
    let folded =
        "~ 3 more iterations like lines 1-2: lines 3-8 of the log, bytes 0..0, are left out; then the last one\n~~x\n";
    vec![log.into_bytes(), loader.into_bytes(), folded.into()]
}
