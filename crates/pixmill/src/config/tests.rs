mod commands;
mod page;

use std::ffi::OsString;

use clap::CommandFactory;

use super::file::File;
use super::{parse as parse_any, *};
use crate::command::Cli;

/// Reads the program's own command line.
fn parse(layers: Layers) -> Result<Told<Cli>, Misuse> {
    parse_any(layers)
}

fn layers(arguments: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> Layers {
    let pair = |(name, value): &(&str, &str)| (OsString::from(name), OsString::from(value));
    Layers {
        arguments: std::iter::once("pixmill").chain(arguments.iter().copied()).map(OsString::from).collect(),
        variables: variables.iter().map(pair).collect(),
        file: file.map(file::File::with),
    }
}

/// What `image` is told its recipe is.
fn recipe(arguments: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> pixmill_codec::Recipe {
    let arguments = [&["image", "a", "b"], arguments].concat();
    parse(layers(&arguments, variables, file)).expect("all of it is right").cli.image_recipe().expect("image")
}

fn complaint(arguments: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> String {
    match parse(layers(arguments, variables, file)).expect_err("something is wrong") {
        Misuse::Setting(message) => message,
        Misuse::Flags(error) => panic!("{error} is about flags"),
    }
}

const RUN: &[&str] = &["run", "c.csv"];

#[test]
fn the_command_line_is_sound() {
    Cli::command().debug_assert();
}

#[test]
fn flags_win_over_environment_over_file_over_defaults() {
    let file = Some("quality = 30");
    let variables = [("PIXMILL_QUALITY", "40")];
    assert_eq!(recipe(&[], &[], None).quality, 50);
    assert_eq!(recipe(&[], &[], file).quality, 30);
    assert_eq!(recipe(&[], &variables, file).quality, 40);
    assert_eq!(recipe(&["--quality", "60"], &variables, file).quality, 60);
}

#[test]
fn a_flag_repeats_no_default_so_that_saying_it_counts() {
    assert_eq!(recipe(&["--quality", "50"], &[("PIXMILL_QUALITY", "40")], None).quality, 50);
}

#[test]
fn switches_are_true_or_false() {
    assert!(recipe(&[], &[("PIXMILL_PROGRESSIVE", "true")], None).progressive);
    assert!(!recipe(&[], &[("PIXMILL_PROGRESSIVE", "false")], Some("progressive = true")).progressive);
    assert_eq!(
        complaint(RUN, &[("PIXMILL_PROGRESSIVE", "yes")], None),
        "'yes' is not a value for PIXMILL_PROGRESSIVE in the environment: allowed are true and false"
    );
}

#[test]
fn the_recipe_may_stand_in_its_own_section() {
    let recipe = recipe(&[], &[], Some("[recipe]\nformat = \"webp\"\nmax_width = 1_600\n"));
    assert_eq!((recipe.format, recipe.max_width), (pixmill_codec::Format::Webp, Some(1600)));
}

#[test]
fn wrong_values_say_which_where_and_what_is_allowed() {
    assert_eq!(
        complaint(RUN, &[("PIXMILL_QUALITY", "101")], None),
        "'101' is not a value for PIXMILL_QUALITY in the environment: allowed are whole numbers from 1 to 100"
    );
    assert_eq!(
        complaint(RUN, &[], Some("# ours\n\n[recipe]\nformat = \"bmp\"\n")),
        "'bmp' is not a value for [recipe] format in line 4 of pixmill.toml: allowed are jpeg, webp, avif, png, keep"
    );
    assert_eq!(
        complaint(RUN, &[("PIXMILL_ALLOW_ADDRESS", "10.0.0.0/8, elephant")], None),
        "'10.0.0.0/8, elephant' is not a value for PIXMILL_ALLOW_ADDRESS in the environment: allowed are ranges such \
         as 10.0.0.0/8 or fd00::/8, and single addresses"
    );
    assert_eq!(
        complaint(RUN, &[], Some("quality = [1, 2]")),
        "'1, 2' is not a value for quality in line 1 of pixmill.toml: a single value is allowed"
    );
}

#[test]
fn unknown_names_are_told_with_what_may_have_been_meant() {
    assert_eq!(
        complaint(RUN, &[("PIXMILL_QUALTIY", "40")], None),
        "PIXMILL_QUALTIY in the environment is not a setting: did you mean PIXMILL_QUALITY?"
    );
    assert_eq!(
        complaint(RUN, &[], Some("per_orgin = 3")),
        "per_orgin in line 1 of pixmill.toml is not a setting: did you mean per_origin?"
    );
    assert_eq!(
        complaint(RUN, &[], Some("[elephants]\nlarge = true")),
        "elephants in line 1 of pixmill.toml is not a setting"
    );
}

#[test]
fn what_is_not_toml_is_told_with_its_line() {
    let message = complaint(RUN, &[], Some("quality = 40\nformat = = 3\n"));
    assert!(message.starts_with("pixmill.toml can't be parsed") && message.contains("line 2"), "{message}");
}

#[test]
fn a_key_is_set_once() {
    assert_eq!(
        complaint(RUN, &[], Some("quality = 40\n[recipe]\nquality = 41\n")),
        "[recipe] quality in line 3 of pixmill.toml is also set by quality in line 1 of pixmill.toml: remove one"
    );
}

#[test]
fn settings_of_the_server_and_of_other_commands_do_no_harm() {
    let variables = [
        ("PIXMILL_QUEUE", "redis://h"),
        ("PIXMILL_OFFLINE", "true"),
        ("PIXMILL_TEST_SEEDS", "10"),
        ("HOME", "/"),
    ];
    recipe(&[], &variables, Some("webhook_url = \"https://h\"\nattempts = 3\n"));
}

/// What `serve` is told of queue, records and storage.
fn backends(arguments: &[&str], variables: &[(&str, &str)], file: Option<&str>) -> [String; 3] {
    let arguments = [&["serve"], arguments].concat();
    let file = file.map(|text| File { named: true, ..File::with(text) });
    let told = parse(Layers { file, ..layers(&arguments, variables, None) });
    told.expect("all of it is right").cli.serve_backends().expect("serve")
}

#[test]
fn a_server_without_settings_stands_on_its_state_folder() {
    let embedded = ["database", "sqlite:pixmill-data/pixmill.db", "file:pixmill-data/images"];
    assert_eq!(backends(&[], &[], None), embedded);
    let elsewhere = ["database", "sqlite:/var/p/pixmill.db", "file:/var/p/images"];
    assert_eq!(backends(&[], &[("PIXMILL_DATA", "/var/p")], None), elsewhere);
}

#[test]
fn names_of_the_ecosystem_are_read_where_ours_are_not_set() {
    let theirs = [
        ("REDIS_URL", "redis://cache"),
        ("MONGO_URL", "mongodb://third/shop"),
        ("MONGO_URI", "mongodb://second/shop"),
        ("CLOUDINARY_CLOUD_NAME", "cloud"),
        ("CLOUDINARY_API_KEY", "1"),
        ("CLOUDINARY_API_SECRET", "s"),
    ];
    assert_eq!(
        backends(&[], &theirs, None),
        ["redis://cache", "mongodb://second/shop", "cloudinary://***@cloud"]
    );
    let ours = [&theirs[..], &[("PIXMILL_QUEUE", "database"), ("CLOUDINARY_URL", "cloudinary://2:t@other")]]
        .concat();
    assert_eq!(backends(&[], &ours, None), ["database", "mongodb://second/shop", "cloudinary://***@other"]);
    let file = Some("queue = \"redis://file\"\nstorage = \"file:out\"\n");
    assert_eq!(
        backends(&["--storage", "s3://b/p"], &[], file)[..],
        ["redis://file", "sqlite:pixmill-data/pixmill.db", "s3://b/p"]
    );
    assert_eq!(backends(&[], &theirs[..1], file)[0], "redis://cache", "the environment wins over the file");
    assert_eq!(backends(&[], &[("REDIS_URL", "")], None)[0], "database", "an empty variable is not set");
}

#[test]
fn an_application_is_read_as_its_environment_and_its_file_of_variables_have_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("app.env");
    let text = "# of the shop\nexport REDIS_HOST=cache\nREDIS_PORT='6380'\nREDIS_PASSWORD=\"p@ss\"\n\
                DB_URL=postgres://db/shop\nDB_URI=mongodb://db/shop\nPIXMILL_QUALITY=40\nPORT=8080\n";
    std::fs::write(&path, text).unwrap();
    let path = path.to_str().unwrap();
    let seen = backends(&["--env-file", path], &[], None);
    assert_eq!(seen[..2], ["redis://***@cache:6380", "mongodb://db/shop"]);
    assert_eq!(backends(&[], &[("PIXMILL_ENV_FILE", path)], None), seen);
    let over = [("REDIS_URL", "redis://other"), ("DB_URI", "mongodb://other/shop")];
    let over = backends(&["--env-file", path], &over, None);
    assert_eq!(over[..2], ["redis://other", "mongodb://other/shop"], "the environment wins");
    assert!(complaint(&["serve", "--env-file", "/nowhere/.env"], &[], None).contains("/nowhere/.env"));
    let file = Some("env_file = \".env\"");
    assert!(complaint(&["serve"], &[], file).contains("env_file"));
    assert_eq!(backends(&[], &[("DB_URL", "postgres://db/shop")], None)[1], "sqlite:pixmill-data/pixmill.db");
}

#[test]
fn a_worker_that_is_not_told_whose_work_it_does_is_refused() {
    let refused = |arguments: &[&str], variables: &[(&str, &str)]| {
        let arguments = [&["serve", "--role", "worker"], arguments].concat();
        parse(layers(&arguments, variables, None))
            .expect("all of it can be read")
            .cli
            .serve_backends()
            .is_none()
    };
    let (redis, mongodb) = (("REDIS_URL", "redis://cache"), ("MONGODB_URI", "mongodb://db/shop"));
    for (arguments, variables) in
        [(&[][..], &[][..]), (&[], &[redis]), (&[], &[mongodb]), (&["--queue", "database"], &[])]
    {
        assert!(refused(arguments, variables), "{arguments:?} {variables:?}");
    }
    for (arguments, variables) in [
        (&[][..], &[redis, mongodb][..]),
        (&["--data", "pixmill-data"], &[]),
        (&["--database", "sqlite:a.db"], &[redis]),
        (&["--queue", "database"], &[mongodb]),
    ] {
        assert!(!refused(arguments, variables), "{arguments:?} {variables:?}");
    }
}

#[test]
fn a_wrong_address_is_told_without_its_secret() {
    assert_eq!(
        complaint(&["serve"], &[("REDIS_URL", "rdis://:secret@h")], None),
        "'rdis://***@h' is not a value for REDIS_URL in the environment: allowed are database, redis://HOST:PORT and \
         rediss://USER:PASSWORD@HOST:PORT"
    );
    assert_eq!(
        complaint(&["serve"], &[("PIXMILL_WEBHOOK_SECRET", "secret")], None),
        "'***' is not a value for PIXMILL_WEBHOOK_SECRET in the environment: allowed are whsec_ and 24 to 64 \
         bytes as base64, one or two parted by a space"
    );
}

#[test]
fn a_wrong_address_of_any_command_is_told_without_its_secret() {
    let wrong = "ftp://user:planted@h";
    for (command, option) in [
        (&["serve"][..], "queue"),
        (&["serve"], "database"),
        (&["serve"], "storage"),
        (&["serve"], "webhook_url"),
        (&["adopt", "--queue", "jobs"], "redis"),
        (&["adopt", "--queue", "jobs"], "database"),
        (&["submit", "c.csv"], "webhook"),
    ] {
        let flag = format!("--{}", option.replace('_', "-"));
        let said = [command, &[&flag, wrong]].concat();
        match parse(layers(&said, &[], None)) {
            Err(Misuse::Flags(error)) => {
                let told = error.to_string();
                assert!(told.contains("ftp://***@h") && !told.contains("planted"), "{told}");
            }
            other => panic!("{said:?}: {other:?}"),
        }
        let variable = format!("PIXMILL_{}", option.to_ascii_uppercase());
        let told = complaint(command, &[(&variable, wrong)], None);
        assert!(told.contains("ftp://***@h") && !told.contains("planted"), "{told}");
    }
}

#[test]
fn backends_of_the_environment_do_not_concern_a_run() {
    recipe(
        &[],
        &[("REDIS_URL", "nonsense"), ("MONGODB_URI", "nonsense"), ("CLOUDINARY_URL", "nonsense")],
        None,
    );
}

#[test]
fn names_that_kubernetes_sets_do_no_harm() {
    recipe(&[], &[("PIXMILL_SERVICE_HOST", "10.0.0.1"), ("PIXMILL_PORT_3000_TCP", "tcp://10.0.0.1")], None);
}

#[test]
fn an_empty_variable_is_not_set() {
    assert_eq!(recipe(&[], &[("PIXMILL_QUALITY", "")], Some("quality = 30")).quality, 30);
}

#[test]
fn lists_come_from_commas_and_from_arrays() {
    let told = |variables: &[_], file: Option<&str>| {
        let named = file.map(|text| File { named: true, ..File::with(text) });
        match parse(Layers { file: named, ..layers(RUN, variables, None) }) {
            Ok(told) => told.cli.run_allows().expect("run"),
            Err(misuse) => panic!("{misuse:?}"),
        }
    };
    let both = ["10.0.0.0/8".parse().unwrap(), "127.0.0.1/32".parse::<ipnet::IpNet>().unwrap()];
    assert_eq!(told(&[("PIXMILL_ALLOW_ADDRESS", "10.0.0.0/8, 127.0.0.1")], None), both);
    assert_eq!(told(&[], Some("allow_address = [\"10.0.0.0/8\", \"127.0.0.1\"]")), both);
}

#[test]
fn a_file_that_was_only_found_opens_nothing() {
    for (line, arguments) in [
        ("allow_address = \"10.0.0.0/8\"", RUN),
        ("base_dir = \"/\"", RUN),
        ("output = \"/etc\"", RUN),
        ("trust = \"0.0.0.0/0\"", &["serve"]),
        ("trust_proxy = \"0.0.0.0/0\"", &["serve"]),
        ("listen = \"0.0.0.0:3000\"", &["serve"]),
        ("cors_origin = \"*\"", &["serve"]),
        ("webhook_url = \"https://evil.example\"", &["serve"]),
        ("database = \"mongodb://evil.example/x\"", &["serve"]),
        ("server = \"https://evil.example\"", &["status", "x"]),
    ] {
        let message = complaint(arguments, &[], Some(line));
        let name = line.split(' ').next().unwrap();
        let expected = format!("{name} in line 1 of pixmill.toml opens something");
        assert!(message.starts_with(&expected) && message.contains("--config pixmill.toml"), "{message}");
        let named = File { named: true, ..File::with(line) };
        let told = parse(Layers { file: Some(named), ..layers(arguments, &[], None) }).unwrap();
        assert_eq!(told.from_file, Some(format!("from pixmill.toml: {name}")));
    }
    let over = parse(layers(&["run", "c.csv", "--base-dir", "."], &[], Some("base_dir = \"/\""))).unwrap();
    assert_eq!(over.from_file, None, "the command line says otherwise");
}

#[test]
fn what_came_from_a_file_is_said_unless_quiet_was_asked_for() {
    let said = |arguments: &[&str]| {
        parse(layers(arguments, &[], Some("quality = 30\nattempts = 3\nwebhook_url = \"https://h\"")))
            .unwrap()
            .from_file
    };
    assert_eq!(said(&["image", "a", "b"]).as_deref(), Some("from pixmill.toml: quality"));
    let both = said(RUN).unwrap();
    assert!(both.contains("quality") && both.contains("attempts") && !both.contains("webhook"), "{both}");
    assert_eq!(said(&["run", "c.csv", "--quiet"]), None);
    assert_eq!(said(&["image", "a", "b", "--quality", "40"]), None);
}

#[test]
fn a_file_may_be_named_on_the_command_line_or_in_the_environment() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("mine.toml");
    std::fs::write(&path, "quality = 30\nbase_dir = \"/\"").unwrap();
    let path = path.to_str().unwrap();
    for (arguments, variables) in [
        (&["--config", path, "run", "c.csv"][..], vec![]),
        (&["run", "--config", path, "c.csv"], vec![]),
        (&["run", "c.csv", &format!("--config={path}")], vec![]),
        (RUN, vec![("PIXMILL_CONFIG", path)]),
    ] {
        let told = parse(layers(arguments, &variables, Some("quality = \"nonsense\""))).unwrap();
        let from = told.from_file.unwrap();
        assert!(from.contains(path) && from.contains("base_dir") && from.contains("quality"), "{from}");
    }
    assert!(complaint(&["run", "c.csv", "--config", "/nowhere.toml"], &[], None).contains("/nowhere.toml"));
}

#[test]
fn values_that_look_like_flags_stay_values() {
    assert_eq!(
        complaint(RUN, &[("PIXMILL_QUALITY", "--json")], None),
        "'--json' is not a value for PIXMILL_QUALITY in the environment: allowed are whole numbers from 1 to 100"
    );
}
