use ktstr_macros::ktstr_test;

#[ktstr_test(numa_nodes = 4, llcs = 2)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
