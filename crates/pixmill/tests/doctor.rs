//! `pixmill doctor` on the real binary: what is well, what is wrong, and what to do.

use std::process::{Command, Output};

#[cfg(feature = "bullmq")]
use pixmill_testkit::services::redis::{Persistence, Redis};
use pixmill_testkit::storage::cloudinary::Cloudinary;
use pixmill_testkit::storage::standin::Trouble;
use serde_json::Value;

/// Runs it in an empty folder.
fn doctor(arguments: &[&str], environment: &[(&str, &str)]) -> Output {
    let folder = tempfile::tempdir().unwrap();
    Command::new(env!("CARGO_BIN_EXE_pixmill"))
        .arg("doctor")
        .args(arguments)
        .current_dir(folder.path())
        .envs(environment.iter().copied())
        .output()
        .unwrap()
}

/// Verdict and words of a finding, by part and what it is about.
fn finding(output: &Output, part: &str, about: &str) -> (String, String) {
    let told: Value = serde_json::from_slice(&output.stdout).unwrap();
    let parts = told["parts"].as_array().unwrap();
    let part = parts.iter().find(|one| one["part"] == part).unwrap();
    let found = part["findings"].as_array().unwrap().iter().find(|one| one["about"] == about);
    let found = found.unwrap_or_else(|| panic!("nothing about {about}: {part}"));
    let text = |name: &str| found[name].as_str().unwrap().to_owned();
    assert_eq!(text("verdict") == "ok", text("advice").is_empty(), "whoever complains says what to do");
    (text("verdict"), text("told"))
}

#[test]
fn embedded_defaults_are_well() {
    let output = doctor(&["--json"], &[]);
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    for part in ["records", "storage"] {
        assert_eq!(finding(&output, part, "round trip").0, "ok");
    }
    assert!(finding(&output, "webhook", "secret").1.starts_with("whsec_"));
    let said = doctor(&[], &[]);
    assert!(String::from_utf8_lossy(&said.stdout).ends_with("All is well.\n"));
}

#[test]
fn a_secret_that_was_set_is_not_shown() {
    let secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD";
    let output = doctor(&["--json"], &[("PIXMILL_WEBHOOK_SECRET", secret)]);
    assert_eq!(finding(&output, "webhook", "secret").0, "ok");
    assert!(!String::from_utf8_lossy(&output.stdout).contains(secret));
}

#[test]
fn a_folder_that_cannot_be_written_to_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, b"").unwrap();
    let output = doctor(&["--json", "--storage", &format!("file:{}/images", file.display())], &[]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(finding(&output, "storage", "reachable").0, "wrong");
    assert_eq!(finding(&output, "records", "round trip").0, "ok", "the others are looked at all the same");
}

#[test]
fn cloudinary_is_asked_and_left_as_it_was() {
    let service = Cloudinary::start().unwrap();
    let ask = || doctor(&["--json"], &[("CLOUDINARY_URL", &service.address())]);
    let output = ask();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    for about in ["credentials", "clock", "round trip"] {
        assert_eq!(finding(&output, "storage", about).0, "ok");
    }
    assert!(service.service().assets().is_empty());

    service.misbehave(|number| (number == 1).then_some(Trouble::Refused(403, vec![])));
    let output = ask();
    assert_eq!(
        (output.status.code(), finding(&output, "storage", "round trip").0.as_str()),
        (Some(0), "warning")
    );

    service.misbehave(|_| Some(Trouble::Refused(500, vec![])));
    assert_eq!(ask().status.code(), Some(1));
}

#[test]
fn wrong_credentials_are_named_and_secrets_are_not() {
    let service = Cloudinary::start().unwrap();
    let address = service.address().replace(Cloudinary::SECRET, "hush-hush");
    let output = doctor(&["--json"], &[("CLOUDINARY_URL", &address)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(finding(&output, "storage", "credentials").0, "wrong");
    let said =
        String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
    assert!(!said.contains("hush-hush"), "{said}");
}

#[test]
fn nobody_at_the_address_is_wrong() {
    let address = {
        let service = Cloudinary::start().unwrap();
        service.address()
    };
    let output = doctor(&["--json"], &[("CLOUDINARY_URL", &address)]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(finding(&output, "storage", "credentials").0, "wrong");
}

#[cfg(feature = "bullmq")]
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_throws_jobs_away_is_warned_of_and_left_as_it_was() {
    let redis = Redis::start(Persistence::None, &["--maxmemory-policy", "allkeys-lru"]).await;
    let url = redis.url();
    let output =
        tokio::task::spawn_blocking(move || doctor(&["--json"], &[("REDIS_URL", &url)])).await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stdout));
    for about in ["version", "clock", "round trip"] {
        assert_eq!(finding(&output, "queue", about).0, "ok", "{about}");
    }
    let (verdict, told) = finding(&output, "queue", "memory");
    assert_eq!((verdict.as_str(), told.contains("allkeys-lru")), ("warning", true), "{told}");
    assert_eq!(finding(&output, "together", "hosts").0, "warning", "records are a file of this machine");
}

#[test]
fn a_bundle_holds_what_was_found_and_no_secret() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(
        folder.path().join("pixmill.toml"),
        "webhook_url = \"https://hooks.example/planted-path?token=planted-token\"\nquality = 42\n",
    )
    .unwrap();
    let planted = [
        ("REDIS_URL", "redis://user:planted-redis@127.0.0.1:1/"),
        ("PIXMILL_API_KEY", "pxm_planted-key"),
        ("PIXMILL_METRICS_TOKEN", "planted-metrics-token"),
        ("PIXMILL_WEBHOOK_SECRET", "whsec_cGxhbnRlZC1zZWNyZXQtb2YtYS13ZWJob29r"),
        ("PIXMILL_HEADER", "Authorization: Bearer planted-header"),
        ("PIXMILL_PROXY", "http://user:planted-proxy@127.0.0.1:1"),
        ("AWS_SECRET_ACCESS_KEY", "planted-aws"),
    ];
    let bundle = |file: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
        command.args(["doctor", "--bundle", file, "--config", "pixmill.toml"]);
        command.current_dir(folder.path()).envs(planted).output().unwrap()
    };
    let output = bundle("for-support.tar");
    let told = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(told.contains("findings.json, settings.json, system.json"), "{told}");
    let bytes = std::fs::read(folder.path().join("for-support.tar")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    for secret in ["planted", "cGxhbnRlZC1zZWNyZXQ"] {
        let at = text.find(secret).map(|at| &text[at.saturating_sub(200)..(at + 50).min(text.len())]);
        assert_eq!(at, None, "{secret}");
    }
    for wanted in ["\"quality in line 2 of pixmill.toml\"", "\"redis://***@127.0.0.1:1/\"", "\"features\""] {
        assert!(text.contains(wanted), "{wanted}: {text}");
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(folder.path().join("for-support.tar")).unwrap();
        assert_eq!(found.permissions().mode() & 0o777, 0o600);
    }
    let again = bundle("for-support.tar");
    assert_eq!(again.status.code(), Some(1), "one that is there is not written over");
}

#[test]
fn the_secret_in_the_state_folder_is_in_no_bundle() {
    let folder = tempfile::tempdir().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
    let output = command.args(["doctor", "--bundle", "b.tar"]).current_dir(folder.path()).output().unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", String::from_utf8_lossy(&output.stderr));
    let secret = std::fs::read_to_string(folder.path().join("pixmill-data/webhook-secret")).unwrap();
    let bytes = std::fs::read(folder.path().join("b.tar")).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    assert!(!text.contains(secret.trim()), "{text}");
    assert!(
        text.contains("whsec_***") || text.contains("*** (give it"),
        "it is told that there is one: {text}"
    );
}

#[cfg(unix)]
#[tokio::test]
async fn outputs_without_a_record_and_records_without_an_output_are_found() {
    use crate::seeded::{catalogue, pictures};
    use crate::server::{Process, Server};
    use pixmill_testkit::origin::{Origin, Settings};

    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let server = Server::new();
    let working = Process::start(&mut server.command(&[]));
    let (whole, torn) = (
        server.accept(&catalogue(&origin.url(""), 6).0, None).await,
        server.accept(&catalogue(&origin.url(""), 6).0, None).await,
    );
    server.wait_for(&whole).await;
    server.wait_for(&torn).await;
    let data = server.data();
    let list = tempfile::tempdir().unwrap();
    let list = list.path().join("orphans.tsv");
    let look = || {
        let asked = format!("--orphans={}", list.display());
        let output = doctor(&["--json", &asked, "--data", data.to_str().unwrap()], &[]);
        let verdicts = ["outputs", "images", "catalogues"].map(|about| finding(&output, "orphans", about));
        (verdicts, std::fs::read_to_string(&list).unwrap())
    };
    let (well, listed) = look();
    assert!(well.iter().all(|(verdict, _)| verdict == "ok") && listed.is_empty(), "{well:?} {listed}");

    let outputs = server.storage().join("processed_images");
    let mut kept: Vec<_> =
        std::fs::read_dir(outputs.join(torn.as_str())).unwrap().map(|one| one.unwrap()).collect();
    kept.sort_by_key(|entry| entry.file_name());
    let gone = kept[0].file_name().into_string().unwrap();
    std::fs::remove_file(kept[0].path()).unwrap();
    std::fs::write(outputs.join(whole.as_str()).join("999999-01-left.jpg"), "left").unwrap();
    std::fs::create_dir_all(outputs.join("nobody/010000")).unwrap();
    std::fs::write(outputs.join("nobody/010000/010001-01.jpg"), "left").unwrap();
    std::fs::write(outputs.join("000001-01-of-a-run.jpg"), "left").unwrap();
    let (found, listed) = look();
    assert!(found[0].0 == "warning" && found[0].1.starts_with("3 of "), "{found:?}");
    assert!(found[1].0 == "warning" && found[1].1.contains(&gone), "{found:?}");
    let mut lines: Vec<_> = listed.lines().collect();
    lines.sort_unstable();
    let (left, lost) =
        (format!("processed_images/{whole}/999999-01-left.jpg"), format!("processed_images/{torn}/{gone}"));
    assert_eq!(
        lines,
        [
            format!("gone\t{lost}\t{torn}"),
            "stray\tprocessed_images/000001-01-of-a-run.jpg".to_owned(),
            format!("stray\t{left}"),
            "stray\tprocessed_images/nobody/010000/010001-01.jpg".to_owned(),
        ]
    );
    std::fs::remove_dir_all(outputs.join(torn.as_str())).unwrap();
    let all = format!("{} outputs", kept.len());
    assert!(look().0[1].1.starts_with(&all), "the whole folder is gone");
    working.signal("TERM");
    assert!(working.stopped(), "{}", server.said());
}
