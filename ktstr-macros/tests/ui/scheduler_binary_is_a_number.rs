use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = 5)]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
