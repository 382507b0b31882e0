//! The end of the log that may still repeat, and what has been folded of it.

use super::Span;
use super::open::Stretch;
use super::rolling::{Powers, extend};
use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::hash::{DefaultHasher, Hash, Hasher};

/// Lines that are kept in all, those in first iterations included. The longest iteration needs to fit three times: the
/// first, the last, and the one that comes.
const MOST_NODES: usize = 1 << 17;

/// How many earlier lines that are like the last one are tried as the end of an iteration before.
const TRIES: usize = 4;

/// A line with what belongs to it, or a loop of which all but the last iteration are in here.
#[derive(Debug, Clone)]
pub(super) enum Node {
    Line(Stretch),
    Fold(Box<Fold>),
}

/// A loop. Its last iteration is what follows it.
#[derive(Debug, Clone)]
pub(super) struct Fold {
    /// The first iteration.
    pub(super) first: Vec<Node>,
    /// Where that is.
    pub(super) span: Span,
    /// Iterations between the first and the last.
    pub(super) iterations: u64,
    /// Where they are.
    pub(super) omitted: Span,
    /// Of an iteration's tokens.
    body: Body,
    /// Nodes in here.
    weight: usize,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Body {
    hash: u64,
    len: usize,
}

/// A node in its place.
#[derive(Debug)]
struct Slot {
    node: Node,
    token: u64,
    /// Hash of all tokens up to this one.
    prefix: u64,
    /// Where the same token was before.
    before: Option<u64>,
}

/// The end of the log. Positions count from the first node ever pushed, folded ones once.
#[derive(Default)]
pub(super) struct Tail {
    slots: std::collections::VecDeque<Slot>,
    /// Position of the first slot.
    base: u64,
    /// Hash of what was before it.
    base_prefix: u64,
    /// Where each token was last.
    last: HashMap<u64, u64>,
    powers: Powers,
    weight: usize,
}

impl Tail {
    /// Takes the next line, and folds what has come to an end with it.
    pub(super) fn push(&mut self, token: u64, line: Stretch) {
        self.append(token, Node::Line(line));
        while let Some(len) = self.repeated() {
            self.absorb(len);
        }
    }

    /// The oldest node, when there are too many.
    pub(super) fn pop_surplus(&mut self) -> Option<Node> {
        if self.weight <= MOST_NODES { None } else { self.pop_front() }
    }

    /// All nodes that are left.
    pub(super) fn drain(mut self) -> impl Iterator<Item = Node> {
        std::iter::from_fn(move || self.pop_front())
    }

    fn append(&mut self, token: u64, node: Node) {
        let prefix = extend(self.prefix_before(self.slots.len()), token);
        let before = self.last.insert(token, self.base + self.slots.len() as u64);
        self.weight += node.weight();
        self.slots.push_back(Slot { node, token, prefix, before });
    }

    fn pop_front(&mut self) -> Option<Node> {
        let slot = self.slots.pop_front()?;
        if let Entry::Occupied(entry) = self.last.entry(slot.token)
            && *entry.get() == self.base
        {
            entry.remove();
        }
        self.base += 1;
        self.base_prefix = slot.prefix;
        self.weight -= slot.node.weight();
        Some(slot.node)
    }

    fn pop_back(&mut self) -> Option<Slot> {
        let slot = self.slots.pop_back()?;
        match slot.before.filter(|before| *before >= self.base) {
            Some(before) => drop(self.last.insert(slot.token, before)),
            None => drop(self.last.remove(&slot.token)),
        }
        self.weight -= slot.node.weight();
        Some(slot)
    }

    /// Hash of all tokens before a slot.
    fn prefix_before(&self, index: usize) -> u64 {
        index.checked_sub(1).and_then(|last| self.slots.get(last)).map_or(self.base_prefix, |slot| slot.prefix)
    }

    fn hash(&mut self, start: usize, len: usize) -> u64 {
        let (before, after) = (self.prefix_before(start), self.prefix_before(start + len));
        self.powers.between(before, after, len)
    }

    /// The length of the shortest stretch that comes twice at the end.
    fn repeated(&mut self) -> Option<usize> {
        let end = self.slots.len();
        let mut before = self.slots.back()?.before;
        for _ in 0..TRIES {
            let index = usize::try_from(before?.checked_sub(self.base)?).ok()?;
            let len = end - 1 - index;
            if 2 * len > end {
                return None;
            }
            if self.hash(end - 2 * len, len) == self.hash(end - len, len) && self.is_same(len) {
                return Some(len);
            }
            before = self.slots.get(index)?.before;
        }
        None
    }

    /// Whether the last `len` tokens are those before them, and not only their hashes.
    fn is_same(&self, len: usize) -> bool {
        let end = self.slots.len();
        (end - len..end).all(|index| self.slots[index].token == self.slots[index - len].token)
    }

    /// Takes the older one of the last two iterations, of `len` nodes each, into the fold before them, or into a new one.
    fn absorb(&mut self, len: usize) {
        let start = self.slots.len() - 2 * len;
        let body = Body { hash: self.hash(start, len), len };
        let newer = self.pop_last(len);
        let older = self.pop_last(len);
        let span = older.iter().fold(None, |all, slot| Some(join(all, &slot.node.whole()))).unwrap_or_default();
        let is_known = matches!(self.slots.back(), Some(Slot { node: Node::Fold(fold), .. }) if fold.body == body);
        if is_known && let Some(Slot { node: Node::Fold(fold), .. }) = self.slots.back_mut() {
            fold.iterations += 1;
            fold.omitted = join(Some(std::mem::take(&mut fold.omitted)).filter(|span| !span.is_empty()), &span);
        } else {
            let first: Vec<_> = older.into_iter().map(|slot| slot.node).collect();
            let weight = first.iter().map(Node::weight).sum::<usize>() + 1;
            let omitted = Span::default();
            let fold = Fold { first, span, iterations: 0, omitted, body, weight };
            self.append(body.token(), Node::Fold(Box::new(fold)));
        }
        for slot in newer {
            self.append(slot.token, slot.node);
        }
    }

    /// Removes the last nodes, and gives them in their order.
    fn pop_last(&mut self, len: usize) -> Vec<Slot> {
        let mut slots: Vec<_> = (0..len).map_while(|_| self.pop_back()).collect();
        slots.reverse();
        slots
    }
}

impl Node {
    /// Nodes in here, itself included.
    fn weight(&self) -> usize {
        match self {
            Self::Line(line) => 1 + line.quiet.len(),
            Self::Fold(fold) => fold.weight,
        }
    }

    /// From its first line to the last one that it leaves out.
    fn whole(&self) -> Span {
        match self {
            Self::Line(line) => line.span.clone(),
            Self::Fold(fold) if fold.omitted.is_empty() => fold.span.clone(),
            Self::Fold(fold) => join(Some(fold.span.clone()), &fold.omitted),
        }
    }
}

impl Body {
    /// What a loop is compared by: not by how often it ran.
    fn token(self) -> u64 {
        let mut hasher = DefaultHasher::new();
        (self.hash, self.len).hash(&mut hasher);
        hasher.finish()
    }
}

fn join(before: Option<Span>, next: &Span) -> Span {
    let Some(mut all) = before else { return next.clone() };
    all.join(next);
    all
}
