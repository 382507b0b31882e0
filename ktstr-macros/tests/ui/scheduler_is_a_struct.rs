use ktstr_macros::Scheduler;

#[derive(Scheduler)]
#[scheduler(binary = "scx_mitosis")]
struct Mitosis;

fn main() {}
