use ktstr_macros::ktstr_test;

#[ktstr_test(programs = ["hackbench", 3])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
