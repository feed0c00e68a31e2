//! What is to be done: reading it, claiming it, holding it, ending it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{Candidate, Claim, ImageStatus, Outcome, Settlement, Standing};
use pixmill_engine::model::lease::{Lease, Token};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::model::transition::ImageState;
use pixmill_engine::port::records::{Backlog, Opened, Settle, Settled};

use super::entry::Ending;
use super::{Entry, Memory, Store, Times, Wrong, page};

#[async_trait]
impl Backlog for Memory {
    async fn open_requests(&self, known: &[Opened], most: usize) -> Result<Vec<Opened>, Fault> {
        self.call("open_requests", |store| Ok(store.open_requests(known, most))).await
    }

    async fn fresh(
        &self,
        request: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<Candidate>, Fault> {
        self.call("fresh", |store| {
            let Some(entry) = store.find(request) else { return Ok(Vec::new()) };
            let first = match after {
                None => 0,
                Some(after) => store.place(after).map_or(usize::MAX, |(_, number)| number + 1),
            };
            let rest = (first..entry.images.len())
                .filter(|number| entry.images[*number].state.is_fresh(entry.status()));
            Ok(page(rest.map(|number| entry.candidate(number)), most))
        })
        .await
    }

    async fn due(
        &self,
        request: Option<&RequestId>,
        now: Timestamp,
        most: usize,
    ) -> Result<(Vec<Candidate>, Option<Timestamp>), Fault> {
        let times = self.times(now);
        let now = times.of_store(now);
        self.call("due", |store| {
            let waiting = store.coming_back(request);
            let due = waiting.iter().filter(|(at, ..)| *at <= now);
            let due = due.map(|(_, entry, number)| store.entries[*entry].candidate(*number));
            let due = page(due, most);
            Ok((due, waiting.iter().map(|(at, ..)| *at).find(|at| *at > now).map(|at| times.of_caller(at))))
        })
        .await
    }

    async fn standings(&self, images: &[ImageId], now: Timestamp) -> Result<Vec<Standing>, Fault> {
        let times = self.times(now);
        self.call("standings", |store| {
            let standing = |image: &ImageId| {
                let (entry, number) = store.place(image)?;
                let entry = Some(&store.entries[entry]).filter(|entry| entry.is_accepted())?;
                Some(entry.standing(number))
            };
            let of_caller = |standing| match standing {
                Standing::Claimable(candidate, from) if from != Timestamp::default() => {
                    Standing::Claimable(candidate, times.of_caller(from))
                }
                standing => standing,
            };
            let standings = images.iter().map(|image| standing(image).unwrap_or(Standing::Unknown));
            Ok(standings.map(of_caller).collect())
        })
        .await
    }

    async fn claim(&self, images: &[ImageId], lease: Lease, now: Timestamp) -> Result<Vec<Claim>, Fault> {
        let times = self.times(now);
        let (lease, now) = (times.lease(lease), times.of_store(now));
        self.call("claim", |store| Ok(store.claim(images, lease, now))).await
    }

    async fn defer(&self, images: &[ImageId], until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let until = self.times(now).of_store(until);
        self.call("defer", |store| {
            store.change(images.iter(), |entry, number| {
                entry.images[number].state.deferred(entry.status(), until)
            });
            Ok(())
        })
        .await
    }

    async fn renew(&self, held: &[(ImageId, Token)], until: Timestamp, now: Timestamp) -> Result<(), Fault> {
        let until = self.times(now).of_store(until);
        self.call("renew", |store| {
            if store.wrong == Some(Wrong::RenewalIgnored) {
                return Ok(());
            }
            for (image, token) in held {
                store.change([image], |entry, number| entry.images[number].state.renewed(*token, until));
            }
            Ok(())
        })
        .await
    }
}

impl Store {
    fn open_requests(&self, known: &[Opened], most: usize) -> Vec<Opened> {
        let open: Vec<_> =
            self.entries.iter().filter(|entry| entry.status().is_open() && entry.is_fed()).collect();
        let tenants: BTreeSet<_> = open.iter().map(|entry| entry.request.tenant.as_str()).collect();
        let mut opened = Vec::new();
        for tenant in tenants {
            let after = known.iter().find(|known| known.tenant == tenant).map_or(0, |known| known.order);
            let mut of_it: Vec<_> = open
                .iter()
                .filter(|entry| entry.request.tenant == tenant && entry.order > after)
                .map(|entry| Opened {
                    tenant: tenant.to_owned(),
                    request: entry.request.id.clone(),
                    order: entry.order,
                })
                .collect();
            of_it.sort_by_key(|opened| opened.order);
            opened.extend(of_it.into_iter().take(most));
        }
        opened
    }

    /// Images that were put back, by when they are fed again: their request's place and their own.
    fn coming_back(&self, request: Option<&RequestId>) -> Vec<(Timestamp, usize, usize)> {
        let mut waiting = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            if request.is_some_and(|request| entry.request.id != *request) {
                continue;
            }
            let images = entry.images.iter().enumerate();
            waiting.extend(images.filter_map(|(number, image)| {
                Some((image.state.comes_back(entry.status())?, place, number))
            }));
        }
        waiting.sort();
        waiting
    }

    /// Changes the states of images by a rule.
    fn change<'i>(
        &mut self,
        images: impl IntoIterator<Item = &'i ImageId>,
        rule: impl Fn(&Entry, usize) -> Option<ImageState>,
    ) {
        for image in images {
            let Some((entry, number)) = self.place(image) else { continue };
            let entry = &mut self.entries[entry];
            if let Some(state) = rule(entry, number) {
                entry.images[number].state = state;
            }
        }
    }

    fn claim(&mut self, images: &[ImageId], lease: Lease, now: Timestamp) -> Vec<Claim> {
        let wrong = self.wrong;
        let (mut claims, mut touched) = (Vec::new(), BTreeSet::new());
        for image in images {
            let Some((place, number)) = self.place(image) else { continue };
            let entry = &mut self.entries[place];
            let (was, status) = (entry.images[number].state, entry.status());
            let was = match wrong {
                Some(Wrong::DueTimeIgnored) => ImageState { due: None, ..was },
                Some(Wrong::HeldImagesClaimed) if was.lease.is_some() => {
                    ImageState { status: ImageStatus::Pending, ..was }
                }
                _ => was,
            };
            let Some(mut claimed) = was.claimed(status, lease, now) else { continue };
            if wrong == Some(Wrong::AttemptNotCounted) {
                claimed.attempts = was.attempts.max(1);
            }
            entry.images[number].state = claimed;
            entry.request.status = status.begun();
            touched.insert(place);
            let of_it = &entry.images[number];
            claims.push(Claim {
                image: image.clone(),
                request: entry.request.id.clone(),
                row: of_it.row,
                position: of_it.position,
                input: of_it.input.clone(),
                attempt: claimed.attempts,
                token: lease.token,
            });
        }
        for place in touched {
            self.entries[place].touch(now);
        }
        claims
    }
}

#[async_trait]
impl Settle for Memory {
    async fn settle(&self, batch: Vec<Settlement>, now: Timestamp) -> Result<Settled, Fault> {
        let times = self.times(now);
        let batch: Vec<_> = batch.into_iter().map(|settlement| of_store(settlement, times)).collect();
        let now = times.of_store(now);
        let settled = |store: &mut Store| {
            self.link.settling(&batch, store);
            let settled = store.settle(&batch, now);
            self.link.settled(&batch, &settled.won);
            Ok(settled)
        };
        self.call("settle", settled).await
    }
}

fn of_store(settlement: Settlement, times: Times) -> Settlement {
    let outcome = match settlement.outcome {
        Outcome::Retry(due) => Outcome::Retry(times.of_store(due)),
        outcome => outcome,
    };
    Settlement { outcome, ..settlement }
}

impl Store {
    fn settle(&mut self, batch: &[Settlement], now: Timestamp) -> Settled {
        let mut times = BTreeMap::new();
        let won = batch.iter().map(|settlement| self.settle_one(settlement, now, &mut times)).collect();
        let mut settled = Settled { won, completed: Vec::new() };
        let wrong = self.wrong;
        for place in times.into_keys() {
            if self.entries[place].complete_if_over(now, wrong) {
                settled.completed.push(self.entries[place].request.id.clone());
            }
        }
        settled
    }

    fn settle_one(
        &mut self,
        settlement: &Settlement,
        now: Timestamp,
        times: &mut BTreeMap<usize, Timestamp>,
    ) -> bool {
        let wrong = self.wrong;
        let Some((place, number)) = self.place(&settlement.image) else { return false };
        let entry = &mut self.entries[place];
        let was = entry.images[number].state;
        let token = match (wrong, was.lease) {
            (Some(Wrong::TokenNotCompared), Some(lease)) => lease.token,
            _ => settlement.token,
        };
        let Some(mut state) = was.settled(entry.status(), token, &settlement.outcome, now) else {
            return wrong == Some(Wrong::LoserWins);
        };
        if wrong == Some(Wrong::EndsNotWritten) && matches!(settlement.outcome, Outcome::Completed(_)) {
            return true;
        }
        if wrong == Some(Wrong::GivenBackCounts) {
            state.attempts = was.attempts;
        }
        let at = *times.entry(place).or_insert_with(|| entry.touch(now));
        match Ending::of(&settlement.outcome) {
            Some(ending) => {
                if let Ending::Output(output) = ending {
                    self.stale.remove(&output.location);
                }
                self.entries[place].end(number, state, ending, at, wrong);
            }
            None => self.entries[place].images[number].state = state,
        }
        true
    }
}
