//! The crash loop: `kill -9` at seeded points of a run, again and again, then a run to its end, then the checker over
//! origin log, outputs and records. `PIXMILL_TEST_SEEDS` says how many seeds are played (10).

mod api;
mod backup;

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::time::Duration;

use pixmill_testkit::checker::{Expected, asked_too_often, check_output};
use pixmill_testkit::origin::{Origin, Settings};

use crate::seeded::{self, POINTS, Random, pictures, seeds};

/// Kills in a row before the run that is left alone.
const KILLS: u64 = 4;

/// Rows of the catalogue.
const ROWS: usize = 24;

struct Round {
    folder: tempfile::TempDir,
    catalogue: PathBuf,
    expected: Vec<Vec<Expected>>,
}

impl Round {
    fn new(base: &str) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let catalogue = folder.path().join("catalogue.csv");
        let (text, expected) = seeded::catalogue(base, ROWS);
        fs::write(&catalogue, text).expect("the catalogue can be written");
        Round { folder, catalogue, expected }
    }

    fn output(&self) -> PathBuf {
        self.folder.path().join("out")
    }

    fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pixmill"));
        command.arg("run").arg(&self.catalogue).arg("-o").arg(self.output());
        command.args(["--quiet", "--allow-address", "127.0.0.0/8"]);
        command.stdout(Stdio::null()).stderr(Stdio::piped());
        command
    }

    /// With attempts for any number of kills.
    fn patient(&self) -> Command {
        let mut command = self.command();
        command.args(["--attempts", "1000"]);
        command
    }

    /// Runs until the process dies at a point, of a kill after a while, or ends; whether it was killed.
    fn killed(&self, random: &mut Random) -> bool {
        let mut command = self.patient();
        if random.below(4) > 0 {
            let point = POINTS[random.below(POINTS.len() as u64) as usize];
            let count = 1 + random.below(if point == "before_completion" { 1 } else { 30 });
            command.env("PIXMILL_TEST_KILL_AT", format!("{point}:{count}"));
            command.output().expect("pixmill runs").status.signal() == Some(9)
        } else {
            let mut child = command.spawn().expect("pixmill runs");
            std::thread::park_timeout(Duration::from_millis(random.below(400)));
            child.kill().expect("pixmill can be killed");
            child.wait().expect("pixmill ends").signal() == Some(9)
        }
    }

    fn to_its_end(&self) -> (ExitStatus, String) {
        let output = self.patient().output().expect("pixmill runs");
        (output.status, String::from_utf8_lossy(&output.stderr).into_owned())
    }
}

/// What records say: one completion, and tallies that equal the rows.
fn wrong_records(database: &Path) -> Vec<String> {
    let mut wrong = Vec::new();
    let count = |sql: &str| -> i64 {
        let connection = rusqlite::Connection::open(database).expect("the records can be opened");
        connection.query_row(sql, [], |row| row.get(0)).expect("the records can be read")
    };
    for (what, sql, right) in [
        ("requests", "SELECT count(*) FROM requests", 1),
        (
            "requests whose tallies differ from their rows",
            "SELECT count(*) FROM requests r WHERE completed_images <> (SELECT count(*) FROM images WHERE status = 2) \
             OR failed_images <> (SELECT count(*) FROM images WHERE status = 3) OR pending_images <> 0 \
             OR processing_images <> 0 OR r.status <> 'completed'",
            0,
        ),
        ("completions", "SELECT count(*) FROM events", 1),
        ("images without an end", "SELECT count(*) FROM images WHERE status IN (0, 1)", 0),
        ("leases", "SELECT count(*) FROM images WHERE lease IS NOT NULL", 0),
    ] {
        let found = count(sql);
        if found != right {
            wrong.push(format!("{found} {what}, should be {right}"));
        }
    }
    wrong
}

#[test]
fn nothing_is_lost_or_doubled_however_often_the_run_is_killed() {
    let seeds = seeds();
    let mut kills = 0;
    for seed in 0..seeds {
        let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
        let round = Round::new(&origin.url(""));
        let mut random = Random(seed);
        for _ in 0..KILLS {
            kills += u64::from(round.killed(&mut random));
        }
        let (status, said) = round.to_its_end();
        assert_eq!(status.code(), Some(3), "seed {seed}: {said}");
        let mut wrong = check_output(&round.output(), &round.expected);
        wrong.extend(wrong_records(&round.output().join(".pixmill/pixmill.db")));
        let asked = origin.log();
        wrong.extend(asked_too_often(asked.iter().map(|entry| entry.path.as_str()), KILLS as usize + 1));
        assert!(wrong.is_empty(), "seed {seed}: {wrong:#?}");
    }
    assert!(kills >= seeds, "only {kills} kills in {seeds} seeds: the loop proves little");
    println!("{seeds} seeds, {kills} kills: none lost, none doubled, one completion each");
}

#[test]
fn images_whose_worker_died_in_each_attempt_end_and_all_others_are_done() {
    let origin = Origin::start(Settings::serving(pictures())).expect("the origin starts");
    let round = Round::new(&origin.url(""));
    let attempts = |kill: Option<&str>| {
        let mut command = round.command();
        command.args(["--attempts", "2"]).env("PIXMILL_TEST_KILL_AT", kill.unwrap_or("nowhere:1"));
        command.output().expect("pixmill runs").status
    };
    for _ in 0..2 {
        assert_eq!(attempts(Some("after_fetch:1")).signal(), Some(9));
    }
    assert_eq!(attempts(None).code(), Some(3));
    let results = fs::read_to_string(round.output().join("results.csv")).expect("there are results");
    let exhausted = results.matches("attempts.exhausted").count();
    assert!(exhausted > 0, "what was in hand both times has no attempt left: {results}");
    assert_eq!(results.matches("processing").count() + results.matches("pending").count(), 0, "{results}");
}
