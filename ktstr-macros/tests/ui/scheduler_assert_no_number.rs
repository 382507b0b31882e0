use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis", assert(max_gap_ms = "500"))]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
