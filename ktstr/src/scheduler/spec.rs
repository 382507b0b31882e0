//! What a scheduler is.

use std::fmt;

/// Where a scheduler comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SchedulerSpec {
    /// A program of the workspace that the test belongs to, built by cargo when a test needs it.
    Package {
        /// The package.
        package: &'static str,
        /// Its binary.
        bin: &'static str,
    },
    /// A file of the host; a relative path is one from where the test runs, the root of its package.
    Path(&'static str),
    /// A program on the host's search path.
    Name(&'static str),
    /// Part of the kernel, turned on and off by values in its files, which are written in their order. Where one cannot be
    /// written, the verdict is `Inconclusive` and says which.
    KernelBuiltin {
        /// Paths of files, such as those in `/sys/kernel/debug/sched/`, and the values that turn it on.
        enable: &'static [(&'static str, &'static str)],
        /// Paths of files and the values that turn it off, also when it could not be turned on wholly.
        disable: &'static [(&'static str, &'static str)],
    },
    /// The kernel's own scheduler, EEVDF.
    None,
}

impl SchedulerSpec {
    /// The binary of a package of the workspace that has the package's name.
    pub const fn package(name: &'static str) -> Self {
        Self::Package { package: name, bin: name }
    }

    /// Whether it is a sched_ext scheduler.
    pub const fn is_program(&self) -> bool {
        matches!(self, Self::Package { .. } | Self::Path(_) | Self::Name(_))
    }
}

impl fmt::Display for SchedulerSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Package { package, bin } if package == bin => write!(f, "package {package}"),
            Self::Package { package, bin } => write!(f, "package {package}, binary {bin}"),
            Self::Path(path) => write!(f, "path {path}"),
            Self::Name(name) => write!(f, "program {name}"),
            Self::KernelBuiltin { .. } => f.write_str("part of the kernel"),
            Self::None => f.write_str("none"),
        }
    }
}
