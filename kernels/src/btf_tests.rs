//! Tests on BTF put together by hand. Source: Documentation/bpf/btf.rst.

use super::*;
use crate::extract::testelf;
use ktstr_btf::builder::{Builder, bytes};

/// Examines a kernel whose kfuncs are given as (name, has the aux argument, flags); flags `None`: not registered.
fn check(functions: &[(&str, bool, Option<u32>)]) -> BtfHealth {
    let mut btf = Builder::default();
    let aux = btf.add("bpf_prog_aux", STRUCT, 0, &[]);
    let constant = btf.add("", CONST, aux, &[]);
    let pointer = btf.add("", PTR, constant, &[]);
    let mut ids: Vec<u32> = vec![functions.len() as u32, 1];
    for (name, has_aux, flags) in functions {
        let params: &[_] = if *has_aux { &[("cpu", aux), ("aux", pointer)] } else { &[("cpu", aux)] };
        let id = btf.function(name, params);
        ids.extend(flags.iter().flat_map(|flags| [id, *flags]));
    }
    let file = testelf::build(&[(".BTF", &btf.section()), (".BTF_ids", &bytes(&ids))]);
    examine(&Elf::parse(&file).unwrap()).unwrap().health
}

#[test]
fn a_split_kfunc_is_sound() {
    let functions = [
        ("scx_bpf_kick_cpu", false, Some(0x10000)),
        ("scx_bpf_kick_cpu_impl", true, None),
        ("scx_bpf_now", false, Some(0)),
    ];
    assert_eq!(check(&functions), BtfHealth::Sound);
}

#[test]
fn a_public_kfunc_that_kept_the_argument_is_broken() {
    let functions = [
        ("scx_bpf_locked_rq", true, Some(0x10804)),
        ("scx_bpf_dsq_insert", true, Some(0x10000)),
        ("scx_bpf_now", false, Some(0)),
    ];
    let health = check(&functions);
    assert_eq!(health, BtfHealth::BrokenKfuncs(vec!["scx_bpf_dsq_insert".into(), "scx_bpf_locked_rq".into()]));
    assert!(health.complaint().unwrap().contains("2 kfuncs (scx_bpf_dsq_insert"));
}

#[test]
fn other_functions_may_take_the_argument() {
    let functions = [
        ("bpf_prog_get_assoc_struct_ops", true, None),
        ("bpf_old_style_kfunc", true, Some(0x20)),
        ("bpf_rbtree_add_impl", true, Some(0x10000)),
    ];
    assert_eq!(check(&functions), BtfHealth::Sound);
}

#[test]
fn no_btf_is_missing() {
    let report = examine(&Elf::parse(&testelf::kernel()).unwrap()).unwrap();
    assert_eq!(report.health, BtfHealth::Missing);
    assert!(report.health.complaint().unwrap().contains("CONFIG_DEBUG_INFO_BTF"));
}

#[test]
fn sched_ext_shows_in_the_types() {
    let mut btf = Builder::default();
    btf.add("sched_ext_ops", STRUCT, 0, &[]);
    let file = testelf::build(&[(".BTF", &btf.section())]);
    assert!(examine(&Elf::parse(&file).unwrap()).unwrap().has_sched_ext);
}

#[test]
fn damage_is_told_with_its_place() {
    let mut section = Builder::default();
    section.function("f", &[("aux", 1)]);
    let mut section = section.section();
    section.pop();
    let file = testelf::build(&[(".BTF", &section)]);
    let error = examine(&Elf::parse(&file).unwrap()).err().unwrap();
    assert!(error.to_string().contains("fetch this one again"));
    let source = std::error::Error::source(&error).unwrap().to_string();
    assert!(source.contains("type section ends at byte"), "{source}");
}

#[test]
fn ids_of_nothing_are_passed_over() {
    let mut btf = Builder::default();
    let aux = btf.add("bpf_prog_aux", FWD, 0, &[]);
    let pointer = btf.add("", PTR, aux, &[]);
    let broken = btf.function("broken", &[("aux", pointer)]);
    let ids =
        bytes(&[0, IMPLICIT_ARGS, u32::MAX, IMPLICIT_ARGS, pointer, IMPLICIT_ARGS, broken, FLAGS_END | IMPLICIT_ARGS]);
    let judge = |ids: &[u8]| {
        let file = testelf::build(&[(".BTF", &btf.section()), (".BTF_ids", ids)]);
        examine(&Elf::parse(&file).unwrap()).unwrap().health
    };
    assert_eq!(judge(&ids), BtfHealth::Sound);
    // Twice in the list is once in the answer.
    let twice = bytes(&[broken, IMPLICIT_ARGS, broken, IMPLICIT_ARGS]);
    assert_eq!(judge(&[ids, twice].concat()), BtfHealth::BrokenKfuncs(vec!["broken".into()]));
}

proptest::proptest! {
    #[test]
    fn damage_never_panics(at: usize, value: u8) {
        let mut btf = Builder::default();
        let aux = btf.add("bpf_prog_aux", STRUCT, 0, &[]);
        let id = btf.function("f", &[("aux", aux)]);
        let mut section = btf.section();
        let at = at % section.len();
        section[at] = value;
        let ids = bytes(&[id, 0x10000]);
        let file = testelf::build(&[(".BTF", &section), (".BTF_ids", &ids)]);
        let _ = examine(&Elf::parse(&file).unwrap());
    }
}
