//! How long a child may work on a picture: counted in what it takes of a processor, for a machine may be busy with
//! something else.

use std::time::Duration;

use pixmill_codec::Recipe;

/// Pixels that the time for a picture is meant for; more take more.
pub(super) const PIXELS: u64 = 4_000_000;

/// Encodings, decodings and comparisons in a search for a score.
const ROUNDS: u32 = 10;

/// How much longer than its time a picture may take by the clock on the wall.
const WALL: u32 = 10;

/// The least time between two looks.
const LOOK: Duration = Duration::from_millis(10);

/// The longest until the first.
const FIRST_LOOK: Duration = Duration::from_millis(500);

/// What a picture may take of a processor, where one of no more than [`PIXELS`] may take `usual`.
pub(super) fn allowed(usual: Duration, pixels: u64, recipe: &Recipe) -> Duration {
    let rounds = if recipe.target_ssimulacra2.is_some() { ROUNDS } else { 1 };
    usual.mul_f64((pixels as f64 / PIXELS as f64).max(1.0)) * rounds
}

/// Ends when a child has taken so much of a processor since this was called, or far more by the clock on the wall.
///
/// The clock is counted by what was slept for: while the whole process stands still (a stopped job, a frozen container)
/// a picture is not blamed for it.
pub(super) async fn is_over(process: u32, allowed: Duration) {
    let (mut taken, mut slept, mut before) = (Duration::ZERO, Duration::ZERO, None);
    while taken < allowed && slept < allowed * WALL {
        // It can't be over sooner, for a child works on one thread.
        let most = if before.is_none() { FIRST_LOOK } else { allowed };
        let nap = (allowed - taken).min(most).max(LOOK);
        tokio::time::sleep(nap).await;
        slept += nap;
        if let Some(now) = processor_time(process) {
            // Up to the first look nothing is counted, so that one that takes no longer costs no look.
            taken = now.saturating_sub(*before.get_or_insert(now));
        }
    }
}

/// What a process has taken of a processor, where that can be told.
fn processor_time(process: u32) -> Option<Duration> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    ticks(&stat).map(|ticks| Duration::from_millis(ticks * 10))
}

/// User and system time of `proc_pid_stat(5)`, in hundredths of a second, which is what Linux tells on all machines.
fn ticks(stat: &str) -> Option<u64> {
    // The program's name may hold anything, parentheses too.
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace().skip(11);
    let mut next = || fields.next()?.parse::<u64>().ok();
    Some(next()? + next()?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn larger_pictures_and_searches_may_take_longer() {
        let usual = Duration::from_secs(30);
        let plain = Recipe::default();
        let searched = Recipe { target_ssimulacra2: 70.0.try_into().ok(), ..plain };
        assert_eq!(allowed(usual, 1_000_000, &plain), usual);
        assert_eq!(allowed(usual, PIXELS * 3, &plain), usual * 3);
        assert_eq!(allowed(usual, PIXELS * 3, &searched), usual * 30);
    }

    #[test]
    fn processor_time_is_found_behind_any_name() {
        let stat = "17 (a) b (c) R 1 17 17 0 -1 4194560 100 0 0 0 250 31 0 0 20 0 2 0 9";
        assert_eq!(ticks(stat), Some(281));
        assert_eq!(ticks("17 (a"), None);
    }

    #[tokio::test]
    async fn a_process_that_only_waits_has_time_by_the_clock() {
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let began = std::time::Instant::now();
        is_over(child.id(), Duration::from_millis(50)).await;
        assert!(began.elapsed() >= Duration::from_millis(400), "{:?}", began.elapsed());
        child.kill().unwrap();
        child.wait().unwrap();
    }
}
