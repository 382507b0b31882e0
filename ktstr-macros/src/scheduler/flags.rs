//! Variants of the enum: flags, their arguments, and what they require.

use super::named;
use crate::values::{elements, text, words};
use heck::ToKebabCase;
use proc_macro2::Ident;
use syn::ext::IdentExt;
use syn::punctuated::Punctuated;
use syn::spanned::Spanned;
use syn::{DataEnum, Error, Expr, Fields, MetaNameValue, Result, Token, Variant};

/// One variant.
pub(super) struct Flag {
    pub(super) variant: Ident,
    pub(super) name: String,
    pub(super) args: Vec<String>,
    /// Variants, by their places.
    pub(super) requires: Vec<usize>,
    /// As written, at their places.
    required: Vec<Ident>,
}

/// The text of the profile without flags.
const PLAIN: &str = "plain";

/// Parses and checks all.
pub(super) fn parse(data: &DataEnum) -> Result<Vec<Flag>> {
    let mut flags: Vec<Flag> = Vec::new();
    for variant in &data.variants {
        let flag = parse_one(variant)?;
        if let Some(other) = flags.iter().find(|other| other.name == flag.name) {
            let message = format!(
                "`{}` would have the name `{}`, which is that of `{}`",
                variant.ident, flag.name, other.variant
            );
            return Err(Error::new(variant.ident.span(), message));
        }
        flags.push(flag);
    }
    resolve(&mut flags)?;
    check_cycles(&flags)?;
    Ok(flags)
}

fn parse_one(variant: &Variant) -> Result<Flag> {
    let ident = &variant.ident;
    if !matches!(variant.fields, Fields::Unit) {
        return Err(Error::new(variant.fields.span(), "a flag is on or off, and holds no data"));
    }
    let mut flag = Flag {
        variant: ident.clone(),
        name: ident.unraw().to_string().to_kebab_case(),
        args: Vec::new(),
        requires: Vec::new(),
        required: Vec::new(),
    };
    let mut named_at = ident.span();
    let mut seen: Vec<String> = Vec::new();
    for attribute in named(&variant.attrs, "flag") {
        for pair in attribute.parse_args_with(Punctuated::<MetaNameValue, Token![,]>::parse_terminated)? {
            let name = pair.path.get_ident().map(ToString::to_string).unwrap_or_default();
            if seen.contains(&name) {
                return Err(Error::new(pair.path.span(), format!("`{name}` is given twice")));
            }
            match name.as_str() {
                "name" => {
                    flag.name = text(&name, &pair.value, "a name, such as \"llc\"")?;
                    named_at = pair.value.span();
                }
                "args" => flag.args = words(&name, &pair.value, "a list of arguments, such as [\"--llc\"]")?,
                "requires" => flag.required = variants(&name, &pair.value)?,
                _ => {
                    return Err(Error::new(pair.path.span(), "unknown word; the known ones are: name, args, requires"));
                }
            }
            seen.push(name);
        }
    }
    if flag.args.is_empty() {
        let message = "say what switches it on, such as #[flag(args = [\"--llc\"])]";
        return Err(Error::new(ident.span(), message));
    }
    check_name(&flag.name).map_err(|message| Error::new(named_at, message))?;
    Ok(flag)
}

/// Names of flags are parts of those of profiles and of files.
fn check_name(name: &str) -> std::result::Result<(), String> {
    let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match name {
        PLAIN => Err(format!(
            "`{PLAIN}` is the profile without flags: give the flag another name, by `name` in #[flag(...)]"
        )),
        name if name.chars().all(plain) => Ok(()),
        _ => Err(format!(
            "`{name}` is no name of a flag, which has lower-case letters, digits and hyphens; give one by `name` in #[flag(...)]"
        )),
    }
}

fn variants(name: &str, value: &Expr) -> Result<Vec<Ident>> {
    let wanted = "a list of variants, such as [Llc]";
    let one = |element: &Expr| match element {
        Expr::Path(path) => path.path.get_ident().cloned(),
        _ => None,
    };
    elements(name, value, wanted)?
        .map(|element| one(element).ok_or_else(|| Error::new(element.span(), format!("`{name}` takes {wanted}"))))
        .collect()
}

/// Finds the variants that are required.
fn resolve(flags: &mut [Flag]) -> Result<()> {
    let known: Vec<Ident> = flags.iter().map(|flag| flag.variant.clone()).collect();
    for flag in flags {
        for required in &flag.required {
            let Some(place) = known.iter().position(|variant| variant == required) else {
                let all = known.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                return Err(Error::new(
                    required.span(),
                    format!("`{required}` is no variant; the variants are: {all}"),
                ));
            };
            if flag.requires.contains(&place) {
                return Err(Error::new(required.span(), format!("`{required}` is required twice")));
            }
            flag.requires.push(place);
        }
    }
    Ok(())
}

/// Where a flag is reached that leads to itself, it is an error at the requirement that closes the circle.
fn check_cycles(flags: &[Flag]) -> Result<()> {
    let mut ended = vec![false; flags.len()];
    (0..flags.len()).try_for_each(|place| follow(flags, place, &mut Vec::new(), &mut ended))
}

/// `above` are the flags that lead here, and those that have `ended` lead to no circle.
fn follow(flags: &[Flag], place: usize, above: &mut Vec<usize>, ended: &mut [bool]) -> Result<()> {
    above.push(place);
    for (next, written) in flags[place].requires.iter().zip(&flags[place].required) {
        if let Some(from) = above.iter().position(|other| other == next) {
            let circle = above[from..].iter().chain([next]);
            let names: Vec<String> = circle.map(|place| format!("`{}`", flags[*place].variant)).collect();
            let message = format!("{}: flags that require each other are one flag", names.join(" requires "));
            return Err(Error::new(written.span(), message));
        }
        if !ended[*next] {
            follow(flags, *next, above, ended)?;
        }
    }
    above.pop();
    ended[place] = true;
    Ok(())
}
