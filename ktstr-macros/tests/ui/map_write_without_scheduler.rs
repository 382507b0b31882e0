use ktstr_macros::ktstr_test;

#[ktstr_test(bpf_map_write = STALL)]
fn test(ctx: &Ctx) -> Result<AssertResult> {
    unreachable!()
}

fn main() {}
