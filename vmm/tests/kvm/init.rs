//! An `/init` that is a list of system calls: a guest's user space without a compiler, a library or a shell.

use std::path::Path;

/// One system call: number and arguments.
type Call = [u64; 6];

const LOAD: u64 = 0x40_0000;
const HEADERS_BYTES: u64 = 64 + 56;

const READ: u64 = 0;
const IOCTL: u64 = 16;
const TCSETS: u64 = 0x5402;
const STDIN: u64 = 0;
const OPEN: u64 = 2;
const CLOSE: u64 = 3;
const WRITE: u64 = 1;
const SENDFILE: u64 = 40;
const MOUNT: u64 = 165;
const REBOOT: u64 = 169;
const PAUSE: u64 = 34;
const NANOSLEEP: u64 = 35;
const SCHED_SETAFFINITY: u64 = 203;
const READ_WRITE: u64 = 2;
const STDOUT: u64 = 1;
/// The first descriptor that is free: 0 to 2 are the console.
const FIRST_FREE: u64 = 3;
const MAX_FILE_BYTES: u64 = 1 << 16;

/// Takes calls from the table at r12 for ever:
/// mov rax,\[r12\]; mov rdi,\[r12+8\]; mov rsi,\[r12+16\]; mov rdx,\[r12+24\]; mov r10,\[r12+32\]; mov r8,\[r12+40\];
/// syscall; add r12, 48; jmp back
const LOOP: &[u8] = &[
    0x49, 0x8b, 0x04, 0x24, 0x49, 0x8b, 0x7c, 0x24, 0x08, 0x49, 0x8b, 0x74, 0x24, 0x10, 0x49, 0x8b, 0x54, 0x24, 0x18,
    0x4d, 0x8b, 0x54, 0x24, 0x20, 0x4d, 0x8b, 0x44, 0x24, 0x28, 0x0f, 0x05, 0x49, 0x83, 0xc4, 0x30, 0xeb, 0xdb,
];
/// movabs r12, address
const SET_TABLE: [u8; 2] = [0x49, 0xbc];
const CODE_BYTES: u64 = 64;

/// The list, as it grows.
#[derive(Default)]
pub(crate) struct Init {
    calls: Vec<Call>,
    strings: Vec<u8>,
}

impl Init {
    /// With /sys and /proc.
    pub(crate) fn new() -> Self {
        let mut init = Self::default();
        for (kind, place) in [("sysfs", "/sys"), ("proc", "/proc")] {
            let (kind, place) = (init.string(kind), init.string(place));
            init.calls.push([MOUNT, kind, place, kind, 0, 0]);
        }
        init
    }

    /// Prints a text.
    pub(crate) fn say(mut self, text: &str) -> Self {
        let at = self.string(text);
        self.calls.push([WRITE, STDOUT, at, text.len() as u64, 0, 0]);
        self
    }

    /// Prints a file behind its name.
    pub(crate) fn show(self, path: &str) -> Self {
        let mut this = self.say(&format!("{path}="));
        let at = this.string(path);
        this.calls.push([OPEN, at, 0, 0, 0, 0]);
        this.calls.push([SENDFILE, STDOUT, FIRST_FREE, 0, MAX_FILE_BYTES, 0]);
        this.calls.push([CLOSE, FIRST_FREE, 0, 0, 0, 0]);
        this
    }

    /// Writes a text to a file, and waits until a device has taken it.
    pub(crate) fn send(mut self, path: &str, text: &str) -> Self {
        let (at, path) = (self.string(text), self.string(path));
        self.calls.push([OPEN, path, READ_WRITE, 0, 0, 0]);
        self.calls.push([WRITE, FIRST_FREE, at, text.len() as u64, 0, 0]);
        self.calls.push([CLOSE, FIRST_FREE, 0, 0, 0, 0]);
        self
    }

    /// Writes what is in a file to another.
    pub(crate) fn copy(mut self, from: &str, to: &str) -> Self {
        for (path, mode) in [(to, READ_WRITE), (from, 0)] {
            let path = self.string(path);
            self.calls.push([OPEN, path, mode, 0, 0, 0]);
        }
        self.calls.push([SENDFILE, FIRST_FREE, FIRST_FREE + 1, 0, MAX_FILE_BYTES, 0]);
        for file in [FIRST_FREE, FIRST_FREE + 1] {
            self.calls.push([CLOSE, file, 0, 0, 0, 0]);
        }
        self
    }

    /// Turns off that the console repeats what is typed (termios(3), `ECHO`).
    pub(crate) fn no_echo(mut self) -> Self {
        // As the kernel starts (include/linux/tty.h, INIT_C_CC aside), without ECHO: ICRNL; OPOST, ONLCR; 115200 8N1, CREAD,
        // CLOCAL; ISIG, ICANON.
        let words = [0x100_u32, 0x5, 0x1cb2, 0x3];
        let at = self.bytes(&[&words.map(u32::to_le_bytes).concat()[..], &[0; 20]].concat());
        self.calls.push([IOCTL, STDIN, TCSETS, at, 0, 0]);
        self
    }

    /// Reads a line of this many bytes from the console and prints it.
    pub(crate) fn repeat_line(mut self, bytes: usize) -> Self {
        let at = self.bytes(&vec![0; bytes]);
        self.calls.push([READ, STDIN, at, bytes as u64, 0, 0]);
        self.calls.push([WRITE, STDOUT, at, bytes as u64, 0, 0]);
        self
    }

    /// Sleeps.
    pub(crate) fn sleep_ms(mut self, ms: u64) -> Self {
        let at = self.bytes(&[ms / 1000, ms % 1000 * 1_000_000].map(u64::to_le_bytes).concat());
        self.calls.push([NANOSLEEP, at, 0, 0, 0, 0]);
        self
    }

    /// Goes to a CPU, one of the first 64.
    pub(crate) fn go_to(mut self, cpu: u32) -> Self {
        let at = self.bytes(&(1_u64 << cpu).to_le_bytes());
        self.calls.push([SCHED_SETAFFINITY, 0, 8, at, 0, 0]);
        self
    }

    /// Sleeps for ever.
    pub(crate) fn pause(mut self) -> Self {
        self.calls.push([PAUSE, 0, 0, 0, 0, 0]);
        self
    }

    /// Ends the process, at which the kernel panics.
    pub(crate) fn exit(mut self) -> Self {
        self.calls.push([60, 0, 0, 0, 0, 0]);
        self
    }

    /// Powers off (reboot(2), LINUX_REBOOT_CMD_POWER_OFF).
    pub(crate) fn power_off(mut self) -> Self {
        self.calls.push([REBOOT, 0xfee1_dead, 0x2812_1969, 0x4321_fedc, 0, 0]);
        self
    }

    /// Writes an initramfs with this `/init`.
    pub(crate) fn write_initramfs(self, path: &Path) {
        let mut out = Vec::new();
        for (name, mode, bytes) in [
            ("dev", 0o040_755, Vec::new()),
            ("sys", 0o040_755, Vec::new()),
            ("proc", 0o040_755, Vec::new()),
            ("init", 0o100_755, self.elf()),
        ] {
            let header = cpio::newc::Builder::new(name).mode(mode);
            let mut writer = header.write(&mut out, bytes.len() as u32);
            std::io::Write::write_all(&mut writer, &bytes).unwrap();
            writer.finish().unwrap();
        }
        for (name, major, minor) in [("dev/console", 5, 1), ("dev/ttyS1", 4, 65), ("dev/kmsg", 1, 11)] {
            let header = cpio::newc::Builder::new(name).mode(0o020_600).rdev_major(major).rdev_minor(minor);
            header.write(&mut out, 0).finish().unwrap();
        }
        cpio::newc::trailer(&mut out).unwrap();
        std::fs::write(path, out).unwrap();
    }

    /// Strings lie at the end, behind code and calls; their addresses are fixed up in `elf`.
    fn string(&mut self, text: &str) -> u64 {
        let at = self.bytes(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn bytes(&mut self, bytes: &[u8]) -> u64 {
        let at = STRINGS_MARK + self.strings.len() as u64;
        self.strings.extend(bytes);
        at
    }

    fn elf(&self) -> Vec<u8> {
        let table = LOAD + HEADERS_BYTES + CODE_BYTES;
        let strings = table + (self.calls.len() * size_of::<Call>()) as u64;
        let mut code = SET_TABLE.to_vec();
        code.extend(table.to_le_bytes());
        code.extend(LOOP);
        code.resize(CODE_BYTES as usize, 0x90);
        let resolve =
            |word: u64| if word & STRINGS_MARK == STRINGS_MARK { word - STRINGS_MARK + strings } else { word };
        code.extend(self.calls.iter().flatten().flat_map(|word| resolve(*word).to_le_bytes()));
        code.extend(&self.strings);
        let bytes = HEADERS_BYTES + code.len() as u64;
        let mut elf = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
        elf.extend([2_u16, 62].into_iter().flat_map(u16::to_le_bytes));
        elf.extend(1_u32.to_le_bytes());
        elf.extend([LOAD + HEADERS_BYTES, 64, 0].into_iter().flat_map(u64::to_le_bytes));
        elf.extend(0_u32.to_le_bytes());
        elf.extend([64_u16, 56, 1, 0, 0, 0].into_iter().flat_map(u16::to_le_bytes));
        elf.extend([1_u32, 7].into_iter().flat_map(u32::to_le_bytes));
        elf.extend([0, LOAD, LOAD, bytes, bytes, 4096].into_iter().flat_map(u64::to_le_bytes));
        elf.extend(code);
        elf
    }
}

/// Marks an argument as the address of a string; no real argument has these bits.
const STRINGS_MARK: u64 = 0x5151 << 40;
