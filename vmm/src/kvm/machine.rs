//! A machine on `/dev/kvm`, put together.

use super::breakpoints::MAX_HOOKS;
use super::cpuid::{self, CpuIdTemplate};
use super::devices::Ports;
use super::early_clock::EarlyClock;
use super::limits::Limits;
use super::state::{State, Time};
use super::threads::VcpuThreads;
use super::{Error, acpi, boot, breakpoints, exits, system, vcpu};
use crate::apic_id::ApicIds;
use crate::config::VmConfig;
use crate::host_cpus;
use crate::layout::{self, KVM_IDENTITY_MAP_GPA, KVM_TSS_GPA};
use crate::machine::{Exit, Machine, VcpuClock};
use crate::memory::GuestRam;
use crate::placement::{Part, Plan, Report};
use crate::serial_log::SerialLog;
use crate::stops::{self, Hook};
use ktstr_wire::Topology;
use kvm_bindings::{
    KVM_CAP_PMU_CAPABILITY, KVM_CAP_X2APIC_API, KVM_PIT_SPEAKER_DUMMY, KVM_PMU_CAP_DISABLE,
    KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK, KVM_X2APIC_API_USE_32BIT_IDS, kvm_cpuid_entry2, kvm_enable_cap, kvm_msi,
    kvm_pit_config, kvm_userspace_memory_region,
};
use kvm_ioctls::{Kvm, VcpuFd, VmFd};
use std::io;
use std::sync::Arc;
use vm_memory::{Address, GuestMemoryBackend, GuestMemoryRegion};

/// APIC ids from here on need what [`allow_wide_apic_ids`] asks for.
const FIRST_WIDE_APIC_ID: u32 = 255;

/// Where interrupt messages to APIC id 0 go, and the delivery mode of a non-maskable one.
const MSI_ADDRESS: u32 = 0xfee0_0000;
const MSI_NMI: u32 = 0b100 << 8;

/// A machine. The fields are in the order in which they may be dropped.
pub(crate) struct KvmMachine {
    threads: VcpuThreads,
    ports: Arc<Ports>,
    vm: VmFd,
    /// Stop points, until the start.
    hooks: Vec<Hook>,
    /// What the first vCPU says it is.
    cpuid: Vec<kvm_cpuid_entry2>,
    /// The time at which it goes on, while it stands still. Where KVM does not tell, it goes on at another, and is not saved.
    time: Option<Result<Time, Error>>,
}

/// How a machine begins.
enum Begin {
    /// With this command line for its kernel.
    Boot(String),
    /// As another was.
    GoOn(Box<State>),
}

impl KvmMachine {
    /// Makes the machine, its vCPUs at the kernel's first instruction, or where another's were that was saved, and in their
    /// places; `placing` says which those are and takes what came of it.
    ///
    /// # Errors
    /// Why it cannot be made.
    pub(crate) fn new(
        config: &VmConfig,
        ram: &GuestRam,
        console: &SerialLog,
        control: &SerialLog,
        placing: Option<(&Plan, &mut Report)>,
        from: Option<&[u8]>,
    ) -> Result<Self, crate::Error> {
        let topology = config.machine.topology;
        let (kvm, supported, ids) = host_for(topology)?;
        let begin = match from {
            Some(bytes) => Begin::GoOn(Box::new(State::from_bytes(bytes)?)),
            None => {
                let words = kernel_words(&ids, shares(&ids, host_cpus::usable().len()));
                Begin::Boot(crate::cmdline::build(config, &words)?)
            }
        };
        let template = CpuIdTemplate::new(&supported, topology);
        Ok(Self::build(&kvm, config, (&ids, template), ram, begin, (console, control), placing)?)
    }

    fn build(
        kvm: &Kvm,
        config: &VmConfig,
        (ids, mut template): (&ApicIds, CpuIdTemplate),
        ram: &GuestRam,
        begin: Begin,
        (console, control): (&SerialLog, &SerialLog),
        mut placing: Option<(&Plan, &mut Report)>,
    ) -> Result<Self, Error> {
        let vm = create_vm(kvm, ids)?;
        let real_time_hint = placing.as_mut().is_some_and(|(plan, report)| {
            exits::turn_off(kvm, &vm, plan, report);
            report.book(Part::RealTimeHint, plan.may_keep_cpus());
            plan.may_keep_cpus().is_ok()
        });
        map_ram(&vm, ram)?;
        if real_time_hint {
            template = template.with_real_time_hint();
        }
        let cpuid = template.for_cpu(0);
        let vcpus = create_vcpus(&vm, ids, &template)?;
        let (clock, time, saved) = match begin {
            Begin::Boot(cmdline) => (boot(config, ids, ram, &cmdline, &vcpus)?, None, None),
            Begin::GoOn(state) => {
                state.check(vcpus.len(), &cpuid)?;
                state.put(&vm, &vcpus)?;
                let clock = state.trap.map(|trap| EarlyClock::again(trap, ram));
                (clock, Some(Ok(state.time)), Some(state.ports))
            }
        };
        // After the controllers that they may interrupt at once.
        let ports = Arc::new(Ports::new(&vm, console, control, saved)?);
        let places = placing.as_ref().map(|(plan, _)| plan.places()).unwrap_or_default();
        let (threads, placed) = VcpuThreads::new(vcpus, &ports, ram, &places, clock)?;
        if let Some((plan, report)) = placing {
            plan.book_threads(report, placed);
        }
        Ok(Self { threads, ports, vm, hooks: Vec::new(), cpuid, time })
    }

    /// Lets time go on where it stood.
    fn set_time(&mut self) -> Result<(), Error> {
        if let Some(Ok(time)) = &self.time {
            self.threads.with_vcpus(|vcpus| time.put(&self.vm, vcpus))?;
        }
        self.time = None;
        Ok(())
    }
}

impl Machine for KvmMachine {
    fn stop_at(&mut self, hook: Hook) -> Result<(), crate::Error> {
        let address = hook.address;
        breakpoints::check().map_err(|why| stops::Error::Backend { address, why })?;
        if self.hooks.len() == MAX_HOOKS {
            return Err(stops::Error::TooMany { address, limit: MAX_HOOKS, accel: "KVM" }.into());
        }
        self.hooks.push(hook);
        Ok(())
    }

    fn start(&mut self) -> Result<(), crate::Error> {
        self.set_time()?;
        self.threads.start(std::mem::take(&mut self.hooks));
        Ok(())
    }

    fn freeze(&mut self) -> Result<bool, crate::Error> {
        let stands = self.threads.halt()?;
        if stands {
            self.time = Some(self.threads.with_vcpus(|vcpus| Time::take(&self.vm, vcpus)));
        }
        Ok(stands)
    }

    fn save(&mut self) -> Result<Vec<u8>, crate::Error> {
        let time = match &self.time {
            Some(Ok(time)) => time.clone(),
            Some(Err(error)) => return Err(Error::NoTime { why: error.to_string() }.into()),
            None => return Err(Error::NotStill.into()),
        };
        let (ports, trap) = (self.ports.state(), self.threads.trap());
        let state = self.threads.with_vcpus(|vcpus| State::take(&self.vm, vcpus, &self.cpuid, time, ports, trap))?;
        Ok(state.to_bytes()?)
    }

    fn resume(&mut self) -> Result<(), crate::Error> {
        self.set_time()?;
        self.threads.go_on();
        Ok(())
    }

    fn type_into_console(&mut self, bytes: &[u8]) -> Result<(), crate::Error> {
        Ok(self.ports.type_into_console(bytes).map_err(Error::from)?)
    }

    fn send_break(&mut self) -> Result<(), crate::Error> {
        Ok(self.ports.send_break().map_err(Error::from)?)
    }

    fn send_sysrq(&mut self, key: u8) -> Result<(), crate::Error> {
        Ok(self.ports.send_sysrq(key).map_err(Error::from)?)
    }

    fn send_nmi(&mut self) -> Result<(), crate::Error> {
        // An interrupt message (SDM volume 3, section 12.11) to APIC id 0: unlike a vCPU's own call it needs no thread.
        let message = kvm_msi { address_lo: MSI_ADDRESS, data: MSI_NMI, ..Default::default() };
        let sent = self.vm.signal_msi(message).map_err(Error::call("send an NMI to a vCPU (KVM_SIGNAL_MSI)"));
        sent.map(drop).map_err(crate::Error::from)
    }

    fn exit(&mut self) -> Option<Exit> {
        self.threads.exit()
    }

    fn vcpu_clocks(&self) -> Vec<VcpuClock> {
        self.threads.clocks()
    }

    fn stop(&mut self) -> Result<(), crate::Error> {
        Ok(self.threads.stop()?)
    }
}

/// What [`VmConfig::identity`] has of this backend.
pub(crate) fn identity(config: &VmConfig) -> Result<String, crate::Error> {
    let (_, supported, ids) = host_for(config.machine.topology)?;
    let cmdline = crate::cmdline::build(config, &kernel_words(&ids, shares(&ids, host_cpus::usable().len())))?;
    // That of one vCPU: what KVM says of the host's has the number of the CPU that was asked.
    let boot_cpu = CpuIdTemplate::new(&supported, config.machine.topology).for_cpu(0);
    let cpu = blake3::hash(format!("{boot_cpu:?}").as_bytes());
    let host = std::fs::read_to_string("/proc/version").unwrap_or_default();
    Ok(format!("kvm, CPU {cpu}, placed {}\n{host}{cmdline}", config.placement.is_some()))
}

/// Checks that the host's KVM and processor can give a guest this topology.
///
/// # Errors
/// Why they cannot.
pub(crate) fn check(topology: Topology) -> Result<(), Error> {
    host_for(topology).map(drop)
}

/// The host's KVM, what it can tell guests of their processors, and the APIC ids of a machine there.
fn host_for(topology: Topology) -> Result<(Kvm, Vec<kvm_cpuid_entry2>, ApicIds), Error> {
    let kvm = system::open()?;
    let supported = system::supported_cpuid(&kvm)?;
    let ids = Limits::of(&kvm, cpuid::model_of(&supported)).apic_ids(topology)?;
    Ok((kvm, supported, ids))
}

/// Whether vCPUs must wait for each other to get to a CPU of the host.
fn shares(ids: &ApicIds, host_cpus: usize) -> bool {
    ids.all().count() > host_cpus
}

/// Puts the kernel into memory and the boot vCPU at its entry; the clock in good time where idle vCPUs that tick would keep
/// others waiting.
fn boot(
    config: &VmConfig,
    ids: &ApicIds,
    ram: &GuestRam,
    cmdline: &str,
    vcpus: &[VcpuFd],
) -> Result<Option<EarlyClock>, Error> {
    let entry_gpa = load(config, ids, ram, cmdline)?;
    if let Some(boot_vcpu) = vcpus.first() {
        vcpu::enter_kernel(boot_vcpu, entry_gpa)?;
    }
    let code = config.timers.and_then(|timers| timers.clock).filter(|_| shares(ids, host_cpus::usable().len()));
    Ok(code.and_then(|code| EarlyClock::set(&code, ram)))
}

/// What this backend adds to the kernel command line.
fn kernel_words(ids: &ApicIds, shares_host_cpus: bool) -> Vec<String> {
    // There is no bus to be looked for.
    let mut words = vec!["no_timer_check".to_owned(), "pci=off".to_owned()];
    if ids.max() >= FIRST_WIDE_APIC_ID {
        // KVM's interrupt controller for devices reaches only the first 255 CPUs.
        words.push("irqaffinity=0-7".to_owned());
    }
    if shares_host_cpus {
        // CPUs that were all started at once spin until their turn comes, and take the host's from the one that has it.
        words.push("cpuhp.parallel=0".to_owned());
    }
    words
}

/// A machine with its interrupt controllers and timer, but no memory and no CPU.
fn create_vm(kvm: &Kvm, ids: &ApicIds) -> Result<VmFd, Error> {
    let vm = system::create_vm(kvm)?;
    vm.set_identity_map_address(KVM_IDENTITY_MAP_GPA)
        .map_err(Error::call("reserve a page for itself (KVM_SET_IDENTITY_MAP_ADDR)"))?;
    vm.set_tss_address(KVM_TSS_GPA as usize).map_err(Error::call("reserve pages for itself (KVM_SET_TSS_ADDR)"))?;
    disable_performance_counters(&vm);
    if ids.max() >= FIRST_WIDE_APIC_ID {
        allow_wide_apic_ids(&vm)?;
    }
    vm.create_irq_chip().map_err(Error::call("create interrupt controllers (KVM_CREATE_IRQCHIP)"))?;
    // For kernels without the KVM clock, which calibrate theirs with it; the dummy speaker has the gate that they use.
    let pit = kvm_pit_config { flags: KVM_PIT_SPEAKER_DUMMY, ..Default::default() };
    vm.create_pit2(pit).map_err(Error::call("create a timer (KVM_CREATE_PIT2)"))?;
    Ok(vm)
}

/// The guest is told that it has none; where KVM can know it too, it saves work at every switch between vCPUs.
fn disable_performance_counters(vm: &VmFd) {
    let mut capability = kvm_enable_cap { cap: KVM_CAP_PMU_CAPABILITY, ..Default::default() };
    capability.args[0] = u64::from(KVM_PMU_CAP_DISABLE);
    // Older hosts and some modules do not offer it, and nothing depends on it.
    let _ = vm.enable_cap(&capability);
}

fn allow_wide_apic_ids(vm: &VmFd) -> Result<(), Error> {
    let mut capability = kvm_enable_cap { cap: KVM_CAP_X2APIC_API, ..Default::default() };
    capability.args[0] = u64::from(KVM_X2APIC_API_USE_32BIT_IDS | KVM_X2APIC_API_DISABLE_BROADCAST_QUIRK);
    vm.enable_cap(&capability).map_err(Error::call("allow APIC ids above 254 (KVM_CAP_X2APIC_API)"))
}

fn map_ram(vm: &VmFd, ram: &GuestRam) -> Result<(), Error> {
    const ACTION: &str = "give memory to a machine (KVM_SET_USER_MEMORY_REGION)";
    for (slot, region) in (0..).zip(ram.mapped().iter()) {
        let start = ram.mapped().get_host_address(region.start_addr());
        let start = start.map_err(|error| Error::io(ACTION)(io::Error::other(error.to_string())))?;
        let region = kvm_userspace_memory_region {
            slot,
            flags: 0,
            guest_phys_addr: region.start_addr().raw_value(),
            memory_size: region.len(),
            userspace_addr: start as u64,
        };
        // SAFETY: the range is mapped, shared, and stays so as long as any vCPU's thread, for
        // they keep a handle on `ram`.
        unsafe { vm.set_user_memory_region(region) }.map_err(Error::call(ACTION))?;
    }
    Ok(())
}

/// Puts tables, kernel and initramfs into memory; returns where the kernel starts.
fn load(config: &VmConfig, ids: &ApicIds, ram: &GuestRam, cmdline: &str) -> Result<u64, Error> {
    let place = ram.layout().acpi();
    let memory = layout::node_ranges(ram.layout(), ram.node_bytes());
    let no_room = boot::Error::NoRoom { what: "the set of ACPI tables", gpa: place.gpa, bytes: place.bytes };
    let tables = acpi::build(&config.machine, ids, &memory, place).ok_or(no_room)?;
    boot::put(ram.mapped(), "the set of ACPI tables", place.gpa, &tables.bytes)?;
    Ok(boot::load(config, ram, cmdline, tables.rsdp_gpa)?)
}

/// The vCPUs, in CPU order.
fn create_vcpus(vm: &VmFd, ids: &ApicIds, template: &CpuIdTemplate) -> Result<Vec<VcpuFd>, Error> {
    (0..)
        .zip(ids.all())
        .map(|(cpu, apic_id)| {
            // KVM takes a vCPU's number for its APIC id.
            let vcpu = vm.create_vcpu(u64::from(apic_id)).map_err(Error::call("create a vCPU (KVM_CREATE_VCPU)"))?;
            vcpu::configure(&vcpu, &template.for_cpu(cpu))?;
            if ids.max() >= FIRST_WIDE_APIC_ID {
                vcpu::enter_x2apic_mode(&vcpu)?;
            }
            Ok(vcpu)
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use ktstr_wire::Topology;

    #[test]
    fn only_cpus_that_must_share_are_started_one_by_one() {
        let ids = ApicIds::new(Topology::new(2, 4, 1));
        for (host_cpus, expected) in [(1, true), (7, true), (8, false), (64, false)] {
            let words = kernel_words(&ids, shares(&ids, host_cpus));
            assert_eq!(words.contains(&"cpuhp.parallel=0".to_owned()), expected, "{host_cpus} host CPUs: {words:?}");
        }
    }
}
