use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(name = "mitosis")]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
