//! What a test becomes.

use crate::attrs::{Attrs, Fields};
use crate::machine::MachineAttrs;
use crate::values::Given;
use proc_macro2::{Ident, Span, TokenStream};
use quote::{format_ident, quote};
use syn::{Attribute, Error, ItemFn, Result};

/// A test function, a module of the same name with its variants, and what both share.
pub(crate) fn test(attrs: &Attrs, function: &ItemFn) -> Result<TokenStream> {
    check_signature(function)?;
    let (name, visibility) = (&function.sig.ident, &function.vis);
    let shared = format_ident!("__ktstr_{name}");
    let (of_test, of_body): (Vec<&Attribute>, Vec<&Attribute>) =
        function.attrs.iter().partition(|attribute| is_of_test(attribute));
    let conditions: Vec<&Attribute> = of_test.iter().copied().filter(|given| given.path().is_ident("cfg")).collect();
    let body =
        ItemFn { attrs: of_body.into_iter().cloned().collect(), vis: syn::Visibility::Inherited, ..function.clone() };
    let spec = spec(attrs);
    let variants = variants(attrs, function, &shared).map(|variants| quote!(#(#conditions)* #variants));
    Ok(quote! {
        #(#conditions)*
        #[cfg(test)]
        #[allow(non_upper_case_globals)]
        static #shared: ::ktstr::entry::Test = {
            #body
            const PATH: &str = ::std::concat!(::std::module_path!(), "::", ::std::stringify!(#name));
            ::ktstr::entry::Test::new({ #spec }, #name)
        };
        #(#of_test)*
        #[test]
        #visibility fn #name() -> ::std::result::Result<(), ::ktstr::Failure> {
            #shared.run()
        }
        #variants
    })
}

/// Whether an attribute is for the test runner or a reader. All others are for the body, such as what is allowed in it.
fn is_of_test(attribute: &Attribute) -> bool {
    ["ignore", "should_panic", "cfg", "cfg_attr", "doc"].iter().any(|name| attribute.path().is_ident(name))
}

/// A test for each preset that the test is for. Ignored ones are run by something that knows what to expect of them.
fn variants(attrs: &Attrs, function: &ItemFn, shared: &Ident) -> Option<TokenStream> {
    let ignored = function.attrs.iter().any(|attribute| attribute.path().is_ident("ignore"));
    if ignored || !attrs.gauntlet.is_wanted() {
        return None;
    }
    let name = &function.sig.ident;
    let variants = attrs.gauntlet.presets(&attrs.machine).map(|(number, preset)| {
        let variant = Ident::new(&preset.function(), Span::call_site());
        quote! {
            #[test]
            #[ignore = "gauntlet"]
            fn #variant() -> ::std::result::Result<(), ::ktstr::Failure> {
                super::#shared.run_on(&::ktstr::PRESETS[#number])
            }
        }
    });
    Some(quote! {
        #[cfg(test)]
        mod #name {
            #(#variants)*
        }
    })
}

fn spec(attrs: &Attrs) -> TokenStream {
    let topology = topology(attrs);
    let of_machine = sets(&of_machine(&attrs.machine));
    let (of_spec, of_assert) = (sets(&attrs.spec), sets(&attrs.assert));
    let of_scheduler = attrs.under_test.sets();
    let declared = attrs.scheduler.as_ref().map(|given| quote!(const __SCHEDULER: ::ktstr::Scheduler = #given;));
    let scheduler = attrs.scheduler.as_ref().map(|_| quote!(spec.scheduler = __SCHEDULER;));
    quote! {
        #declared
        #[allow(unused_mut)]
        let mut spec = ::ktstr::TestSpec::new(PATH, #topology);
        #scheduler
        #(#of_scheduler)*
        #(spec.#of_machine)*
        #(spec.#of_spec)*
        #(spec.assert.#of_assert)*
        spec
    }
}

/// The machine's CPUs: as declared by the test, or else by its scheduler.
fn topology(attrs: &Attrs) -> TokenStream {
    let MachineAttrs { numa_nodes, llcs, cores, threads, .. } = attrs.machine;
    let declared = [numa_nodes, llcs, cores, threads];
    let [numa_nodes, llcs, cores, threads] = declared.map(|field| field.unwrap_or(1));
    let topology = quote! {
        ::ktstr::Topology {
            numa_nodes: #numa_nodes,
            llcs: #llcs,
            cores_per_llc: #cores,
            threads_per_core: #threads,
        }
    };
    if attrs.scheduler.is_none() || declared.iter().any(Option::is_some) {
        return topology;
    }
    quote! {
        match __SCHEDULER.topology {
            ::std::option::Option::Some(topology) => topology,
            ::std::option::Option::None => #topology,
        }
    }
}

fn sets(fields: &Fields) -> Vec<TokenStream> {
    fields.iter().map(|(field, value)| quote!(#field = #value;)).collect()
}

/// What there is to say of the machine besides its topology.
fn of_machine(machine: &MachineAttrs) -> Fields {
    let list = |Given { value, .. }: &Given<Vec<u32>>| quote!(&[#(#value),*]);
    let some = |Given { value, .. }: &Given<u32>| quote!(::std::option::Option::Some(#value));
    let fields = [
        ("memory_mb", machine.memory_mb.as_ref().map(some)),
        ("node_llcs", machine.node_llcs.as_ref().map(list)),
        ("node_memory_mb", machine.node_memory_mb.as_ref().map(list)),
        ("memory_only_nodes_mb", machine.memory_only_nodes_mb.as_ref().map(list)),
        ("distances", machine.distances.as_ref().map(distances)),
    ];
    let given = fields.into_iter().filter_map(|(name, value)| Some((name, value?)));
    given.map(|(name, value)| (Ident::new(name, Span::call_site()), value)).collect()
}

fn distances(given: &Given<Vec<Vec<u8>>>) -> TokenStream {
    let rows = given.value.iter().map(|row| quote!(&[#(#row),*]));
    quote!(&[#(#rows),*])
}

fn check_signature(function: &ItemFn) -> Result<()> {
    let sig = &function.sig;
    let plain = sig.asyncness.is_none()
        && sig.constness.is_none()
        && matches!(sig.safety, syn::Safety::Default)
        && sig.abi.is_none();
    if !plain || !sig.generics.params.is_empty() || sig.inputs.len() != 1 {
        let wanted = "a ktstr test is a plain function `fn(ctx: &Ctx) -> Result<AssertResult>`";
        return Err(Error::new_spanned(sig, wanted));
    }
    Ok(())
}
