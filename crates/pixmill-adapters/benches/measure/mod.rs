//! What a process has used, as Linux tells it.

use std::fs;

/// CPU time of all threads, and of all processes that recompressed their pictures, so far, seconds, in steps of a
/// hundredth.
pub(crate) fn cpu_seconds() -> f64 {
    // User and system time, and those of children that have ended.
    ticks("/proc/self/stat", 4) + children().map(|stat| ticks(&stat, 2)).sum::<f64>()
}

/// So many of the times in a `proc_pid_stat(5)`.
fn ticks(path: &str, count: usize) -> f64 {
    let stat = fs::read_to_string(path).unwrap_or_default();
    // The name may hold spaces; what comes after it does not. utime and stime are the 14th and 15th field.
    let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(count);
    fields.filter_map(|ticks| ticks.parse::<f64>().ok()).sum::<f64>() / 100.0
}

/// Where children that decode pictures are told of.
fn children() -> impl Iterator<Item = String> {
    let processes = fs::read_dir("/proc").into_iter().flatten().flatten();
    let stats = processes.map(|process| process.path().join("stat").display().to_string());
    let ours = format!(" {} ", std::process::id());
    stats.filter(move |path| {
        let stat = fs::read_to_string(path).unwrap_or_default();
        stat.split_once("(pixmill-picture)")
            .is_some_and(|(_, rest)| rest.get(2..).is_some_and(|rest| rest.starts_with(&ours)))
    })
}

/// Highest resident memory so far, MiB.
pub(crate) fn peak_rss_mib() -> f64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kib| kib.parse::<f64>().ok()).unwrap_or(f64::NAN) / 1024.0
}
