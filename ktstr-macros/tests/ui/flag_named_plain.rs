use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[flag(args = ["--plain"])]
    Plain,
}

fn main() {}
