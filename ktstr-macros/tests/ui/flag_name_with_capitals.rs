use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[flag(name = "LLC", args = ["--llc"])]
    Llc,
}

fn main() {}
