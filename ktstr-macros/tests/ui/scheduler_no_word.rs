use ktstr_macros::Scheduler;

#[derive(Scheduler)]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
