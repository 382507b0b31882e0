use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
enum Mitosis {
    #[scheduler(name = "llc")]
    Llc,
}

fn main() {}
