use ktstr_macros::ktstr_test;

#[ktstr_test(scheduler = MINE, schedulers = [other()])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
