//! Ctrl-A and what follows it: how a person at a terminal talks to this program instead of the guest, as in QEMU.

/// Ctrl-A.
const ESCAPE: u8 = 1;

/// What Ctrl-A can do.
pub(super) const HELP: &str = "\r\nCtrl-A x      end the machine\r\n\
                               Ctrl-A b      send a BREAK; the next key is a SysRq command (h lists them)\r\n\
                               Ctrl-A Ctrl-A send Ctrl-A\r\n\
                               Ctrl-A h      this list\r\n";

/// What keys come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// For the guest.
    Type(Vec<u8>),
    /// End the machine.
    End,
    /// Send a BREAK.
    Break,
    /// List the keys.
    Help,
}

/// Finds the escapes in what is typed.
#[derive(Debug, Default)]
pub(super) struct Keys {
    after_escape: bool,
}

impl Keys {
    /// Takes the next keys.
    pub(super) fn take(&mut self, keys: &[u8]) -> Vec<Action> {
        let mut actions = Vec::new();
        for &key in keys {
            match (std::mem::take(&mut self.after_escape), key) {
                (false, ESCAPE) => self.after_escape = true,
                (false, key) | (true, key @ ESCAPE) => match actions.last_mut() {
                    Some(Action::Type(typed)) => typed.push(key),
                    _ => actions.push(Action::Type(vec![key])),
                },
                (true, b'x') => actions.push(Action::End),
                (true, b'b') => actions.push(Action::Break),
                (true, _) => actions.push(Action::Help),
            }
        }
        actions
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(keys: &[u8], expected: &[Action]) {
        assert_eq!(Keys::default().take(keys), expected);
    }

    fn typed(text: &str) -> Action {
        Action::Type(text.into())
    }

    #[test]
    fn keys_are_for_the_guest_unless_escaped() {
        check(b"ls\r", &[typed("ls\r")]);
        check(b"a\x01\x01b", &[typed("a\x01b")]);
        check(b"a\x01xb", &[typed("a"), Action::End, typed("b")]);
        check(b"\x01bt", &[Action::Break, typed("t")]);
        check(b"\x01?", &[Action::Help]);
    }

    #[test]
    fn an_escape_may_come_in_two_pieces() {
        let mut keys = Keys::default();
        assert_eq!(keys.take(b"a\x01"), [typed("a")]);
        assert_eq!(keys.take(b"x"), [Action::End]);
    }
}
