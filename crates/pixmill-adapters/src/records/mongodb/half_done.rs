//! What a crash may leave half done, and what finishes it: one table, which upkeep goes by and which is a part of
//! `docs/mongodb.md`. There are no transactions, so whatever takes more than one write has a row here.

/// What a request's `pixmill.unfinished` says while something is being done to it as a whole.
pub(super) const CANCELLING: &str = "cancelling";
pub(super) const REOPENING: &str = "reopening";
pub(super) const CORRECTING: &str = "correcting";
pub(super) const RETIRING: &str = "retiring";
pub(super) const DELETING: &str = "deleting";
pub(super) const DELETING_OUTPUTS: &str = "deleting with outputs";
pub(super) const DROPPING: &str = "dropping";

/// What it says of a request that can only be deleted.
pub(super) const GOING: [&str; 3] = [RETIRING, DELETING, DELETING_OUTPUTS];

/// Something that may be found half done.
pub(super) struct HalfDone {
    /// How it is seen.
    seen: Seen,
    /// What is done, and what is not.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made from it"))]
    half: &'static str,
    /// What becomes of it.
    #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made from it"))]
    after: &'static str,
    /// What finishes it.
    finish: Finish,
}

/// How a half-done state is seen.
enum Seen {
    /// By what `pixmill.unfinished` says.
    Unfinished(&'static str),
    /// By other fields of a document.
    Fields(
        #[cfg_attr(not(test), expect(dead_code, reason = "the documentation is made from it"))] &'static str,
    ),
}

/// What finishes something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Finish {
    /// This, for requests whose mark says so: in each round of upkeep, and by whoever comes upon the mark.
    Marked(Marked),
    /// A round of upkeep looks for it.
    Round(Round),
    /// Another part of pixmill does.
    Elsewhere(&'static str),
}

/// What finishes a request by its mark.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Marked {
    EndCancelled,
    Reopen,
    CarryOut,
    Delete,
}

/// What a round of upkeep looks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Round {
    DoneElsewhere,
    Followers,
    Marks,
    Over,
    Foreign,
}

impl Round {
    /// All of them, each after those that may lead to it.
    pub(super) const ALL: [Round; 5] =
        [Round::DoneElsewhere, Round::Followers, Round::Marks, Round::Over, Round::Foreign];
}

/// Everything that may be found half done, in the order of an image's and a request's life.
pub(super) const HALF_DONE: [HalfDone; 16] = [
    HalfDone {
        seen: Seen::Fields("a request is `receiving`, and its `touchedAt` stands still"),
        half: "a catalogue was being taken in, and whoever did it is gone",
        after: "it is deleted after ten minutes",
        finish: Finish::Elsewhere("upkeep"),
    },
    HalfDone {
        seen: Seen::Fields("an image's `lease.until` has passed"),
        half: "whoever worked on the image is gone",
        after: "it is pending again; with no attempt left it fails",
        finish: Finish::Elsewhere("upkeep"),
    },
    HalfDone {
        seen: Seen::Fields("a request is `pending`, and an image of it has a lease"),
        half: "an image was claimed, and its request does not say so yet",
        after: "the next claim says so; it is completed from either state",
        finish: Finish::Elsewhere("the next claim"),
    },
    HalfDone {
        seen: Seen::Fields("an image without a lease has an `outputUrl`, and its `status` is no end"),
        half: "another kind of worker wrote an output and no more",
        after: "it is completed, and so are those that follow it",
        finish: Finish::Round(Round::DoneElsewhere),
    },
    HalfDone {
        seen: Seen::Fields("an image has `telling`"),
        half: "the image ended, and those that follow it may not have",
        after: "they end as it did",
        finish: Finish::Round(Round::Followers),
    },
    HalfDone {
        seen: Seen::Fields("a request is open, and all its images have ended"),
        half: "the last image ended, and its request was not completed",
        after: "it is completed, with its event",
        finish: Finish::Round(Round::Over),
    },
    HalfDone {
        seen: Seen::Fields("an application's request is open, and all its images have ended or stand still"),
        half: "an application added images and said no more, or added some after its request was completed",
        after: "it is completed, taken over, or opened again",
        finish: Finish::Round(Round::Foreign),
    },
    HalfDone {
        seen: Seen::Fields("an event's `lease` is there, and its `due` has passed"),
        half: "whoever told a webhook of the completion is gone",
        after: "it is told again under the same id",
        finish: Finish::Elsewhere("whoever delivers next"),
    },
    HalfDone {
        seen: Seen::Unfinished(CANCELLING),
        half: "the request is cancelled, and some of its images have not ended",
        after: "they end as cancelled",
        finish: Finish::Marked(Marked::EndCancelled),
    },
    HalfDone {
        seen: Seen::Unfinished(REOPENING),
        half: "some of the images of a retry are pending again, and the request is in its old round",
        after: "the others follow, and the request opens in its next round",
        finish: Finish::Marked(Marked::Reopen),
    },
    HalfDone {
        seen: Seen::Fields("an image has a `correction` whose `mark` its request does not name"),
        half: "corrections wait in some of their images, and the request is as it was",
        after: "nothing: they mean nothing until the request is marked, and the next ones take their place",
        finish: Finish::Elsewhere("nobody"),
    },
    HalfDone {
        seen: Seen::Unfinished(CORRECTING),
        half: "corrections hold, and some of them have not been carried out",
        after: "they are, and the request opens in its next round",
        finish: Finish::Marked(Marked::CarryOut),
    },
    HalfDone {
        seen: Seen::Unfinished(RETIRING),
        half: "the request ended longer ago than requests are kept; some of its outputs may be gone",
        after: "the others go, then the request",
        finish: Finish::Elsewhere("upkeep"),
    },
    HalfDone {
        seen: Seen::Unfinished(DELETING),
        half: "somebody asked for its deletion",
        after: "it is deleted, its outputs stay",
        finish: Finish::Elsewhere("upkeep"),
    },
    HalfDone {
        seen: Seen::Unfinished(DELETING_OUTPUTS),
        half: "the same, and some of its outputs may be gone",
        after: "the others go, then the request",
        finish: Finish::Elsewhere("upkeep"),
    },
    HalfDone {
        seen: Seen::Unfinished(DROPPING),
        half: "some of the documents of a request that nobody sees any more are gone, itself last",
        after: "the others go",
        finish: Finish::Marked(Marked::Delete),
    },
];

/// What finishes a request that is marked so; nothing where that is for others.
pub(super) fn marked(unfinished: &str) -> Option<Marked> {
    by_mark().find(|(mark, _)| *mark == unfinished).map(|(_, finish)| finish)
}

/// What requests are marked with that a round of upkeep finishes.
pub(super) fn marks() -> Vec<&'static str> {
    by_mark().map(|(mark, _)| mark).collect()
}

fn by_mark() -> impl Iterator<Item = (&'static str, Marked)> {
    HALF_DONE.iter().filter_map(|half_done| match (&half_done.seen, half_done.finish) {
        (Seen::Unfinished(mark), Finish::Marked(finish)) => Some((*mark, finish)),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const HEADING: &str = "## What a crash may leave half done\n";

    fn section() -> String {
        let mut section = format!(
            "{HEADING}\nThere are no transactions: what takes several writes is marked before it is begun. Made from the \
             code.\n\n| how it is seen | what is half done | what becomes of it | by whom |\n|---|---|---|---|\n"
        );
        for HalfDone { seen, half, after, finish } in &HALF_DONE {
            let seen = match seen {
                Seen::Unfinished(mark) => format!("a request's `unfinished` is `{mark}`"),
                Seen::Fields(fields) => (*fields).to_owned(),
            };
            let by = match finish {
                Finish::Marked(_) => "upkeep, or whoever changes the request next",
                Finish::Round(_) => "upkeep",
                Finish::Elsewhere(who) => who,
            };
            section += &format!("| {seen} | {half} | {after} | {by} |\n");
        }
        section + "\n"
    }

    #[test]
    fn the_table_of_what_is_half_done_equals_the_code() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/mongodb.md");
        let page = std::fs::read_to_string(path).unwrap();
        let (before, rest) = page.split_once(HEADING).expect("the page has the section");
        let after = rest.find("\n## ").map_or("", |at| &rest[at + 1..]);
        let wanted = format!("{before}{}{after}", section());
        if std::env::var_os("UPDATE_DOCS").is_some() {
            std::fs::write(path, &wanted).unwrap();
        }
        assert!(std::fs::read_to_string(path).unwrap() == wanted, "run with UPDATE_DOCS=1 to write it anew");
    }

    #[test]
    fn whatever_upkeep_does_finishes_something_of_the_table() {
        for round in Round::ALL.into_iter().filter(|round| *round != Round::Marks) {
            assert!(HALF_DONE.iter().any(|half_done| half_done.finish == Finish::Round(round)), "{round:?}");
        }
        assert_eq!(marks(), [CANCELLING, REOPENING, CORRECTING, DROPPING]);
        assert!(GOING.iter().all(|going| marked(going).is_none()), "outputs go before their request does");
    }
}
