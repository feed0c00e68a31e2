//! Runs kernels on the best instructions that the machine at hand has.
//!
//! A kernel is ordinary, safe code. It is compiled twice: for any machine of the target, and for x86-64 machines of
//! level 3 (AVX2, BMI2, LZCNT: Intel since 2013, AMD since 2015), where loops over samples go twice as far a step and
//! shifts by a variable cost one instruction. Which of the two runs is found out while running. Both are the same
//! source, and none fuses multiplications with additions, so that all machines compute the same.

/// Work worth compiling twice.
///
/// What `run` calls in its inner loops, and `run` itself, must be `#[inline(always)]`: a function that stays one of its
/// own is compiled for any machine only.
pub trait Kernel {
    /// What comes out.
    type Output;

    /// Does the work.
    fn run(self) -> Self::Output;
}

/// Does a kernel's work.
#[inline]
pub fn run<K: Kernel>(kernel: K) -> K::Output {
    #[cfg(target_arch = "x86_64")]
    if level_3::is_here() && !twins::are_asked_for() {
        #[expect(unsafe_code, reason = "the one call that only some machines can make")]
        // SAFETY: the machine has all features that `level_3::run` is compiled for.
        return unsafe { level_3::run(kernel) };
    }
    kernel.run()
}

#[cfg(target_arch = "x86_64")]
mod level_3 {
    use super::Kernel;

    /// Whether the machine has all that [`run`] needs; the standard library remembers the answer.
    #[inline]
    pub(super) fn is_here() -> bool {
        is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("bmi1")
            && is_x86_feature_detected!("bmi2")
            && is_x86_feature_detected!("lzcnt")
            && is_x86_feature_detected!("popcnt")
    }

    #[target_feature(enable = "avx2,bmi1,bmi2,lzcnt,popcnt")]
    pub(super) fn run<K: Kernel>(kernel: K) -> K::Output {
        kernel.run()
    }
}

#[cfg(all(target_arch = "x86_64", not(feature = "twins")))]
mod twins {
    #[inline(always)]
    pub(super) fn are_asked_for() -> bool {
        false
    }
}

#[cfg(feature = "twins")]
mod twins {
    use std::cell::Cell;

    thread_local! {
        static ASKED_FOR: Cell<bool> = const { Cell::new(false) };
    }

    #[cfg_attr(not(target_arch = "x86_64"), allow(dead_code, reason = "there is nothing to tell apart"))]
    pub(super) fn are_asked_for() -> bool {
        ASKED_FOR.get()
    }

    /// Does work whose kernels, on this thread, run as any machine could run them.
    pub fn on_any_machine<R>(work: impl FnOnce() -> R) -> R {
        let before = ASKED_FOR.replace(true);
        let result = work();
        ASKED_FOR.set(before);
        result
    }
}

#[cfg(feature = "twins")]
pub use twins::on_any_machine;

#[cfg(all(test, feature = "twins"))]
mod tests {
    use super::*;

    /// Says what is asked for where it runs.
    struct AsHere;

    impl Kernel for AsHere {
        type Output = bool;

        #[inline(always)]
        fn run(self) -> bool {
            !twins::are_asked_for()
        }
    }

    #[test]
    fn twins_are_asked_for_on_one_thread_and_for_as_long_as_the_work_takes() {
        assert!(run(AsHere));
        assert!(!on_any_machine(|| on_any_machine(|| run(AsHere)) || run(AsHere)));
        assert!(on_any_machine(|| std::thread::spawn(|| run(AsHere)).join().unwrap()));
        assert!(run(AsHere));
    }
}
