//! Programs as workers: what to run, how it is started, watched and ended, and what it came to.

mod launch;
mod metric;
mod output;
mod report;
mod watch;

pub(crate) use launch::{ExecArgs, Launch, Outputs};
pub use metric::Metric;
pub use report::{ProgramEnd, ProgramReport};
pub(crate) use watch::{Ended, Watch};

use serde::{Deserialize, Serialize};

/// A program of the host, with its arguments, as a worker.
///
/// ```
/// use ktstr_workload::{Program, WorkType};
///
/// let program = Program::new("hackbench").args(["-g", "2", "-l", "100"]).metric("time_s", r"Time: ([0-9.]+)");
/// let work = WorkType::Program(program);
/// ```
///
/// The test's attribute `programs` names what is to be packed for the guest. The program is started with the other
/// workers and may end before them; when they are stopped it gets `SIGTERM`, and `SIGKILL` where that does not do. What it
/// left in its process group is killed when it has ended. Its standard input is empty.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Program {
    /// Its name on the search path, or its path.
    pub name: String,
    /// Its arguments.
    pub args: Vec<String>,
    /// Variables of its environment besides those that the test has.
    pub env: Vec<(String, String)>,
    /// Numbers to be taken from its output.
    pub metrics: Vec<Metric>,
}

impl Program {
    /// A program without arguments.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), args: Vec::new(), env: Vec::new(), metrics: Vec::new() }
    }

    /// One more argument.
    #[must_use]
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// More arguments.
    #[must_use]
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn env(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.env.push((name.into(), value.into()));
        self
    }

    /// A number that is to be taken from its output, see [`Metric`].
    #[must_use]
    pub fn metric(mut self, name: impl Into<String>, pattern: impl Into<String>) -> Self {
        self.metrics.push(Metric { name: name.into(), pattern: pattern.into() });
        self
    }
}
