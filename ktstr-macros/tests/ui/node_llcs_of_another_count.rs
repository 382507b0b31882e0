use ktstr_macros::ktstr_test;

#[ktstr_test(numa_nodes = 2, llcs = 4, node_llcs = [1, 1, 2])]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
