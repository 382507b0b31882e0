use ktstr_macros::ktstr_test;

#[ktstr_test(memory_mb = 4096, min_numa_nodes = 2, max_numa_nodes = 2, max_llcs = 2)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
