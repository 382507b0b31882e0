use ktstr_macros::ktstr_test;

#[ktstr_test(memory_mb = 512, node_memory_mb = [512])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
