//! What a test becomes.

use crate::attrs::Attrs;
use crate::values::Given;
use proc_macro2::TokenStream;
use quote::{ToTokens, quote};
use syn::{Error, ItemFn, Result};

/// The test function around the given one.
pub(crate) fn test(attrs: &Attrs, function: &ItemFn) -> Result<TokenStream> {
    check_signature(function)?;
    let (name, visibility, outer) = (&function.sig.ident, &function.vis, &function.attrs);
    let body = ItemFn { attrs: Vec::new(), vis: syn::Visibility::Inherited, ..function.clone() };
    let spec = spec(attrs);
    Ok(quote! {
        #(#outer)*
        #[test]
        #visibility fn #name() -> ::std::result::Result<(), ::ktstr::Failure> {
            #body
            const SPEC: ::ktstr::TestSpec = {
                const PATH: &str = ::std::concat!(::std::module_path!(), "::", ::std::stringify!(#name));
                #spec
            };
            ::ktstr::entry::run(&SPEC, #name)
        }
    })
}

fn spec(attrs: &Attrs) -> TokenStream {
    let or_one = |field: Option<u32>| field.unwrap_or(1);
    let (numa_nodes, llcs) = (or_one(attrs.numa_nodes), or_one(attrs.llcs));
    let (cores, threads) = (or_one(attrs.cores), or_one(attrs.threads));
    let set = |name: &str, value: Option<TokenStream>| {
        let field = syn::Ident::new(name, proc_macro2::Span::call_site());
        value.map(|value| quote!(spec.#field = #value;))
    };
    let memory_mb = set(
        "memory_mb",
        attrs.memory_mb.as_ref().map(|mb| {
            let mb = mb.value;
            quote!(::std::option::Option::Some(#mb))
        }),
    );
    let list = |name, given: &Option<Given<Vec<u32>>>| {
        set(name, given.as_ref().map(|Given { value, .. }| quote!(&[#(#value),*])))
    };
    let node_llcs = list("node_llcs", &attrs.node_llcs);
    let node_memory_mb = list("node_memory_mb", &attrs.node_memory_mb);
    let memory_only_nodes_mb = list("memory_only_nodes_mb", &attrs.memory_only_nodes_mb);
    let distances = set("distances", attrs.distances.as_ref().map(distances));
    let duration_s = set("duration_s", attrs.duration_s.map(ToTokens::into_token_stream));
    let workers = set("workers_per_cgroup", attrs.workers_per_cgroup.map(ToTokens::into_token_stream));
    let performance_mode = set("performance_mode", attrs.performance_mode.map(ToTokens::into_token_stream));
    let programs = set("programs", attrs.programs.as_ref().map(|names| quote!(&[#(#names),*])));
    let assert = |name: &str, value: Option<TokenStream>| {
        let field = syn::Ident::new(name, proc_macro2::Span::call_site());
        value.map(|value| quote!(spec.assert.#field = ::std::option::Option::Some(#value);))
    };
    let not_starved = assert("not_starved", attrs.not_starved.map(ToTokens::into_token_stream));
    let max_gap_ms = assert("max_gap_ms", attrs.max_gap_ms.map(|ms| u64::from(ms).into_token_stream()));
    let max_spread_pct = assert("max_spread_pct", attrs.max_spread_pct.map(ToTokens::into_token_stream));
    quote! {
        #[allow(unused_mut)]
        let mut spec = ::ktstr::TestSpec::new(PATH, ::ktstr::Topology {
            numa_nodes: #numa_nodes,
            llcs: #llcs,
            cores_per_llc: #cores,
            threads_per_core: #threads,
        });
        #memory_mb
        #node_llcs
        #node_memory_mb
        #memory_only_nodes_mb
        #distances
        #duration_s
        #workers
        #performance_mode
        #programs
        #not_starved
        #max_gap_ms
        #max_spread_pct
        spec
    }
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
