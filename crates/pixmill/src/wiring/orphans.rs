//! Looks for outputs that no record names, and for records whose outputs are gone.

use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use pixmill_engine::checkup::Finding;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::orphans::{self, Orphan, Orphans};

use super::backends::{self, OpenRecords};
use crate::api::Examined;
use crate::config::options::ServeOptions;

/// Looks at all of them, and lists them in a file where one is named.
pub(crate) async fn orphans(options: &ServeOptions, list: Option<&Path>) -> Examined {
    let findings = match looked(options, list).await {
        Ok((found, examples)) => findings(&found, &examples),
        Err(fault) => vec![Finding::fault("outputs", &fault)],
    };
    Examined { part: "orphans", backend: options.storage.to_string(), findings }
}

/// The first of each kind.
#[derive(Default)]
struct Examples {
    stray: String,
    gone: String,
}

async fn looked(options: &ServeOptions, list: Option<&Path>) -> Result<(Orphans, Examples), Fault> {
    let ledger = OpenRecords::of(options).ledger().await?;
    let storage = backends::storage(options)?;
    let mut into = list
        .map(|path| File::create(path).map(BufWriter::new))
        .transpose()
        .map_err(|error| unwritable(list, &error))?;
    let (mut examples, mut failed) = (Examples::default(), None);
    let mut call = |orphan: Orphan| {
        if let Some(into) = &mut into
            && let Err(error) = writeln!(into, "{}", line(&orphan))
        {
            failed.get_or_insert(error);
        }
        match orphan {
            Orphan::Stray(at) if examples.stray.is_empty() => examples.stray = at,
            Orphan::Gone(_, at) if examples.gone.is_empty() => examples.gone = at,
            _ => {}
        }
    };
    let found = orphans::look(&*ledger, &*storage, &mut call).await?;
    let flushed = failed.map_or(Ok(()), Err).and_then(|()| into.map_or(Ok(()), |mut into| into.flush()));
    flushed.map_err(|error| unwritable(list, &error))?;
    Ok((found, examples))
}

/// An orphan in a list: its kind, and where it is; of an output that is gone, its request last.
fn line(orphan: &Orphan) -> String {
    match orphan {
        Orphan::Stray(location) => format!("stray\t{location}"),
        Orphan::Gone(request, location) => format!("gone\t{location}\t{request}"),
    }
}

fn unwritable(path: Option<&Path>, error: &io::Error) -> Fault {
    let told = format!("{} can't be written: {error}", path.unwrap_or(Path::new("")).display());
    Fault::permanent(Code::of_unwritable(error.kind()), told)
}

fn findings(found: &Orphans, examples: &Examples) -> Vec<Finding> {
    const LISTED: &str = "'pixmill doctor --orphans=FILE' lists them";
    let passed = match found.passed_over {
        0 => String::new(),
        requests => format!("; {requests} requests under way were passed over"),
    };
    let outputs = match found.strays {
        _ if !found.listed => Finding::well("outputs", "this storage is not asked what it holds"),
        0 => Finding::well("outputs", format!("{} are there, each named by an image{passed}", found.outputs)),
        strays => Finding::doubtful(
            "outputs",
            format!(
                "{strays} of {} are named by no image, such as {}{passed}",
                found.outputs, examples.stray
            ),
            format!("{LISTED}, and what you find there may be deleted."),
        ),
    };
    let images = match found.gone {
        0 => Finding::well("images", "none is known whose output is gone"),
        gone => Finding::doubtful(
            "images",
            format!("{gone} outputs that images name are gone, such as {}", examples.gone),
            format!("{LISTED}. Put them back from a copy of the outputs, or hand their catalogues in again."),
        ),
    };
    let originals = match found.originals {
        0 => Finding::well("catalogues", "each that was kept has its request"),
        requests => Finding::doubtful(
            "catalogues",
            format!("those of {requests} requests were kept that are not there"),
            "They take room and nothing else: restore a backup that has the requests, or leave them.",
        ),
    };
    vec![outputs, images, originals]
}

#[cfg(test)]
mod tests {
    use super::*;
    use pixmill_engine::checkup::Severity;

    #[test]
    fn what_is_found_is_told_with_an_example_and_what_to_do() {
        let found = Orphans { listed: true, outputs: 9, passed_over: 1, strays: 2, gone: 3, originals: 4 };
        let examples =
            Examples { stray: "processed_images/x/1.jpg".into(), gone: "processed_images/y/2.jpg".into() };
        let told: Vec<_> =
            findings(&found, &examples).into_iter().map(|one| (one.severity, one.told)).collect();
        assert_eq!(
            told,
            [
                (
                    Severity::Doubtful,
                    "2 of 9 are named by no image, such as processed_images/x/1.jpg; 1 requests under way were passed over"
                        .to_owned()
                ),
                (
                    Severity::Doubtful,
                    "3 outputs that images name are gone, such as processed_images/y/2.jpg".to_owned()
                ),
                (Severity::Doubtful, "those of 4 requests were kept that are not there".to_owned()),
            ]
        );
        let none = findings(&Orphans::default(), &Examples::default());
        assert!(none.iter().all(|finding| finding.severity == Severity::Well), "{none:?}");
    }
}
