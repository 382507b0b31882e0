//! JSON as rt-app's tools take it: with comments, trailing commas, and keys that come several times, in order.

use super::RtAppError;
use serde::Deserialize;
use serde::de::{Deserializer, MapAccess, SeqAccess, Visitor};
use std::fmt;

/// A value, in which an object keeps its entries as they come.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Node {
    Null,
    Bool(bool),
    Int(i64),
    Float(f64),
    Text(String),
    List(Vec<Node>),
    Object(Vec<(String, Node)>),
}

/// Reads a file.
pub(super) fn read(text: &str) -> Result<Node, RtAppError> {
    let plain = plain(text);
    serde_json::from_slice(&plain).map_err(|error| RtAppError::new("the file", error.to_string()))
}

/// The same as JSON: with blanks in place of comments and of commas before a closing bracket, and with an empty text as
/// the value of a key that has none. Lines stay.
fn plain(text: &str) -> Vec<u8> {
    let bytes = text.as_bytes();
    let mut scanner =
        Scanner { out: Vec::with_capacity(bytes.len()), open: Vec::new(), before: 0, lone_key: false, comma: None };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        let length = match rest {
            [b'"', ..] => string(rest),
            [b'/', b'*', ..] => comment(rest, b"*/"),
            [b'/', b'/', ..] => comment(rest, b"\n"),
            _ => 1,
        };
        scanner.take(&rest[..length]);
        at += length;
    }
    scanner.out
}

/// Length of the string that begins here.
fn string(bytes: &[u8]) -> usize {
    let mut at = 1;
    while at < bytes.len() {
        match bytes[at] {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

/// Length of the comment that begins here and ends with `end`.
fn comment(bytes: &[u8], end: &[u8]) -> usize {
    let found = bytes[2..].windows(end.len()).position(|window| window == end);
    found.map_or(bytes.len(), |found| 2 + found + end.len())
}

struct Scanner {
    out: Vec<u8>,
    /// The brackets around.
    open: Vec<u8>,
    /// The last byte that was neither blank nor in a comment.
    before: u8,
    /// Whether that ends a key.
    lone_key: bool,
    /// Where it is, if it is a comma.
    comma: Option<usize>,
}

impl Scanner {
    /// Takes a string, a comment, or any other byte.
    fn take(&mut self, token: &[u8]) {
        let first = token[0];
        if token.len() > 1 && first == b'/' {
            self.out.extend(token.iter().map(|byte| if *byte == b'\n' { b'\n' } else { b' ' }));
            return;
        }
        if first.is_ascii_whitespace() {
            self.out.push(first);
            return;
        }
        if self.lone_key && matches!(first, b',' | b'}') {
            self.out.extend_from_slice(b":\"\"");
        }
        if let (Some(comma), b'}' | b']') = (self.comma, first) {
            self.out[comma] = b' ';
        }
        match first {
            b'{' | b'[' => self.open.push(first),
            b'}' | b']' => _ = self.open.pop(),
            _ => {}
        }
        self.lone_key = first == b'"' && self.open.last() == Some(&b'{') && matches!(self.before, b'{' | b',');
        self.comma = (first == b',').then_some(self.out.len());
        self.before = first;
        self.out.extend_from_slice(token);
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(NodeVisitor)
    }
}

struct NodeVisitor;

impl<'de> Visitor<'de> for NodeVisitor {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Node, E> {
        Ok(Node::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Node, E> {
        Ok(Node::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Node, E> {
        Ok(Node::Int(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Node, E> {
        Ok(i64::try_from(value).map_or(Node::Float(value as f64), Node::Int))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Node, E> {
        Ok(Node::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Node, E> {
        Ok(Node::Text(value.to_owned()))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(node) = access.next_element()? {
            list.push(node);
        }
        Ok(Node::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut access: A) -> Result<Node, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = access.next_entry()? {
            entries.push(entry);
        }
        Ok(Node::Object(entries))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_commas_and_repeated_keys_are_taken() {
        let text = "{ /* a, \"b\" } */ \"run\" : 1, // c }\n \"run\" : [2, 3, ], \"s//\" : \"/* \\\" */, }\", }";
        let run = |node| ("run".to_owned(), node);
        let expected = Node::Object(vec![
            run(Node::Int(1)),
            run(Node::List(vec![Node::Int(2), Node::Int(3)])),
            ("s//".to_owned(), Node::Text("/* \" */, }".to_owned())),
        ]);
        assert_eq!(read(text).unwrap(), expected);
        let text = |key: &str| (key.to_owned(), Node::Text(String::new()));
        let list = ("b".to_owned(), Node::List(vec![Node::Text("c".to_owned())]));
        assert_eq!(
            read("{ \"a\", \"b\":[\"c\",], \"d\" /* */ }").unwrap(),
            Node::Object(vec![text("a"), list, text("d")])
        );
    }

    #[test]
    fn what_is_no_json_is_told_with_its_place() {
        let error = read("{\n /* x\n */ \"a\" 1 }").unwrap_err().to_string();
        assert!(error.contains("at line 3"), "{error}");
        for bad in ["", "{", "\"", "/*", "[1,,]", "{\"a\":1 \"b\":2}", "\"\\"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }
}
