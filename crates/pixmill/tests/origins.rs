//! `pixmill run` from outside: the real binary against a hostile origin on loopback.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use pixmill_testkit::origin::{Origin, Pictures, Settings};
use serde_json::Value;

/// An origin over the pictures of the examples.
fn origin() -> Origin {
    let pictures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures");
    Origin::start(Settings::serving(Pictures::Folder(pictures))).expect("the origin starts")
}

struct Shop {
    folder: tempfile::TempDir,
}

impl Shop {
    fn new() -> Self {
        Shop { folder: tempfile::tempdir().expect("a temporary folder") }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn catalogue(&self, cells: &[&str]) {
        let rows: Vec<_> = cells.iter().map(|cell| format!("Hat,\"{cell}\"\n")).collect();
        fs::write(
            self.folder.path().join("c.csv"),
            format!("Product Name,Input Image Urls\n{}", rows.concat()),
        )
        .expect("the catalogue can be written");
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
        command.arg("run").arg(self.folder.path().join("c.csv")).arg("-o").arg(self.output());
        command
            .args(["--json", "--allow-address", "127.0.0.1/32"])
            .args(args)
            .current_dir(self.folder.path());
        command
    }

    fn run(&self, args: &[&str]) -> Ran {
        Ran::from(self.command(args).output().expect("pixmill runs"))
    }

    /// Statuses, error codes and outputs of results.csv, entry by entry.
    fn results(&self) -> Vec<(String, String, String)> {
        let mut reader =
            csv::Reader::from_path(self.output().join("results.csv")).expect("there are results");
        let entries = |cell: &str| cell.split(", ").map(str::to_owned).collect::<Vec<_>>();
        let code = |error: &str| error.split(' ').next().unwrap_or_default().to_owned();
        let mut found = Vec::new();
        for record in reader.records().map(|record| record.expect("a record")) {
            let columns = entries(&record[3]).into_iter().zip(entries(&record[4])).zip(entries(&record[2]));
            found.extend(columns.map(|((status, error), output)| (status, code(&error), output)));
        }
        found
    }

    fn ends(&self) -> Vec<String> {
        self.results()
            .into_iter()
            .map(|(status, code, _)| if code.is_empty() { status } else { code })
            .collect()
    }

    fn outputs(&self) -> BTreeMap<String, Vec<u8>> {
        let Ok(entries) = fs::read_dir(self.output().join("processed_images")) else {
            return BTreeMap::new();
        };
        let files = entries.flatten().map(|entry| entry.path());
        files.map(|path| (name(&path), fs::read(&path).expect("an output can be read"))).collect()
    }
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

struct Ran {
    code: Option<i32>,
    summary: Value,
    said: String,
}

impl From<Output> for Ran {
    fn from(output: Output) -> Self {
        let lines = String::from_utf8(output.stdout).expect("text");
        let last = lines
            .lines()
            .last()
            .and_then(|line| serde_json::from_str::<Value>(line).ok())
            .unwrap_or_default();
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        Ran { code: output.status.code(), summary: last["summary"].clone(), said }
    }
}

#[test]
fn a_catalogue_comes_out_as_pictures_and_results() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[
        &format!("{}, {}", origin.url("/caps.jpg"), origin.url("/red-hat.png")),
        &origin.url("/macaws.webp"),
    ]);
    let ran = shop.run(&[]);
    assert_eq!(ran.code, Some(0), "{}", ran.said);
    assert_eq!((&ran.summary["images"], &ran.summary["completed"]), (&3.into(), &3.into()));
    let names: Vec<_> = shop.outputs().into_keys().collect();
    assert_eq!(names, ["000001-01-caps.jpg", "000001-02-red-hat.jpg", "000002-01-macaws.jpg"]);
}

#[test]
fn running_again_fetches_nothing_and_says_the_same() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[&origin.url("/caps.jpg"), &origin.url("/x/status/404")]);
    assert_eq!(shop.run(&[]).code, Some(3));
    let (results, asked) = (fs::read(shop.output().join("results.csv")).unwrap(), origin.log().len());
    fs::remove_file(shop.output().join("results.csv")).unwrap();
    assert_eq!(shop.run(&[]).code, Some(3));
    assert_eq!(origin.log().len(), asked);
    assert_eq!(fs::read(shop.output().join("results.csv")).unwrap(), results);
}

#[test]
fn changed_rows_are_done_anew_and_outputs_of_removed_ones_go() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[&origin.url("/caps.jpg"), &origin.url("/river.jpg"), &origin.url("/macaws.webp")]);
    assert_eq!(shop.run(&[]).code, Some(0));
    let asked = origin.log().len();
    shop.catalogue(&[&origin.url("/caps.jpg"), &origin.url("/lighthouse.jpg")]);
    assert_eq!(shop.run(&[]).code, Some(0));
    let fetched: Vec<_> = origin.log().split_off(asked).into_iter().map(|entry| entry.path).collect();
    assert_eq!(fetched, ["/lighthouse.jpg"]);
    let names: Vec<_> = shop.outputs().into_keys().collect();
    assert_eq!(names, ["000001-01-caps.jpg", "000002-01-lighthouse.jpg"]);
}

#[test]
fn every_fault_has_its_code_and_costs_only_itself() {
    let (origin, shop) = (origin(), Shop::new());
    let good = origin.url("/caps.jpg");
    let faults = [
        (origin.url("/x/status/404"), "fetch.status"),
        (origin.url("/x/status/503"), "fetch.status"),
        (origin.url("/x/html"), "image.unsupported"),
        (origin.url("/x/empty"), "image.empty"),
        (origin.url("/x/truncated/caps.jpg"), "fetch.truncated"),
        (origin.url("/x/redirect-loop"), "fetch.redirects"),
        (origin.url("/x/redirect-to/http%3A%2F%2F127.0.0.2%2Fa.jpg"), "fetch.blocked_address"),
        (origin.url("/x/redirect-to/file%3A%2F%2F%2Fetc%2Fpasswd"), "url.scheme"),
        (origin.url("/x/endless"), "fetch.too_large"),
        (origin.url("/x/hang"), "fetch.timeout"),
        ("http://127.0.0.2/a.jpg".into(), "fetch.blocked_address"),
        ("ftp://127.0.0.1/a.jpg".into(), "url.scheme"),
        ("http://[::1/a.jpg".into(), "url.invalid"),
    ];
    let mut cells: Vec<_> = faults.iter().map(|(url, _)| format!("{good}, {url}")).collect();
    // Beside an address, what is none is no path.
    cells.extend(["../secret.jpg".to_owned(), "gone.jpg".to_owned()]);
    shop.catalogue(&cells.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = shop.run(&["--timeout", "1", "--attempts", "2", "--max-bytes", "1000000"]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    let wanted = faults.iter().flat_map(|(_, code)| ["completed", code]);
    let wanted: Vec<_> = wanted.chain(["file.outside", "file.missing"]).collect();
    assert_eq!(shop.ends(), wanted);
}

#[test]
fn a_transient_fault_is_tried_again_after_the_time_it_asks_for() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[&origin.url("/x/flaky/1/caps.jpg")]);
    assert_eq!(shop.run(&[]).code, Some(0));
    let times: Vec<_> = origin.log().into_iter().map(|entry| entry.time).collect();
    assert_eq!(times.len(), 2);
    assert!(times[1] - times[0] >= 0.95, "asked again after {} s", times[1] - times[0]);
}

#[test]
fn equal_urls_are_fetched_once_and_reported_at_each_position() {
    let (origin, shop) = (origin(), Shop::new());
    let url = origin.url("/caps.jpg");
    shop.catalogue(&[&format!("{url}, {url}#top"), &url]);
    assert_eq!(shop.run(&[]).code, Some(0));
    assert_eq!(origin.log().len(), 1);
    let outputs: Vec<_> = shop.results().into_iter().map(|(_, _, output)| output).collect();
    assert_eq!(outputs, ["processed_images/000001-01-caps.jpg"; 3]);
}

#[test]
fn failed_images_are_tried_again_only_when_asked() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[&format!("{}, {}", origin.url("/caps.jpg"), origin.url("/x/flaky/1/river.jpg"))]);
    assert_eq!(shop.run(&["--attempts", "1"]).code, Some(3));
    assert_eq!(shop.run(&["--attempts", "1"]).code, Some(3));
    assert_eq!(shop.run(&["--attempts", "1", "--retry-failed"]).code, Some(0));
    let asked = |path: &str| origin.log().iter().filter(|entry| entry.path == path).count();
    assert_eq!((asked("/caps.jpg"), asked("/x/flaky/1/river.jpg")), (1, 2));
}

#[test]
fn a_folder_of_another_recipe_or_catalogue_is_refused_untouched() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[&origin.url("/caps.jpg")]);
    assert_eq!(shop.run(&[]).code, Some(0));
    let before = shop.outputs();
    let ran = shop.run(&["--quality", "40"]);
    assert_eq!(ran.code, Some(1));
    assert!(ran.said.contains("state.other_catalogue") && ran.said.contains("quality"), "{}", ran.said);
    fs::rename(shop.folder.path().join("c.csv"), shop.folder.path().join("d.csv")).unwrap();
    let other = Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .arg("run")
        .arg(shop.folder.path().join("d.csv"))
        .arg("-o")
        .arg(shop.output())
        .output()
        .expect("pixmill runs");
    assert_eq!(other.status.code(), Some(1));
    assert_eq!(shop.outputs(), before);
}

/// Waits until the origin has been asked so often; the child is still running then.
fn until_asked(origin: &Origin, child: &mut Child, times: usize) {
    while origin.log().len() < times {
        assert!(child.try_wait().expect("the child is ours").is_none(), "the run ended too early");
        std::thread::park_timeout(std::time::Duration::from_millis(5));
    }
}

#[test]
fn a_second_run_on_a_folder_in_use_is_turned_away() {
    let (origin, shop) = (origin(), Shop::new());
    shop.catalogue(&[&origin.url("/x/hang")]);
    let mut first =
        shop.command(&[]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().expect("pixmill runs");
    until_asked(&origin, &mut first, 1);
    let second = shop.run(&[]);
    first.kill().expect("the first run can be killed");
    first.wait().expect("the first run ends");
    assert_eq!(second.code, Some(1));
    assert!(second.said.contains("state.busy"), "{}", second.said);
}

#[cfg(unix)]
#[test]
fn an_interrupted_run_says_so_and_goes_on_where_it_was() {
    let (origin, shop) = (origin(), Shop::new());
    let urls: Vec<_> = (0..24).map(|number| origin.url(&format!("/x/slow/100/caps.jpg?{number}"))).collect();
    shop.catalogue(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    let mut child =
        shop.command(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("pixmill runs");
    until_asked(&origin, &mut child, 10);
    Command::new("kill").args(["-INT", &child.id().to_string()]).status().expect("kill runs");
    let ran = Ran::from(child.wait_with_output().expect("the run ends"));
    assert_eq!(ran.code, Some(130), "{}", ran.said);
    assert_eq!(ran.summary["interrupted"], true);
    assert_eq!(shop.run(&[]).code, Some(0));
    assert_eq!(shop.ends(), vec!["completed"; 24]);
    assert_eq!(shop.outputs().len(), 24);
}

#[test]
fn the_same_pictures_come_out_whatever_the_concurrency() {
    let (origin, one, many) = (origin(), Shop::new(), Shop::new());
    let urls = ["caps.jpg", "red-hat.png", "macaws.webp", "lighthouse-phone.jpg"]
        .map(|name| origin.url(&format!("/{name}")));
    for (shop, concurrency) in [(&one, "1"), (&many, "4")] {
        shop.catalogue(&urls.each_ref().map(String::as_str));
        assert_eq!(shop.run(&["--concurrency", concurrency]).code, Some(0));
    }
    assert_eq!(one.outputs(), many.outputs());
}

#[test]
fn a_catalogue_of_no_use_is_refused_with_its_reasons() {
    let shop = Shop::new();
    fs::write(shop.folder.path().join("c.csv"), "Product Name,Price\nHat,5\n").unwrap();
    let ran = shop.run(&[]);
    assert_eq!(ran.code, Some(1));
    assert_eq!(ran.summary["row_errors"][0]["code"], "catalogue.header");
    assert!(ran.said.contains("catalogue.header"), "{}", ran.said);
}

#[test]
fn a_dead_origin_ends_even_when_thousands_of_images_wait_for_it() {
    let (origin, shop) = (origin(), Shop::new());
    // More than dispatch parks, so that some are put off and have to come back.
    let mut urls: Vec<_> = (0..2_100).map(|number| format!("http://127.0.0.1:9/{number}.jpg")).collect();
    urls.push(origin.url("/caps.jpg"));
    shop.catalogue(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = shop.run(&["--attempts", "1"]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    assert_eq!((&ran.summary["failed"], &ran.summary["completed"]), (&2_100.into(), &1.into()));
}

#[test]
fn a_server_that_takes_few_requests_a_second_loses_no_picture() {
    let (origin, shop) = (origin(), Shop::new());
    let urls: Vec<_> = (0..24).map(|number| origin.url(&format!("/x/storm/4/caps.jpg?{number}"))).collect();
    shop.catalogue(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = shop.run(&["--attempts", "2"]);
    assert_eq!(ran.code, Some(0), "{} {}", ran.said, ran.summary);
    let learnt = &ran.summary["origins"][0];
    assert_eq!(learnt["origin"], origin.url("").trim_end_matches('/'));
    assert!(learnt["requests_per_second"].as_f64().is_some_and(|rate| rate < 20.0), "{learnt}");
    assert!(learnt["refused"].as_u64().is_some_and(|refused| refused < 40), "{learnt}");
}

#[test]
fn addresses_that_hang_up_among_good_ones_hold_up_nobody() {
    let (origin, shop) = (origin(), Shop::new());
    let good = (0..90).map(|number| origin.url(&format!("/caps.jpg?{number}")));
    let urls: Vec<_> = good.chain((0..10).map(|number| origin.url(&format!("/x/reset?{number}")))).collect();
    shop.catalogue(&urls.iter().map(String::as_str).collect::<Vec<_>>());
    let ran = shop.run(&["--attempts", "4"]);
    assert_eq!((&ran.summary["completed"], &ran.summary["failed"]), (&90.into(), &10.into()), "{}", ran.said);
    // An origin that is taken for dead is waited for ten minutes.
    assert!(ran.summary["seconds"].as_f64().is_some_and(|seconds| seconds < 200.0), "{}", ran.summary);
}

#[test]
fn headers_of_the_command_line_reach_their_origin_and_show_nowhere() {
    let (origin, shop) = (origin(), Shop::new());
    let elsewhere = Origin::start(Settings::serving(Pictures::Memory(BTreeMap::new()))).unwrap();
    let there = elsewhere.url("/gone.jpg").replace(':', "%3A").replace('/', "%2F");
    shop.catalogue(&[&origin.url("/caps.jpg"), &origin.url(&format!("/x/redirect-to/{there}"))]);
    fs::write(
        shop.folder.path().join("pixmill.toml"),
        format!(
            "[headers]\nReferer = \"http://shop.example/\"\n[headers.\"127.0.0.1:{}\"]\nX-Own = \"s3cret\"\n",
            origin.port()
        ),
    )
    .unwrap();
    let ran = shop.run(&["--user-agent", "Mozilla/5.0"]);
    assert_eq!(ran.code, Some(3), "{}", ran.said);
    let (here, there) = (origin.log().remove(0).headers, elsewhere.log().remove(0).headers);
    assert_eq!((here["user-agent"].as_str(), here["x-own"].as_str()), ("Mozilla/5.0", "s3cret"));
    assert_eq!(
        (there["user-agent"].as_str(), there["referer"].as_str()),
        ("Mozilla/5.0", "http://shop.example/")
    );
    assert!(!there.contains_key("x-own"), "{there:?}");
    assert!(!ran.said.contains("s3cret") && !ran.summary.to_string().contains("s3cret"));
    let refused = shop.run(&["--header", "X-Key s3cret"]);
    assert!(refused.code == Some(2) && !refused.said.contains("s3cret"), "{}", refused.said);
}
