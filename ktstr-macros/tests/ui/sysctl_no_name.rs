use ktstr_macros::ktstr_test;

#[ktstr_test(sysctls = [("panic", "1")])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
