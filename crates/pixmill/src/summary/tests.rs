use pixmill_engine::code::Code;
use pixmill_engine::model::request::Progress;
use pixmill_engine::port::records::FailureGroup;

use super::*;

fn progress() -> Progress {
    Progress {
        completed: 1_220,
        failed: 14,
        bytes_before: 310_400_000,
        bytes_after: 98_700_000,
        ..Progress::default()
    }
}

fn group(code: Code, images: u64, example: &str, message: &str) -> FailureGroup {
    FailureGroup { code, images, example: example.to_owned(), message: message.to_owned() }
}

fn origin(origin: &str, images: u64, mean_ms: u64, slowest_ms: u64) -> OriginFigure {
    OriginFigure { origin: origin.to_owned(), images, mean_ms, slowest_ms }
}

fn full() -> Summary {
    Summary {
        catalogue: "shop.csv".to_owned(),
        output: Some("pixmill-out".into()),
        again: Some("pixmill-out/shop.csv".into()),
        report: RunReport {
            rows: 398,
            row_errors: vec![RowError {
                line: 12,
                code: Code::CatalogueRow,
                message: "The row has 1 field and the header 3: its 'Urls' is missing.".to_owned(),
            }],
            row_errors_total: 2,
            progress: progress(),
            failures: vec![
                group(
                    Code::FetchStatus,
                    12,
                    "https://user:secret@cdn.example/a.jpg?signature=secret",
                    "https://cdn.example answered 404",
                ),
                group(Code::ImageCorrupt, 2, "pics/b.png", "the picture ends after 3 of 12 chunks"),
            ],
            seconds: 42.12,
            origins: vec![
                origin("https://cdn.example", 1_100, 120, 480),
                origin("https://slow.example", 134, 2_310, 9_800),
                origin("file:", 10, 1, 2),
            ],
            fetched_now: 1_234,
            noted: 3,
            ..RunReport::default()
        },
    }
}

fn plain(summary: &Summary) -> String {
    anstream::adapter::strip_str(&render(summary)).to_string()
}

#[test]
fn a_summary_tells_what_happened_and_what_to_do() {
    insta::assert_snapshot!(plain(&full()));
}

#[test]
fn an_interrupted_run_says_how_to_go_on() {
    let mut summary = full();
    summary.report = RunReport {
        rows: 400,
        progress: Progress { pending: 500, failed: 0, ..progress() },
        seconds: 8.0,
        fetched_now: 20,
        resumed: 1_200,
        interrupted: true,
        ..RunReport::default()
    };
    insta::assert_snapshot!(plain(&summary));
}

#[test]
fn programs_get_the_same_figures() {
    insta::assert_snapshot!(serde_json::to_string_pretty(&full().to_json()).unwrap());
}

#[test]
fn secrets_in_addresses_are_not_shown() {
    for text in [plain(&full()), full().to_json().to_string()] {
        assert!(!text.contains("secret"), "{text}");
    }
    assert_eq!(without_query("what?.jpg"), "what?.jpg");
}

#[test]
fn a_total_adds_up() {
    let total = Summary::total(&[full(), full()], 90.0);
    assert_eq!(total.report.progress.total(), 2 * 1_234);
    assert_eq!(total.report.row_errors_total, 4);
    assert_eq!(total.report.failures[0].images, 24);
    let slow = total.report.origins.iter().find(|origin| origin.origin == "https://slow.example").unwrap();
    assert_eq!((slow.images, slow.mean_ms, slow.slowest_ms), (268, 2_310, 9_800));
    assert_eq!(total.to_json()["summary"]["results"], serde_json::Value::Null);
}

#[test]
fn a_refused_catalogue_has_its_reason_and_no_results() {
    let mut summary = full();
    summary.report.refused = Some(Fault::permanent(Code::CatalogueHeader, "no header"));
    let json = summary.to_json();
    assert_eq!(json["summary"]["error"]["code"], "catalogue.header");
    assert_eq!(json["summary"]["results"], serde_json::Value::Null);
}
