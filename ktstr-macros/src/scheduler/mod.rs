//! `#[derive(Scheduler)]` on an enum of flags.

mod emit;
mod flags;
mod words;

use proc_macro2::TokenStream;
use syn::spanned::Spanned;
use syn::{Attribute, Data, DataEnum, DeriveInput, Error, Result};

/// The scheduler that the enum declares.
pub(crate) fn derive(input: &DeriveInput) -> Result<TokenStream> {
    let variants = variants(input)?;
    let attributes = of_enum(input, variants)?;
    let words = words::parse(&attributes)?;
    let flags = flags::parse(variants)?;
    if words.binary.is_none() && !flags.is_empty() {
        let message = "flags are arguments of a program: say which by `binary` or `package` in #[scheduler(...)]";
        return Err(Error::new(input.ident.span(), message));
    }
    Ok(emit::scheduler(input, &words, &flags))
}

fn variants(input: &DeriveInput) -> Result<&DataEnum> {
    if !input.generics.params.is_empty() {
        return Err(Error::new(input.generics.span(), "a scheduler has no generics"));
    }
    match &input.data {
        Data::Enum(data) => Ok(data),
        _ => Err(Error::new(input.ident.span(), "a scheduler is an enum, and its variants are the flags")),
    }
}

/// The attributes `#[scheduler(...)]` of the enum, after a look whether each is where it belongs.
fn of_enum<'a>(input: &'a DeriveInput, variants: &DataEnum) -> Result<Vec<&'a Attribute>> {
    let misplaced = |attribute: &Attribute, belongs: &str| {
        let name = attribute.path().segments.last().map(|last| last.ident.to_string()).unwrap_or_default();
        Error::new(attribute.span(), format!("#[{name}(...)] belongs to {belongs}"))
    };
    let of_variants = variants.variants.iter().flat_map(|variant| &variant.attrs);
    if let Some(attribute) = named(of_variants, "scheduler").first() {
        return Err(misplaced(attribute, "the enum"));
    }
    if let Some(attribute) = named(&input.attrs, "flag").first() {
        return Err(misplaced(attribute, "a variant"));
    }
    let found = named(&input.attrs, "scheduler");
    if found.is_empty() {
        let message = "say what the scheduler is, such as #[scheduler(binary = \"scx_simple\")]";
        return Err(Error::new(input.ident.span(), message));
    }
    Ok(found)
}

fn named<'a>(attributes: impl IntoIterator<Item = &'a Attribute>, name: &str) -> Vec<&'a Attribute> {
    attributes.into_iter().filter(|attribute| attribute.path().is_ident(name)).collect()
}
