//! Schemas of the description are called by names of their own: of two that are called the same, one would silently be
//! described as the other.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

/// Sources of a folder and of those below it.
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

/// What the schemas of a source are called: as they say, or as their types are.
fn names(code: &str) -> Vec<String> {
    let word = |text: &str| text.split(|letter: char| !letter.is_alphanumeric()).next().unwrap().to_owned();
    let mut names = Vec::new();
    for derived in code.split("#[derive(").skip(1) {
        let (traits, rest) = derived.split_once(")]").unwrap();
        if !traits.split(", ").any(|one| one == "ToSchema") {
            continue;
        }
        let kind = ["struct ", "enum "].into_iter().filter_map(|kind| rest.find(kind).map(|at| (at, kind)));
        let (at, kind) = kind.min().expect("a type is derived for");
        let said = rest[..at].split("schema(as = ").nth(1);
        names.push(word(said.unwrap_or(&rest[at + kind.len()..])));
    }
    names
}

#[test]
fn no_two_schemas_share_a_name() {
    let mut files = Vec::new();
    collect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("src/api"), &mut files);
    let mut known = BTreeMap::<String, PathBuf>::new();
    // Not this one, which has some to try.
    for file in files.iter().filter(|file| !file.ends_with("openapi/schemas.rs")) {
        for name in names(&fs::read_to_string(file).unwrap()) {
            if let Some(other) = known.insert(name.clone(), file.clone()) {
                panic!("{} and {} both have a schema {name}", other.display(), file.display());
            }
        }
    }
    assert!(known.len() > 40, "{known:?}");
}

#[test]
fn names_are_those_that_are_said_before_those_of_types() {
    let code = "#[derive(Debug, ToSchema)]\n#[schema(as = Host)]\nstruct HostBody {}\n\
                #[derive(Debug)]\nstruct Other;\n#[derive(ToSchema)]\n/// One.\npub(super) enum Plain {}\n";
    assert_eq!(names(code), ["Host", "Plain"]);
}
