//! What a thread does in a phase.

use super::parse::{At, int, members};
use super::tree::Node;
use super::{Event, RtAppError};
use std::collections::HashMap;

/// The words that names stand for. Names of different kinds of things are different names.
#[derive(Default)]
pub(super) struct Words {
    numbers: HashMap<String, usize>,
}

impl Words {
    fn of(&mut self, kind: &str, name: &str) -> usize {
        let next = self.numbers.len();
        *self.numbers.entry(format!("{kind} {name}")).or_insert(next)
    }

    pub(super) fn count(&self) -> usize {
        self.numbers.len()
    }
}

/// The thread whose events are read.
pub(super) struct Owner<'a> {
    pub(super) name: &'a str,
    /// Its number among all threads.
    pub(super) number: usize,
}

/// Adds the events of a key, whose number at the end only tells it from others.
///
/// # Errors
/// For a key that is no event's, too.
pub(super) fn add(
    events: &mut Vec<Event>,
    at: &At<'_>,
    key: &str,
    node: &Node,
    owner: &Owner<'_>,
    words: &mut Words,
) -> Result<(), RtAppError> {
    let name = key.trim_end_matches(|c: char| c.is_ascii_digit());
    let (condition, mutex) = match name {
        "sync" => condition_and_mutex(at, node)?,
        // Of a condition and a mutex by the same name; shipped files also wake by `sync` who is suspended.
        "suspend" => [own_name_if_empty(text(at, node)?, owner); 2].into(),
        "resume" => [text(at, node)?; 2].into(),
        _ => {
            events.push(event(at, name, node, owner, words)?);
            return Ok(());
        }
    };
    let (condition, mutex) = (words.of("condition", condition), words.of("mutex", mutex));
    let wait = Event::Wait { condition, mutex };
    match name {
        "sync" => with_mutex(events, mutex, &[Event::Signal { condition }, wait]),
        "suspend" => with_mutex(events, mutex, &[wait]),
        _ => with_mutex(events, mutex, &[Event::Broadcast { condition }]),
    }
    Ok(())
}

/// Adds what is done with a mutex in hand. Where the thread holds it already, as it does around `sync` in shipped files, it
/// does not wait for itself.
fn with_mutex(events: &mut Vec<Event>, mutex: usize, inner: &[Event]) {
    let (lock, unlock) = (Event::Lock { mutex }, Event::Unlock { mutex });
    let last = events.iter().rev().find(|event| [lock, unlock].contains(event));
    let is_held = last == Some(&lock);
    events.extend((!is_held).then_some(lock));
    events.extend(inner);
    events.extend((!is_held).then_some(unlock));
}

fn event(at: &At<'_>, name: &str, node: &Node, owner: &Owner<'_>, words: &mut Words) -> Result<Event, RtAppError> {
    let condition = "condition";
    Ok(match name {
        "run" => Event::Run { ns: duration_ns(at, node)? },
        "runtime" => Event::Runtime { ns: duration_ns(at, node)? },
        "sleep" => Event::Sleep { ns: duration_ns(at, node)? },
        "mem" => Event::Memory { bytes: amount(at, node)? },
        "iorun" => Event::Io { bytes: amount(at, node)? },
        "timer" => timer(at, node, owner, words)?,
        "lock" => Event::Lock { mutex: words.of("mutex", text(at, node)?) },
        "unlock" => Event::Unlock { mutex: words.of("mutex", text(at, node)?) },
        "signal" => Event::Signal { condition: words.of(condition, reference(at, node)?) },
        "broad" => Event::Broadcast { condition: words.of(condition, reference(at, node)?) },
        "wait" => {
            let (condition, mutex) = condition_and_mutex(at, node)?;
            Event::Wait { condition: words.of("condition", condition), mutex: words.of("mutex", mutex) }
        }
        "barrier" => Event::Barrier { barrier: words.of("barrier", text(at, node)?), users: 0 },
        "yield" => Event::Yield,
        _ => return Err(at.unknown()),
    })
}

fn timer(at: &At<'_>, node: &Node, owner: &Owner<'_>, words: &mut Words) -> Result<Event, RtAppError> {
    let (mut name, mut period_ns, mut absolute) = (None, None, false);
    for (key, node) in members(at, node)? {
        let at = at.at(key);
        match key.as_str() {
            "ref" => name = Some(text(&at, node)?),
            "period" => period_ns = Some(duration_ns(&at, node)?),
            "mode" => {
                absolute = match text(&at, node)? {
                    "absolute" => true,
                    "relative" => false,
                    _ => return Err(at.error("the modes are absolute and relative")),
                }
            }
            _ => return Err(at.unknown()),
        }
    }
    let name = name.ok_or_else(|| at.error("it needs a `ref`"))?;
    let period_ns = period_ns.ok_or_else(|| at.error("it needs a `period`"))?;
    // One of these is of one thread; any other is shared by all that name it.
    let timer = match name.starts_with("unique") {
        true => words.of("timer", &format!("{} {name}", owner.number)),
        false => words.of("shared timer", name),
    };
    Ok(Event::Timer { timer, period_ns, absolute })
}

fn condition_and_mutex<'a>(at: &At<'_>, node: &'a Node) -> Result<(&'a str, &'a str), RtAppError> {
    let (mut condition, mut mutex) = (None, None);
    for (key, node) in members(at, node)? {
        let at = at.at(key);
        match key.as_str() {
            "ref" => condition = Some(text(&at, node)?),
            "mutex" => mutex = Some(text(&at, node)?),
            _ => return Err(at.unknown()),
        }
    }
    condition.zip(mutex).ok_or_else(|| at.error("it needs a `ref` and a `mutex`"))
}

/// A name, or an object that has it as `ref`.
fn reference<'a>(at: &At<'_>, node: &'a Node) -> Result<&'a str, RtAppError> {
    match node {
        Node::Object(entries) => match entries.as_slice() {
            [(key, node)] if key == "ref" => text(&at.at(key), node),
            _ => Err(at.error("it takes a name")),
        },
        _ => text(at, node),
    }
}

fn own_name_if_empty<'a>(name: &'a str, owner: &Owner<'a>) -> &'a str {
    if name.is_empty() { owner.name } else { name }
}

fn text<'a>(at: &At<'_>, node: &'a Node) -> Result<&'a str, RtAppError> {
    match node {
        Node::Text(text) => Ok(text),
        _ => Err(at.error("it takes a text")),
    }
}

fn duration_ns(at: &At<'_>, node: &Node) -> Result<u64, RtAppError> {
    let us = amount(at, node)?;
    us.checked_mul(1000).filter(|ns| *ns < u64::MAX / 4).ok_or_else(|| at.error("it is too long a time"))
}

fn amount(at: &At<'_>, node: &Node) -> Result<u64, RtAppError> {
    u64::try_from(int(at, node)?).map_err(|_| at.error("it takes a whole number of at least 0"))
}
