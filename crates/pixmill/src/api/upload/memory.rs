//! Memory for bodies that are held whole, charged as they come.

use std::sync::Arc;
use std::time::Duration;

use pixmill_engine::code::Code;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::super::problem::Problem;

/// A part of the server's memory that is always there for them.
const LEAST_KIB: u64 = 96 << 10;

/// Beside its bytes, a line costs so much once it has been read.
const LINE_BYTES: u64 = 192;

const LATER: Duration = Duration::from_secs(5);

/// What all of them share.
pub(in crate::api) struct Memory {
    kib: u64,
    free: Arc<Semaphore>,
}

/// What one of them holds; given back when dropped.
#[derive(Default)]
pub(in crate::api) struct Charge {
    permits: Option<OwnedSemaphorePermit>,
    bytes: u64,
    kib: u64,
}

impl Memory {
    /// A quarter of what the server may take.
    pub(in crate::api) fn new(memory_bytes: u64) -> Self {
        let kib = (memory_bytes / 4 / 1024).clamp(LEAST_KIB, u64::from(u32::MAX));
        Memory { kib, free: Arc::new(Semaphore::new(kib as usize)) }
    }

    /// Charges a chunk.
    ///
    /// # Errors
    /// `body.too_large` for what would not fit if it were alone, `rate.limited` while others hold the memory.
    pub(in crate::api) fn charge(&self, charge: &mut Charge, chunk: &[u8]) -> Result<(), Problem> {
        let lines = chunk.iter().filter(|byte| **byte == b'\n').count() as u64;
        charge.bytes += chunk.len() as u64 + lines * LINE_BYTES;
        let more = charge.bytes.div_ceil(1024).saturating_sub(charge.kib);
        if charge.kib + more > self.kib {
            return Err(Problem::new(Code::BodyTooLarge, "these are too many lines: send them in parts"));
        }
        let permits = self.free.clone().try_acquire_many_owned(more as u32).map_err(|_| {
            let detail = "other bodies hold the memory that there is for them";
            Problem::new(Code::RateLimited, detail).unavailable().after(LATER)
        })?;
        charge.kib += more;
        match &mut charge.permits {
            Some(held) => held.merge(permits),
            held => *held = Some(permits),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bodies_share_what_there_is_and_give_it_back() {
        let memory = Memory::new(0);
        let whole = vec![b'a'; (LEAST_KIB as usize) << 10];
        let (mut one, mut other) = (Charge::default(), Charge::default());
        memory.charge(&mut one, &whole).unwrap();
        assert_eq!(memory.charge(&mut other, b"a").unwrap_err().code(), Code::RateLimited);
        drop(one);
        let mut third = Charge::default();
        memory.charge(&mut third, b"a").unwrap();
    }

    #[test]
    fn short_lines_cost_what_they_become() {
        let memory = Memory::new(0);
        let lines = "1,1,x\n".repeat(600_000);
        let mut charge = Charge::default();
        assert_eq!(memory.charge(&mut charge, lines.as_bytes()).unwrap_err().code(), Code::BodyTooLarge);
    }
}
