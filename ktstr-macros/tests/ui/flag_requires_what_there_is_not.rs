use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[flag(args = ["--llc"])]
    Llc,
    #[flag(args = ["--steal"], requires = [Lcl])]
    Steal,
}

fn main() {}
