//! The host's terminal while the guest has it.

use anyhow::{Context, Result};
use ktstr_wire::WindowSize;
use rustix::stdio::{stdin, stdout};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcgetwinsize, tcsetattr};
use signal_hook::consts::{SIGHUP, SIGINT, SIGQUIT, SIGTERM};
use signal_hook::low_level::{emulate_default_handler, register};
use std::sync::OnceLock;

/// Size where the terminal does not know its own, as a serial line does not.
const USUAL_SIZE: WindowSize = WindowSize { rows: 24, columns: 80 };

/// How the terminal was set before the guest had it.
static ORIGINAL: OnceLock<Termios> = OnceLock::new();

/// Every key is passed on as it is, until this is dropped, the process panics or a signal ends it.
pub(super) struct Raw(());

impl Raw {
    /// Sets the terminal.
    pub(super) fn enter() -> Result<Self> {
        let original = tcgetattr(stdin()).context("cannot read the settings of your terminal")?;
        let original = ORIGINAL.get_or_init(|| original);
        restore_at_the_end().context("cannot watch for signals")?;
        let mut settings = original.clone();
        settings.make_raw();
        // At once: what was typed while the guest came up is for it, too.
        tcsetattr(stdin(), OptionalActions::Now, &settings).context("cannot set your terminal")?;
        Ok(Self(()))
    }
}

impl Drop for Raw {
    fn drop(&mut self) {
        restore();
    }
}

fn restore() {
    if let Some(original) = ORIGINAL.get() {
        // A terminal that is gone needs no restoring.
        let _ = tcsetattr(stdin(), OptionalActions::Now, original);
    }
}

/// Restores the terminal before a panic or a signal ends the process.
fn restore_at_the_end() -> std::io::Result<()> {
    for signal in [SIGHUP, SIGINT, SIGQUIT, SIGTERM] {
        let end = move || {
            restore();
            let _ = emulate_default_handler(signal);
        };
        // SAFETY: async-signal-safe: an atomic load, tcsetattr(3), and an emulation that is documented to be.
        unsafe { register(signal, end) }?;
    }
    let print = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |panic| {
        restore();
        print(panic);
    }));
    Ok(())
}

/// The terminal's size.
pub(super) fn size() -> Result<WindowSize> {
    let size = tcgetwinsize(stdout()).context("cannot ask your terminal for its size")?;
    let known = size.ws_row > 0 && size.ws_col > 0;
    Ok(if known { WindowSize { rows: size.ws_row, columns: size.ws_col } } else { USUAL_SIZE })
}
