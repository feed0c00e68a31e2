//! Processes that decode pictures, as Linux tells of them.

use std::time::{Duration, Instant};

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// The children of a process that decode pictures and have not ended.
pub(crate) fn children_of(parent: u32) -> Vec<u32> {
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers
        .filter(|process| state_and_parent(*process).is_some_and(|(state, of)| of == parent && state != 'Z'))
        .collect()
}

/// Whether a process has ended and somebody has taken note of it.
pub(crate) fn is_gone(process: u32) -> bool {
    state_and_parent(process).is_none_or(|(state, _)| state == 'Z')
}

/// Children of a process that have ended and that nobody has taken note of.
pub(crate) fn zombies_of(parent: u32) -> usize {
    let processes = std::fs::read_dir("/proc").expect("there is /proc").flatten();
    let numbers = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    numbers.filter(|process| state_and_parent(*process) == Some(('Z', parent))).count()
}

fn state_and_parent(process: u32) -> Option<(char, u32)> {
    let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_ascii_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// What is looked for, once it is there.
///
/// # Panics
/// When it does not come.
pub(crate) fn wait_for<T>(look: impl Fn() -> Option<T>) -> T {
    let until = Instant::now() + PATIENCE;
    loop {
        match look() {
            Some(found) => return found,
            None => assert!(Instant::now() < until, "waited in vain"),
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}
