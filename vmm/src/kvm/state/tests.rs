//! Bytes that are no state, and states of other machines.

use super::*;
use proptest::prelude::*;

fn error(bytes: &[u8]) -> String {
    State::from_bytes(bytes).err().map(|error| error.to_string()).unwrap_or_default()
}

#[test]
fn what_is_no_state_is_told() {
    let good = State::blank(2).to_bytes().unwrap();
    assert_eq!(State::from_bytes(&good).unwrap().to_bytes().unwrap(), good);
    for (bytes, expected) in [
        (&b""[..], "the saved state of a machine cannot be used: "),
        (&[FORMAT as u8 + 1], "its format is 2, and this program knows 1"),
        (&good[..good.len() - 1], "cannot be used: "),
        (&[&good[..], b"more"].concat(), "4 bytes are left over"),
    ] {
        assert!(error(bytes).contains(expected), "{}", error(bytes));
    }
}

#[test]
fn a_state_of_another_machine_is_told() {
    let leaf = kvm_cpuid_entry2 { function: 1, ecx: 1 << 31, ..Default::default() };
    let other = kvm_cpuid_entry2 { ecx: 0, ..leaf };
    let further = kvm_cpuid_entry2 { function: 7, index: 1, ..leaf };
    let check = |state: &State, vcpus, cpuid: &[_]| state.check(vcpus, cpuid).map_err(|error| error.to_string());
    let state = State::blank(2);
    assert_eq!(check(&state, 2, &[leaf]), Ok(()));
    for (vcpus, cpuid, expected) in [
        (3, &[leaf][..], "it is of 2 vCPUs, and the machine has 3"),
        (2, &[other], "another processor than here, by CPUID leaf 0x1, subleaf 0x0"),
        (2, &[leaf, further], "another processor than here, by CPUID leaf 0x7, subleaf 0x1"),
        (2, &[], "another processor than here, by CPUID leaf 0x1, subleaf 0x0"),
    ] {
        let text = check(&state, vcpus, cpuid).unwrap_err();
        assert!(text.contains(expected), "{text}");
    }
    let torn = State { time: Time::zero(1), ..State::blank(2) };
    assert!(check(&torn, 2, &[leaf]).is_err(), "every vCPU has a time");
}

proptest! {
    /// Whatever the bytes are: an error, or a state that is written and read again.
    #[test]
    fn no_bytes_break_anything(bytes: Vec<u8>) {
        check_any(&bytes);
    }

    #[test]
    fn no_change_breaks_anything(changes: Vec<(prop::sample::Index, u8)>, length: prop::sample::Index) {
        let mut bytes = State::blank(2).to_bytes().unwrap();
        for (place, byte) in changes {
            let place = place.index(bytes.len());
            bytes[place] = byte;
        }
        check_any(&bytes);
        check_any(&bytes[..length.index(bytes.len())]);
    }
}

fn check_any(bytes: &[u8]) {
    if let Ok(state) = State::from_bytes(bytes) {
        let _ = state.check(2, &[]);
        State::from_bytes(&state.to_bytes().unwrap()).unwrap();
    }
}
