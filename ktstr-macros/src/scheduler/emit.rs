//! What the enum becomes.

use super::flags::Flag;
use super::words::Words;
use heck::ToKebabCase;
use proc_macro2::TokenStream;
use quote::quote;
use syn::DeriveInput;
use syn::ext::IdentExt;

/// The scheduler as a constant of the enum, and each flag's name.
pub(super) fn scheduler(input: &DeriveInput, words: &Words, flags: &[Flag]) -> TokenStream {
    let (ident, visibility) = (&input.ident, &input.vis);
    let name = words.name.clone().unwrap_or_else(|| ident.unraw().to_string().to_kebab_case());
    let binary = words.binary.as_ref().map(|spec| quote!(.binary(#spec)));
    let calls = &words.calls;
    let assert = (!words.assert.is_empty()).then(|| {
        let (fields, values): (Vec<_>, Vec<_>) = words.assert.iter().cloned().unzip();
        quote!(.assert(::ktstr::Assert { #(#fields: #values,)* ..::ktstr::Assert::unset() }))
    });
    let declared = flags.iter().map(|flag| declared(flag, flags));
    let variants: Vec<_> = flags.iter().map(|flag| &flag.variant).collect();
    let names: Vec<_> = flags.iter().map(|flag| &flag.name).collect();
    quote! {
        #[automatically_derived]
        #[allow(dead_code)]
        impl #ident {
            /// The scheduler, for `#[ktstr_test(scheduler = ...)]`.
            #visibility const SCHEDULER: ::ktstr::Scheduler = ::ktstr::Scheduler::new(#name)
                #binary
                #(.#calls)*
                #assert
                .flags(&[#(#declared),*]);

            /// The name of the flag, for `required_flags` and `excluded_flags`.
            #visibility const fn flag(self) -> &'static str {
                match self {
                    #(Self::#variants => #names,)*
                }
            }

            /// Tests name few of them, and none is unused for that.
            const __KTSTR_FLAGS: &'static [Self] = &[#(Self::#variants),*];
        }
    }
}

fn declared(flag: &Flag, all: &[Flag]) -> TokenStream {
    let Flag { name, args, .. } = flag;
    let requires = flag.requires.iter().map(|place| &all[*place].name);
    quote! {
        ::ktstr::Flag { name: #name, args: &[#(#args),*], requires: &[#(#requires),*] }
    }
}
