//! Looks for words in the pages: sections that hold all of them, those first whose heading does.

use super::slug::Slugs;
use super::{PAGES, Page};

/// Most sections that are shown.
const MOST: usize = 30;

/// Most signs of a line that are shown.
const LINE: usize = 200;

/// A section that holds what was asked for.
pub(super) struct Found {
    /// Its page.
    pub(super) title: &'static str,
    /// Below `/help/`.
    pub(super) address: String,
    pub(super) heading: String,
    /// The first line that holds a word.
    pub(super) line: String,
}

/// Sections that hold all words, best first.
pub(super) fn find(asked: &str) -> Vec<Found> {
    let words: Vec<String> = asked.to_lowercase().split_whitespace().map(str::to_owned).collect();
    let mut found: Vec<(u8, Found)> = PAGES.iter().flat_map(|page| in_page(page, &words)).collect();
    found.sort_by_key(|(rank, _)| *rank);
    found.into_iter().take(MOST).map(|(_, found)| found).collect()
}

fn in_page(page: &'static Page, words: &[String]) -> Vec<(u8, Found)> {
    let (mut slugs, mut found) = (Slugs::default(), Vec::new());
    for section in sections(page.text()) {
        let (heading, body) = section.split_once('\n').unwrap_or((section, ""));
        let heading = plain(heading.trim_start_matches('#'));
        let slug = slugs.of(&heading);
        let in_heading = holds_all(&format!("{} {heading}", page.title), words);
        if in_heading || holds_all(section, words) {
            let rank = if in_heading { 0 } else { 1 };
            let address = format!("{}#{slug}", page.address());
            found.push((rank, Found { title: page.title, address, heading, line: line(body, words) }));
        }
    }
    found
}

/// The text cut at its headings; what looks like one in a block of code is none.
fn sections(text: &str) -> Vec<&str> {
    let (mut cuts, mut at, mut in_code) = (Vec::new(), 0, false);
    for line in text.split_inclusive('\n') {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code && line.starts_with('#') {
            cuts.push(at);
        }
        at += line.len();
    }
    let ends = cuts.iter().skip(1).copied().chain([text.len()]);
    cuts.iter().zip(ends).map(|(&begin, end)| &text[begin..end]).collect()
}

fn holds_all(text: &str, words: &[String]) -> bool {
    let text = text.to_lowercase();
    words.iter().all(|word| text.contains(word.as_str()))
}

/// The first line with a word, else the first that says something.
fn line(body: &str, words: &[String]) -> String {
    let spoken =
        || body.lines().filter(|line| line.chars().any(char::is_alphabetic) && !line.starts_with("<!--"));
    let with_word =
        spoken().find(|line| words.iter().any(|word| line.to_lowercase().contains(word.as_str())));
    plain(with_word.or(spoken().next()).unwrap_or_default()).chars().take(LINE).collect()
}

/// Without the signs of Markdown.
fn plain(line: &str) -> String {
    let line = line.replace(['`', '*'], "").replace('|', " ");
    line.trim_start_matches(['-', ' ', '>']).trim().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_section_is_found_by_its_words_and_its_heading_comes_first() {
        let found = find("Retention");
        assert!(found.iter().any(|found| found.address == "configuration#one-commands-own"), "by an option");
        let codes = find("fetch.status");
        assert_eq!(codes[0].address, "errors#fetchstatus");
        assert!(find("no-such-word-anywhere").is_empty());
    }

    #[test]
    fn comments_in_code_are_no_headings() {
        assert_eq!(sections("# A\n\n```sh\n# no heading\n```\n\n## B\n").len(), 2);
    }
}
