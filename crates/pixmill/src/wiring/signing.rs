//! The secret that signs webhooks: the one that was set, else one that the first start makes and all later ones find.

use std::fs;
use std::io::{ErrorKind, Write};
use std::path::Path;

use base64::Engine;
use base64::prelude::BASE64_STANDARD;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::pipeline::webhook::sign::Signer;

use super::records_file::private_folder;
use crate::config::secret::Secret;

/// In the state folder.
const FILE: &str = "webhook-secret";

/// Bytes of a secret, as Standard Webhooks recommends.
const SECRET_BYTES: usize = 32;

/// Signs with the secrets that were set, or with the one in the state folder.
///
/// # Errors
/// `config.invalid` when the folder's file holds something else, `disk.*` when it can't be read or made.
pub(super) fn signer(set: Option<&Secret>, data: &Path) -> Result<Signer, Fault> {
    Signer::new(&secret(set, data)?).map_err(|allowed| {
        let file = data.join(FILE);
        Fault::permanent(Code::ConfigInvalid, format!("{} holds no secret: {allowed}", file.display()))
    })
}

/// The secrets that were set, or the one in the state folder, for whoever may see it.
///
/// # Errors
/// `disk.*` when the folder's file can't be read or made.
pub(super) fn secret(set: Option<&Secret>, data: &Path) -> Result<String, Fault> {
    set.map_or_else(|| kept(&data.join(FILE)), |secrets| Ok(secrets.reveal().to_owned()))
}

/// The secret in the state folder, where one was made.
pub(crate) fn kept_secret(data: &Path) -> Option<String> {
    fs::read_to_string(data.join(FILE)).ok()
}

/// What the file holds; made when it is not there.
fn kept(file: &Path) -> Result<String, Fault> {
    let unreadable = |error: std::io::Error| {
        Fault::permanent(
            Code::of_unwritable(error.kind()),
            format!("the secret in {} can't be read or made: {error}", file.display()),
        )
    };
    match fs::read_to_string(file) {
        Err(error) if error.kind() == ErrorKind::NotFound => make(file).map_err(unreadable)?,
        Err(error) => return Err(unreadable(error)),
        Ok(text) => return Ok(text),
    }
    fs::read_to_string(file).map_err(unreadable)
}

/// Makes the file, whole or not at all, readable by its owner alone. Of several processes that start at once, the first
/// one's secret is everybody's.
fn make(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    private_folder(folder)?;
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret)?;
    let mut temporary = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(temporary, "whsec_{}", BASE64_STANDARD.encode(secret))?;
    temporary.as_file().sync_all()?;
    match temporary.persist_noclobber(file) {
        Err(failed) if failed.error.kind() != ErrorKind::AlreadyExists => Err(failed.error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_start_makes_a_secret_and_later_ones_find_it() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        let starts: Vec<_> = (0..8)
            .map(|_| {
                let data = data.clone();
                std::thread::spawn(move || kept(&data.join(FILE)).unwrap())
            })
            .collect();
        let secrets: Vec<_> = starts.into_iter().map(|start| start.join().unwrap()).collect();
        assert!(secrets.iter().all(|secret| secret == &secrets[0]), "{secrets:?}");
        assert!(signer(None, &data).is_ok());
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing is left over");
        let other = tempfile::tempdir().unwrap();
        assert_ne!(kept(&other.path().join(FILE)).unwrap(), secrets[0]);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt;
        let folder = tempfile::tempdir().unwrap();
        kept(&folder.path().join(FILE)).unwrap();
        let mode = fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o077, 0, "{mode:o}");
    }

    #[test]
    fn a_file_that_holds_something_else_is_told_without_its_text() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join(FILE), "elephant").unwrap();
        let fault = signer(None, folder.path()).err().unwrap();
        assert_eq!(fault.code, Code::ConfigInvalid);
        assert!(fault.message.contains(FILE) && !fault.message.contains("elephant"), "{fault}");
    }
}
