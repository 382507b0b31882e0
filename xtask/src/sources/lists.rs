//! Tests that a macro makes of a list of names: `presets!` of `ktstr/tests/presets.rs`, `canned!` of
//! `ktstr/tests/scenarios.rs`.

use super::{Named, has, have_off};
use syn::parse::{Parse, ParseStream};
use syn::punctuated::Punctuated;
use syn::{Attribute, Ident, Token, bracketed, parenthesized};

/// The scheduler tests that come of a macro's call; none of other macros.
///
/// # Errors
/// Why the call is not understood.
pub(super) fn tests(call: &syn::Macro) -> Result<Vec<Named>, String> {
    let (name, tests) = if call.path.is_ident("presets") {
        ("presets", call.parse_body().map(Presets::tests))
    } else if call.path.is_ident("canned") {
        ("canned", call.parse_body().map(Canned::tests))
    } else {
        return Ok(Vec::new());
    };
    tests.map_err(|error| format!("has a {name}! that is not understood: {error}"))
}

/// `a, #[ignore] b`: a test of each name, with its attributes.
struct Presets(Punctuated<Listed, Token![,]>);

/// `one(attributes), two(attributes); [a, b]`: in each module a test of each name, with the module's attributes.
struct Canned {
    machines: Punctuated<OnMachine, Token![,]>,
    names: Punctuated<Ident, Token![,]>,
}

/// A name with attributes before it.
struct Listed {
    attributes: Vec<Attribute>,
    name: Ident,
}

/// A module, and whether its tests have variants.
struct OnMachine {
    module: Ident,
    varies: bool,
}

impl Presets {
    fn tests(self) -> Vec<Named> {
        let test = |Listed { attributes, name }: &Listed| Named {
            path: name.to_string(),
            ignored: has(attributes, "ignore"),
            varies: false,
        };
        self.0.iter().map(test).collect()
    }
}

impl Canned {
    fn tests(self) -> Vec<Named> {
        let on = |machine: &OnMachine| {
            let (module, varies) = (machine.module.to_string(), machine.varies);
            let test = move |name: &Ident| Named { path: format!("{module}::{name}"), ignored: false, varies };
            self.names.iter().map(test).collect::<Vec<_>>()
        };
        self.machines.iter().flat_map(on).collect()
    }
}

impl Parse for Presets {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Punctuated::parse_terminated(input).map(Self)
    }
}

impl Parse for Canned {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let machines = Punctuated::parse_separated_nonempty(input)?;
        input.parse::<Token![;]>()?;
        let names;
        bracketed!(names in input);
        Ok(Self { machines, names: Punctuated::parse_terminated(&names)? })
    }
}

impl Parse for Listed {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        Ok(Self { attributes: input.call(Attribute::parse_outer)?, name: input.parse()? })
    }
}

impl Parse for OnMachine {
    fn parse(input: ParseStream<'_>) -> syn::Result<Self> {
        let module = input.parse()?;
        let attributes;
        parenthesized!(attributes in input);
        let pairs = Punctuated::parse_terminated(&attributes)?;
        Ok(Self { module, varies: !have_off(&pairs, "gauntlet") })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(call: &str, expected: &[(&str, bool, bool)]) {
        let found = tests(&syn::parse_str(call).unwrap()).unwrap();
        let found: Vec<_> = found.iter().map(|test| (test.path.as_str(), test.ignored, test.varies)).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn each_list_makes_its_tests() {
        check("presets! { a, #[ignore = \"why\"] b }", &[("a", false, false), ("b", true, false)]);
        let canned = "canned! { x(cores = 1), y(gauntlet = false, cores = 1); [a, b,] }";
        check(canned, &[("x::a", false, true), ("x::b", false, true), ("y::a", false, false), ("y::b", false, false)]);
        check("other! { a, b }", &[]);
    }

    #[test]
    fn what_is_no_list_is_told() {
        for call in ["presets! { 1 }", "canned! { a, b }", "canned! { x(cores); [a] }"] {
            let error = tests(&syn::parse_str(call).unwrap()).err().unwrap();
            assert!(error.contains("! that is not understood: "), "{error}");
        }
    }
}
