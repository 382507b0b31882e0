//! What only a test with a scheduler of its own can say.

use crate::values::{boolean, elements, names, positive};
use proc_macro2::{Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, Expr, MetaNameValue, Result};

/// The most that the kernel's watchdog can be set to, in seconds (`SCX_WATCHDOG_MAX_TIMEOUT`, kernel/sched/ext.c).
const LONGEST_WATCHDOG_S: f64 = 30.0;

/// What is said of it.
#[derive(Default)]
pub(crate) struct UnderTest {
    fields: Vec<Field>,
}

/// A field of `TestSpec`.
struct Field {
    name: &'static str,
    span: Span,
    value: TokenStream,
    /// Whether it is of no use for what is part of the kernel.
    of_program: bool,
}

impl UnderTest {
    /// Takes one of its words; whether it is one.
    pub(crate) fn set(&mut self, name: &str, pair: &MetaNameValue) -> Result<bool> {
        let (value, span) = (&pair.value, pair.path.span());
        let (name, of_program, tokens) = match name {
            "schedulers" => ("schedulers", false, list(&quote!(::ktstr::Scheduler), schedulers(name, value)?)),
            "extra_sched_args" => ("extra_sched_args", true, {
                let words = names(name, value)?;
                quote!(&[#(#words),*])
            }),
            "watchdog_timeout_s" => ("watchdog_timeout_s", true, watchdog(name, value)?),
            "bpf_map_write" => ("bpf_map_write", true, map_writes(value)),
            "auto_repro" => ("auto_repro", true, boolean(name, value)?.into_token_stream()),
            _ => return Ok(false),
        };
        self.fields.push(Field { name, span, value: tokens, of_program });
        Ok(true)
    }

    /// What is only for a scheduler needs one.
    pub(crate) fn check(&self, has_scheduler: bool) -> Result<()> {
        // Further ones may follow the kernel's own.
        match self.fields.iter().find(|field| field.name != "schedulers") {
            Some(field) if !has_scheduler => {
                let message =
                    format!("`{}` is for a test that says which scheduler it has: give `scheduler`", field.name);
                Err(Error::new(field.span, message))
            }
            _ => Ok(()),
        }
    }

    /// What there is to set in a `TestSpec` called `spec`, and what is checked of it.
    pub(crate) fn sets(&self) -> Vec<TokenStream> {
        self.fields.iter().map(Field::set).collect()
    }
}

impl Field {
    fn set(&self) -> TokenStream {
        let Self { name, span, value, of_program } = self;
        let field = syn::Ident::new(name, Span::call_site());
        let message = format!("`{name}` is for a scheduler that is a program, and this one is none");
        let check = of_program
            .then(|| quote_spanned!(*span=> const _: () = ::std::assert!(__SCHEDULER.binary.is_program(), #message);));
        quote!(#check spec.#field = #value;)
    }
}

/// The name of a constant; what is written in its place is more likely a mistake than a scheduler.
fn constant(name: &str, value: &Expr) -> Result<Expr> {
    match value {
        Expr::Path(_) => Ok(value.clone()),
        other => Err(Error::new(
            other.span(),
            format!("`{name}` takes the name of a constant, such as `MINE` after `const MINE: Scheduler = ...`"),
        )),
    }
}

fn schedulers<'a>(name: &str, value: &'a Expr) -> Result<Vec<&'a Expr>> {
    let wanted = "a list of constants, such as [FIRST, SECOND]";
    elements(name, value, wanted)?.map(|element| constant(name, element).map(|_| element)).collect()
}

fn watchdog(name: &str, value: &Expr) -> Result<TokenStream> {
    let seconds = positive(name, value)?;
    if seconds > LONGEST_WATCHDOG_S {
        let message = format!("the kernel's watchdog waits for at most {LONGEST_WATCHDOG_S} seconds");
        return Err(Error::new(value.span(), message));
    }
    Ok(quote!(::std::option::Option::Some(#seconds)))
}

/// One, or a list of them.
fn map_writes(value: &Expr) -> TokenStream {
    let kind = quote!(::ktstr::BpfMapWrite);
    match value {
        Expr::Array(array) => list(&kind, &array.elems),
        one => list(&kind, [one]),
    }
}

/// A list that is there as long as the program.
fn list<'a>(kind: &TokenStream, elements: impl IntoIterator<Item = &'a Expr>) -> TokenStream {
    let elements = elements.into_iter();
    quote!({
        const LIST: &[#kind] = &[#(#elements),*];
        LIST
    })
}
