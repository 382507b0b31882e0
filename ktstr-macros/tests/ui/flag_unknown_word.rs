use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[flag(arg = ["--llc"])]
    Llc,
}

fn main() {}
