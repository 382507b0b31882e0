//! What the lab's supervisor says on the control port.

/// One line of the control port.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) enum Message {
    /// The command is about to start.
    Start,
    /// The command has ended and so has its output.
    Exit(Ended),
}

/// How a command ended.
#[derive(Debug, PartialEq, Eq, Clone, Copy)]
pub(super) struct Ended {
    /// Exit code, 128 + N after signal N.
    pub(super) code: i32,
    /// Bytes that it wrote to stdout.
    pub(super) out_bytes: u64,
    /// Bytes that it wrote to stderr.
    pub(super) err_bytes: u64,
}

/// Reads one line; `None` when it is not one of ours.
pub(super) fn parse(line: &str) -> Option<Message> {
    let mut words = line.split_whitespace();
    let message = match words.next()? {
        "start" => Message::Start,
        "exit" => Message::Exit(Ended {
            code: words.next()?.parse().ok()?,
            out_bytes: words.next()?.parse().ok()?,
            err_bytes: words.next()?.parse().ok()?,
        }),
        _ => return None,
    };
    words.next().is_none().then_some(message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_read() {
        assert_eq!(parse("start"), Some(Message::Start));
        let ended = Ended { code: 137, out_bytes: 10_485_760, err_bytes: 0 };
        assert_eq!(parse("exit 137 10485760 0\n"), Some(Message::Exit(ended)));
    }

    #[test]
    fn other_lines_are_not() {
        for line in ["", "exit", "exit 0", "exit 0 1", "exit x 0 0", "exit 0 0 0 0", "start now", "ready"] {
            assert_eq!(parse(line), None, "{line:?}");
        }
    }
}
