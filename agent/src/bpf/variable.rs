//! Global variables of BPF programs.
//!
//! libbpf makes one array map of one element of each data section, and its value's type is the section (`DATASEC`). The
//! variable's bytes alone are written, through a mapping, as libbpf's skeletons do: to read, change and update the element
//! would set every other variable of the section back to what it was a moment ago, while the scheduler counts in them.

use super::map::{MMAPABLE, Map};
use anyhow::{Context, Result, bail, ensure};
use ktstr_btf::{DATASEC, Types};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use rustix::param::page_size;
use rustix::process::Pid;
use std::fs;
use std::sync::atomic::{AtomicU8, AtomicU16, AtomicU32, AtomicU64, Ordering};

/// A variable found.
struct Place {
    map: Map,
    section: String,
    offset_bytes: u32,
    size_bytes: u32,
}

/// How many names a message lists.
const NAMES_SHOWN: usize = 12;

/// Writes a variable. Where several objects have one of this name, that of `holder` is meant, a process.
pub(super) fn write(name: &str, value: &[u8], holder: Option<Pid>) -> Result<()> {
    let place = find(name, holder)?;
    let (section, size_bytes) = (&place.section, place.size_bytes);
    ensure!(
        value.len() == size_bytes as usize,
        "the variable {name} has {size_bytes} bytes in BTF, and the value to be written {}: declare it with the type that \
         it has in the BPF program",
        value.len()
    );
    ensure!(
        !section.starts_with(".rodata"),
        "the variable {name} is constant ({section}): the kernel lets nobody write it once the program is loaded"
    );
    ensure!(
        place.map.info.flags & MMAPABLE != 0,
        "the variable {name} is in {section}, which cannot be mapped because all that is in it is static: declare it \
         without static"
    );
    store(&place, value).with_context(|| format!("cannot write {name} in the BPF map {}", place.map.label()))
}

/// The one place that has the name.
fn find(name: &str, holder: Option<Pid>) -> Result<Place> {
    let (mut places, mut names) = (Vec::new(), Vec::new());
    for map in Map::all()? {
        if map.info.btf_id != 0 && map.info.value_type_id != 0 && map.info.max_entries == 1 {
            places.extend(look(map, name, &mut names)?);
        }
    }
    if places.len() > 1
        && let Some(holder) = holder
    {
        let held = held_maps(holder)?;
        places.retain(|place| held.contains(&place.map.info.id));
    }
    if places.len() > 1 {
        let maps: Vec<String> = places.iter().map(|place| place.map.label()).collect();
        bail!("several BPF maps have a variable {name}, and which one is meant cannot be told: {}", maps.join(", "));
    }
    places.pop().with_context(|| format!("no BPF map has a variable {name}; {}", near(name, names)))
}

/// The variable in this map, if it is there. What else is there is added to `names`.
fn look(map: Map, name: &str, names: &mut Vec<String>) -> Result<Option<Place>> {
    let btf = map.btf()?;
    let types = Types::parse(&btf).with_context(|| format!("cannot use the BTF of BPF map {}", map.info.name()))?;
    let Some(section) = types.get(map.info.value_type_id).filter(|found| found.kind == DATASEC) else {
        return Ok(None);
    };
    let mut place = None;
    for found in types.variables(&section) {
        let end = u64::from(found.offset_bytes) + u64::from(found.size_bytes);
        if found.name == name && end <= u64::from(map.info.value_bytes) {
            place = Some((found.offset_bytes, found.size_bytes));
        }
        names.push(found.name.to_owned());
    }
    let section = types.name(&section).unwrap_or_default().to_owned();
    Ok(place.map(|(offset_bytes, size_bytes)| Place { map, section, offset_bytes, size_bytes }))
}

/// What might have been meant instead.
fn near(name: &str, mut names: Vec<String>) -> String {
    if names.is_empty() {
        return "no map in the kernel has global variables with type information: is the scheduler loaded, and built with \
                `clang -g`?"
            .to_owned();
    }
    names.sort_by_key(|other| (distance(name, other), other.clone()));
    names.dedup();
    let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
    names.truncate(NAMES_SHOWN);
    format!("there are {}{more}", names.join(", "))
}

/// How many characters are to be inserted, left out or replaced to make one of the other (Levenshtein).
fn distance(one: &str, other: &str) -> usize {
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (above, left) in one.bytes().enumerate() {
        let mut corner = above;
        row[0] = above + 1;
        for (at, right) in other.bytes().enumerate() {
            let replaced = corner + usize::from(left != right);
            corner = row[at + 1];
            row[at + 1] = replaced.min(row[at] + 1).min(corner + 1);
        }
    }
    row[other.len()]
}

/// The maps that a process has open, by number.
pub(super) fn held_maps(holder: Pid) -> Result<Vec<u32>> {
    let directory = format!("/proc/{}/fdinfo", holder.as_raw_nonzero());
    let entries = fs::read_dir(&directory).with_context(|| format!("cannot list {directory}"))?;
    // A descriptor may be closed meanwhile.
    let texts = entries.filter_map(|entry| fs::read_to_string(entry.ok()?.path()).ok());
    Ok(texts
        .filter_map(|text| text.lines().find_map(|line| line.strip_prefix("map_id:")?.trim().parse().ok()))
        .collect())
}

/// Stores the bytes, in one go where the processor can.
fn store(place: &Place, value: &[u8]) -> Result<()> {
    let bytes = (place.map.info.value_bytes as usize).next_multiple_of(page_size());
    // SAFETY: a new mapping at an address of the kernel's choice.
    let start = unsafe {
        mmap(std::ptr::null_mut(), bytes, ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED, &place.map.fd, 0)
    }
    .context("mmap of the map failed")?;
    // SAFETY: `look` has seen that the variable ends inside the value, which is mapped.
    unsafe { store_at(start.cast::<u8>().add(place.offset_bytes as usize), value) };
    // SAFETY: mapped above, and no longer used.
    unsafe { munmap(start, bytes) }.context("munmap of the map failed")
}

/// # Safety
/// `target` is valid for as many bytes as `value` has. Others may write there at the same time.
unsafe fn store_at(target: *mut u8, value: &[u8]) {
    // SAFETY: each is aligned where its arm is taken, and valid by the caller's word; atomics allow for other writers.
    unsafe {
        match *value {
            [byte] => AtomicU8::from_ptr(target).store(byte, Ordering::SeqCst),
            [a, b] if target.cast::<u16>().is_aligned() => {
                AtomicU16::from_ptr(target.cast()).store(u16::from_ne_bytes([a, b]), Ordering::SeqCst);
            }
            [a, b, c, d] if target.cast::<u32>().is_aligned() => {
                AtomicU32::from_ptr(target.cast()).store(u32::from_ne_bytes([a, b, c, d]), Ordering::SeqCst);
            }
            [a, b, c, d, e, f, g, h] if target.cast::<u64>().is_aligned() => {
                AtomicU64::from_ptr(target.cast())
                    .store(u64::from_ne_bytes([a, b, c, d, e, f, g, h]), Ordering::SeqCst);
            }
            _ => value.iter().enumerate().for_each(|(at, byte)| {
                AtomicU8::from_ptr(target.add(at)).store(*byte, Ordering::SeqCst);
            }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_names_come_first() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        assert_eq!(near("stal", names(&["nr_cpus", "stall_pid", "stall"])), "there are stall, stall_pid, nr_cpus");
        assert!(near("stal", Vec::new()).starts_with("no map in the kernel"));
        let many: Vec<String> = (0..20).map(|n| format!("v{n:02}")).collect();
        let text = near("v00", many);
        assert!(text.starts_with("there are v00, ") && text.ends_with(", …"), "{text}");
        assert_eq!(text.matches(", ").count(), NAMES_SHOWN, "{text}");
    }

    fn check(one: &str, other: &str, expected: usize) {
        assert_eq!((distance(one, other), distance(other, one)), (expected, expected), "{one} {other}");
    }

    #[test]
    fn distances_are_levenshteins() {
        check("", "", 0);
        check("", "abc", 3);
        check("kitten", "sitting", 3);
        check("stall", "stal", 1);
        check("same", "same", 0);
    }

    #[test]
    fn every_length_and_alignment_is_stored_whole() {
        for offset in 0..9 {
            for length in 0..10 {
                let mut room = [0u64; 4];
                let value: Vec<u8> = (1..=length).collect();
                let bytes = room.as_mut_ptr().cast::<u8>();
                // SAFETY: at most 19 of the 32 bytes of `room`.
                unsafe { store_at(bytes.add(offset), &value) };
                let stored: Vec<u8> = room.iter().flat_map(|word| word.to_ne_bytes()).collect();
                assert_eq!(stored[offset..][..value.len()], value[..], "{offset} {length}");
                assert_eq!(stored.iter().filter(|byte| **byte != 0).count(), value.len());
            }
        }
    }
}
