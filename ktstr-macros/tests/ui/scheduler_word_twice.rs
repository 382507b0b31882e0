use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis", name = "a", name = "b")]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
