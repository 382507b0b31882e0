use ktstr_macros::ktstr_test;

#[ktstr_test(scheduler = "scx_simple")]
fn test(_ctx: &()) -> Result<(), ()> {
    Ok(())
}

fn main() {}
