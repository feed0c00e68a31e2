//! What this process counts of its work, for Prometheus. Counters begin at nothing with the process and only grow: a
//! request that is deleted takes nothing back.

pub(crate) mod disks;
mod process;

use std::time::{Duration, SystemTime};

use pixmill_engine::code::Code;
use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::pipeline::{Ended, OriginAsked, Told, Watcher};
use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::Histogram;
use prometheus_client::registry::{Registry, Unit};

pub(crate) use disks::Disks;
pub(crate) use process::resident;

/// Bounds of the histogram of stages, seconds: from a picture of a few KiB to an origin's time-out.
const SECONDS: [f64; 12] = [0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0, 15.0, 60.0];

/// The stages that an image is in by itself.
const STAGES: [&str; 4] = ["fetch", "recompress", "save", "settle"];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Image {
    result: &'static str,
    code: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Direction {
    direction: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Stage {
    stage: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Outcome {
    result: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Build {
    version: &'static str,
    role: &'static str,
}

/// What this process counts.
pub(crate) struct Figures {
    role: &'static str,
    started: SystemTime,
    images: Family<Image, Counter>,
    bytes: Family<Direction, Counter>,
    seconds: Family<Stage, Histogram>,
    in_progress: Family<Stage, Gauge>,
    fetches: Family<Outcome, Counter>,
    origins_open: Gauge,
    webhooks: Family<Outcome, Counter>,
    workers: Gauge,
}

impl Figures {
    /// Those of a process that has just begun.
    pub(crate) fn new(role: &'static str) -> Self {
        let histogram: fn() -> Histogram = || Histogram::new(SECONDS);
        let figures = Figures {
            role,
            started: SystemTime::now(),
            images: Family::default(),
            bytes: Family::default(),
            seconds: Family::new_with_constructor(histogram),
            in_progress: Family::default(),
            fetches: Family::default(),
            origins_open: Gauge::default(),
            webhooks: Family::default(),
            workers: Gauge::default(),
        };
        figures.begin();
        figures
    }

    /// What grows from nothing is there from the start: rates of what appears later lack its first step.
    fn begin(&self) {
        self.images.get_or_create(&Image { result: "completed", code: "" }).inc_by(0);
        for direction in ["fetched", "stored"] {
            self.bytes.get_or_create(&Direction { direction }).inc_by(0);
        }
        for stage in STAGES {
            self.in_progress.get_or_create(&Stage { stage }).set(0);
        }
        self.fetches.get_or_create(&Outcome { result: "ok" }).inc_by(0);
        for result in ["delivered", "retried", "given_up"] {
            self.webhooks.get_or_create(&Outcome { result }).inc_by(0);
        }
    }

    /// Adds what was counted, and how the process itself is.
    pub(crate) fn register(&self, registry: &mut Registry) {
        let build = Family::<Build, Gauge>::default();
        build.get_or_create(&Build { version: env!("CARGO_PKG_VERSION"), role: self.role }).set(1);
        registry.register("pixmill_build_info", "Version and role of the process", build);
        let help = "Images that this process ended, by how and why; equal addresses of a request count once";
        registry.register("pixmill_images", help, self.images.clone());
        let help = "Bytes of images that this process completed, fetched and stored";
        registry.register("pixmill_image_bytes", help, self.bytes.clone());
        let help = "How long images, or tries to tell a webhook, were in a stage";
        let seconds = self.seconds.clone();
        registry.register_with_unit("pixmill_stage_duration", help, Unit::Seconds, seconds);
        let help = "Images that are in a stage now";
        registry.register("pixmill_images_in_progress", help, self.in_progress.clone());
        let help = "Attempts at fetching a source: ok, or the code of what was wrong";
        registry.register("pixmill_fetch", help, self.fetches.clone());
        let help = "Origins that this process leaves alone for a while, for they failed again and again";
        registry.register("pixmill_origins_open", help, self.origins_open.clone());
        let help = "Tries to tell a webhook: delivered, retried later, or given up";
        registry.register("pixmill_webhook_deliveries", help, self.webhooks.clone());
        let help =
            "1 while this process works images off; the sum over all processes is the number of workers";
        registry.register("pixmill_workers", help, self.workers.clone());
        process::register(registry, self.started);
    }
}

impl Watcher for Figures {
    fn ended(&self, ended: Ended) {
        let code = ended.code.map_or("", Code::as_str);
        let result = match ended.status {
            ImageStatus::Completed => "completed",
            _ => "failed",
        };
        self.images.get_or_create(&Image { result, code }).inc();
        if ended.status == ImageStatus::Completed {
            self.bytes.get_or_create(&Direction { direction: "fetched" }).inc_by(ended.bytes_before);
            self.bytes.get_or_create(&Direction { direction: "stored" }).inc_by(ended.bytes_after);
        }
    }

    fn entered(&self, stage: &'static str) {
        self.in_progress.get_or_create(&Stage { stage }).inc();
    }

    fn left(&self, stage: &'static str, took: Duration) {
        self.in_progress.get_or_create(&Stage { stage }).dec();
        self.seconds.get_or_create(&Stage { stage }).observe(took.as_secs_f64());
    }

    fn asked(&self, asked: OriginAsked<'_>) {
        self.fetches.get_or_create(&Outcome { result: asked.fault.map_or("ok", Code::as_str) }).inc();
    }

    fn origins_open(&self, origins: usize) {
        self.origins_open.set(i64::try_from(origins).unwrap_or(i64::MAX));
    }

    fn told(&self, told: Told) {
        let result = match told {
            Told::Heard => "delivered",
            Told::InVain => "retried",
            Told::GivenUp => "given_up",
        };
        self.webhooks.get_or_create(&Outcome { result }).inc();
    }

    fn works(&self, works: bool) {
        self.workers.set(i64::from(works));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixmill_engine::model::id::{ImageId, RequestId};
    use prometheus_client::encoding::text::encode;

    fn ended(status: ImageStatus, code: Option<Code>) -> Ended {
        Ended {
            request: RequestId::from("r"),
            image: ImageId::from("i"),
            row: 0,
            position: 0,
            origin: "http://h".into(),
            status,
            code,
            bytes_before: 1_000,
            bytes_after: 300,
            attempt: 1,
            fetching: Duration::ZERO,
        }
    }

    #[test]
    fn what_was_done_is_counted_under_the_names_that_are_told() {
        let figures = Figures::new("worker");
        figures.works(true);
        figures.ended(ended(ImageStatus::Completed, None));
        figures.ended(ended(ImageStatus::Completed, None));
        figures.ended(ended(ImageStatus::Failed, Some(Code::FetchStatus)));
        figures.entered("fetch");
        figures.entered("save");
        figures.left("fetch", Duration::from_millis(40));
        for fault in [None, Some(Code::FetchTimeout)] {
            figures.asked(OriginAsked { origin: "http://h", fault, bytes: 0, took: Duration::ZERO });
        }
        figures.told(Told::InVain);
        figures.origins_open(3);
        let mut registry = Registry::default();
        figures.register(&mut registry);
        let mut text = String::new();
        encode(&mut text, &registry).unwrap();
        for line in [
            "pixmill_images_total{result=\"completed\",code=\"\"} 2",
            "pixmill_images_total{result=\"failed\",code=\"fetch.status\"} 1",
            "pixmill_image_bytes_total{direction=\"fetched\"} 2000",
            "pixmill_image_bytes_total{direction=\"stored\"} 600",
            "pixmill_stage_duration_seconds_bucket{le=\"0.05\",stage=\"fetch\"} 1",
            "pixmill_images_in_progress{stage=\"fetch\"} 0",
            "pixmill_images_in_progress{stage=\"save\"} 1",
            "pixmill_fetch_total{result=\"ok\"} 1",
            "pixmill_fetch_total{result=\"fetch.timeout\"} 1",
            "pixmill_webhook_deliveries_total{result=\"retried\"} 1",
            "pixmill_webhook_deliveries_total{result=\"given_up\"} 0",
            "pixmill_origins_open 3",
            "pixmill_workers 1",
        ] {
            assert!(text.lines().any(|found| found == line), "{line} is not in\n{text}");
        }
    }
}
