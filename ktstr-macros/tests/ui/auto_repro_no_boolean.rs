use ktstr_macros::ktstr_test;

#[ktstr_test(scheduler = MINE, auto_repro = "yes")]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
