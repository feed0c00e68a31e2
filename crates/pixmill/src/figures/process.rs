//! How the process is, under the names that every exporter uses.

use std::sync::atomic::AtomicU64;
use std::time::SystemTime;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// Adds what this system tells.
pub(super) fn register(registry: &mut Registry, started: SystemTime) {
    let since = started.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    gauge(registry, "process_start_time_seconds", "When the process began", since.as_secs_f64());
    #[cfg(unix)]
    {
        let help = "Processor time of the process itself; its decoders are processes of their own";
        let seconds = Counter::<f64, AtomicU64>::default();
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
        seconds.inc_by(time.tv_sec as f64 + time.tv_nsec as f64 / 1e9);
        registry.register("process_cpu_seconds", help, seconds);
        let most = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
        if let Some(most) = most {
            gauge(registry, "process_max_fds", "Descriptors that it may have open", most as f64);
        }
    }
    if let Some(bytes) = resident() {
        gauge(registry, "process_resident_memory_bytes", "Memory of the process itself", bytes as f64);
    }
    #[cfg(target_os = "linux")]
    if let Ok(open) = std::fs::read_dir("/proc/self/fd") {
        // One of them is the folder that is being read.
        let open = open.count().saturating_sub(1);
        gauge(registry, "process_open_fds", "Descriptors that it has open", open as f64);
    }
}

fn gauge(registry: &mut Registry, name: &str, help: &str, value: f64) {
    let gauge = Gauge::<f64, AtomicU64>::default();
    gauge.set(value);
    registry.register(name, help, gauge);
}

/// Bytes of memory that the process has, as the kernel counts them, where it tells.
pub(crate) fn resident() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}
