//! The rules that keep the layers apart: a text scan and `cargo metadata`, each failure with its path and reason.

mod circles;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

/// What each crate of ours may depend on, of ours. Development dependencies may add the testkit.
const EDGES: [(&str, &[&str]); 8] = [
    ("pixmill-avif", &[]),
    ("pixmill-cpu", &[]),
    ("pixmill-resize", &[]),
    ("pixmill-codec", &["pixmill-avif", "pixmill-cpu", "pixmill-resize"]),
    ("pixmill-engine", &["pixmill-codec"]),
    ("pixmill-adapters", &["pixmill-codec", "pixmill-engine"]),
    ("pixmill-testkit", &["pixmill-engine"]),
    ("pixmill", &["pixmill-adapters", "pixmill-codec", "pixmill-engine"]),
];

const TESTKIT: &str = "pixmill-testkit";

/// Crates that speak to something outside; the engine knows none of them.
const VENDORS: [&str; 30] = [
    "hyper",
    "hyper-util",
    "hyper-rustls",
    "reqwest",
    "ureq",
    "axum",
    "tower-http",
    "actix-web",
    "http",
    "rustls",
    "native-tls",
    "rusqlite",
    "libsqlite3-sys",
    "sqlx",
    "diesel",
    "redis",
    "fred",
    "deadpool-redis",
    "bullmq-official",
    "mongodb",
    "bson",
    "object_store",
    "opendal",
    "aws-sdk-s3",
    "aws-config",
    "cloudinary",
    "opentelemetry",
    "opentelemetry_sdk",
    "opentelemetry-otlp",
    "tracing-opentelemetry",
];

/// Files that may hold unsafe code: the call of what is compiled for some machines only.
const UNSAFE: [&str; 1] = ["crates/pixmill-cpu/src/lib.rs"];

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").canonicalize().unwrap()
}

fn packages() -> Vec<Value> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    metadata["packages"].as_array().unwrap().clone()
}

/// Dependencies by crate: those of development apart.
fn dependencies(package: &Value, development: bool) -> BTreeSet<String> {
    let dependencies = package["dependencies"].as_array().unwrap().iter();
    let wanted = dependencies.filter(|dependency| (dependency["kind"] == "dev") == development);
    wanted.map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
}

/// A source file: where it is, and its text without comments and without what is only compiled for tests.
struct Source {
    path: String,
    code: String,
}

/// Sources below a folder of the project, sorted.
fn sources(folder: &str) -> Vec<Source> {
    let mut files = Vec::new();
    collect(&root().join(folder), &mut files);
    files.sort();
    assert!(!files.is_empty(), "{folder} holds no source: the rules about it keep nothing");
    let relative = |file: &Path| file.strip_prefix(root()).unwrap().to_string_lossy().replace('\\', "/");
    files
        .iter()
        .map(|file| Source { path: relative(file), code: code(&fs::read_to_string(file).unwrap()) })
        .collect()
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            files.push(path);
        }
    }
}

/// Text without line comments, up to the inline module of tests, which stands last in a file.
fn code(text: &str) -> String {
    let text = text.split("#[cfg(test)]\nmod tests {").next().unwrap_or_default();
    text.lines().map(|line| line.split("//").next().unwrap_or_default()).collect::<Vec<_>>().join("\n")
}

fn is_of_tests(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or_default();
    matches!(name, "tests.rs" | "properties.rs" | "variants.rs") || path.contains("/tests/")
}

/// Whether `code` holds `word` as words of its own, so that `async` is not found in `async_trait`.
fn holds(code: &str, word: &str) -> bool {
    let part_of_a_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    code.match_indices(word).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = code[at + word.len()..].chars().next();
        !before.is_some_and(part_of_a_name) && !after.is_some_and(part_of_a_name)
    })
}

/// Fails for each file of the folder that holds one of the words, saying why it must not.
fn forbid(folder: &str, words: &[&str], allowed: impl Fn(&str) -> bool, reason: &str) {
    let mut broken = Vec::new();
    for source in sources(folder) {
        if is_of_tests(&source.path) || allowed(&source.path) {
            continue;
        }
        for word in words.iter().filter(|word| holds(&source.code, word)) {
            broken.push(format!("{}: {word}: {reason}", source.path));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn crates_depend_only_downwards() {
    let edges: BTreeMap<_, _> = EDGES.into_iter().collect();
    let mut broken = Vec::new();
    for package in packages() {
        let name = package["name"].as_str().unwrap();
        let path = package["manifest_path"].as_str().unwrap();
        let Some(allowed) = edges.get(name) else {
            broken.push(format!("{path}: {name} has no place among the layers: give it one in EDGES"));
            continue;
        };
        for (development, what) in [(false, "depends on"), (true, "is tested with")] {
            for dependency in dependencies(&package, development) {
                let ours = edges.contains_key(dependency.as_str());
                let fine = allowed.contains(&dependency.as_str()) || (development && dependency == TESTKIT);
                if ours && !fine {
                    broken.push(format!(
                        "{path}: {name} {what} {dependency}, which lies above it or is for tests only"
                    ));
                }
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_layer_is_there() {
    let names: BTreeSet<String> =
        packages().iter().map(|package| package["name"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, EDGES.iter().map(|(name, _)| (*name).to_owned()).collect());
}

#[test]
fn the_engine_knows_no_vendor() {
    for package in packages().iter().filter(|package| package["name"] == "pixmill-engine") {
        let known = dependencies(package, false);
        let vendors: Vec<_> = VENDORS.into_iter().filter(|vendor| known.contains(*vendor)).collect();
        assert!(vendors.is_empty(), "crates/pixmill-engine/Cargo.toml: {vendors:?} belong into adapters");
    }
}

#[test]
fn the_codec_is_a_pure_function() {
    let reason = "the codec is a pure function of bytes and recipe";
    let words = [
        "tokio",
        "async",
        "std::fs",
        "std::net",
        "std::env",
        "std::thread",
        "SystemTime",
        "Instant",
        "File",
        "env!",
    ];
    forbid("crates/pixmill-codec/src", &words, |_| false, reason);
    for package in packages().iter().filter(|package| package["name"] == "pixmill-codec") {
        assert!(
            !dependencies(package, false).contains("tokio"),
            "crates/pixmill-codec/Cargo.toml: tokio: {reason}"
        );
    }
}

#[test]
fn the_engine_takes_time_from_its_port() {
    let words = ["SystemTime::now", "Instant::now", "tokio::time", "std::thread::sleep"];
    forbid(
        "crates/pixmill-engine/src",
        &words,
        |_| false,
        "time comes from port/clock.rs, so that tests may turn it",
    );
}

#[test]
fn model_and_catalogue_are_synchronous_and_know_no_port() {
    let words = ["async", "await", "tokio", "port", "pipeline"];
    let of_them = |path: &str| {
        ["model", "catalogue"].iter().any(|part| {
            path.starts_with(&format!("crates/pixmill-engine/src/{part}/"))
                || path == format!("crates/pixmill-engine/src/{part}.rs")
        })
    };
    forbid(
        "crates/pixmill-engine/src",
        &words,
        |path| !of_them(path),
        "it is pure: states, rows and their rules",
    );
}

#[test]
fn adapters_are_named_in_one_module() {
    let wiring = "crates/pixmill/src/wiring";
    let allowed = |path: &str| path == format!("{wiring}.rs") || path.starts_with(&format!("{wiring}/"));
    forbid(
        "crates/pixmill/src",
        &["pixmill_adapters"],
        allowed,
        "wiring is the only module that picks adapters",
    );
}

#[test]
fn the_environment_is_read_in_config_alone() {
    let words = ["env::var", "env::var_os", "env::vars", "env::vars_os"];
    let reason = "the environment is read in crates/pixmill/src/config alone";
    forbid("crates/pixmill/src", &words, |path| path.starts_with("crates/pixmill/src/config/"), reason);
    for folder in ["crates/pixmill-engine/src", "crates/pixmill-adapters/src"] {
        forbid(folder, &words, |_| false, reason);
    }
}

#[test]
fn the_stages_are_the_files() {
    let source = fs::read_to_string(root().join("crates/pixmill-engine/src/pipeline.rs")).unwrap();
    let listed: BTreeSet<&str> = pixmill_engine::pipeline::STAGES.into_iter().collect();
    let folder = root().join("crates/pixmill-engine/src/pipeline");
    let mut files = BTreeSet::new();
    for entry in fs::read_dir(&folder).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        files.extend(name.strip_suffix(".rs").map(str::to_owned));
    }
    // What is no stage serves one and says so where it is declared.
    let serves: BTreeSet<&str> = SERVES.into_iter().collect();
    let stages: BTreeSet<&str> =
        files.iter().map(String::as_str).filter(|name| !serves.contains(name)).collect();
    assert_eq!(stages, listed, "crates/pixmill-engine/src/pipeline/: files and STAGES differ");
    for name in files.iter().map(String::as_str) {
        assert!(
            source.contains(&format!("mod {name};")),
            "crates/pixmill-engine/src/pipeline/{name}.rs: not declared"
        );
    }
    assert!(
        pixmill_engine::pipeline::STAGES.is_sorted(),
        "STAGES: a folder listing tells the story, so names sort"
    );
}

/// Files in the pipeline's folder that are no stages: what several stages share.
const SERVES: [&str; 2] = ["budget", "fair"];

#[test]
fn modules_say_what_they_are_about() {
    let nameless = ["util", "utils", "common", "helper", "helpers", "misc", "types"];
    let mut broken = Vec::new();
    for source in sources("crates") {
        let parts = source.path.trim_end_matches(".rs").split('/');
        broken.extend(
            parts
                .filter(|part| nameless.contains(part))
                .map(|part| format!("{}: '{part}' says nothing about what is in it", source.path)),
        );
        for name in nameless.iter().filter(|name| source.code.contains(&format!("mod {name} {{"))) {
            broken.push(format!("{}: 'mod {name}' says nothing about what is in it", source.path));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn unsafe_code_stays_where_it_is_allowed() {
    let mut broken = Vec::new();
    for source in sources("crates").iter().filter(|source| !source.path.ends_with("tests/tidy.rs")) {
        // A word of the Content-Security-Policy, too.
        let code = source.code.replace("'unsafe-inline'", "");
        if holds(&code, "unsafe") && !UNSAFE.contains(&source.path.as_str()) {
            broken.push(format!("{}: unsafe: allowed only in {UNSAFE:?}", source.path));
        }
    }
    for package in packages() {
        let manifest = package["manifest_path"].as_str().unwrap();
        let text = fs::read_to_string(manifest).unwrap();
        // Whose file may hold unsafe code can't inherit that it is forbidden.
        let lints = if package["name"] == "pixmill-cpu" {
            "[lints.rust]\nunsafe_code = \"deny\""
        } else {
            "[lints]\nworkspace = true"
        };
        if !text.contains(lints) {
            broken.push(format!("{manifest}: does not inherit the workspace's lints"));
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_adapter_is_in_its_ports_suite() {
    let adapters = root().join("crates/pixmill-adapters");
    let conformance = texts(&adapters.join("tests"));
    let mut broken = Vec::new();
    for port in ["queue", "storage", "records"] {
        for entry in fs::read_dir(adapters.join("src").join(port)).unwrap() {
            let path = entry.unwrap().path();
            let adapter = path.file_stem().unwrap().to_str().unwrap();
            let suite = format!("testkit::{port}::suite(");
            let beside = conformance.contains(&format!("{port}::{adapter}")) && conformance.contains(&suite);
            // An adapter of several files may run the suite in tests of its own.
            let inside = texts(&path.with_extension("")).contains(&suite);
            if !beside && !inside {
                broken.push(format!("{}: not in {suite}…)", path.display()));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

#[test]
fn every_file_of_tests_is_compiled() {
    let mut broken = Vec::new();
    for package in packages() {
        let folder = Path::new(package["manifest_path"].as_str().unwrap()).with_file_name("tests");
        let targets: BTreeSet<PathBuf> = package["targets"]
            .as_array()
            .unwrap()
            .iter()
            .map(|target| PathBuf::from(target["src_path"].as_str().unwrap()))
            .collect();
        let declared: String = targets.iter().map(|file| fs::read_to_string(file).unwrap()).collect();
        let files = fs::read_dir(&folder).into_iter().flatten().map(|entry| entry.unwrap().path());
        for file in files.filter(|file| file.extension().is_some_and(|extension| extension == "rs")) {
            let name = file.file_stem().unwrap().to_str().unwrap();
            if !targets.contains(&file) && !declared.contains(&format!("mod {name};")) {
                broken.push(format!(
                    "{}: nothing compiles it: declare `mod {name};` in the test binary beside it, and take what \
                     several files share from there (`use crate::server`, not `mod server`)",
                    file.display()
                ));
            }
        }
    }
    assert!(broken.is_empty(), "\n{}", broken.join("\n"));
}

/// All sources below a folder as they are; nothing where there is no folder.
fn texts(folder: &Path) -> String {
    let mut files = Vec::new();
    if folder.is_dir() {
        collect(folder, &mut files);
    }
    files.iter().map(|file| fs::read_to_string(file).unwrap()).collect()
}

#[test]
fn the_scan_sees_code_and_not_what_is_said_about_it() {
    let text =
        "//! async talk\nfn a() {} // unsafe talk\n#[cfg(test)]\nmod tests {\n    async fn b() {}\n}\n";
    assert!(!holds(&code(text), "async") && !holds(&code(text), "unsafe"));
    assert!(holds("pub async fn a()", "async"));
    assert!(!holds("#[async_trait]", "async") && !holds("import", "port"));
}
