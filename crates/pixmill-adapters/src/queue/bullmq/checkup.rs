//! How the server is, for whoever set it up.

use pixmill_engine::checkup::{self, Finding, ROUND_TRIP};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::time::Timestamp;
use uuid::Uuid;

use super::connect::{self, Address, Server};
use super::{Settings, census, jobs_of};

/// Versions below the first BullMQ refuses, below the second it warns of.
const OLDEST: (u32, u32) = (5, 0);
const RECOMMENDED: (u32, u32) = (6, 2);

/// Version, clock, what happens when memory is full, and a job there and back.
pub(super) async fn look(settings: &Settings, address: &Address, now: Timestamp) -> Vec<Finding> {
    let server = match connect::inspect(settings).await {
        Ok(server) => server,
        Err(fault) => return vec![Finding::fault("reachable", &fault)],
    };
    let queues = match jobs_of(settings, &settings.name, address).await {
        Ok(jobs) => census::look(settings, &jobs).await.map_err(|error| address.fault(&error)),
        Err(fault) => Err(fault),
    };
    let queues = queues.unwrap_or_else(|fault| vec![Finding::fault("queues", &fault)]);
    let there_and_back = match round_trip(settings, address).await {
        Ok(()) => Finding::well(ROUND_TRIP, "a job was added to a queue of its own and removed again"),
        Err(fault) => Finding::fault(ROUND_TRIP, &fault),
    };
    let mut findings =
        vec![version(&server), checkup::clock(now, server.time), memory(&server), there_and_back];
    findings.extend(queues);
    findings
}

fn version(server: &Server) -> Finding {
    let mut numbers = server.version.split('.').map_while(|number| number.parse().ok());
    let told = format!("Redis {}", server.version);
    match (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) {
        version if version < OLDEST => {
            Finding::wrong("version", told, "Update it: BullMQ needs 5.0, and recommends 6.2 or later.")
        }
        version if version < RECOMMENDED => {
            Finding::doubtful("version", told, "Update it: BullMQ recommends 6.2 or later.")
        }
        _ => Finding::well("version", told),
    }
}

fn memory(server: &Server) -> Finding {
    let told = format!("maxmemory-policy is {}", server.maxmemory_policy);
    match server.keeps_jobs() {
        true => Finding::well("memory", told),
        false => Finding::doubtful(
            "memory",
            format!("{told}: jobs are thrown away when memory is full"),
            "Set maxmemory-policy to noeviction. Jobs of pixmill's own are fed again, those of others are lost.",
        ),
    }
}

/// Adds a job where no worker looks, and removes it with its queue.
async fn round_trip(settings: &Settings, address: &Address) -> Result<(), Fault> {
    let (name, id) = (format!("{}-doctor-{}", settings.name, Uuid::new_v4()), "doctor".to_owned());
    let jobs = jobs_of(settings, &name, address).await?;
    let there_and_back = async {
        jobs.add(&[(id.clone(), "{}".to_owned())]).await?;
        jobs.remove(&[id]).await?;
        jobs.abolish().await
    };
    there_and_back.await.map_err(|error| address.fault(&error))
}

#[cfg(test)]
mod tests {
    use pixmill_engine::checkup::Severity;

    use super::*;

    #[test]
    fn versions_are_judged_as_bullmq_judges_them() {
        for (found, verdict) in [
            ("4.0.14", Severity::Wrong),
            ("5.0.0", Severity::Doubtful),
            ("6.0.16", Severity::Doubtful),
            ("6.2.0", Severity::Well),
            ("7.0.15", Severity::Well),
            ("10.1", Severity::Well),
            ("", Severity::Wrong),
        ] {
            let server =
                Server { version: found.into(), maxmemory_policy: String::new(), time: Timestamp(0) };
            assert_eq!(version(&server).severity, verdict, "{found}");
        }
    }
}
