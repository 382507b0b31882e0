//! The stages of a scheduler that is a program, from its start to its end. What is seen goes in, what is to be done comes
//! out; nothing here touches the system.

use super::kernel::{Kernel, State};
use ktstr_wire::scheduler::EndCause;

/// A program whose scheduler the kernel has disabled prints why and ends. It is not disturbed for this long.
const LINGER_NS: u64 = 1_000_000_000;

/// Its end closes its pipes, unless other processes hold them; those are waited for this long.
const DRAIN_NS: u64 = 1_000_000_000;

/// Where a scheduler stands.
#[derive(Debug)]
pub(super) struct Life {
    stage: Stage,
    /// [`Kernel::enable_seq`] when it was last enabled, or before it was.
    enable_seq: u64,
    /// Since when it is to end.
    asked_ns: Option<u64>,
    stop_deadline_ns: u64,
    cause: EndCause,
    is_swept: bool,
    is_killed: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    Loading {
        until_ns: u64,
    },
    Enabled,
    /// The kernel disabled it, its process lives on.
    Disabled,
    /// As above, and it is to end.
    Lingering {
        until_ns: u64,
    },
    /// Its process has to go, and the kernel to disable it.
    Stopping {
        until_ns: u64,
    },
    Draining {
        until_ns: u64,
    },
    Over,
}

/// What is seen of it at a time.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) now_ns: u64,
    pub(super) kernel: Kernel,
    pub(super) process_is_gone: bool,
    /// Whether one of its pipes may still bring something.
    pub(super) output_is_open: bool,
}

/// What is to be done about it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Act {
    TellEnabled,
    TellDisabled,
    /// Send its process the signal that asks it to end.
    AskToEnd,
    /// Kill all that is left of its processes.
    Kill,
    TellEnded {
        cause: EndCause,
        killed: bool,
    },
}

impl Life {
    /// One that is being started.
    pub(super) fn new(enable_seq: u64, load_until_ns: u64, stop_deadline_ns: u64) -> Self {
        Self {
            stage: Stage::Loading { until_ns: load_until_ns },
            enable_seq,
            asked_ns: None,
            stop_deadline_ns,
            cause: EndCause::Itself,
            is_swept: false,
            is_killed: false,
        }
    }

    /// From now on it is to end.
    pub(super) fn ask_to_end(&mut self, now_ns: u64) {
        self.asked_ns.get_or_insert(now_ns);
    }

    pub(super) fn is_enabled(&self) -> bool {
        self.stage == Stage::Enabled
    }

    /// Whether something is under way that nobody tells of: it has to be looked at again soon.
    pub(super) fn is_under_way(&self, state: State) -> bool {
        match self.stage {
            Stage::Enabled | Stage::Disabled if self.asked_ns.is_some() => true,
            Stage::Enabled => state == State::Between,
            Stage::Disabled => state != State::Disabled,
            Stage::Loading { .. } | Stage::Lingering { .. } | Stage::Stopping { .. } | Stage::Draining { .. } => true,
            Stage::Over => false,
        }
    }

    /// Goes on as far as what is seen allows.
    pub(super) fn step(&mut self, seen: &Seen) -> Vec<Act> {
        let mut acts = Vec::new();
        loop {
            let before = self.stage;
            self.step_once(seen, &mut acts);
            if self.stage == before {
                return acts;
            }
        }
    }

    fn step_once(&mut self, seen: &Seen, acts: &mut Vec<Act>) {
        match self.stage {
            Stage::Loading { until_ns } => self.load(seen, until_ns, acts),
            Stage::Enabled => self.run(seen, acts),
            Stage::Disabled => self.outlive(seen, acts),
            Stage::Lingering { until_ns } => {
                if self.enable(seen, acts) {
                    return;
                }
                if seen.process_is_gone {
                    self.stop(seen, acts);
                } else if seen.now_ns >= until_ns {
                    // It goes on: after a CPU came or went, to load it again.
                    self.cause = EndCause::Asked;
                    self.stop(seen, acts);
                }
            }
            Stage::Stopping { until_ns } => self.unload(seen, until_ns, acts),
            Stage::Draining { until_ns } => {
                if !seen.output_is_open || seen.now_ns >= until_ns {
                    acts.push(Act::TellEnded { cause: self.cause.clone(), killed: self.is_killed });
                    self.stage = Stage::Over;
                }
            }
            Stage::Over => {}
        }
    }

    fn load(&mut self, seen: &Seen, until_ns: u64, acts: &mut Vec<Act>) {
        if self.enable(seen, acts) {
            return;
        }
        self.cause = match () {
            () if seen.process_is_gone => EndCause::Itself,
            () if self.asked_ns.is_some() => EndCause::Asked,
            () if seen.now_ns >= until_ns => EndCause::NotEnabled,
            () => return,
        };
        self.stop(seen, acts);
    }

    /// Whether the kernel has enabled it anew.
    fn enable(&mut self, seen: &Seen, acts: &mut Vec<Act>) -> bool {
        let is_new = seen.kernel.state == State::Enabled && seen.kernel.enable_seq != self.enable_seq;
        if is_new {
            self.enable_seq = seen.kernel.enable_seq;
            self.stage = Stage::Enabled;
            acts.push(Act::TellEnabled);
        }
        is_new
    }

    fn run(&mut self, seen: &Seen, acts: &mut Vec<Act>) {
        match seen.kernel.state {
            State::Enabled if seen.kernel.enable_seq != self.enable_seq => {
                acts.push(Act::TellDisabled);
                self.enable(seen, acts);
            }
            State::Disabled => {
                acts.push(Act::TellDisabled);
                self.stage = Stage::Disabled;
            }
            State::Enabled => {
                if self.asked_ns.is_some() {
                    self.cause = EndCause::Asked;
                    self.stop(seen, acts);
                }
            }
            // The kernel is about to disable it by itself, and gets there.
            State::Between => {
                if self.patience_is_over(seen) {
                    self.stop(seen, acts);
                }
            }
        }
    }

    fn patience_is_over(&self, seen: &Seen) -> bool {
        self.asked_ns.is_some_and(|asked_ns| seen.now_ns >= asked_ns.saturating_add(self.stop_deadline_ns))
    }

    fn outlive(&mut self, seen: &Seen, acts: &mut Vec<Act>) {
        if seen.process_is_gone {
            self.stop(seen, acts);
        } else if !self.enable(seen, acts) && self.asked_ns.is_some() {
            self.stage = Stage::Lingering { until_ns: seen.now_ns.saturating_add(LINGER_NS) };
        }
    }

    fn stop(&mut self, seen: &Seen, acts: &mut Vec<Act>) {
        if !seen.process_is_gone {
            acts.push(Act::AskToEnd);
        }
        self.stage = Stage::Stopping { until_ns: seen.now_ns.saturating_add(self.stop_deadline_ns) };
    }

    fn unload(&mut self, seen: &Seen, until_ns: u64, acts: &mut Vec<Act>) {
        if seen.process_is_gone && !self.is_swept {
            // Children that it left behind may hold what keeps the kernel's side alive.
            self.is_swept = true;
            acts.push(Act::Kill);
        }
        let is_unloaded = seen.process_is_gone && seen.kernel.state == State::Disabled;
        let is_late = seen.now_ns >= until_ns;
        if is_late && !is_unloaded && !seen.process_is_gone && !self.is_killed {
            self.is_killed = true;
            acts.push(Act::Kill);
            self.stage = Stage::Stopping { until_ns: seen.now_ns.saturating_add(self.stop_deadline_ns) };
        } else if is_unloaded || is_late {
            self.stage = Stage::Draining { until_ns: seen.now_ns.saturating_add(DRAIN_NS) };
        }
    }
}
