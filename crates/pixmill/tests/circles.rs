//! Which file imports from which, and the circles that these make.
//!
//! A file imports from another where it names something that is defined there, whoever hands it on. A module and the files
//! below it are one thing to whoever reads them, so between these no import is counted.

use std::collections::{BTreeMap, BTreeSet};

/// Names of modules, from the crate's root.
type Path = Vec<String>;

/// What a file names, and what it hands on of others.
#[derive(Default)]
struct Names {
    used: Vec<Path>,
    handed_on: BTreeMap<String, Path>,
    handed_on_whole: Vec<Path>,
    defined: BTreeSet<String>,
}

/// The files of a crate by their modules, each with its code.
pub(super) struct Crate(BTreeMap<Path, Names>);

impl Crate {
    /// Of files by their places below `src`, without comments and tests.
    pub(super) fn of(files: &BTreeMap<String, String>) -> Self {
        let modules: BTreeSet<Path> = files.keys().map(|file| module(file)).collect();
        Crate(files.iter().map(|(file, code)| (module(file), names(&module(file), code, &modules))).collect())
    }

    /// Files that import each other in a circle, with the imports that make it.
    pub(super) fn circles(&self) -> Vec<String> {
        let imports: BTreeMap<&Path, BTreeSet<&Path>> =
            self.0.iter().map(|(file, names)| (file, self.imports(file, names))).collect();
        let reached: BTreeMap<&Path, BTreeSet<&Path>> =
            imports.keys().map(|file| (*file, reach(file, &imports))).collect();
        let mut circles = BTreeSet::new();
        for (file, beyond) in &reached {
            let circle: BTreeSet<&Path> =
                beyond.iter().copied().filter(|other| reached[other].contains(file)).collect();
            if circle.contains(file) {
                circles.insert(circle);
            }
        }
        circles.iter().map(|circle| told(circle, &imports)).collect()
    }

    fn imports<'c>(&'c self, file: &Path, names: &'c Names) -> BTreeSet<&'c Path> {
        let homes = names.used.iter().filter_map(|used| self.home(used, 0));
        homes.filter(|home| !home.starts_with(file) && !file.starts_with(home)).collect()
    }

    /// The file in which a name is defined, followed through those that hand it on.
    fn home(&self, path: &[String], steps: usize) -> Option<&Path> {
        let mut depth = 0;
        while depth < path.len() && self.0.contains_key(&path[..=depth]) && !self.is_handed_on(path, depth) {
            depth += 1;
        }
        let (file, names) = self.0.get_key_value(&path[..depth])?;
        let name = path.get(depth).filter(|_| steps < 8)?;
        if let Some(from) = names.handed_on.get(name) {
            return self.home(&[&from[..], &path[depth + 1..]].concat(), steps + 1);
        }
        let whole = names.handed_on_whole.iter().find_map(|from| {
            let home = self.home(&[&from[..], &path[depth..]].concat(), steps + 1)?;
            self.0[home].defined.contains(name).then_some(home)
        });
        Some(whole.unwrap_or(file))
    }

    /// Whether the last part of a path names what its module hands on, though a file is called so too.
    fn is_handed_on(&self, path: &[String], depth: usize) -> bool {
        let within = self.0.get(&path[..depth]).filter(|_| depth + 1 == path.len());
        within
            .and_then(|names| names.handed_on.get(&path[depth]))
            .is_some_and(|from| from[..] != path[..=depth])
    }
}

fn reach<'c>(file: &'c Path, imports: &BTreeMap<&'c Path, BTreeSet<&'c Path>>) -> BTreeSet<&'c Path> {
    let (mut reached, mut next) = (BTreeSet::new(), vec![file]);
    while let Some(file) = next.pop() {
        next.extend(imports[file].iter().copied().filter(|other| reached.insert(*other)));
    }
    reached
}

fn told(circle: &BTreeSet<&Path>, imports: &BTreeMap<&Path, BTreeSet<&Path>>) -> String {
    let arrows = circle.iter().flat_map(|file| {
        let within = imports[file].iter().filter(|other| circle.contains(**other));
        within.map(|other| format!("{} -> {}", file.join("/"), other.join("/")))
    });
    arrows.collect::<Vec<_>>().join(", ")
}

/// The module that a file below `src` is.
fn module(file: &str) -> Path {
    let name = file.trim_end_matches(".rs");
    if matches!(name, "lib" | "main") { Vec::new() } else { name.split('/').map(str::to_owned).collect() }
}

fn names(module: &Path, code: &str, modules: &BTreeSet<Path>) -> Names {
    let tokens = tokens(code);
    let (mut names, mut local, mut at) = (Names::default(), BTreeMap::new(), 0);
    while at < tokens.len() {
        let is_use = tokens[at] == "use" && tokens.get(at + 1) != Some(&"<");
        if is_use {
            let handed_on = is_public(&tokens[..at]);
            let mut found = Vec::new();
            at += 1;
            tree(&tokens, &mut at, &[], &mut found);
            for (path, name) in found {
                let Some(path) = absolute(module, &path, modules) else { continue };
                match (handed_on, name.as_str()) {
                    (true, "*") => names.handed_on_whole.push(path[..path.len() - 1].to_vec()),
                    (true, _) => _ = names.handed_on.insert(name, path),
                    (false, _) => {
                        local.insert(name, path.clone());
                        names.used.push(path);
                    }
                }
            }
            continue;
        }
        const DEFINING: [&str; 7] = ["struct", "enum", "fn", "trait", "const", "static", "type"];
        if DEFINING.contains(&tokens[at]) {
            names.defined.extend(tokens.get(at + 1).map(|name| (*name).to_owned()));
        }
        let (path, next) = path_at(&tokens, at);
        if path.len() > 1 && (at == 0 || tokens[at - 1] != "::") {
            let known = local.get(&path[0]).map(|from| [&from[..], &path[1..]].concat());
            names.used.extend(absolute(module, &path, modules).or(known));
        }
        at = next;
    }
    names
}

/// Identifiers, `::` and single signs.
fn tokens(code: &str) -> Vec<&str> {
    let is_name = |letter: char| letter.is_alphanumeric() || letter == '_';
    let (mut tokens, mut rest) = (Vec::new(), code.trim_start());
    while let Some(first) = rest.chars().next() {
        let length = match rest.find(|letter| !is_name(letter)) {
            _ if rest.starts_with("::") => 2,
            Some(0) => first.len_utf8(),
            found => found.unwrap_or(rest.len()),
        };
        tokens.push(&rest[..length]);
        rest = rest[length..].trim_start();
    }
    tokens
}

/// Whether what follows these tokens is public, to anybody.
fn is_public(before: &[&str]) -> bool {
    match before {
        [.., "pub"] => true,
        [within @ .., ")"] => {
            let open = within.iter().rposition(|token| *token == "(").unwrap_or_default();
            within[..open].last() == Some(&"pub")
        }
        _ => false,
    }
}

/// The paths of a `use`, each with the name that it has then.
fn tree(tokens: &[&str], at: &mut usize, prefix: &[String], found: &mut Vec<(Path, String)>) {
    let (mut path, mut alias) = (prefix.to_vec(), None);
    while let Some(token) = tokens.get(*at) {
        match *token {
            "{" => {
                *at += 1;
                while tokens.get(*at).is_some_and(|token| *token != "}") {
                    tree(tokens, at, &path, found);
                    *at += usize::from(tokens.get(*at) == Some(&","));
                }
                *at += 1;
                return;
            }
            "," | "}" | ";" => break,
            "::" => {}
            "as" => {
                *at += 1;
                alias = tokens.get(*at).map(|name| (*name).to_owned());
            }
            name => path.push(name.to_owned()),
        }
        *at += 1;
    }
    if path.len() > 1 && path.last().is_some_and(|last| last == "self") {
        path.pop();
    }
    if let Some(last) = path.last().cloned() {
        found.push((path, alias.unwrap_or(last)));
    }
}

/// The path that begins at a token, and where it ends.
fn path_at(tokens: &[&str], at: usize) -> (Path, usize) {
    let is_name = |token: &&str| token.starts_with(|letter: char| letter.is_alphabetic() || letter == '_');
    let mut path: Path =
        tokens.get(at).filter(|token| is_name(token)).iter().map(ToString::to_string).collect();
    let mut next = at + 1;
    while !path.is_empty() && tokens.get(next) == Some(&"::") && tokens.get(next + 1).is_some_and(&is_name) {
        path.push(tokens[next + 1].to_owned());
        next += 2;
    }
    (path, next)
}

/// A path from the crate's root; none for one that leads to another crate.
fn absolute(module: &Path, path: &[String], modules: &BTreeSet<Path>) -> Option<Path> {
    let first = path.first()?;
    if first == "crate" {
        return Some(path[1..].to_vec());
    }
    let ups = path.iter().take_while(|part| *part == "super").count();
    let own = usize::from(ups == 0 && first == "self");
    let within = &module[..module.len().checked_sub(ups)?];
    let from_here = [within, &path[ups + own..]].concat();
    let below = [&module[..], &path[..1]].concat();
    (ups + own > 0 || modules.contains(&below)).then_some(from_here)
}

fn circles(files: &[(&str, &str)]) -> Vec<String> {
    Crate::of(&files.iter().map(|(file, code)| ((*file).to_owned(), (*code).to_owned())).collect()).circles()
}

#[test]
fn files_that_import_from_each_other_are_a_circle() {
    let there = ("a.rs", "use crate::b::{B, c::{self, D}}; fn f() {}");
    assert_eq!(circles(&[there, ("b.rs", "use super::a::f;")]), ["a -> b, b -> a"]);
    assert_eq!(circles(&[there, ("b.rs", "fn g() { crate::a::f() }")]), ["a -> b, b -> a"]);
    assert!(circles(&[there, ("b.rs", "use std::a::f;")]).is_empty());
}

#[test]
fn what_is_handed_on_is_where_it_is_defined() {
    let files = [
        ("lib.rs", "mod a; mod b; pub use a::A; pub(crate) use b::*;"),
        ("a.rs", "use crate::B; struct A;"),
        ("b.rs", "use crate::A as Other; struct B;"),
    ];
    assert_eq!(circles(&files), ["a -> b, b -> a"]);
    let serve = [
        ("wiring.rs", "mod serve; pub use serve::serve;"),
        ("wiring/serve.rs", "use crate::command::C; fn serve() {}"),
        ("command.rs", "use crate::wiring; struct C; fn f() { wiring::serve() }"),
    ];
    assert_eq!(circles(&serve), ["command -> wiring/serve, wiring/serve -> command"]);
}

#[test]
fn a_module_and_what_is_below_it_are_no_circle() {
    let files = [("a.rs", "mod b; use b::B; struct A;"), ("a/b.rs", "use super::A; struct B;")];
    assert!(circles(&files).is_empty());
}

/// Circles that are left.
const LEFT: [&str; 1] = ["records/"];

#[test]
fn no_files_import_from_each_other_in_a_circle() {
    let mut broken = Vec::new();
    for package in super::packages() {
        let name = package["name"].as_str().unwrap();
        let source = format!("crates/{name}/src/");
        let files = super::sources(&source).into_iter().filter(|file| !super::is_of_tests(&file.path));
        let below = |path: &str| path.strip_prefix(&source).map(str::to_owned).unwrap_or_default();
        let files = files.map(|file| (below(&file.path), file.code)).collect();
        let circles = Crate::of(&files).circles();
        broken.extend(
            circles
                .iter()
                .filter(|circle| !circle.starts_with(LEFT[0]))
                .map(|circle| format!("{name}: {circle}")),
        );
    }
    assert!(broken.is_empty(), "move what both need to where neither is:\n{}", broken.join("\n"));
}
