use ktstr_macros::ktstr_test;

#[ktstr_test(watchdog_timeout_s = 5)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
