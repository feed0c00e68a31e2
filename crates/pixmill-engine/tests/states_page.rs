//! `docs/states.md` equals the code. `UPDATE_DOCS=1 cargo test -p pixmill-engine equals_the_code` writes it anew.

use pixmill_engine::code::Code;
use pixmill_engine::model::image::{Failure, ImageStatus, Outcome, Output};
use pixmill_engine::model::lease::{Lease, Token, Void};
use pixmill_engine::model::request::RequestStatus;
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::{ImageState, Rescue};

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

const NOW: Timestamp = Timestamp(5);
const LEASE: Lease = Lease { token: Token(1), until: NOW };

/// Whether any rule takes an image from here to there: each is asked of every image that stands so.
fn leads_to(from: ImageStatus, to: ImageStatus) -> bool {
    let outcomes = [
        Outcome::Completed(Output { location: "a".into(), bytes_before: 2, bytes_after: 1, frames: 1 }),
        Outcome::Failed(Failure { code: Code::FetchStatus, message: "404".into() }),
        Outcome::Retry(NOW),
        Outcome::GivenBack,
    ];
    let lease = (from == ImageStatus::Processing).then_some(LEASE);
    let (kinds, requests) = ([(false, 0), (false, 9), (true, 0), (true, 9)], RequestStatus::ALL);
    for ((follows, attempts), request) in kinds.into_iter().flat_map(|one| requests.map(|of| (one, of))) {
        let state = ImageState { status: from, attempts, lease, ..ImageState::new(follows) };
        let rescued = state.rescued(request, Void::Expired, 9, NOW).map(|rescue| match rescue {
            Rescue::PutBack(state) | Rescue::Exhausted(state, _) => state,
        });
        let mut after = vec![
            state.claimed(request, LEASE, NOW),
            rescued,
            state.cancelled(),
            state.reopened(request, NOW),
            state.remade(NOW),
        ];
        after.extend(outcomes.iter().map(|outcome| state.settled(request, LEASE.token, outcome, NOW)));
        after.extend(ImageStatus::ALL.map(|lead| state.led(lead)));
        if after.into_iter().flatten().any(|after| after.status == to) {
            return true;
        }
    }
    false
}

#[test]
fn images_go_where_rules_take_them_and_nowhere_else() {
    for from in ImageStatus::ALL {
        for to in ImageStatus::ALL {
            assert_eq!(from.may_become(to), leads_to(from, to), "{from:?} to {to:?}");
        }
    }
}

fn page() -> String {
    let images = table(&ImageStatus::ALL, ImageStatus::as_str, leads_to);
    let requests = table(&RequestStatus::ALL, RequestStatus::as_str, RequestStatus::may_become);
    format!(
        "# States\n\nWhich state an image and a request may go to from which, generated from the rules in \
         `crates/pixmill-engine/src/model`;\na test keeps this page equal to them.\n\n## Images\n\n{images}\n\n- \
         Ends (`completed`, `failed`, `cancelled`) stay. Only an explicit retry re-opens failed and cancelled images, \
         and\n  `pixmill run` completed ones whose output was deleted behind it.\n- A transient fault, a clean stop or \
         a lost lease puts an image back from `processing` to `pending`.\n- An image that has an equal URL before it \
         goes from `pending` to its end together with that one.\n\n## Requests\n\n{requests}\n\n- A request is \
         `receiving` while its catalogue is taken in; nobody sees it.\n- It is `completed` in the write that ends its \
         last image. Failures are counted beside it.\n- A retry re-opens it and raises its round. The next completion \
         is a new event.\n"
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
