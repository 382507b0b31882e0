use ktstr_macros::ktstr_test;

#[ktstr_test(kargs = "preempt=full")]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
