use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis", package = "mitosis")]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
