//! Where things lie: members in a structure, variables in a section.

use crate::{Type, Types, word};

/// A global variable, as a data section lists it (`struct btf_var_secinfo`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variable<'a> {
    /// Its name.
    pub name: &'a str,
    /// Where in the section it starts, in bytes.
    pub offset_bytes: u32,
    /// Its size in bytes.
    pub size_bytes: u32,
}

/// What `STRUCT` and `DATASEC` have for each of their elements: three words.
const ELEMENT_BYTES: usize = 12;
/// With `kind_flag`, the upper byte of a member's offset is the width of its bit field.
const OFFSET_BITS: u32 = 0xff_ffff;

impl<'a> Types<'a> {
    /// Where in a structure a member of this name starts, in bytes. Neither for a bit field nor for members of unnamed
    /// members.
    pub fn member_offset(&self, structure: &Type<'_>, name: &str) -> Option<u32> {
        let [_, _, place] = elements(structure).find(|[member, ..]| self.is_string(*member, name))?;
        // Without `kind_flag` the upper byte belongs to the offset; no structure is as large as that.
        let is_bit_field = place > OFFSET_BITS;
        (!is_bit_field && place % 8 == 0).then_some(place / 8)
    }

    /// The variables of a data section. One that has no name is left out.
    pub fn variables(&self, section: &Type<'a>) -> impl Iterator<Item = Variable<'a>> {
        elements(section).filter_map(|[variable, offset_bytes, size_bytes]| {
            let name = self.name(&self.get(variable)?).ok()?;
            Some(Variable { name, offset_bytes, size_bytes })
        })
    }
}

fn elements<'a>(holder: &Type<'a>) -> impl Iterator<Item = [u32; 3]> + use<'a> {
    let (elements, _) = holder.elements.as_chunks::<ELEMENT_BYTES>();
    elements.iter().filter_map(|element| Some([word(element, 0)?, word(element, 4)?, word(element, 8)?]))
}

#[cfg(test)]
mod tests {
    use crate::builder::{Builder, bytes};
    use crate::{DATASEC, STRUCT, Types, VAR};
    use proptest::collection::vec;
    use proptest::prelude::*;

    /// Where `b` starts in a structure whose members' places are these, in bits.
    fn check(places: &[(&str, u32)], expected_bytes: Option<u32>) {
        let mut btf = Builder::default();
        let members: Vec<(&str, [u32; 2])> = places.iter().map(|(name, place)| (*name, [0, *place])).collect();
        btf.members("ops", STRUCT, 64, &members);
        let section = btf.section();
        let types = Types::parse(&section).unwrap();
        let ops = types.find(STRUCT, "ops").unwrap();
        assert_eq!(types.member_offset(&ops, "b"), expected_bytes, "{places:?}");
    }

    #[test]
    fn a_member_is_found_by_its_whole_name() {
        check(&[("a", 0), ("b", 64)], Some(8));
        check(&[("bb", 0), ("ab", 64)], None);
        check(&[], None);
    }

    #[test]
    fn a_bit_field_has_no_offset_in_bytes() {
        check(&[("b", 4 << 24 | 64)], None);
        check(&[("b", 3)], None);
    }

    #[test]
    fn the_variables_of_a_section_are_listed() {
        let mut btf = Builder::default();
        let names = ["stall", "", "nr_cpus"];
        let ids = names.map(|name| btf.raw(name, VAR, 0, 0, &bytes(&[1])));
        let elements: Vec<u32> = ids.iter().zip(0..).flat_map(|(id, at)| [*id, at * 8, 8 - at]).collect();
        btf.raw(".bss", DATASEC, 3, 24, &bytes(&elements));
        let section = btf.section();
        let types = Types::parse(&section).unwrap();
        let bss = types.find(DATASEC, ".bss").unwrap();
        let found: Vec<_> = types.variables(&bss).map(|var| (var.name, var.offset_bytes, var.size_bytes)).collect();
        assert_eq!(found, [("stall", 0, 8), ("nr_cpus", 16, 6)]);
        assert!(types.find(STRUCT, ".bss").is_none());
    }

    proptest! {
        #[test]
        fn any_elements_are_looked_through(words in vec(any::<u32>(), 30)) {
            let mut btf = Builder::default();
            btf.raw("x", DATASEC, 10, 0, &bytes(&words));
            let section = btf.section();
            let types = Types::parse(&section).unwrap();
            let holder = types.get(1).unwrap();
            prop_assert!(types.variables(&holder).count() <= 10);
            prop_assert!(types.member_offset(&holder, "nothing").is_none());
        }
    }
}
