//! What clients ask for, a page at a time.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::{ImageId, RequestId};
use pixmill_engine::model::image::{ImageStatus, ImageView, Moment};
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{Directory, Oldest, RequestView, Usage};

use super::{Entry, Memory, Store, page};

#[async_trait]
impl Directory for Memory {
    async fn view(&self, id: &RequestId) -> Result<Option<RequestView>, Fault> {
        self.call("view", |store| store.visible(id).map(view).transpose()).await
    }

    async fn requests_of(
        &self,
        tenant: &str,
        status: Option<RequestStatus>,
        before: Option<&RequestId>,
        most: usize,
    ) -> Result<Vec<RequestView>, Fault> {
        self.call("requests_of", |store| {
            let end = match before {
                Some(before) => store.entries.iter().position(|entry| entry.request.id == *before),
                None => Some(store.entries.len()),
            };
            let of_it = store.entries[..end.unwrap_or_default()].iter().rev().filter(|entry| {
                entry.is_accepted()
                    && entry.request.tenant == tenant
                    && status.is_none_or(|status| entry.status() == status)
            });
            // What can't be read is passed over.
            Ok(page(of_it.filter_map(|entry| view(entry).ok()), most))
        })
        .await
    }

    async fn images(
        &self,
        id: &RequestId,
        status: Option<ImageStatus>,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        self.call("images", |store| {
            let Some(entry) = store.visible(id) else { return Ok(Vec::new()) };
            let views = (store.after(id, after)..entry.images.len()).map(|number| entry.view(number));
            let wanted = views.filter(|view| status.is_none_or(|status| view.slot.status == status));
            Ok(page(wanted, most))
        })
        .await
    }

    async fn image(&self, id: &RequestId, image: &ImageId) -> Result<Option<ImageView>, Fault> {
        self.call("image", |store| {
            let Some(entry) = store.visible(id) else { return Ok(None) };
            let number = (0..entry.images.len()).find(|number| entry.id_of(*number) == *image);
            Ok(number.map(|number| entry.view(number)))
        })
        .await
    }

    async fn failed(
        &self,
        id: &RequestId,
        after: Option<&ImageId>,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        self.call("failed", |store| {
            let Some(entry) = store.visible(id) else { return Ok(Vec::new()) };
            let views = (store.after(id, after)..entry.images.len()).map(|number| entry.view(number));
            let failed = views.filter(|view| view.slot.failure.is_some());
            let with_row = failed.map(|view| {
                let cells = entry.rows[view.row as usize].cells.clone();
                (view, cells)
            });
            Ok(page(with_row, most))
        })
        .await
    }

    async fn ended_since(
        &self,
        id: &RequestId,
        moment: &Moment,
        most: usize,
    ) -> Result<Vec<ImageView>, Fault> {
        self.call("ended_since", |store| {
            let Some(entry) = store.visible(id) else { return Ok(Vec::new()) };
            let is_later = |view: &ImageView| {
                let ended = view.ended.filter(|ended| *ended >= moment.at);
                let after = moment.image.as_ref().is_some_and(|image| view.image > *image);
                ended.is_some_and(|ended| ended > moment.at || after)
            };
            let views = (0..entry.images.len()).map(|number| entry.view(number));
            let mut ended: Vec<_> = views.filter(is_later).collect();
            ended.sort_by_key(|view| (view.ended, view.image.clone()));
            Ok(page(ended.into_iter(), most))
        })
        .await
    }

    async fn deliveries_of(
        &self,
        tenant: &str,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Result<Vec<Delivery>, Fault> {
        self.call("deliveries_of", |store| Ok(store.deliveries(Some(tenant), request, before, most))).await
    }

    async fn delivery_of(&self, tenant: &str, id: &str) -> Result<Option<Delivery>, Fault> {
        self.call("delivery_of", |store| {
            let all = store.deliveries(Some(tenant), None, None, usize::MAX);
            Ok(all.into_iter().find(|delivery| delivery.id == id))
        })
        .await
    }

    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Usage, Fault> {
        self.call("usage", |store| {
            let mut usage = Usage::default();
            for entry in store.entries.iter().filter(|entry| entry.is_accepted()) {
                let created = entry.request.created;
                if entry.request.tenant == tenant && from <= created && created < until {
                    usage.requests += 1;
                    usage.progress += entry.progress();
                }
            }
            Ok(usage)
        })
        .await
    }

    async fn census(&self) -> Result<(Vec<(RequestStatus, u64)>, Progress), Fault> {
        self.call("census", |store| {
            let (mut requests, mut all) = (Vec::new(), Progress::default());
            for status in RequestStatus::ALL.into_iter().filter(|status| *status != RequestStatus::Receiving)
            {
                let of_it: Vec<_> = store.entries.iter().filter(|entry| entry.status() == status).collect();
                of_it.iter().for_each(|entry| all += entry.progress().shown(status));
                if !of_it.is_empty() {
                    requests.push((status, of_it.len() as u64));
                }
            }
            Ok((requests, all))
        })
        .await
    }

    async fn oldest(&self) -> Result<Oldest, Fault> {
        self.call("oldest", |store| {
            let open = store.entries.iter().filter(|entry| entry.status().is_open());
            let events = store.entries.iter().flat_map(|entry| &entry.events);
            Ok(Oldest {
                open: open.map(|entry| entry.request.created).min(),
                due: events.filter_map(|event| event.due).min(),
            })
        })
        .await
    }
}

fn view(entry: &Entry) -> Result<RequestView, Fault> {
    Ok(RequestView { request: entry.readable()?, progress: entry.progress().shown(entry.status()) })
}

impl Store {
    fn visible(&self, id: &RequestId) -> Option<&Entry> {
        self.find(id).filter(|entry| entry.is_accepted())
    }

    /// The number of the first image of a page.
    fn after(&self, id: &RequestId, after: Option<&ImageId>) -> usize {
        let place = after.and_then(|after| self.place(after));
        place.filter(|(entry, _)| self.entries[*entry].request.id == *id).map_or(0, |(_, number)| number + 1)
    }

    /// Tries, latest first.
    pub(super) fn deliveries(
        &self,
        tenant: Option<&str>,
        request: Option<&RequestId>,
        before: Option<&str>,
        most: usize,
    ) -> Vec<Delivery> {
        let entries = self.entries.iter().filter(|entry| {
            tenant.is_none_or(|tenant| entry.request.tenant == tenant)
                && request.is_none_or(|request| entry.request.id == *request)
        });
        let mut found: Vec<_> = entries
            .flat_map(|entry| &entry.deliveries)
            .filter(|delivery| before.is_none_or(|before| delivery.id.as_str() < before))
            .cloned()
            .collect();
        found.sort_by(|one, other| other.id.cmp(&one.id));
        found.truncate(most);
        found
    }
}
