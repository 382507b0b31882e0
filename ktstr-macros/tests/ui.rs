//! Each mistake in `#[ktstr_test(...)]` is an error that names it, at its place.

#[test]
fn mistakes_are_named() {
    trybuild::TestCases::new().compile_fail("tests/ui/*.rs");
}
