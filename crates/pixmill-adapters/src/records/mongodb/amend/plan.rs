//! Which images corrections change, and how: decided from what the images are, before anything is written.

use std::collections::{BTreeMap, HashMap, HashSet};

use futures::TryStreamExt;
use mongodb::bson::{Bson, Document, doc};
use pixmill_engine::fault::Fault;
use pixmill_engine::model::following::{Heirs, Leads};
use pixmill_engine::model::image::Correction;
use pixmill_engine::model::source::Fingerprint;

use super::super::Shared;
use super::super::command::{Reading, find};
use super::super::document::{as_it_is, at, flag, place};
use super::super::fault::fault;
use super::super::field::{self, inside};
use super::super::head::Head;
use super::super::id::text;
use super::super::upkeep::retried;

/// Leads whose followers are read at a time.
const LEADS: usize = 1_000;

/// What corrections come to.
pub(in super::super) enum Plan {
    /// These of them, by their ordinals, name no image that may be corrected.
    Wrong(Vec<usize>),
    /// What changes.
    Changes(Vec<Waiting>),
}

/// A change that waits in the document of its image.
pub(in super::super) struct Waiting {
    pub(super) image: Bson,
    /// The better input; none for an image that stays as it ended and only follows another from now on, or leads.
    input: Option<String>,
    /// The image that it follows from now on.
    lead: Option<Bson>,
    followed: bool,
}

impl Waiting {
    /// As the image's document holds it.
    pub(super) fn document(&self, mark: &str) -> Document {
        let mut document = doc! { "mark": mark };
        if let Some(input) = &self.input {
            document.insert(field::INPUT_URL, input);
        }
        if let Some(lead) = &self.lead {
            document.insert(inside(field::SAME_AS), lead.clone());
        }
        if self.followed {
            document.insert(inside(field::FOLLOWED), true);
        }
        document
    }
}

/// Images that are corrected, in the order of the catalogue: their documents, and their new inputs.
type Found<'a> = BTreeMap<(u64, u32), (Document, &'a str)>;

impl Shared {
    /// What corrections change. Of equal inputs the first is worked and the others follow it; what followed a corrected
    /// image has the old input still, and the first of those leads the others.
    pub(in super::super) async fn plan(
        &self,
        head: &Head,
        corrections: &[Correction],
    ) -> Result<Plan, Fault> {
        let found = self.named(head, corrections).await?;
        let is_wrong = |correction: &Correction| !found.contains_key(&(correction.row, correction.position));
        let wrong: Vec<_> =
            (0..).zip(corrections).filter(|(_, one)| is_wrong(one)).map(|(at, _)| at).collect();
        if !wrong.is_empty() {
            return Ok(Plan::Wrong(wrong));
        }
        let mut changes = replaced(&found);
        let named: HashSet<_> = changes.iter().filter_map(|change| text(&change.image)).collect();
        let leads = found.values().map(|(image, _)| image);
        let leads = leads.filter(|image| flag(image, field::FOLLOWED));
        let leads: Vec<_> = leads.map(|image| as_it_is(image, "_id")).collect();
        for leads in leads.chunks(LEADS) {
            let reading = Reading {
                fields: doc! { field::SAME_AS: 1 },
                order: doc! { "_id": 1 },
                most: 0,
                ..Reading::default()
            };
            let followers = find(&self.images(), doc! { field::SAME_AS: { "$in": leads } }, reading).await?;
            let left = followers
                .into_iter()
                .filter(|image| image.get("_id").and_then(text).is_some_and(|id| !named.contains(&id)));
            changes.extend(passed_on(left));
        }
        Ok(Plan::Changes(changes))
    }

    /// The images that corrections name and that may be corrected. Where two are about one image the later one holds.
    async fn named<'a>(&self, head: &Head, corrections: &'a [Correction]) -> Result<Found<'a>, Fault> {
        let inputs: HashMap<_, _> =
            corrections.iter().map(|one| ((one.row, one.position), one.input.as_str())).collect();
        let fields = doc! { field::ROW: 1, field::POSITION: 1, field::FOLLOWED: 1 };
        let images = self.images();
        let mut all = images.find(retried(head)).projection(fields).await.map_err(|error| fault(&error))?;
        let mut found = BTreeMap::new();
        while let Some(image) = all.try_next().await.map_err(|error| fault(&error))? {
            let at = place(&image);
            if let Some(input) = inputs.get(&at) {
                found.insert(at, (image, *input));
            }
        }
        Ok(found)
    }
}

/// The corrected images, each a lead or following one.
fn replaced(found: &Found<'_>) -> Vec<Waiting> {
    let fingerprint = Fingerprint::new();
    let mut leads = Leads::default();
    let mut changes: Vec<Waiting> = Vec::with_capacity(found.len());
    for (image, input) in found.values() {
        let own = changes.len();
        let lead = leads.lead_of(own, fingerprint.of(input), *input);
        if let Some(lead) = lead {
            changes[lead].followed = true;
        }
        changes.push(Waiting {
            image: as_it_is(image, "_id"),
            input: Some((*input).to_owned()),
            lead: lead.map(|lead| changes[lead].image.clone()),
            followed: false,
        });
    }
    changes
}

/// Followers of corrected images, in order: the first of each lead leads the others.
fn passed_on(followers: impl Iterator<Item = Document>) -> Vec<Waiting> {
    let mut heirs = Heirs::default();
    let mut changes: Vec<Waiting> = Vec::new();
    for follower in followers {
        let Some(lead) = at(&follower, field::SAME_AS).and_then(text) else { continue };
        let own = changes.len();
        let heir = heirs.lead_of(lead, own);
        let lead = heir.map(|heir| changes[heir].image.clone());
        if let Some(heir) = heir {
            changes[heir].followed = true;
        }
        changes.push(Waiting { image: as_it_is(&follower, "_id"), input: None, lead, followed: false });
    }
    changes
}
