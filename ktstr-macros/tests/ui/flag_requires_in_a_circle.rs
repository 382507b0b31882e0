use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[flag(args = ["--llc"], requires = [Slice])]
    Llc,
    #[flag(args = ["--steal"], requires = [Llc])]
    Steal,
    #[flag(args = ["--slice"], requires = [Steal])]
    Slice,
}

fn main() {}
