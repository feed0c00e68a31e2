//! Promises of intake, and of reading back what was taken in.

use pixmill_engine::model::row::RowError;

use super::*;

pub(super) async fn suite<M, F>(make: &M)
where
    M: Fn() -> F,
    F: Future<Output = Arc<dyn RecordsForTests>>,
{
    an_intake_is_invisible_until_opened(make().await).await;
    what_was_taken_in_is_told(make().await).await;
    rows_come_back_in_order_with_their_cells(make().await).await;
    rows_that_cannot_be_used_keep_their_place(make().await).await;
    an_empty_request_completes_at_once(make().await).await;
    an_id_is_used_once(make().await).await;
    rows_for_no_intake_are_refused(make().await).await;
    a_discarded_intake_leaves_nothing(make().await).await;
    an_opened_request_is_not_discarded(make().await).await;
    only_intakes_that_stood_still_are_forgotten(make().await).await;
    equal_inputs_follow_the_first(make().await).await;
    equal_fingerprints_alone_do_not_make_inputs_equal(make().await).await;
    large_intakes_keep_their_order_and_their_equals(make().await).await;
    intakes_side_by_side_stay_apart(make().await).await;
}

async fn an_intake_is_invisible_until_opened(records: Arc<dyn RecordsForTests>) {
    let new = new_request();
    let id = new.id.clone();
    records.begin(new, START).await.unwrap();
    records.append(&id, rows(&[&["http://h/a.jpg"]]), START).await.unwrap();
    assert_eq!(status(&records, &id).await, RequestStatus::Receiving);
    assert_eq!(open(&*records).await, []);
    assert_eq!(fresh(&records, &id).await, []);
    assert_eq!(records.due(None, START, 10).await.unwrap(), (vec![], None));
    records.open(&id, intake_end(1), START).await.unwrap();
    assert_eq!(open(&*records).await, std::slice::from_ref(&id));
    assert_eq!(fresh(&records, &id).await.len(), 1);
    audit(&records, &id).await;
}

async fn what_was_taken_in_is_told(records: Arc<dyn RecordsForTests>) {
    let new = new_request();
    records.begin(new.clone(), at(1)).await.unwrap();
    let errors: Vec<_> = [2, 9]
        .map(|line| RowError { line, code: Code::CatalogueRow, message: format!("line {line} has no URL") })
        .into();
    let end = IntakeEnd {
        digest: "abc".into(),
        reading: "{}".into(),
        row_errors: errors.clone(),
        row_errors_total: 12,
        ..intake_end(7)
    };
    records.append(&new.id, rows(&[&["http://h/a.jpg"]]), at(2)).await.unwrap();
    records.open(&new.id, end, at(3)).await.unwrap();
    let told = records.request(&new.id).await.unwrap().unwrap();
    assert_eq!((told.id, told.status, told.round), (new.id.clone(), RequestStatus::Pending, 1));
    assert_eq!((told.tenant, told.header, told.catalogue), (new.tenant, new.header, new.catalogue));
    assert_eq!((told.digest.as_str(), told.rows, told.row_errors), ("abc", 7, 12));
    assert_eq!(told.reading, "{}");
    assert_eq!((told.created, told.completed), (at(1), None));
    assert_eq!(records.row_errors(&new.id).await.unwrap(), errors);
    assert_eq!(records.request(&RequestId::new()).await.unwrap(), None);
    assert_eq!(records.request(&"6543210fedcba98765432100".into()).await.unwrap(), None);
    let unknown = records.progress(&RequestId::new()).await.unwrap_err();
    assert_eq!(unknown.code, Code::RequestNotFound);
}

async fn rows_come_back_in_order_with_their_cells(records: Arc<dyn RecordsForTests>) {
    let inputs: Vec<Vec<String>> =
        (0..200).map(|row| (0..row % 4).map(|position| url(row * 10 + position)).collect()).collect();
    let fingerprint = Fingerprint::new();
    let rows: Vec<_> = inputs
        .iter()
        .enumerate()
        .map(|(number, inputs)| {
            row(number, &inputs.iter().map(String::as_str).collect::<Vec<_>>(), &fingerprint)
        })
        .collect();
    let id = take_in(&records, rows.clone()).await;
    let whole = results(&records, &id).await;
    assert_eq!(whole.len(), rows.len());
    for (told, row) in whole.iter().zip(&rows) {
        assert_eq!((&told.cells, told.slots.len()), (&row.cells, row.images.len()));
    }
    let mut pieces = Vec::new();
    while let Some(piece) =
        Some(records.rows(&id, pieces.len() as u64, 7).await.unwrap()).filter(|piece| !piece.is_empty())
    {
        pieces.extend(piece);
    }
    assert_eq!(pieces, whole);
    let candidates = records.fresh(&id, None, 10_000).await.unwrap();
    let told: Vec<_> = candidates.iter().map(|candidate| candidate.input.clone()).collect();
    assert_eq!(told, inputs.concat());
    for claim in claim_fresh(&records, &id, START).await {
        assert_eq!(claim.input, inputs[claim.row as usize][claim.position as usize]);
    }
}

async fn rows_that_cannot_be_used_keep_their_place(records: Arc<dyn RecordsForTests>) {
    let mut rows = rows(&[&["http://h/a.jpg"], &[], &["http://h/b.jpg"]]);
    rows[1].error = Some("no URL".into());
    rows[1].name = String::new();
    let id = take_in(&records, rows).await;
    let told = results(&records, &id).await;
    assert_eq!(told[1].error.as_deref(), Some("no URL"));
    assert_eq!(told.iter().map(|row| row.slots.len()).collect::<Vec<_>>(), [1, 0, 1]);
    let claims = claim_fresh(&records, &id, START).await;
    assert_eq!(claims.iter().map(|claim| claim.row).collect::<Vec<_>>(), [0, 2]);
}

async fn an_empty_request_completes_at_once(records: Arc<dyn RecordsForTests>) {
    let id = take_in(&records, vec![]).await;
    assert_eq!(status(&records, &id).await, RequestStatus::Completed);
    let events = records.completions(&id).await.unwrap();
    assert_eq!((events.len(), events[0].round, &events[0].request), (1, 1, &id));
    assert_eq!(open(&*records).await, []);
    audit(&records, &id).await;
}

async fn an_id_is_used_once(records: Arc<dyn RecordsForTests>) {
    let new = new_request();
    records.begin(new.clone(), START).await.unwrap();
    assert_eq!(records.begin(new, START).await.unwrap_err().code, Code::RequestState);
}

async fn rows_for_no_intake_are_refused(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 1).await;
    for id in [id, RequestId::new()] {
        let refused = records.append(&id, rows(&[&["http://h/a.jpg"]]), START).await.unwrap_err();
        assert_eq!(refused.code, Code::RequestNotFound);
        assert_eq!(records.open(&id, intake_end(1), START).await.unwrap_err().code, Code::RequestNotFound);
    }
}

async fn a_discarded_intake_leaves_nothing(records: Arc<dyn RecordsForTests>) {
    let fingerprint = Fingerprint::new();
    let new = new_request();
    let id = new.id.clone();
    records.begin(new, START).await.unwrap();
    let rows: Vec<_> =
        (0..records.many_rows()).map(|number| row(number, &[&url(number / 2)], &fingerprint)).collect();
    records.append(&id, rows, START).await.unwrap();
    records.discard(&id).await.unwrap();
    assert_eq!(records.request(&id).await.unwrap(), None);
    assert_eq!(records.traces(&id).await, 0);
    records.discard(&id).await.unwrap();
    records.discard(&RequestId::new()).await.unwrap();
}

async fn an_opened_request_is_not_discarded(records: Arc<dyn RecordsForTests>) {
    let id = take_in_distinct(&records, 3).await;
    records.discard(&id).await.unwrap();
    assert_eq!(fresh(&records, &id).await.len(), 3);
}

async fn only_intakes_that_stood_still_are_forgotten(records: Arc<dyn RecordsForTests>) {
    let (still, moving) = (new_request(), new_request());
    records.begin(still.clone(), START).await.unwrap();
    records.append(&still.id, rows(&[&["http://h/a.jpg"]]), START).await.unwrap();
    records.begin(moving.clone(), START).await.unwrap();
    for minute in 0..20 {
        records.append(&moving.id, rows(&[&["http://h/a.jpg"]]), at(minute * 60_000)).await.unwrap();
    }
    let opened = take_in_distinct(&records, 1).await;
    assert_eq!(records.forget_intakes(at(10 * 60_000), at(10 * 60_000)).await.unwrap(), 1);
    assert_eq!(records.request(&still.id).await.unwrap(), None);
    assert_eq!(records.traces(&still.id).await, 0);
    assert_eq!(records.open(&still.id, intake_end(1), at(0)).await.unwrap_err().code, Code::RequestNotFound);
    records.open(&moving.id, intake_end(20), at(20 * 60_000)).await.unwrap();
    assert_eq!(results(&records, &moving.id).await.len(), 20);
    assert_eq!(results(&records, &opened).await.len(), 1);
}

async fn equal_inputs_follow_the_first(records: Arc<dyn RecordsForTests>) {
    let id = take_in_inputs(
        &records,
        &[
            &["http://h/a.jpg", "http://h/b.jpg"],
            &["HTTP://H:80/a.jpg#top", "http://h/c.jpg"],
            &["http://h/b.jpg", "http://h/a.jpg"],
        ],
    )
    .await;
    let candidates = records.fresh(&id, None, 100).await.unwrap();
    let told: Vec<_> = candidates.iter().map(|candidate| candidate.input.as_str()).collect();
    assert_eq!(told, ["http://h/a.jpg", "http://h/b.jpg", "http://h/c.jpg"]);
    assert_eq!(audit(&records, &id).await.pending, 6);
}

async fn equal_fingerprints_alone_do_not_make_inputs_equal(records: Arc<dyn RecordsForTests>) {
    let mut rows = rows(&[&["http://h/a.jpg"], &["http://h/b.jpg"], &["http://h/a.jpg"]]);
    for row in &mut rows {
        row.images[0].fingerprint = -7;
    }
    let id = take_in(&records, rows).await;
    let claims = claim_fresh(&records, &id, START).await;
    let told: Vec<_> = claims.iter().map(|claim| claim.input.as_str()).collect();
    assert_eq!(told, ["http://h/a.jpg", "http://h/b.jpg"]);
    assert_eq!(
        settle(&records, claims.iter().map(completed), START).await.completed,
        std::slice::from_ref(&id)
    );
    let locations: Vec<_> = results(&records, &id)
        .await
        .into_iter()
        .map(|row| row.slots[0].output.clone().unwrap().location)
        .collect();
    assert_eq!(locations[0], locations[2]);
    assert_ne!(locations[0], locations[1]);
}

async fn large_intakes_keep_their_order_and_their_equals(records: Arc<dyn RecordsForTests>) {
    let many = records.many_rows();
    // A prime that is no factor of it, so that numbers jump about and come back.
    let (distinct, step) = (many * 2 / 3, 7_919);
    let fingerprint = Fingerprint::new();
    let new = new_request();
    let id = new.id.clone();
    records.begin(new, START).await.unwrap();
    let mut batch = Vec::new();
    for number in 0..many {
        batch.push(row(number, &[&url(number * step % distinct)], &fingerprint));
        if batch.len() == 997 {
            records.append(&id, std::mem::take(&mut batch), START).await.unwrap();
        }
    }
    records.append(&id, batch, START).await.unwrap();
    records.open(&id, intake_end(many as u64), START).await.unwrap();
    let mut seen = Vec::new();
    let mut after = None;
    loop {
        let fresh = records.fresh(&id, after.as_ref(), 1_000).await.unwrap();
        let Some(last) = fresh.last() else { break };
        after = Some(last.image.clone());
        seen.extend(fresh.into_iter().map(|candidate| candidate.input));
    }
    let expected: Vec<_> = (0..distinct).map(|number| url(number * step % distinct)).collect();
    assert!(seen == expected, "{} fresh images, or another order", seen.len());
    assert_eq!(audit(&records, &id).await.pending, many as u64);
    let last = many as u64 - 10;
    for row in records.rows(&id, last, 100).await.unwrap().iter().zip(last..) {
        assert!(row.0.cells.starts_with(&format!("{},", row.1)));
    }
}

async fn intakes_side_by_side_stay_apart(records: Arc<dyn RecordsForTests>) {
    let intakes = (0..4).map(|number: usize| {
        let records = records.clone();
        tokio::spawn(async move {
            let fingerprint = Fingerprint::new();
            let new = new_request();
            let id = new.id.clone();
            records.begin(new, START).await.unwrap();
            for index in 0..50 {
                let row = row(index, &[&url(number * 100 + index % 25)], &fingerprint);
                records.append(&id, vec![row], START).await.unwrap();
                tokio::task::yield_now().await;
            }
            records.open(&id, intake_end(50), START).await.unwrap();
            (number, id)
        })
    });
    for intake in intakes.collect::<Vec<_>>() {
        let (number, id) = intake.await.unwrap();
        let candidates = records.fresh(&id, None, 100).await.unwrap();
        let told: Vec<_> = candidates.into_iter().map(|candidate| candidate.input).collect();
        assert_eq!(told, (0..25).map(|index| url(number * 100 + index)).collect::<Vec<_>>());
        assert_eq!(audit(&records, &id).await.pending, 50);
    }
}
