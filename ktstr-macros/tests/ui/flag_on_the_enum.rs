use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[flag(args = ["--llc"])]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
