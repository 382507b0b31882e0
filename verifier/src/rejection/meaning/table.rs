//! Messages of kernel/bpf/verifier.c, cfg.c and states.c of Linux 6.12 to 7.3, and of libbpf. More special ones come first.

use super::Entry;

const fn entry(message: &'static str, sentence: &'static str, advice: &'static str) -> Entry {
    Entry { message, sentence, advice }
}

const NULL_CHECK: &str =
    "Compare it with NULL and leave, right before, on every path; the compiler must not move the check.";
const BOUND: &str =
    "Check the index against the object's size right before, as an unsigned value, or mask it (`i &= SIZE - 1`).";
const RELEASE: &str = "Release it on every path, those that return early on errors included.";

pub(super) const TABLE: &[Entry] = &[
    // Pointers
    entry(
        "{} invalid mem access 'scalar'",
        "{} is a number, not a pointer, and the program goes where it points.",
        "Keep the pointer itself: arithmetic, a cast through an integer or a helper call made it a number. For kernel memory use bpf_probe_read_kernel() or bpf_core_cast().",
    ),
    entry(
        "{} invalid mem access '{}or_null{}'",
        "{} may be NULL here ({}or_null{}), and the program goes where it points.",
        NULL_CHECK,
    ),
    entry(
        "{} invalid mem access '{}'",
        "{} is of type {}, and the program must not go where it points.",
        "Look at the register's type at the end of the path: it is where the pointer came from that makes it unusable here.",
    ),
    entry(
        "Possibly NULL pointer passed to trusted {}",
        "{} may be NULL, and the kernel function takes no NULL there.",
        NULL_CHECK,
    ),
    entry(
        "Possibly NULL pointer passed to helper {}",
        "{} may be NULL, and the helper takes no NULL there.",
        NULL_CHECK,
    ),
    entry(
        "{} must be referenced or trusted",
        "{} is a pointer that the kernel no longer vouches for, and the kernel function takes only one that it does.",
        "Acquire a reference (such as bpf_task_acquire()), or stay within the RCU section that the pointer was read in.",
    ),
    entry(
        "{} must be a rcu pointer",
        "{} is no pointer that RCU protects, and the kernel function takes only such ones.",
        "Read it between bpf_rcu_read_lock() and bpf_rcu_read_unlock().",
    ),
    entry(
        "{} pointer arithmetic on {} prohibited, null-check it first",
        "{} may be NULL ({}), and the program computes with it.",
        NULL_CHECK,
    ),
    entry(
        "{} pointer arithmetic on {} prohibited",
        "{} is of type {}, and the program must not compute with it.",
        "Use the pointer as it is, with fixed offsets of members.",
    ),
    entry(
        "{} is ptr_{} invalid negative access: off={}",
        "{} points to a struct {}, and the program reads before its beginning.",
        "Use fields by name, so that CO-RE finds their offsets in the kernel that runs.",
    ),
    entry(
        "access beyond struct {} at off {} size {}",
        "The program reads beyond the end of struct {} (offset {}, {} bytes).",
        "Use fields by name, so that CO-RE finds their offsets in the kernel that runs.",
    ),
    entry(
        "only read is supported",
        "The program writes to kernel memory that it may only read.",
        "Use the kernel function or helper that changes it.",
    ),
    entry(
        "{} cannot write into {}",
        "{} points to {}, which the program may only read.",
        "Write to a copy, or to a map that is not read-only.",
    ),
    entry(
        "frame pointer is read only",
        "The program changes R10, which always points to the end of its stack frame.",
        "Compute with a copy of it.",
    ),
    entry(
        "math between {} pointer and register with unbounded min value is not allowed",
        "A number without bounds is added to a pointer ({}).",
        BOUND,
    ),
    entry(
        "math between {} pointer and {} is not allowed",
        "So large a number is added to a pointer ({} and {}) that it cannot point into its object.",
        BOUND,
    ),
    // Bounds
    entry(
        "invalid access to map value, value_size={} off={} size={}",
        "The program goes beyond a map's value: of {} bytes, it uses those from {} on, {} of them.",
        BOUND,
    ),
    entry(
        "invalid access to memory, mem_size={} off={} size={}",
        "The program goes beyond an object: of {} bytes, it uses those from {} on, {} of them.",
        BOUND,
    ),
    entry(
        "{} unbounded memory access, make sure to bounds check any such access",
        "{} is an offset without an upper bound.",
        BOUND,
    ),
    entry(
        "{} unbounded memory access, use 'var &= const' or 'if (var < const)'",
        "{} is a length without an upper bound.",
        "Check the length against a constant right before, as an unsigned value, or mask it.",
    ),
    entry(
        "{} max value is outside of the allowed memory range",
        "{} may point behind the end of what it points into.",
        BOUND,
    ),
    entry(
        "{} min value is outside of the allowed memory range",
        "{} may point before the beginning of what it points into.",
        BOUND,
    ),
    entry(
        "{} min value is negative, either use unsigned index or do a if (index >=0) check.",
        "{} may be negative, and it is used as an offset.",
        "Use an unsigned variable, or check that it is not negative.",
    ),
    entry(
        "{} min value is negative, either use unsigned or 'var &= const'",
        "{} may be negative, and it is used as a length.",
        "Use an unsigned variable, or mask it.",
    ),
    entry(
        "invalid unbounded variable-offset{} stack {}",
        "The program uses its stack at an offset without bounds.",
        "Check the index against the array's length right before, as an unsigned value.",
    ),
    entry(
        "invalid variable-offset{} stack {} var_off={} off={} size={}",
        "The program may leave its stack frame: the offset is not bounded enough.",
        "Check the index against the array's length right before, as an unsigned value.",
    ),
    entry(
        "invalid bpf_context access off={} size={}",
        "The program reads its context at offset {}, {} bytes, where nothing is that it may read.",
        "Take the context's type for this kind of program, and its fields by name.",
    ),
    // Values that are not there
    entry(
        "{} !read_ok",
        "{} is read, and nothing was written to it on this path.",
        "Give the variable a value on every path; after a call, R1 to R5 have none.",
    ),
    entry(
        "invalid read from stack {} off {}+{} size {}",
        "A part of the stack is read that nothing was written to ({}, at {} and {} bytes further, {} in all).",
        "Set the whole variable to zero first, padding included (`= {}` leaves it out: use __builtin_memset()).",
    ),
    entry(
        "invalid read from stack off {}+{} size {}",
        "A part of the stack is read that nothing was written to (at {} and {} bytes further, {} in all).",
        "Give the variable a value on every path.",
    ),
    entry(
        "invalid read from stack {} off={} size={}",
        "{} points to the stack, and what is read there is not all the function's own (at {}, {} bytes).",
        "Pass a pointer to a variable as large as the helper reads: a map's key or value has the map's size.",
    ),
    entry(
        "invalid{} stack {} off={} size={}",
        "The program leaves its stack frame ({1}, at {2}, {3} bytes).",
        "Check the index against the array's length right before; keep large variables in a map.",
    ),
    entry(
        "{} the register {} has{} should have been in [{}, {}]",
        "{1} has{2} at the end, and what this type of program returns must be from {3} to {4}.",
        "Return a constant, or check the value first.",
    ),
    // References, locks and sections
    entry(
        "Unreleased reference id={} alloc_insn={}",
        "A reference (number {}) that instruction {} has acquired is not released on this path.",
        RELEASE,
    ),
    entry(
        "{} would lead to reference leak",
        "{} while a reference is held that nobody could release any more.",
        RELEASE,
    ),
    entry(
        "{} cannot be used inside bpf_rcu_read_lock-ed region",
        "{} comes between bpf_rcu_read_lock() and bpf_rcu_read_unlock().",
        "Call bpf_rcu_read_unlock() on every path before it.",
    ),
    entry(
        "{} cannot be used inside bpf_spin_lock-ed region",
        "{} comes while a spin lock is held.",
        "Unlock on every path before it.",
    ),
    entry(
        "{} cannot be used inside bpf_preempt_disable-ed region",
        "{} comes while preemption is disabled.",
        "Call bpf_preempt_enable() on every path before it.",
    ),
    entry(
        "{} cannot be used inside bpf_local_irq_save-ed region",
        "{} comes while interrupts are disabled.",
        "Call bpf_local_irq_restore() on every path before it.",
    ),
    entry(
        "function calls are not allowed while holding a lock",
        "A function is called while a spin lock is held.",
        "Unlock before the call, or make the function inline.",
    ),
    entry(
        "program must be sleepable to call sleepable kfunc {}",
        "The kernel function {} may sleep, and the program must not.",
        "Call it from a sleepable program (SEC(\"struct_ops.s/…\")), such as init.",
    ),
    entry(
        "kernel func {} requires RCU critical section protection",
        "The kernel function {} needs an RCU section, and there is none.",
        "Call it between bpf_rcu_read_lock() and bpf_rcu_read_unlock().",
    ),
    // Size and loops
    entry(
        "BPF program is too large. Processed {} insn",
        "The verifier gave up after {} instructions.",
        "Make loops cheaper to verify: bpf_for() or bpf_loop() instead of unrolled ones, fewer branches inside, large functions not inline but global.",
    ),
    entry(
        "The sequence of {} jumps is too complex.",
        "The verifier gave up with {} branches put off.",
        "Have fewer branches inside of loops, or loops by bpf_for() or bpf_loop().",
    ),
    entry(
        "infinite loop detected at insn {}",
        "A loop at instruction {} may go on forever: it came back with nothing changed.",
        "Let a counter with a constant bound end it, or use bpf_for() or bpf_repeat().",
    ),
    entry(
        "back-edge from insn {} to {}",
        "There is a loop, from instruction {} back to {}, and this program may have none.",
        "Load it with CAP_BPF, or unroll the loop.",
    ),
    entry(
        "unreachable insn {}",
        "Instruction {} can never be reached.",
        "Remove the code behind an unconditional return or jump; look for undefined behaviour that the compiler used.",
    ),
    entry(
        "combined stack size of {} calls is {}. Too large",
        "The stacks of {} calls within each other have {} bytes together, more than 512.",
        "Keep large variables in a map, or in a per-CPU array.",
    ),
    entry(
        "stack size of subprog {} is {}. Too large",
        "Function {} needs {} bytes of stack, more than it may.",
        "Keep large variables in a map, or in a per-CPU array.",
    ),
    entry(
        "the call stack of {} frames is too deep{}",
        "Functions call each other {} deep, more than the verifier follows.",
        "Make some of them inline.",
    ),
    // What may be called
    entry(
        "calling kernel function {} is not allowed",
        "This type of program must not call the kernel function {}.",
        "Look up which programs may (register_btf_kfunc_id_set() in the kernel): many are for struct_ops, or for one of its callbacks, alone.",
    ),
    entry(
        "program of this type cannot use helper {}",
        "This type of program must not call the helper {}.",
        "Look at bpf-helpers(7) for one that it may, or at the capabilities that the loader has.",
    ),
    entry(
        "cannot find address for kernel function {}",
        "The kernel has no function {}.",
        "Declare it __weak and ask bpf_ksym_exists() first.",
    ),
    entry(
        "kernel function {} {} expected pointer to {} {} but {} has a pointer to {} {}",
        "The kernel function {} takes as {} a pointer to {} {}, and {} points to {} {}.",
        "Pass a pointer of that type.",
    ),
    entry(
        "cannot call GPL-restricted function from non-GPL compatible program",
        "The program calls what only programs under the GPL may call.",
        "Set its licence: char _license[] SEC(\"license\") = \"GPL\".",
    ),
    entry(
        "attach to unsupported member {} of struct {}",
        "The kernel's {} (struct {}) cannot be a BPF program.",
        "Leave it out, or run a kernel that has it.",
    ),
    entry(
        "{}extern (func ksym) '{}': func_proto [{}] incompatible with kernel [{}]",
        "The kernel's function {1} takes other arguments than the program declares.",
        "Declare it as vmlinux.h of that kernel does. Some packaged kernels have broken BTF, where every such function differs.",
    ),
    entry(
        "{}extern (func ksym) '{}': not found in kernel or module BTFs",
        "The kernel has no function {1}.",
        "Declare it __weak and ask bpf_ksym_exists() first.",
    ),
];
