//! What an image holds while it is fetched: a connection, and a place for its picture.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::super::fair::{Fair, Permit};
use super::super::fetch::Seat;
use super::super::recompress::Recompress;
use super::places::Places;
use crate::model::id::RequestId;

/// Names of one request that are looked up at a time: fewer than a resolver takes, so that it has room for others'.
const LOOK_UPS: usize = 448;

/// What images of all requests share.
pub(super) struct Seats {
    pub(super) places: Places,
    connections: Fair,
    look_ups: Fair,
    /// Images under way that hold neither place nor connection.
    aside: AtomicUsize,
}

impl Seats {
    /// Where there may be more than one request, there is some more of each for the next one.
    pub(super) fn new(connections: usize, decoders: usize, newcomers: bool) -> Self {
        Seats {
            places: Places::new(connections, decoders),
            connections: Fair::new(connections, newcomers),
            look_ups: Fair::new(LOOK_UPS, newcomers),
            aside: AtomicUsize::new(0),
        }
    }

    /// How many images under way wait for something that takes nothing from others.
    pub(super) fn aside(&self) -> usize {
        self.aside.load(Ordering::Relaxed)
    }

    /// Looks something up when it is the request's turn.
    pub(super) async fn look_up<T>(&self, request: &RequestId, look_up: impl Future<Output = T>) -> T {
        let _aside = Aside::one(&self.aside);
        let _turn = self.look_ups.take(request).await;
        look_up.await
    }
}

/// One image's.
pub(super) struct Taken<'w> {
    seats: &'w Seats,
    /// Where pictures go next, and may pile up.
    recompress: &'w Recompress,
    request: RequestId,
    place: Option<Permit>,
    connection: Option<Permit>,
}

impl<'w> Taken<'w> {
    /// Nothing yet.
    pub(super) fn none(seats: &'w Seats, recompress: &'w Recompress, request: &RequestId) -> Self {
        Taken { seats, recompress, request: request.clone(), place: None, connection: None }
    }

    /// Waits for both. First for the connection: those of one request that wait for theirs then hold no place that
    /// another's picture could have.
    pub(super) async fn take(&mut self) {
        self.connection = Some(self.seats.connections.take(&self.request).await);
        self.place = Some(self.seats.places.take(&self.request).await);
    }

    /// Its origin has been asked.
    pub(super) fn is_fetched(&mut self) {
        self.connection = None;
    }

    /// Gives back what is left.
    pub(super) fn give_back(&mut self) {
        self.connection = None;
        if let Some(place) = self.place.take() {
            self.seats.places.give_back(place, self.recompress.waiting());
        }
    }
}

impl Seat for Taken<'_> {
    async fn aside<F>(&mut self, waiting: F) -> F::Output
    where
        F: Future + Send,
        F::Output: Send,
    {
        self.give_back();
        let waited = {
            let _aside = Aside::one(&self.seats.aside);
            waiting.await
        };
        self.take().await;
        waited
    }
}

/// Counts an image for as long as it waits, also where it is stopped.
struct Aside<'c>(&'c AtomicUsize);

impl<'c> Aside<'c> {
    fn one(count: &'c AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Aside(count)
    }
}

impl Drop for Aside<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}
