//! The few system calls that decoding takes; all others fail.

use std::collections::BTreeMap;
use std::env::consts::ARCH;
use std::fs::File;
use std::os::fd::{AsRawFd, RawFd};

use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch, apply_filter_all_threads,
};

/// Memory, time, locks, signals of its own, random seeds of hash maps, and the end.
const FREE: [libc::c_long; 25] = [
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_clock_nanosleep,
    libc::SYS_close,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getpid,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_gettimeofday,
    libc::SYS_madvise,
    libc::SYS_membarrier,
    libc::SYS_mremap,
    libc::SYS_munmap,
    libc::SYS_nanosleep,
    libc::SYS_restart_syscall,
    libc::SYS_rseq,
    libc::SYS_rt_sigaction,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sched_getaffinity,
    libc::SYS_sched_yield,
    libc::SYS_set_robust_list,
    libc::SYS_sigaltstack,
];

/// Shuts all threads in. Whether that could be done.
pub(super) fn allow_few(orders: &File, replies: &File) -> bool {
    filter(orders.as_raw_fd(), replies.as_raw_fd())
        .is_ok_and(|filter| apply_filter_all_threads(&filter).is_ok())
}

fn filter(orders: RawFd, replies: RawFd) -> Result<BpfProgram, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = FREE.iter().map(|call| (*call, Vec::new())).collect();
    // Whatever else was left open by whoever started the parent can't be used.
    rules.insert(libc::SYS_read, vec![on(0, orders)?]);
    rules.insert(libc::SYS_write, vec![on(0, replies)?, on(0, 2)?]);
    rules.insert(libc::SYS_writev, vec![on(0, replies)?, on(0, 2)?]);
    // Memory is never code.
    rules.insert(libc::SYS_mmap, vec![without(2, libc::PROT_EXEC)?]);
    rules.insert(libc::SYS_mprotect, vec![without(2, libc::PROT_EXEC)?]);
    // What `abort` does.
    let this = i32::try_from(std::process::id()).unwrap_or_default();
    rules.insert(libc::SYS_tgkill, vec![on(0, this)?]);
    let refused = SeccompAction::Errno(libc::EPERM as u32);
    SeccompFilter::new(rules, refused, SeccompAction::Allow, TargetArch::try_from(ARCH)?)?.try_into()
}

/// An argument that has this value.
fn on(argument: u8, value: i32) -> Result<SeccompRule, BackendError> {
    one(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, value as u64)?)
}

/// An argument that lacks these bits.
fn without(argument: u8, bits: i32) -> Result<SeccompRule, BackendError> {
    let lacks = SeccompCmpOp::MaskedEq(bits as u64);
    one(SeccompCondition::new(argument, SeccompCmpArgLen::Dword, lacks, 0)?)
}

fn one(condition: SeccompCondition) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(vec![condition])
}
