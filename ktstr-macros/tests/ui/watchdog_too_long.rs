use ktstr_macros::ktstr_test;

#[ktstr_test(scheduler = MINE, watchdog_timeout_s = 30.5)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
