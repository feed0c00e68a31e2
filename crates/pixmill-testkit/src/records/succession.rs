//! Promises of records in which one catalogue takes the place of another.

use pixmill_engine::port::records::Succession;

use super::*;

/// Runs the suite. `make` gives empty records, twice the same.
///
/// # Panics
/// When a promise is broken.
pub async fn suite<M, F>(make: M)
where
    M: Fn() -> F,
    F: Future<Output = (Arc<dyn RecordsForTests>, Arc<dyn Succession>)>,
{
    the_requests_are_told_oldest_first(make().await).await;
    ends_at_the_same_place_with_an_equal_input_are_carried_over(make().await).await;
    a_successor_with_nothing_left_completes(make().await).await;
    a_successor_without_images_still_takes_the_place(make().await).await;
    what_follows_a_carried_end_ends_with_it(make().await).await;
    an_output_that_another_input_may_overwrite_is_made_anew(make().await).await;
    a_failure_is_not_carried_to_what_follows_another_image(make().await).await;
    stale_outputs_are_told_until_forgotten(make().await).await;
    an_output_that_is_made_again_is_not_stale(make().await).await;
    succeeding_twice_changes_nothing(make().await).await;
    outputs_that_are_lost_are_made_again(make().await).await;
}

type Both = (Arc<dyn RecordsForTests>, Arc<dyn Succession>);

async fn ids(succession: &Arc<dyn Succession>) -> Vec<RequestId> {
    succession.requests().await.unwrap().into_iter().map(|request| request.id).collect()
}

/// Completes every image of a request that can be claimed.
async fn complete_all(records: &Arc<dyn RecordsForTests>, id: &RequestId) {
    let claims = claim_fresh(records, id, START).await;
    settle(records, claims.iter().map(completed), START).await;
}

/// Inputs that are still to be done.
async fn left(records: &Arc<dyn RecordsForTests>, id: &RequestId) -> Vec<String> {
    records.fresh(id, None, 100).await.unwrap().into_iter().map(|candidate| candidate.input).collect()
}

async fn locations(records: &Arc<dyn RecordsForTests>, id: &RequestId) -> Vec<Option<String>> {
    let rows = results(records, id).await;
    rows.into_iter().flat_map(|row| row.slots).map(|slot| slot.output.map(|output| output.location)).collect()
}

fn location(row: usize, position: usize) -> String {
    format!("processed_images/{row:06}-{position:02}.jpg")
}

async fn the_requests_are_told_oldest_first((records, succession): Both) {
    assert_eq!(ids(&succession).await, []);
    records.begin(new_request(), START).await.unwrap();
    assert_eq!(ids(&succession).await, []);
    let old = take_in_distinct(&records, 1).await;
    let new = take_in_distinct(&records, 1).await;
    assert_eq!(ids(&succession).await, [old.clone(), new.clone()]);
    succession.succeed(&old, &new, START).await.unwrap();
    assert_eq!(ids(&succession).await, std::slice::from_ref(&new));
    assert_eq!(records.request(&old).await.unwrap(), None);
    assert_eq!(records.traces(&old).await, 0);
}

async fn ends_at_the_same_place_with_an_equal_input_are_carried_over((records, succession): Both) {
    let old = take_in_inputs(
        &records,
        &[
            &["http://h/a.jpg", "http://h/b.jpg"],
            &["http://h/c.jpg"],
            &["http://h/d.jpg"],
            &["http://h/e.jpg"],
        ],
    )
    .await;
    let claims = claim_fresh(&records, &old, START).await;
    let batch = [completed(&claims[0]), completed(&claims[1]), failed(&claims[2]), completed(&claims[3])];
    settle(&records, batch, START).await;
    let new = take_in_inputs(
        &records,
        &[
            &["HTTP://H/a.jpg#x", "http://h/changed.jpg"],
            &["http://h/c.jpg", "http://h/added.jpg"],
            &["http://h/e.jpg"],
            &["http://h/d.jpg"],
        ],
    )
    .await;
    succession.succeed(&old, &new, START).await.unwrap();
    let (done, failed, pending) = (ImageStatus::Completed, ImageStatus::Failed, ImageStatus::Pending);
    assert_eq!(statuses(&records, &new).await, [done, pending, failed, pending, pending, pending]);
    let told = audit(&records, &new).await;
    assert_eq!((told.completed, told.failed, told.bytes_before, told.bytes_after), (1, 1, 1000, 300));
    assert_eq!(locations(&records, &new).await[0], Some(location(1, 1)));
    assert_eq!(left(&records, &new).await.len(), 4);
    assert_eq!(records.failures(&new).await.unwrap()[0].code, Code::FetchStatus);
    let stale = succession.stale(10).await.unwrap();
    assert_eq!(stale, [location(1, 2), location(3, 1)]);
}

async fn a_successor_with_nothing_left_completes((records, succession): Both) {
    let old = take_in_distinct(&records, 10).await;
    complete_all(&records, &old).await;
    let new = take_in_distinct(&records, 6).await;
    succession.succeed(&old, &new, at(5)).await.unwrap();
    assert_eq!(status(&records, &new).await, RequestStatus::Completed);
    let events = records.completions(&new).await.unwrap();
    assert_eq!((events.len(), events[0].at), (1, at(5)));
    assert_eq!(audit(&records, &new).await.completed, 6);
    let stale: Vec<_> = (7..=10).map(|row| location(row, 1)).collect();
    assert_eq!(succession.stale(100).await.unwrap(), stale);
}

async fn a_successor_without_images_still_takes_the_place((records, succession): Both) {
    let old = take_in_distinct(&records, 2).await;
    complete_all(&records, &old).await;
    let new = take_in(&records, vec![]).await;
    succession.succeed(&old, &new, START).await.unwrap();
    assert_eq!(ids(&succession).await, std::slice::from_ref(&new));
    assert_eq!(records.completions(&new).await.unwrap().len(), 1);
    assert_eq!(succession.stale(100).await.unwrap().len(), 2);
    audit(&records, &new).await;
}

async fn what_follows_a_carried_end_ends_with_it((records, succession): Both) {
    let (a, b) = ("http://h/a.jpg", "http://h/b.jpg");
    let old = take_in_inputs(&records, &[&[a], &[b], &["http://h/c.jpg"]]).await;
    let claims = claim_fresh(&records, &old, START).await;
    let animated = Output { frames: 3, ..output(&claims[0]) };
    settle(&records, [settlement(&claims[0], Outcome::Completed(animated)), failed(&claims[1])], START).await;
    let new = take_in_inputs(&records, &[&[a], &[b], &[b], &[a]]).await;
    succession.succeed(&old, &new, START).await.unwrap();
    assert_eq!(records.noted(&new).await.unwrap(), 2, "frames that were lost are told on");
    let (done, failed) = (ImageStatus::Completed, ImageStatus::Failed);
    assert_eq!(statuses(&records, &new).await, [done, failed, failed, done]);
    assert_eq!(locations(&records, &new).await[3], Some(location(1, 1)));
    let told = audit(&records, &new).await;
    assert_eq!((told.completed, told.failed, told.bytes_before), (2, 2, 2000));
    // A retry reaches both.
    assert_eq!(records.retry(&new, at(1)).await.unwrap(), 2);
    let claims = claim_due(&records, &new, at(1)).await;
    assert_eq!(
        settle(&records, claims.iter().map(completed), at(1)).await.completed,
        std::slice::from_ref(&new)
    );
    audit(&records, &new).await;
}

async fn an_output_that_another_input_may_overwrite_is_made_anew((records, succession): Both) {
    let a = "http://h/a.jpg";
    let old = take_in_inputs(&records, &[&[a], &[a], &["http://h/b.jpg"]]).await;
    complete_all(&records, &old).await;
    // The output of the second row lies where the first row's was: another picture of that name would replace it.
    let new = take_in_inputs(&records, &[&["http://other/a.jpg"], &[a], &["http://h/b.jpg"]]).await;
    succession.succeed(&old, &new, START).await.unwrap();
    assert_eq!(left(&records, &new).await, ["http://other/a.jpg", a]);
    audit(&records, &new).await;
}

async fn a_failure_is_not_carried_to_what_follows_another_image((records, succession): Both) {
    let a = "http://h/a.jpg";
    let old = take_in_inputs(&records, &[&["http://h/b.jpg"], &[a]]).await;
    let claims = claim_fresh(&records, &old, START).await;
    settle(&records, claims.iter().map(failed), START).await;
    let new = take_in_inputs(&records, &[&[a], &[a]]).await;
    succession.succeed(&old, &new, START).await.unwrap();
    complete_all(&records, &new).await;
    assert_eq!(statuses(&records, &new).await, [ImageStatus::Completed; 2]);
    audit(&records, &new).await;
}

async fn stale_outputs_are_told_until_forgotten((records, succession): Both) {
    let old = take_in_distinct(&records, 5).await;
    complete_all(&records, &old).await;
    let new = take_in_inputs(&records, &[&["http://h/a.jpg"]]).await;
    succession.succeed(&old, &new, START).await.unwrap();
    let mut told = Vec::new();
    loop {
        let stale = succession.stale(2).await.unwrap();
        if stale.is_empty() {
            break;
        }
        succession.forget_stale(&stale).await.unwrap();
        told.extend(stale);
    }
    assert_eq!(told, (1..=5).map(|row| location(row, 1)).collect::<Vec<_>>());
}

async fn an_output_that_is_made_again_is_not_stale((records, succession): Both) {
    let old = take_in_distinct(&records, 2).await;
    complete_all(&records, &old).await;
    let new = take_in_inputs(&records, &[&["http://h/a.jpg"], &["http://h/b.jpg"]]).await;
    succession.succeed(&old, &new, START).await.unwrap();
    assert_eq!(succession.stale(10).await.unwrap().len(), 2);
    let claims = claim_fresh(&records, &new, START).await;
    settle(&records, [completed(&claims[0])], START).await;
    assert_eq!(succession.stale(10).await.unwrap(), [location(2, 1)]);
}

async fn succeeding_twice_changes_nothing((records, succession): Both) {
    let old = take_in_distinct(&records, 3).await;
    complete_all(&records, &old).await;
    let new = take_in_distinct(&records, 4).await;
    succession.succeed(&old, &new, START).await.unwrap();
    let before = results(&records, &new).await;
    succession.succeed(&old, &new, START).await.unwrap();
    assert_eq!(results(&records, &new).await, before);
    let refused = succession.succeed(&new, &new, START).await.unwrap_err();
    assert_eq!(refused.code, Code::RequestState);
    audit(&records, &new).await;
}

async fn outputs_that_are_lost_are_made_again((records, succession): Both) {
    let id = take_in_inputs(&records, &[&["http://h/a.jpg", "http://h/b.jpg"], &["http://h/a.jpg"]]).await;
    complete_all(&records, &id).await;
    let made = locations(&records, &id).await;
    assert_eq!(succession.remake(&id, vec!["elsewhere".into()], START).await.unwrap(), 0);
    assert_eq!(records.request(&id).await.unwrap().unwrap().status, RequestStatus::Completed);
    let lost = vec![made[0].clone().unwrap()];
    assert_eq!(succession.remake(&id, lost, START).await.unwrap(), 2, "what followed it is lost with it");
    let told = audit(&records, &id).await;
    assert_eq!((told.pending, told.completed), (2, 1));
    let claims = claim_due(&records, &id, START).await;
    assert_eq!(claims.iter().map(|claim| claim.attempt).collect::<Vec<_>>(), [1]);
    settle(&records, claims.iter().map(completed), START).await;
    let request = records.request(&id).await.unwrap().unwrap();
    assert_eq!((request.status, request.round), (RequestStatus::Completed, 2));
    assert_eq!(locations(&records, &id).await, made);
}
