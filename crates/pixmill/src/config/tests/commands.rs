//! Commands that the documentation shows are commands that there are.

use std::path::{Path, PathBuf};

use super::{layers, parse};

/// Every Markdown file below a folder.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            pages(&path, found);
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
}

/// The lines of a page that are typed into a shell.
fn typed(page: &str) -> Vec<String> {
    let (mut lines, mut in_shell) = (Vec::new(), false);
    for line in page.lines().map(str::trim) {
        match line.strip_prefix("```") {
            Some(language) => in_shell = language == "sh",
            None if in_shell => lines.push(line.to_owned()),
            None => {}
        }
    }
    lines.join("\n").replace("\\\n", " ").lines().map(str::to_owned).collect()
}

/// The commands of ours in a line, with their arguments.
fn commands(line: &str) -> Vec<Vec<String>> {
    let words = shlex::split(line).unwrap_or_default();
    let parts = words.split(|word| matches!(word.as_str(), "|" | "&&" | "&" | "||"));
    let ours = parts.filter_map(|part| {
        let begin = part.iter().position(|word| word == "pixmill")?;
        let before = &part[..begin];
        let end = part.iter().position(|word| word.starts_with('>')).unwrap_or(part.len());
        before.iter().all(|word| word.contains('=') || word == "sudo").then(|| part[begin + 1..end].to_vec())
    });
    ours.filter(|arguments| !arguments.is_empty()).collect()
}

#[test]
fn every_command_that_pages_show_is_one() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut files: Vec<_> =
        ["README.md", "UPGRADING.md", "SECURITY.md", "examples/README.md"].map(|file| root.join(file)).into();
    pages(&root.join("docs"), &mut files);
    let (mut shown, mut wrong) = (0, Vec::new());
    for file in files {
        let page = std::fs::read_to_string(&file).unwrap();
        for arguments in typed(&page).iter().flat_map(|line| commands(line)) {
            shown += 1;
            let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
            // Files that pages speak of are not here.
            if let Some(at) = arguments.iter().position(|argument| *argument == "--config") {
                arguments.drain(at..at + 2);
            }
            if let Err(misuse) = parse(layers(&arguments, &[], None)) {
                wrong.push(format!("{}: pixmill {}: {misuse:?}", file.display(), arguments.join(" ")));
            }
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    assert!(shown > 50, "only {shown} commands are shown");
}
