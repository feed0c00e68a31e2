//! Local pictures: paths from a base folder that neither `..` nor a symbolic link leaves.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Component, Path, PathBuf};

use async_trait::async_trait;
use bytes::Bytes;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::source::is_drive;
use pixmill_engine::port::origin::{Answer, Body, Files};

/// Bytes read at once. Files up to this size are opened and read in one go.
const CHUNK: usize = 256 * 1024;

/// Opens files below one folder.
pub struct LocalFiles {
    /// As it was given, made absolute: what paths are joined to.
    given: PathBuf,
    /// As it is, without symbolic links: what files are found to lie in.
    real: PathBuf,
}

impl LocalFiles {
    /// Files below `base_dir`.
    ///
    /// # Errors
    /// `file.missing` when there is no such folder.
    pub fn new(base_dir: &Path) -> Result<Self, Fault> {
        let missing = |error: io::Error| {
            let message = format!("The base folder {} can't be used: {error}.", base_dir.display());
            Fault::permanent(Code::FileMissing, message)
        };
        let given = lexical(&std::path::absolute(base_dir).map_err(missing)?);
        let real = base_dir.canonicalize().map_err(missing)?;
        if !real.is_dir() {
            return Err(missing(io::ErrorKind::NotADirectory.into()));
        }
        Ok(LocalFiles { given, real })
    }

    /// Where a path leads as it is written, before any file is looked at: whether something exists
    /// outside is nobody's business.
    fn written(&self, path: &str) -> Result<PathBuf, Fault> {
        let joined = lexical(&self.given.join(path));
        if joined.starts_with(&self.given) || joined.starts_with(&self.real) {
            // The path itself, since `link/..` is not where it is written to be.
            return Ok(self.given.join(path));
        }
        Err(outside(path))
    }
}

/// How a path may be meant: as it is written, as Windows writes it, escaped as exports to the web write it.
fn spellings(path: &str) -> Vec<String> {
    let mut spellings = vec![path.to_owned()];
    if path.contains('\\') {
        spellings.push(path.replace('\\', "/"));
    }
    for spelling in spellings.clone() {
        if let Ok(decoded) = percent_encoding::percent_decode_str(&spelling).decode_utf8()
            && decoded != spelling
        {
            spellings.push(decoded.into_owned());
        }
    }
    spellings
}

/// Without `.` and `..`.
fn lexical(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(plain.pop()),
            Component::CurDir => {}
            other => plain.push(other),
        }
    }
    plain
}

#[async_trait]
impl Files for LocalFiles {
    async fn open(&self, path: &str) -> Result<Answer, Fault> {
        let mut tries = Vec::new();
        for spelling in spellings(path) {
            tries.push(self.written(&spelling)?);
        }
        let (real, name) = (self.real.clone(), path.to_owned());
        let body = blocking(path, move || {
            let mut missing = None;
            for written in tries {
                match FileBody::open(&written, &real, name.clone()) {
                    Err(fault) if fault.code == Code::FileMissing && !fault.transient => {
                        missing = missing.or(Some(fault))
                    }
                    opened => return opened,
                }
            }
            Err(missing.unwrap_or_else(|| outside(&name)))
        })
        .await?;
        Ok(Answer::of_file(body.length, Box::new(body)))
    }
}

async fn blocking<T: Send + 'static>(
    name: &str,
    work: impl FnOnce() -> Result<T, Fault> + Send + 'static,
) -> Result<T, Fault> {
    match tokio::task::spawn_blocking(work).await {
        Ok(outcome) => outcome,
        Err(_) => Err(Fault::transient(Code::FileMissing, format!("Reading '{name}' was broken off."))),
    }
}

struct FileBody {
    name: String,
    /// Bytes, when it was opened.
    length: u64,
    /// Bytes still to be read.
    left: u64,
    /// What was read while opening.
    first: Option<Bytes>,
    file: Option<File>,
}

impl FileBody {
    fn open(written: &Path, base: &Path, name: String) -> Result<Self, Fault> {
        let unusable = |error: io::Error| unusable(&name, &error);
        let real = written.canonicalize().map_err(unusable)?;
        if !real.starts_with(base) {
            return Err(outside(&name));
        }
        // Before it is opened: opening a pipe waits for a writer.
        if !real.metadata().map_err(unusable)?.is_file() {
            let message = format!("'{name}' is not a file but a folder, a device or a pipe.");
            return Err(Fault::permanent(Code::FileMissing, message));
        }
        let file = File::open(&real).map_err(unusable)?;
        let length = file.metadata().map_err(unusable)?.len();
        let mut body = FileBody { name, length, left: length, first: None, file: Some(file) };
        body.first = body.read()?;
        Ok(body)
    }

    /// The next piece of the file; closes it after its last.
    fn read(&mut self) -> Result<Option<Bytes>, Fault> {
        let wanted = self.left.min(CHUNK as u64);
        let Some(file) = self.file.as_mut().filter(|_| wanted > 0) else {
            self.file = None;
            return Ok(None);
        };
        let mut piece = Vec::with_capacity(wanted as usize);
        let read = file.by_ref().take(wanted).read_to_end(&mut piece);
        match read {
            Ok(read) if read as u64 == wanted => self.left -= wanted,
            Ok(_) => return Err(cut(&self.name, "it became shorter")),
            Err(error) => return Err(cut(&self.name, &error.to_string())),
        }
        if self.left == 0 {
            self.file = None;
        }
        Ok(Some(piece.into()))
    }
}

#[async_trait]
impl Body for FileBody {
    async fn chunk(&mut self) -> Result<Option<Bytes>, Fault> {
        if let Some(first) = self.first.take() {
            return Ok(Some(first));
        }
        if self.left == 0 {
            return Ok(None);
        }
        let (name, length, left, file) = (self.name.clone(), self.length, self.left, self.file.take());
        let mut moved = FileBody { name, length, left, first: None, file };
        let (read, moved) = blocking(&self.name, move || Ok((moved.read(), moved))).await?;
        *self = moved;
        read
    }
}

fn outside(name: &str) -> Fault {
    Fault::permanent(Code::FileOutside, format!("'{name}' leads out of the base folder."))
}

fn cut(name: &str, reason: &str) -> Fault {
    Fault::transient(Code::FetchTruncated, format!("'{name}' could not be read to its end: {reason}."))
}

/// A file that can't be opened. Some of the reasons pass, such as too many open files.
fn unusable(name: &str, error: &io::Error) -> Fault {
    use io::ErrorKind::*;
    match error.kind() {
        NotFound | NotADirectory if is_drive(name) => {
            let message =
                format!("'{name}' is a path of another machine: put the pictures beside the catalogue.");
            Fault::permanent(Code::FileMissing, message)
        }
        NotFound | NotADirectory => {
            Fault::permanent(Code::FileMissing, format!("There is no file '{name}' in the base folder."))
        }
        PermissionDenied | InvalidInput | InvalidFilename => {
            Fault::permanent(Code::FileMissing, format!("'{name}' can't be opened: {error}."))
        }
        _ => Fault::transient(Code::FileMissing, format!("'{name}' can't be opened: {error}.")),
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use tempfile::TempDir;

    use super::*;

    /// A base folder with a picture, beside a secret.
    fn folder() -> (TempDir, LocalFiles) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("base/sub")).unwrap();
        fs::write(folder.path().join("secret.jpg"), b"secret").unwrap();
        fs::write(folder.path().join("base/in.jpg"), b"picture").unwrap();
        fs::write(folder.path().join("base/sub/100%41 b.jpg"), b"percent").unwrap();
        let files = LocalFiles::new(&folder.path().join("base")).unwrap();
        (folder, files)
    }

    async fn read(files: &LocalFiles, path: &str) -> Result<Vec<u8>, Fault> {
        let mut answer = files.open(path).await?;
        let mut bytes = Vec::new();
        while let Some(chunk) = answer.body.chunk().await? {
            assert!(!chunk.is_empty() && chunk.len() <= CHUNK);
            bytes.extend_from_slice(&chunk);
        }
        assert_eq!(answer.content_length, Some(bytes.len() as u64));
        Ok(bytes)
    }

    async fn code(files: &LocalFiles, path: &str) -> Code {
        let fault = read(files, path).await.unwrap_err();
        assert!(!fault.transient, "{fault}");
        fault.code
    }

    #[tokio::test]
    async fn files_in_the_folder_are_read_whatever_their_name() {
        let (_folder, files) = folder();
        for path in ["in.jpg", "./in.jpg", "sub/../in.jpg", "sub//..//in.jpg"] {
            assert_eq!(read(&files, path).await.unwrap(), b"picture", "{path}");
        }
        assert_eq!(read(&files, "sub/100%41 b.jpg").await.unwrap(), b"percent");
    }

    #[tokio::test]
    async fn paths_are_also_read_as_windows_and_the_web_write_them() {
        let (folder, files) = folder();
        fs::write(folder.path().join("base/sub/cap 1.jpg"), b"cap").unwrap();
        for path in ["sub/cap 1.jpg", "sub\\cap 1.jpg", "sub/cap%201.jpg", "sub\\cap%201.jpg"] {
            assert_eq!(read(&files, path).await.unwrap(), b"cap", "{path}");
        }
        assert_eq!(read(&files, "sub/100%41 b.jpg").await.unwrap(), b"percent", "what is written wins");
        for path in ["..\\secret.jpg", "%2e%2e/secret.jpg", "sub/%2e%2e%2f%2e%2e%2fsecret.jpg"] {
            assert_eq!(code(&files, path).await, Code::FileOutside, "{path}");
        }
        assert!(read(&files, "C:\\Users\\a.jpg").await.unwrap_err().message.contains("another machine"));
    }

    #[tokio::test]
    async fn large_files_come_whole_in_bounded_pieces() {
        let (folder, files) = folder();
        for size in [0, 1, CHUNK - 1, CHUNK, CHUNK + 1, 3 * CHUNK + 7] {
            let bytes: Vec<u8> = (0..size).map(|at| (at % 251) as u8).collect();
            fs::write(folder.path().join("base/large.jpg"), &bytes).unwrap();
            assert!(read(&files, "large.jpg").await.unwrap() == bytes, "{size} bytes");
        }
    }

    #[tokio::test]
    async fn no_path_leaves_the_folder() {
        let (folder, files) = folder();
        let absolute = folder.path().join("secret.jpg").display().to_string();
        for path in
            ["../secret.jpg", "x/../../secret.jpg", "../no-such.jpg", "sub/../../secret.jpg", &absolute, ".."]
        {
            assert_eq!(code(&files, path).await, Code::FileOutside, "{path}");
        }
    }

    #[tokio::test]
    async fn what_is_no_file_is_missing() {
        let (_folder, files) = folder();
        for path in ["no-such.jpg", "sub", "", ".", "in.jpg/x.jpg", "a\0b.jpg", &"a".repeat(5000)] {
            assert_eq!(code(&files, path).await, Code::FileMissing, "{path}");
        }
    }

    #[tokio::test]
    async fn absolute_paths_inside_the_folder_are_read() {
        let (folder, files) = folder();
        let inside = folder.path().join("base/in.jpg").display().to_string();
        assert_eq!(read(&files, &inside).await.unwrap(), b"picture");
    }

    #[tokio::test]
    async fn a_file_cut_while_it_is_read_is_truncated() {
        let (folder, files) = folder();
        let path = folder.path().join("base/shrinks.jpg");
        fs::write(&path, vec![1; 2 * CHUNK]).unwrap();
        let mut answer = files.open("shrinks.jpg").await.unwrap();
        fs::OpenOptions::new().write(true).open(&path).unwrap().set_len(CHUNK as u64 + 5).unwrap();
        answer.body.chunk().await.unwrap();
        let fault = answer.body.chunk().await.unwrap_err();
        assert_eq!((fault.code, fault.transient), (Code::FetchTruncated, true));
    }

    #[test]
    fn a_base_folder_that_is_none_is_refused() {
        let (folder, _) = folder();
        assert!(LocalFiles::new(&folder.path().join("nowhere")).is_err());
        assert!(LocalFiles::new(&folder.path().join("secret.jpg")).is_err());
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn symbolic_links_are_followed_inside_and_refused_outside() {
        use std::os::unix::fs::symlink;
        let (folder, files) = folder();
        let base = folder.path().join("base");
        symlink(folder.path().join("secret.jpg"), base.join("out.jpg")).unwrap();
        symlink(folder.path(), base.join("up")).unwrap();
        symlink("in.jpg", base.join("link.jpg")).unwrap();
        symlink("loop.jpg", base.join("loop.jpg")).unwrap();
        assert_eq!(code(&files, "out.jpg").await, Code::FileOutside);
        assert_eq!(code(&files, "up/secret.jpg").await, Code::FileOutside);
        assert_eq!(read(&files, "link.jpg").await.unwrap(), b"picture");
        assert!(read(&files, "loop.jpg").await.is_err());
        symlink(&base, folder.path().join("alias")).unwrap();
        let aliased = LocalFiles::new(&folder.path().join("alias")).unwrap();
        for path in [folder.path().join("alias/in.jpg"), base.canonicalize().unwrap().join("in.jpg")] {
            assert_eq!(read(&aliased, &path.display().to_string()).await.unwrap(), b"picture");
        }
    }

    #[cfg(unix)]
    #[tokio::test]
    async fn devices_and_pipes_are_not_opened() {
        let files = LocalFiles::new(Path::new("/dev")).unwrap();
        assert_eq!(code(&files, "null").await, Code::FileMissing);
        let (folder, files) = folder();
        let pipe = folder.path().join("base/pipe.jpg");
        assert!(std::process::Command::new("mkfifo").arg(&pipe).status().unwrap().success());
        assert_eq!(code(&files, "pipe.jpg").await, Code::FileMissing);
    }
}
