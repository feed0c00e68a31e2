//! What clients ask for, a page at a time.

use async_trait::async_trait;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::event::Delivery;
use pixmill_engine::model::id::RequestId;
use pixmill_engine::model::image::ImageView;
use pixmill_engine::model::request::{Progress, RequestStatus};
use pixmill_engine::model::time::Timestamp;
use pixmill_engine::port::records::{
    DeliveryQuery, Directory, ImageQuery, Images, Oldest, Reading, RequestQuery, RequestView, Requests,
    Usage, UsagePart,
};

use super::{Entry, Memory, Store, page};

#[async_trait]
impl Reading for Memory {
    async fn read_requests(&self, query: RequestQuery, most: usize) -> Result<Vec<RequestView>, Fault> {
        self.call("read_requests", |store| match &query.which {
            Requests::One(id) => store.find(id).map(view).into_iter().collect(),
            Requests::Of { tenant, status, before } => {
                let end = match before {
                    Some(before) => store.entries.iter().position(|entry| entry.request.id == *before),
                    None => Some(store.entries.len()),
                };
                let of_it = store.entries[..end.unwrap_or_default()].iter().rev().filter(|entry| {
                    entry.is_accepted()
                        && entry.request.tenant == *tenant
                        && status.is_none_or(|status| entry.status() == status)
                });
                // What can't be read is passed over.
                Ok(page(of_it.filter_map(|entry| view(entry).ok()), most))
            }
        })
        .await
    }

    async fn read_images(
        &self,
        request: &RequestId,
        query: ImageQuery,
        most: usize,
    ) -> Result<Vec<(ImageView, String)>, Fault> {
        self.call("read_images", |store| {
            let visible = store.find(request).filter(|entry| entry.is_accepted());
            let Some(entry) = visible else { return Ok(Vec::new()) };
            let images = store.images_of(entry, &query.which).into_iter().map(|view| {
                let row = entry.rows.get(view.row as usize).filter(|_| query.columns);
                let cells = row.map(|row| row.cells.clone()).unwrap_or_default();
                (view, cells)
            });
            Ok(page(images, most))
        })
        .await
    }

    async fn read_deliveries(&self, query: DeliveryQuery, most: usize) -> Result<Vec<Delivery>, Fault> {
        self.call("read_deliveries", |store| Ok(store.deliveries(&query, most))).await
    }
}

#[async_trait]
impl Directory for Memory {
    async fn usage(&self, tenant: &str, from: Timestamp, until: Timestamp) -> Result<Vec<UsagePart>, Fault> {
        self.call("usage", |store| {
            let mut parts: Vec<UsagePart> = Vec::new();
            for entry in store.entries.iter().filter(|entry| entry.is_accepted()) {
                let created = entry.request.created;
                if entry.request.tenant != tenant || created < from || created >= until {
                    continue;
                }
                let (week, format) = (created.week(), Some(entry.request.recipe.format));
                let usage = Usage { requests: 1, progress: entry.progress() };
                match parts.iter_mut().find(|part| (part.week, part.format) == (week, format)) {
                    Some(part) => part.usage = [&part.usage, &usage].into_iter().sum(),
                    None => parts.push(UsagePart { week, format, usage }),
                }
            }
            Ok(parts)
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
    fn images_of(&self, entry: &Entry, which: &Images) -> Vec<ImageView> {
        let all = (0..entry.images.len()).map(|number| entry.view(number));
        match which {
            Images::One(image) => all.filter(|view| view.image == *image).collect(),
            Images::InOrder { status, after } => {
                let after = after.as_ref().and_then(|after| self.place(after));
                let after = after.filter(|(of, _)| self.entries[*of].request.id == entry.request.id);
                let rest = all.skip(after.map_or(0, |(_, number)| number + 1));
                rest.filter(|view| status.is_none_or(|status| view.slot.status == status)).collect()
            }
            Images::EndedAfter(moment) => {
                let is_later = |view: &ImageView| {
                    let ended = view.ended.filter(|ended| *ended >= moment.at);
                    let after = moment.image.as_ref().is_some_and(|image| view.image > *image);
                    ended.is_some_and(|ended| ended > moment.at || after)
                };
                let mut ended: Vec<_> = all.filter(is_later).collect();
                ended.sort_by_key(|view| (view.ended, view.image.clone()));
                ended
            }
        }
    }

    /// Tries, latest first.
    fn deliveries(&self, query: &DeliveryQuery, most: usize) -> Vec<Delivery> {
        let entries = self.entries.iter().filter(|entry| {
            query.tenant.as_ref().is_none_or(|tenant| entry.request.tenant == *tenant)
                && query.request.as_ref().is_none_or(|request| entry.request.id == *request)
        });
        let wanted = |delivery: &&Delivery| {
            query.id.as_ref().is_none_or(|id| delivery.id == *id)
                && query.before.as_ref().is_none_or(|before| delivery.id < *before)
        };
        let mut found: Vec<_> = entries.flat_map(|entry| &entry.deliveries).filter(wanted).cloned().collect();
        found.sort_by(|one, other| other.id.cmp(&one.id));
        found.truncate(most);
        found
    }
}
