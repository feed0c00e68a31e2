//! `docs/states.md` equals the code. `UPDATE_DOCS=1 cargo test -p pixmill-engine --test states_page` writes it anew.

use pixmill_engine::model::image::ImageStatus;
use pixmill_engine::model::request::RequestStatus;

fn table<S: Copy>(all: &[S], name: fn(S) -> &'static str, may_become: fn(S, S) -> bool) -> String {
    let mut table = String::from("| from |");
    all.iter().for_each(|to| table += &format!(" {} |", name(*to)));
    table += "\n|---|";
    all.iter().for_each(|_| table += "---|");
    for from in all {
        table += &format!("\n| **{}** |", name(*from));
        all.iter().for_each(|to| table += if may_become(*from, *to) { " yes |" } else { " |" });
    }
    table
}

fn page() -> String {
    let images = table(&ImageStatus::ALL, ImageStatus::as_str, ImageStatus::may_become);
    let requests = table(&RequestStatus::ALL, RequestStatus::as_str, RequestStatus::may_become);
    format!(
        "# States\n\nGenerated from `crates/pixmill-engine/src/model`; a test keeps it equal to the code.\n\n\
         ## Images\n\n{images}\n\nEnds (`completed`, `failed`, `cancelled`) absorb: only an explicit retry re-opens \
         failed and cancelled images, and\n`pixmill run` completed ones whose output was deleted behind it.\nA transient fault, a clean stop or a lost lease puts an image from `processing` \
         back to `pending`.\nAn image that has an equal URL before it goes from `pending` to its end together with that \
         one.\n\n## Requests\n\n{requests}\n\nA request is `completed` in the write that ends its last image. A retry \
         re-opens it, raises its round,\nand the next completion is a new event.\n"
    )
}

#[test]
fn the_states_page_equals_the_code() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/states.md");
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(path, page()).unwrap();
    }
    assert_eq!(
        std::fs::read_to_string(path).unwrap_or_default(),
        page(),
        "run with UPDATE_DOCS=1 to write it anew"
    );
}
