//! What BullMQ's scripts are told in MessagePack.

use std::time::Duration;

use bullmq::types::KeepJobs;
use rmp::encode::{
    ValueWriteError, write_array_len, write_bool, write_map_len, write_sint, write_str, write_uint,
};

/// The right to move a job.
pub(super) fn right(token: &str, lock: Duration) -> Vec<u8> {
    packed(|buffer| {
        write_map_len(buffer, 2)?;
        held(buffer, token, lock)
    })
}

/// How a job is ended whose producer wants so many attempts and keeps so many ended ones.
pub(super) fn finish(token: &str, lock: Duration, attempts: u32, keep: KeepJobs) -> Vec<u8> {
    packed(|buffer| {
        write_map_len(buffer, 9)?;
        held(buffer, token, lock)?;
        write_str(buffer, "keepJobs")?;
        let (age, count) = (keep.age, keep.count);
        write_map_len(buffer, 1 + u32::from(age.is_some()))?;
        write_str(buffer, "count")?;
        write_sint(buffer, count.and_then(|count| i64::try_from(count).ok()).unwrap_or(-1))?;
        if let Some(age) = age {
            write_str(buffer, "age")?;
            write_uint(buffer, age)?;
        }
        write_str(buffer, "attempts")?;
        write_uint(buffer, attempts.into())?;
        write_str(buffer, "maxMetricsSize")?;
        write_str(buffer, "")?;
        for told_to_parents in ["fpof", "cpof", "idof", "rdof"] {
            write_str(buffer, told_to_parents)?;
            write_bool(buffer, false).map_err(ValueWriteError::InvalidDataWrite)?;
        }
        Ok(())
    })
}

/// Fields that are written to a job.
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    packed(|buffer| {
        write_array_len(buffer, u32::try_from(fields.len() * 2).unwrap_or_default())?;
        fields.iter().try_for_each(|(name, value)| {
            write_str(buffer, name)?;
            write_str(buffer, value)
        })
    })
}

type Written<T = ()> = Result<T, ValueWriteError>;

fn held(buffer: &mut Vec<u8>, token: &str, lock: Duration) -> Written {
    write_str(buffer, "token")?;
    write_str(buffer, token)?;
    write_str(buffer, "lockDuration")?;
    write_uint(buffer, u64::try_from(lock.as_millis()).unwrap_or(u64::MAX)).map(|_| ())
}

fn packed(write: impl FnOnce(&mut Vec<u8>) -> Written) -> Vec<u8> {
    let mut buffer = Vec::with_capacity(128);
    write(&mut buffer).expect("memory can be written to");
    buffer
}
