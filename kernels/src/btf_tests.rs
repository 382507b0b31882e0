//! Tests on BTF put together by hand. Source: Documentation/bpf/btf.rst.

use super::*;
use crate::extract::testelf;

/// A `.BTF` section under construction; ids count from 1.
#[derive(Default)]
struct Builder {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

const PTR: u32 = 2;
const STRUCT: u32 = 4;
const CONST: u32 = 10;
const FUNC: u32 = 12;
const FUNC_PROTO: u32 = 13;

impl Builder {
    fn name(&mut self, name: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        let at = self.strings.len() as u32;
        self.strings.extend_from_slice(name.as_bytes());
        self.strings.push(0);
        if name.is_empty() { 0 } else { at }
    }

    fn add(&mut self, name: &str, kind: u32, target: u32, params: &[(&str, u32)]) -> u32 {
        let words = [self.name(name), kind << 24 | params.len() as u32, target];
        self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        for (name, id) in params {
            let words = [self.name(name), *id];
            self.types.extend(words.iter().flat_map(|word| word.to_le_bytes()));
        }
        self.count += 1;
        self.count
    }

    fn function(&mut self, name: &str, params: &[(&str, u32)]) -> u32 {
        let prototype = self.add("", FUNC_PROTO, 0, params);
        self.add(name, FUNC, prototype, &[])
    }

    fn section(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut section = vec![0x9f, 0xeb, 1, 0];
        section.extend([24, 0, types, types, strings].iter().flat_map(|word: &u32| word.to_le_bytes()));
        [section, self.types.clone(), self.strings.clone()].concat()
    }
}

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
    let ids: Vec<u8> = ids.iter().flat_map(|word| word.to_le_bytes()).collect();
    let file = testelf::build(&[(".BTF", &btf.section()), (".BTF_ids", &ids)]);
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

proptest::proptest! {
    #[test]
    fn damage_never_panics(at: usize, value: u8) {
        let mut btf = Builder::default();
        let aux = btf.add("bpf_prog_aux", STRUCT, 0, &[]);
        let id = btf.function("f", &[("aux", aux)]);
        let mut section = btf.section();
        let at = at % section.len();
        section[at] = value;
        let ids = [id, 0x10000].iter().flat_map(|word: &u32| word.to_le_bytes()).collect::<Vec<u8>>();
        let file = testelf::build(&[(".BTF", &section), (".BTF_ids", &ids)]);
        let _ = examine(&Elf::parse(&file).unwrap());
    }
}
