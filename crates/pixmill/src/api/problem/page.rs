//! `docs/errors.md` equals the code. `UPDATE_DOCS=1 cargo test -p pixmill --all-features equals_the_code` writes it anew.

use std::fmt::Write;

use pixmill_engine::code::Code;

use super::status_of;
use crate::config::pages::keep_equal;

const HEAD: &str = "\
# Error codes

Every failure has a code and a sentence. A code keeps its meaning for good; sentences may become better. This page is generated
from `crates/pixmill-engine/src/code.rs`; a test keeps it equal to the code.

Codes of images stand in `Image Errors` of `results.csv`, in the API, and in the reasons of BullMQ jobs, as `code: sentence`. Codes
of calls stand in `code` of the answer. Codes of commands are printed before their sentence.
";

/// What codes of an area are about, in the order of the page.
const AREAS: [(&str, &str, &str); 18] = [
    ("url", "Addresses in the catalogue", "The image ends at once."),
    (
        "fetch",
        "Fetching",
        "What may pass is tried again, with pauses that grow: no connection, a time-out, an answer of 408, 425, 429 or \
         5xx. What will not pass ends the image at once, such as an answer of 404 or a blocked address.",
    ),
    ("image", "Pictures", "The picture itself is to blame: the image ends at once, and no other suffers."),
    ("file", "Local files", "Only `pixmill run` and `check` read files."),
    ("store", "Storage of outputs", "A refusal ends the image; an absence is waited for and tried again."),
    ("attempts", "Attempts", "The image ends."),
    ("job", "Jobs of other programs", "A job in BullMQ fails with the code as its reason."),
    ("request", "Requests", "Answers to calls that name a request, and images of one that was cancelled."),
    ("auth", "Keys", "Answers to calls."),
    ("idempotency", "Idempotency keys", "Answers to uploads with an `Idempotency-Key`."),
    ("rate", "Limits", "`Retry-After` says how long to wait."),
    ("body", "Bodies of calls", "Answers to calls."),
    ("query", "Parameters of calls", "`errors` in the answer names the parameter."),
    ("recipe", "Recipes", "`errors` in the answer names the field."),
    ("webhook", "Webhooks", "Answers to calls that name a webhook."),
    ("route", "Addresses of the server", "Answers to calls."),
    (
        "catalogue",
        "Catalogues",
        "A row that can't be used costs only itself. A catalogue that can't be read is refused as a whole.",
    ),
    ("", "Running", "Commands stop with exit code 1 or 2, servers answer 503 until it is mended."),
];

fn page() -> String {
    let area_of = |code: &Code| {
        let area = code.as_str().split('.').next().unwrap_or_default();
        AREAS.iter().map(|(known, ..)| *known).find(|known| *known == area).unwrap_or_default()
    };
    let mut page = HEAD.to_owned();
    for (area, title, about) in AREAS {
        let _ = write!(page, "\n## {title}\n\n{about}\n");
        for code in Code::ALL.iter().filter(|code| area_of(code) == area) {
            let status = status_of(*code).as_u16();
            // Codes that no call is answered with have the status of a fault.
            let answered =
                if status == 500 { String::new() } else { format!(" Answers with it have status {status}.") };
            let _ = write!(page, "\n### {code}\n\n{}{answered}\n", code.advice());
        }
    }
    page
}

#[test]
fn the_errors_page_equals_the_code() {
    keep_equal("errors.md", &page());
}

#[test]
fn every_code_is_on_the_page_once() {
    let page = page();
    for code in Code::ALL {
        assert_eq!(page.matches(&format!("### {code}\n")).count(), 1, "{code}");
    }
}
