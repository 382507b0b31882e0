//! Registers and stack slots, as the verifier tells them.
//!
//! Source: `print_verifier_state` in kernel/bpf/log.c.

/// What is known of a frame's registers and stack slots at some point, as text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct State<'a> {
    /// Depth of the call, 0 for the program's main function.
    pub frame: u32,
    text: &'a str,
}

impl<'a> State<'a> {
    /// Reads `frame1: R1=ctx() fp-8=mmmm???? refs=2 cb`; `None` when the text does not begin so.
    pub fn parse(text: &'a str) -> Option<Self> {
        let told = text.strip_prefix("frame").and_then(|rest| {
            let (number, rest) = rest.split_once(':')?;
            Some((number.parse().ok()?, rest.trim_start()))
        });
        let (frame, text) = told.unwrap_or((0, text));
        let state = Self { frame, text: text.trim_end() };
        (told.is_some() || state.values().next().is_some()).then_some(state)
    }

    /// Each register (`R1`), slot (`fp-8`) and `refs` with its value, in the order told, up to what cannot be read.
    pub fn values(self) -> impl Iterator<Item = (&'a str, &'a str)> {
        let mut rest = self.text;
        std::iter::from_fn(move || {
            let word;
            (word, rest) = split_word(rest.trim_start())?;
            let (name, value) = word.split_once('=')?;
            // Up to 6.15 a suffix tells how the register was used: R1_w=.
            let name = name.split_once('_').map_or(name, |(name, _)| name);
            is_name(name).then_some((name, value))
        })
    }
}

/// Up to the next blank that is outside of parentheses.
fn split_word(text: &str) -> Option<(&str, &str)> {
    let mut depth = 0_usize;
    for (at, byte) in text.bytes().enumerate() {
        match byte {
            b'(' => depth += 1,
            b')' => depth = depth.saturating_sub(1),
            b' ' if depth == 0 => return Some(text.split_at(at)),
            _ => {}
        }
    }
    (!text.is_empty()).then_some((text, ""))
}

fn is_name(name: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    name == "refs" || name.strip_prefix('R').is_some_and(is_number) || name.strip_prefix("fp-").is_some_and(is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Option<(u32, &[(&str, &str)])>) {
        let read = State::parse(text).map(|state| (state.frame, state.values().collect::<Vec<_>>()));
        assert_eq!(read, expected.map(|(frame, values)| (frame, values.to_vec())), "{text}");
    }

    #[test]
    fn registers_and_slots() {
        check("R1=ctx() R10=fp0", Some((0, &[("R1", "ctx()"), ("R10", "fp0")])));
        check(
            "frame2: R1=Pscalar(id=1,var_off=(0x0; 0xff)) cb",
            Some((2, &[("R1", "Pscalar(id=1,var_off=(0x0; 0xff))")])),
        );
        check("R2_w=fp-4 fp-8_w=mmmm????", Some((0, &[("R2", "fp-4"), ("fp-8", "mmmm????")])));
        check(
            "fp-16=iter_num(id=3,state=active,depth=0) refs=1,2",
            Some((0, &[("fp-16", "iter_num(id=3,state=active,depth=0)"), ("refs", "1,2")])),
        );
        check("frame1:", Some((1, &[])));
    }

    #[test]
    fn what_is_none() {
        for text in ["", "R", "R1", "Rx=1", "fp=1", "text R1=2", "frame: R1=2", "=", "é=1"] {
            check(text, None);
        }
        check("R1=scalar(( R2=3", Some((0, &[("R1", "scalar(( R2=3")])));
        check("R1=1 noise R2=3", Some((0, &[("R1", "1")])));
    }
}
