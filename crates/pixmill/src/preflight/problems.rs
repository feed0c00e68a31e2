//! What is wrong with a catalogue, place by place.

use std::collections::BTreeMap;
use std::fs::File;
use std::path::Path;

use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::row::RowError;

/// Problems of each kind that are kept in memory; a file takes them all.
const KEPT: usize = 1000;

/// An image that will fail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Problem {
    /// The line of the file, from 1, at which its row starts.
    pub(crate) line: u64,
    /// Its place in the row, from 1.
    pub(crate) position: u64,
    /// From the one list.
    pub(crate) code: Code,
    /// What is wrong.
    pub(crate) message: String,
}

impl Problem {
    /// A fault at a position, from 0.
    pub(crate) fn of(line: u64, position: usize, fault: Fault) -> Self {
        Problem { line, position: position as u64 + 1, code: fault.code, message: fault.message }
    }
}

/// Problems so far.
pub(crate) struct Problems {
    /// The first rows that can't be used.
    pub(crate) row_errors: Vec<RowError>,
    /// All of them.
    pub(crate) row_errors_total: u64,
    /// The first images that will fail.
    pub(crate) images: Vec<Problem>,
    /// All of them.
    pub(crate) images_total: u64,
    /// Images that will fail by code: how many, and the first of them.
    pub(crate) groups: BTreeMap<Code, (u64, Problem)>,
    file: Option<csv::Writer<File>>,
    catalogue: String,
}

impl Problems {
    /// None so far; each also goes into a file when there is one.
    pub(crate) fn new(catalogue: &Path, file: Option<csv::Writer<File>>) -> Self {
        Problems {
            row_errors: Vec::new(),
            row_errors_total: 0,
            images: Vec::new(),
            images_total: 0,
            groups: BTreeMap::new(),
            file,
            catalogue: catalogue.display().to_string(),
        }
    }

    /// A row that can't be used.
    pub(crate) fn row(&mut self, error: RowError) -> Result<(), Fault> {
        self.row_errors_total += 1;
        self.write([&error.line.to_string(), "", error.code.as_str(), &error.message, error.code.advice()])?;
        if self.row_errors.len() < KEPT {
            self.row_errors.push(error);
        }
        Ok(())
    }

    /// An image that will fail.
    pub(crate) fn image(&mut self, problem: Problem) -> Result<(), Fault> {
        self.images_total += 1;
        let (line, position) = (problem.line.to_string(), problem.position.to_string());
        self.write([&line, &position, problem.code.as_str(), &problem.message, problem.code.advice()])?;
        self.groups.entry(problem.code).or_insert_with(|| (0, problem.clone())).0 += 1;
        if self.images.len() < KEPT {
            self.images.push(problem);
        }
        Ok(())
    }

    /// Puts what was kept in the order of the catalogue, and gives the file back with all written.
    ///
    /// # Errors
    /// When the file can't be written.
    pub(crate) fn finish(&mut self) -> Result<Option<csv::Writer<File>>, Fault> {
        self.images.sort_by_key(|problem| (problem.line, problem.position));
        let mut file = self.file.take();
        if let Some(file) = &mut file {
            file.flush().map_err(|error| unwritable(error.into()))?;
        }
        Ok(file)
    }

    fn write(&mut self, record: [&str; 5]) -> Result<(), Fault> {
        match &mut self.file {
            Some(file) => {
                let record = std::iter::once(self.catalogue.as_str()).chain(record);
                file.write_record(record).map_err(unwritable)
            }
            None => Ok(()),
        }
    }
}

/// The file that takes all problems, a line each.
///
/// # Errors
/// When it can't be written.
pub(crate) fn file(path: &Path) -> Result<csv::Writer<File>, Fault> {
    let mut file = csv::Writer::from_path(path).map_err(unwritable)?;
    file.write_record(["Catalogue", "Line", "Image", "Code", "Message", "What to do"]).map_err(unwritable)?;
    Ok(file)
}

fn unwritable(error: csv::Error) -> Fault {
    Fault::permanent(Code::DiskReadOnly, format!("the file of --errors can't be written: {error}"))
}
