//! `pixmill run` from outside: what the front end promises around the engine.

use std::fs::{self, File};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;

fn pixmill(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
    command.arg("run").args(arguments).current_dir(folder);
    command
}

fn run(folder: &Path, arguments: &[&str]) -> Output {
    pixmill(folder, arguments).output().unwrap()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = String::from_utf8(output.stdout.clone()).unwrap();
    text.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
}

fn error(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A folder with a picture and a catalogue of it under each name.
fn shop(catalogues: &[&str]) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    let picture = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../examples/pictures/caps.jpg");
    fs::copy(picture, folder.path().join("caps.jpg")).unwrap();
    for name in catalogues {
        fs::write(folder.path().join(name), "Name,Image Urls\nCap,\"caps.jpg, caps.jpg\"\n").unwrap();
    }
    folder
}

#[test]
fn a_run_ends_with_its_summary_and_a_second_one_resumes() {
    let folder = shop(&["c.csv"]);
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let told = lines(&output);
    let summary = &told.last().unwrap()["summary"];
    assert_eq!(
        (&summary["images"], &summary["completed"], &summary["resumed"]),
        (&2.into(), &2.into(), &0.into())
    );
    assert!(told.iter().any(|line| line["accepted"]["images"] == 2), "{told:?}");
    assert!(folder.path().join("pixmill-out/results.csv").is_file());
    let output = run(folder.path(), &["c.csv", "--json"]);
    let summary = lines(&output).pop().unwrap()["summary"].clone();
    assert_eq!(
        (&summary["completed"], &summary["resumed"], &summary["fetched_now"]),
        (&2.into(), &2.into(), &0.into())
    );
}

#[test]
fn the_catalogue_comes_again_with_outputs_in_the_places_of_addresses() {
    let folder = shop(&[]);
    let text = "\u{feff}Caps of 2026;;\r\nName;Bild;Preis\r\n\"Cap; \"\"red\"\"\";caps.jpg;9,50\r\nCup;none.jpg;7\r\n";
    fs::write(folder.path().join("c.csv"), text).unwrap();
    let output =
        run(folder.path(), &["c.csv", "--output-url-prefix", "https://cdn.shop.example/i/", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
    let understood = &lines(&output)[0]["understood"];
    assert_eq!((&understood["header_line"], &understood["columns"][0]["name"]), (&2.into(), &"Bild".into()));
    let results = fs::read_to_string(folder.path().join("pixmill-out/results.csv")).unwrap();
    let path = results.split(',').find(|cell| cell.starts_with("processed_images/")).expect("an output");
    let again = fs::read_to_string(folder.path().join("pixmill-out/c.csv")).unwrap();
    assert_eq!(again, text.replace("caps.jpg", &format!("https://cdn.shop.example/i/{path}")));
}

#[test]
fn a_catalogue_is_never_overwritten_by_itself_nor_another_file_by_it() {
    let folder = shop(&["c.csv"]);
    let before = fs::read(folder.path().join("c.csv")).unwrap();
    let into = |output| ["c.csv", "-o", output, "--output-url-prefix", "https://cdn.shop.example/"];
    assert_eq!(run(folder.path(), &into(".")).status.code(), Some(0));
    assert_eq!(fs::read(folder.path().join("c.csv")).unwrap(), before);
    assert!(fs::read_to_string(folder.path().join("new-c.csv")).unwrap().contains("processed_images/"));
    fs::create_dir(folder.path().join("out")).unwrap();
    fs::write(folder.path().join("out/c.csv"), "mine").unwrap();
    for _ in 0..2 {
        assert_eq!(run(folder.path(), &into("out")).status.code(), Some(0));
        assert_eq!(fs::read_to_string(folder.path().join("out/c.csv")).unwrap(), "mine");
        assert!(folder.path().join("out/new-c.csv").is_file());
    }
}

#[test]
fn standard_input_is_a_catalogue_too() {
    let folder = shop(&["c.csv"]);
    let input = File::open(folder.path().join("c.csv")).unwrap();
    let output =
        pixmill(folder.path(), &["-", "--quiet", "--output-url-prefix", "https://cdn.shop.example/"])
            .stdin(input)
            .output()
            .unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert!(folder.path().join("pixmill-out/standard-input.csv").is_file());
}

#[test]
fn without_addresses_for_outputs_no_catalogue_is_written_that_no_shop_could_import() {
    let folder = shop(&["c.csv"]);
    assert_eq!(run(folder.path(), &["c.csv"]).status.code(), Some(0));
    assert!(!folder.path().join("pixmill-out/c.csv").exists());
}

#[test]
fn rows_without_any_picture_are_told_loudly() {
    let folder = shop(&[]);
    fs::write(folder.path().join("c.csv"), "Name,Image Urls\nCap,N/A\n").unwrap();
    let output = run(folder.path(), &["c.csv"]);
    assert_eq!(output.status.code(), Some(3));
    assert!(String::from_utf8_lossy(&output.stdout).contains("no picture was found in 1 row"));
}

#[test]
fn people_get_a_summary_unless_they_ask_for_quiet() {
    let folder = shop(&["c.csv"]);
    let output = run(folder.path(), &["c.csv"]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("2 of 2 completed") && text.contains("results.csv"), "{text}");
    assert!(!text.contains('\u{1b}'), "styles belong on terminals alone");
    let output = run(folder.path(), &["c.csv", "--quiet"]);
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0), "{}", error(&output));
    let output = run(folder.path(), &["c.csv", "--quiet", "--json"]);
    assert_eq!(lines(&output).len(), 1);
}

#[test]
fn several_catalogues_have_folders_and_summaries_of_their_own_and_a_total() {
    let folder = shop(&["spring.csv", "autumn.csv"]);
    let output = run(folder.path(), &["spring.csv", "autumn.csv", "-o", "out", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let told = lines(&output);
    let summaries: Vec<_> = told.iter().filter_map(|line| line.get("summary")).collect();
    assert_eq!(summaries.iter().map(|summary| &summary["images"]).collect::<Vec<_>>(), [2, 2, 4]);
    for name in ["spring", "autumn"] {
        assert!(folder.path().join("out").join(name).join("results.csv").is_file(), "{name}");
    }
}

#[test]
fn a_failure_is_told_as_it_happens_and_makes_the_exit_code_3() {
    let folder = shop(&["c.csv"]);
    fs::write(folder.path().join("c.csv"), "Image Urls\ncaps.jpg\nmissing.jpg\n").unwrap();
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(output.status.code(), Some(3), "{}", error(&output));
    let told = lines(&output);
    let images: Vec<_> = told.iter().filter_map(|line| line.get("image")).collect();
    assert_eq!(images.len(), 1, "{told:?}");
    assert_eq!((&images[0]["row"], &images[0]["code"]), (&2.into(), &"file.missing".into()));
    let summary = &told.last().unwrap()["summary"];
    assert_eq!(summary["failures"][0]["code"], "file.missing");
    assert!(summary["failures"][0]["advice"].as_str().is_some_and(|advice| advice.contains("--base-dir")));
}

#[test]
fn an_animation_that_loses_its_frames_says_so_and_fails_nothing() {
    let folder = shop(&["c.csv"]);
    let fixtures = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../pixmill-codec/tests/fixtures");
    fs::copy(fixtures.join("animated.webp"), folder.path().join("animated.webp")).unwrap();
    fs::write(folder.path().join("c.csv"), "Image Urls\ncaps.jpg\n\"caps.jpg, animated.webp\"\n").unwrap();
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    assert_eq!(lines(&output).pop().unwrap()["summary"]["noted"], 1);
    let results = fs::read_to_string(folder.path().join("pixmill-out/results.csv")).unwrap();
    let rows: Vec<&str> = results.lines().collect();
    let added = "Output Image Urls,Image Status,Image Errors,Bytes Before,Bytes After";
    assert_eq!(rows[0], format!("Image Urls,Image Notes,{added}"));
    assert!(rows[1].starts_with("caps.jpg,,processed_images/"), "{results}");
    let noted = "\"caps.jpg, animated.webp\",\", only the first of 6 frames is kept\",";
    assert!(rows[2].starts_with(noted) && rows[2].contains("\"completed, completed\",\", \""), "{results}");
    fs::write(folder.path().join("c.csv"), "Image Urls\ncaps.jpg\n").unwrap();
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(lines(&output).pop().unwrap()["summary"]["noted"], 0);
    let results = fs::read_to_string(folder.path().join("pixmill-out/results.csv")).unwrap();
    assert!(results.starts_with(&format!("Image Urls,{added}\n")), "no column without a note: {results}");
}

#[test]
fn a_refused_catalogue_says_why_on_both_streams() {
    let folder = shop(&["c.csv"]);
    fs::write(folder.path().join("c.csv"), "elephant\n1\n").unwrap();
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    let summary = lines(&output).pop().unwrap()["summary"].clone();
    assert_eq!(summary["row_errors"][0]["code"], "catalogue.header");
    assert!(error(&output).contains("catalogue.header"), "{}", error(&output));
}

#[test]
fn two_runs_never_share_a_folder() {
    let folder = shop(&["c.csv"]);
    let state = folder.path().join("pixmill-out/.pixmill");
    fs::create_dir_all(&state).unwrap();
    let lock = File::create(state.join("lock")).unwrap();
    lock.lock().unwrap();
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("state.busy"), "{}", error(&output));
    assert_eq!(lines(&output).last().unwrap()["error"]["code"], "state.busy");
    drop(lock);
    assert_eq!(run(folder.path(), &["c.csv"]).status.code(), Some(0));
}

#[test]
fn another_recipe_is_refused_in_the_same_folder() {
    let folder = shop(&["c.csv"]);
    assert_eq!(run(folder.path(), &["c.csv"]).status.code(), Some(0));
    let output = run(folder.path(), &["c.csv", "--quality", "60"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(error(&output).contains("state.other_catalogue"), "{}", error(&output));
}

/// Signals a run that hangs on an origin which never answers, and waits for its end.
#[cfg(unix)]
fn signalled(signal: &str) -> Output {
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let folder = shop(&[]);
    let catalogue = format!("Image Urls\ncaps.jpg\nhttp://{}/a.jpg\n", silent.local_addr().unwrap());
    fs::write(folder.path().join("c.csv"), catalogue).unwrap();
    let child =
        pixmill(folder.path(), &["c.csv", "--json", "--allow-address", "127.0.0.1", "--timeout", "2"])
            .stdout(std::process::Stdio::piped())
            .stderr(std::process::Stdio::piped())
            .spawn()
            .unwrap();
    // The origin is called only once the run is under way.
    let _connection = silent.accept().unwrap();
    let killed = Command::new("kill").args([signal, &child.id().to_string()]).status().unwrap();
    assert!(killed.success());
    child.wait_with_output().unwrap()
}

#[cfg(unix)]
#[test]
fn a_signal_stops_cleanly_and_leaves_what_is_finished() {
    for signal in ["-INT", "-TERM"] {
        let output = signalled(signal);
        assert_eq!(output.status.code(), Some(130), "{signal}: {}", error(&output));
        assert!(error(&output).contains("run again to resume"), "{}", error(&output));
        let summary = lines(&output).pop().unwrap()["summary"].clone();
        assert_eq!((&summary["interrupted"], &summary["images"]), (&true.into(), &2.into()), "{summary}");
    }
}

#[test]
fn the_walk_in_the_readme_from_a_shop_and_back_is_what_happens() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let readme = fs::read_to_string(root.join("README.md")).unwrap();
    let walk = readme.split("### From a shop and back into it").nth(1).unwrap();
    let blocks: Vec<&str> = walk.split("```").skip(1).step_by(2).collect();
    let (before, command, after) =
        (blocks[0].trim_start(), blocks[1].trim_start_matches("sh\n"), blocks[2].trim_start());
    let folder = tempfile::tempdir().unwrap();
    let mut words = command.split_whitespace();
    assert_eq!((words.next(), words.next()), (Some("pixmill"), Some("run")));
    let arguments: Vec<&str> = words.collect();
    fs::write(folder.path().join(arguments[0]), before).unwrap();
    let pictures = root.join("examples").canonicalize().unwrap();
    let mut run = pixmill(folder.path(), &arguments);
    run.arg("--base-dir").arg(&pictures).arg("--quiet");
    assert_eq!(run.status().unwrap().code(), Some(0));
    let again = fs::read_to_string(folder.path().join("pixmill-out").join(arguments[0])).unwrap();
    assert_eq!(again, after);
}

#[test]
fn outputs_that_are_gone_are_made_again() {
    let folder = shop(&[]);
    fs::copy(folder.path().join("caps.jpg"), folder.path().join("hats.jpg")).unwrap();
    fs::write(folder.path().join("c.csv"), "Name,Image Urls\nCap,\"caps.jpg, hats.jpg\"\n").unwrap();
    assert_eq!(run(folder.path(), &["c.csv"]).status.code(), Some(0));
    let outputs = ["000001-01-caps.jpg", "000001-02-hats.jpg"]
        .map(|name| folder.path().join("pixmill-out/processed_images").join(name));
    let made = outputs.clone().map(|output| fs::read(output).unwrap());
    fs::remove_file(&outputs[1]).unwrap();
    let output = run(folder.path(), &["c.csv", "--json"]);
    assert_eq!(output.status.code(), Some(0), "{}", error(&output));
    let summary = lines(&output).pop().unwrap()["summary"].clone();
    assert_eq!((&summary["completed"], &summary["resumed"]), (&2.into(), &1.into()), "{summary}");
    assert!(outputs.map(|output| fs::read(output).unwrap()) == made);
}
