use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis", topology = [1, 2, 4, 1])]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
