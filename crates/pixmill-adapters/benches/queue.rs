//! Jobs without work through a BullMQ queue: jobs a second, and CPU time of this process a job.
//!
//! `REDIS_URL=redis://… cargo bench -p pixmill-adapters --bench queue -- JOBS CONCURRENCY`, which prints one line of JSON;
//! `bench/run queue` puts the Node library beside it.

#![expect(clippy::print_stdout, reason = "a benchmark talks on stdout")]

mod measure;

use std::time::Instant;

use measure::{cpu_seconds, peak_rss_mib};
use pixmill_adapters::queue::bullmq::{BullQueue, Settings};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::image::{Candidate, Output};
use pixmill_engine::port::queue::{Delivered, Queue};

/// Jobs that are added at a time.
const CHUNK: usize = 1_000;

fn candidate(number: usize) -> Candidate {
    Candidate {
        image: format!("01890a5d-ac96-774b-bcce-b302{number:08x}").into(),
        request: "01890a5d-ac96-774b-bcce-b302ffffffff".into(),
        input: format!("http://127.0.0.1:18080/1mp/01.jpg?i={number}"),
        round: 1,
        attempts: 0,
        tenant: String::new(),
    }
}

async fn measure(url: &str, jobs: usize, concurrency: usize) -> Result<(), Fault> {
    let name = format!("bench-{}", std::process::id());
    let settings = Settings { name, window: jobs, ..Settings::new(url) };
    let feeder = BullQueue::connect(Settings { hold: 0, ..settings.clone() }).await?;
    for first in (0..jobs).step_by(CHUNK) {
        feeder.add((first..jobs.min(first + CHUNK)).map(candidate).collect()).await?;
    }
    let (began, cpu) = (Instant::now(), cpu_seconds());
    let queue = BullQueue::connect(Settings { hold: concurrency, ..settings }).await?;
    let output = Output {
        location: "http://127.0.0.1/out/1.jpg".into(),
        bytes_before: 100_000,
        bytes_after: 40_000,
        frames: 1,
    };
    let mut done = 0;
    while done < jobs {
        queue.arrival().await;
        for job in queue.take(concurrency) {
            queue.finish(&job.id, Delivered::Completed(output.clone()));
            done += 1;
        }
    }
    queue.close().await;
    let (seconds, cpu) = (began.elapsed().as_secs_f64(), cpu_seconds() - cpu);
    println!(
        r#"{{"jobs_per_second":{:.0},"cpu_us_per_job":{:.1},"peak_rss_mib":{:.0}}}"#,
        jobs as f64 / seconds,
        cpu * 1e6 / jobs as f64,
        peak_rss_mib()
    );
    Ok(())
}

fn main() {
    // Cargo adds arguments of its own.
    let numbers: Vec<usize> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let [jobs, concurrency] = numbers[..] else { panic!("expected JOBS CONCURRENCY") };
    let url = std::env::var("REDIS_URL").expect("REDIS_URL says where Redis is");
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build().expect("threads");
    runtime.block_on(measure(&url, jobs, concurrency)).expect("the queue works");
}
