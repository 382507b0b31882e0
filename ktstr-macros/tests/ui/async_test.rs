use ktstr_macros::ktstr_test;

#[ktstr_test]
async fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
