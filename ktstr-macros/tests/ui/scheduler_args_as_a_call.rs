use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis", sched_args("-v"))]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
