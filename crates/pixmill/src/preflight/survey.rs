//! What a catalogue holds, from reading it once, in memory that does not grow with it.

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::BufReader;
use std::ops::ControlFlow;
use std::path::Path;

use pixmill_engine::catalogue::{BadRow, Catalogue, Hints, Next, OpenError, Row, Understood};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::row::RowError;
use pixmill_engine::model::source::{Fingerprint, Source};

use super::problems::{Problem, Problems};

/// Addresses that are told apart. Above it, repeated ones count as distinct.
const DISTINCT: usize = 4_000_000;

/// Origins that are told apart. Above it, images count but are neither assigned nor probed.
const ORIGINS: usize = 10_000;

/// What was found.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    /// Rows that can be used.
    pub(crate) rows: u64,
    /// Addresses in them.
    pub(crate) images: u64,
    /// Images whose address is no other's.
    pub(crate) distinct: u64,
    /// By origin.
    pub(crate) origins: BTreeMap<String, Share>,
    /// What it is understood as.
    pub(crate) understood: Understood,
    /// Why the catalogue as a whole can't be used.
    pub(crate) refused: Option<Fault>,
}

/// One origin's share of a catalogue.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Share {
    pub(crate) images: u64,
    pub(crate) distinct: u64,
}

/// Reads the whole catalogue.
///
/// # Errors
/// When it can't be read or problems can't be written; a catalogue that can't be used is no error but refused.
pub(crate) fn survey(path: &Path, hints: &Hints, problems: &mut Problems) -> Result<Survey, Fault> {
    let mut survey = Survey::default();
    let mut known = Known::new();
    let walked = walk(path, hints, |step| {
        match step {
            Step::Row(row) => survey.take(row, &mut known, problems)?,
            Step::End(understood) => survey.understood = understood,
            Step::Bad(bad) => {
                problems.row(RowError { line: bad.line, code: bad.code, message: bad.reason })?
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    match walked {
        Ok(()) => {}
        Err(Broken::Refused { fault, line }) => {
            problems.row(RowError { line, code: fault.code, message: fault.message.clone() })?;
            survey.refused = Some(fault);
        }
        Err(Broken::Fault(fault)) => return Err(fault),
    }
    if survey.rows == 0 && survey.refused.is_none() && problems.row_errors_total > 0 {
        let message = format!("none of its {} rows can be used", problems.row_errors_total);
        survey.refused = Some(Fault::permanent(Code::CatalogueRow, message));
    }
    Ok(survey)
}

impl Survey {
    fn take(&mut self, row: &Row, known: &mut Known, problems: &mut Problems) -> Result<(), Fault> {
        self.rows += 1;
        for (position, input) in row.urls.iter().enumerate() {
            self.images += 1;
            let source = match Source::parse(input) {
                Ok(source) => source,
                Err(fault) => {
                    self.distinct += 1;
                    problems.image(Problem::of(row.line, position, fault))?;
                    continue;
                }
            };
            let new = known.is_new(input);
            self.distinct += u64::from(new);
            let origin = source.origin();
            if self.origins.len() < ORIGINS || self.origins.contains_key(&origin) {
                let share = self.origins.entry(origin).or_default();
                share.images += 1;
                share.distinct += u64::from(new);
            }
        }
        Ok(())
    }
}

/// An address to be probed, with the place where it stands first.
#[derive(Debug)]
pub(crate) struct Target {
    pub(crate) line: u64,
    pub(crate) position: usize,
    pub(crate) source: Source,
}

/// Reads the catalogue again and hands over the first `most` distinct addresses of each origin, until `take` has
/// had enough.
///
/// # Errors
/// When it can't be read.
pub(crate) fn targets(
    path: &Path,
    hints: &Hints,
    origins: &[String],
    most: u64,
    mut take: impl FnMut(Target) -> ControlFlow<()>,
) -> Result<(), Fault> {
    let mut left: BTreeMap<&str, u64> = origins.iter().map(|origin| (origin.as_str(), most)).collect();
    let mut known = Known::new();
    let walked = walk(path, hints, |step| {
        let Step::Row(row) = step else { return Ok(ControlFlow::Continue(())) };
        for (position, input) in row.urls.iter().enumerate() {
            let Ok(source) = Source::parse(input) else { continue };
            let Some(left) = left.get_mut(source.origin().as_str()).filter(|left| **left > 0) else {
                continue;
            };
            if known.is_new(input) {
                *left -= 1;
                if take(Target { line: row.line, position, source }).is_break() {
                    return Ok(ControlFlow::Break(()));
                }
            }
        }
        Ok(ControlFlow::Continue(()))
    });
    walked.map_err(|broken| match broken {
        Broken::Refused { fault, .. } | Broken::Fault(fault) => fault,
    })
}

/// Addresses seen so far, by fingerprint, up to a bound.
struct Known {
    fingerprint: Fingerprint,
    seen: HashSet<i64>,
}

impl Known {
    fn new() -> Self {
        Known { fingerprint: Fingerprint::new(), seen: HashSet::new() }
    }

    fn is_new(&mut self, input: &str) -> bool {
        let fingerprint = self.fingerprint.of(input);
        if self.seen.len() < DISTINCT {
            self.seen.insert(fingerprint)
        } else {
            !self.seen.contains(&fingerprint)
        }
    }
}

enum Step<'a> {
    Row(&'a Row),
    Bad(BadRow),
    End(Understood),
}

enum Broken {
    Refused { fault: Fault, line: u64 },
    Fault(Fault),
}

impl From<Fault> for Broken {
    fn from(fault: Fault) -> Self {
        Broken::Fault(fault)
    }
}

fn walk(
    path: &Path,
    hints: &Hints,
    mut step: impl FnMut(Step<'_>) -> Result<ControlFlow<()>, Fault>,
) -> Result<(), Broken> {
    let unreadable = |error: std::io::Error| {
        Fault::permanent(
            Code::FileMissing,
            format!("the catalogue {} can't be read: {error}", path.display()),
        )
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut catalogue =
        Catalogue::open_as(BufReader::with_capacity(1 << 16, file), hints).map_err(|error| match error {
            OpenError::Refused(refusal) => Broken::Refused { line: refusal.line, fault: refusal.into() },
            OpenError::Io(error) => Broken::Fault(unreadable(error)),
        })?;
    let mut row = Row::default();
    loop {
        let flow = match catalogue.next_row(&mut row).map_err(unreadable)? {
            Next::Row => step(Step::Row(&row))?,
            Next::Bad(bad) => step(Step::Bad(bad))?,
            Next::End => return step(Step::End(catalogue.understood())).map(|_| ()).map_err(Broken::from),
        };
        if flow.is_break() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const CATALOGUE: &str = "Name,Image Urls\n\
        a,\"http://one.example/1.jpg, http://one.example/2.jpg\"\n\
        broken\n\
        b,\"http://one.example/1.jpg#again, ftp://two.example/x.jpg\"\n\
        c,pics/local.jpg\n";

    fn catalogue(text: &str) -> (tempfile::TempDir, std::path::PathBuf) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("c.csv");
        std::fs::write(&path, text).unwrap();
        (folder, path)
    }

    #[test]
    fn rows_images_repeats_and_problems_are_counted() {
        let (_folder, path) = catalogue(CATALOGUE);
        let mut problems = Problems::new(&path, None);
        let survey = survey(&path, &Hints::default(), &mut problems).unwrap();
        assert_eq!((survey.rows, survey.images, survey.distinct), (3, 5, 4));
        assert_eq!(problems.row_errors.iter().map(|error| error.line).collect::<Vec<_>>(), [3]);
        assert_eq!(problems.images.len(), 1);
        assert_eq!((problems.images[0].line, problems.images[0].code), (4, Code::UrlScheme));
        let one = survey.origins["http://one.example"];
        assert_eq!((one.images, one.distinct), (3, 2));
    }

    #[test]
    fn each_origin_is_sampled_up_to_its_share() {
        let (_folder, path) = catalogue(CATALOGUE);
        let survey = survey(&path, &Hints::default(), &mut Problems::new(&path, None)).unwrap();
        let origins: Vec<String> = survey.origins.into_keys().collect();
        let sample = |most| {
            let mut places = Vec::new();
            targets(&path, &Hints::default(), &origins, most, |target| {
                places.push((target.line, target.position));
                ControlFlow::Continue(())
            })
            .unwrap();
            places
        };
        assert_eq!(sample(1), [(2, 0), (5, 0)]);
        assert_eq!(sample(u64::MAX), [(2, 0), (2, 1), (5, 0)]);
    }

    #[test]
    fn a_catalogue_without_a_usable_row_is_refused() {
        let (_folder, path) = catalogue("Name,Image Urls\nbroken\n");
        let mut problems = Problems::new(&path, None);
        let refused =
            survey(&path, &Hints::default(), &mut problems).unwrap().refused.expect("nothing to use");
        assert_eq!(refused.code, Code::CatalogueRow);
        assert_eq!(problems.row_errors[0].line, 2);
    }
}
