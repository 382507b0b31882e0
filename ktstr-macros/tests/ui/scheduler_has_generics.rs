use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis<const N: usize> {
    #[flag(args = ["--llc"])]
    Llc,
}

fn main() {}
