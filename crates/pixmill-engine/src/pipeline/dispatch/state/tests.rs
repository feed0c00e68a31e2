use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::code::Code;
use crate::model::id::{ImageId, RequestId};
use crate::model::image::{Candidate, Failure, Output};
use crate::model::lease::Token;

const LEASE: Duration = Duration::from_secs(60);
const WALL: Timestamp = Timestamp(1_000_000);

fn at(seconds: u64) -> Instant {
    Instant(Duration::from_secs(1_000 + seconds))
}

fn dispatch() -> Dispatch {
    let bounds = Bounds {
        connections: 8,
        per_origin: 4,
        patient: true,
        longest_retry_after: Duration::from_secs(60),
        lease: LEASE,
    };
    Dispatch::new(bounds, Arc::new(Outage::none(Some(Duration::from_secs(600)))))
}

fn around(hold: usize) -> Around {
    Around { hold, places: 8, aside: 0, rules: Arc::default() }
}

fn candidate(image: &str, host: &str) -> Candidate {
    Candidate {
        image: ImageId::from(image.to_owned()),
        request: RequestId::from("request"),
        input: format!("http://{host}/{image}.jpg"),
        round: 1,
        attempts: 0,
        tenant: String::new(),
    }
}

/// A job that we fed ourselves.
fn fed(number: usize, host: &str) -> Job {
    let candidate = candidate(&format!("{host}-{number}"), host);
    Job {
        id: candidate.image.as_str().into(),
        image: candidate.image.clone(),
        request: candidate.request.clone(),
        candidate: Some(candidate),
        retries: None,
        added: None,
    }
}

/// A job that somebody else added.
fn foreign(number: usize) -> Job {
    Job { candidate: None, ..fed(number, "a") }
}

fn claim(started: &Started) -> Claim {
    Claim {
        image: started.job.image.clone(),
        request: started.job.request.clone(),
        row: 0,
        position: 0,
        input: String::new(),
        attempt: 1,
        token: Token(1),
    }
}

fn away() -> Fault {
    Fault::transient(Code::BackendUnavailable, "records are away")
}

fn hear(dispatch: &mut Dispatch, event: Event, now: Instant) -> Vec<Effect> {
    let (effects, goes_on) = dispatch.hear(event, now);
    assert_eq!(goes_on, Ok(()));
    effects
}

fn claims(effects: Vec<Effect>) -> Vec<Started> {
    let claims = effects.into_iter().filter_map(|effect| match effect {
        Effect::Claim(started) => Some(started),
        _ => None,
    });
    claims.flatten().collect()
}

fn asked(effects: Vec<Effect>) -> Vec<Job> {
    let asked = effects.into_iter().filter_map(|effect| match effect {
        Effect::Ask(jobs) => Some(jobs),
        _ => None,
    });
    asked.flatten().collect()
}

fn finished(effects: Vec<Effect>) -> Vec<(String, Delivered)> {
    let finished = effects.into_iter().filter_map(|effect| match effect {
        Effect::Finish(job, delivered) => Some((job.as_str().to_owned(), delivered)),
        _ => None,
    });
    finished.collect()
}

#[test]
fn what_was_fed_is_claimed_in_one_write_and_begun_once_it_is_ours() {
    let mut dispatch = dispatch();
    hear(&mut dispatch, Event::Delivered((0..3).map(|number| fed(number, "a")).collect()), at(0));
    let started = claims(dispatch.step(&around(20), at(0)));
    assert_eq!((started.len(), dispatch.under_way()), (3, 3));
    assert!(claims(dispatch.step(&around(20), at(0))).is_empty(), "they are claimed once");
    let won = started[..2].iter().map(claim).collect();
    let begun = hear(&mut dispatch, Event::Claimed { started, claims: Ok(won) }, at(0));
    assert_eq!(begun.iter().filter(|effect| matches!(effect, Effect::Work(..))).count(), 2);
    assert_eq!(dispatch.under_way(), 2, "the third is somebody else's");
    assert_eq!(asked(dispatch.step(&around(20), at(1))).len(), 1, "and records say what became of it");
}

#[test]
fn records_are_asked_about_jobs_of_others_and_say_what_becomes_of_them() {
    let mut dispatch = dispatch();
    hear(&mut dispatch, Event::Delivered((0..3).map(foreign).collect()), at(0));
    let jobs = asked(dispatch.step(&around(20), at(0)));
    assert_eq!((jobs.len(), dispatch.room_to_park(20)), (3, 17), "they are held meanwhile");
    hear(&mut dispatch, Event::Delivered(vec![foreign(3)]), at(1));
    assert!(asked(dispatch.step(&around(20), at(1))).is_empty(), "one question at a time");
    let output = Output { location: "a".into(), bytes_before: 2, bytes_after: 1, frames: 1 };
    let standings = vec![
        Standing::Claimable(candidate("a-0", "a"), WALL),
        Standing::Completed(output.clone()),
        Standing::Held,
    ];
    let told = hear(&mut dispatch, Event::Stood { jobs, standings: Ok(standings), wall: WALL }, at(1));
    let held = Delivered::PutOff(LEASE / 4);
    assert_eq!(finished(told), [("a-1".into(), Delivered::Completed(output)), ("a-2".into(), held)]);
    assert_eq!(claims(dispatch.step(&around(20), at(1))).len(), 1);
}

#[test]
fn few_jobs_of_others_wait_for_company() {
    let mut dispatch = dispatch();
    hear(&mut dispatch, Event::Delivered(vec![foreign(0)]), at(0));
    let jobs = asked(dispatch.step(&around(20), at(0)));
    hear(&mut dispatch, Event::Stood { jobs, standings: Ok(vec![Standing::Held]), wall: WALL }, at(0));
    hear(&mut dispatch, Event::Delivered(vec![foreign(1)]), at(0));
    let soon = at(0) + Duration::from_millis(19);
    assert!(asked(dispatch.step(&around(20), soon)).is_empty());
    assert_eq!(dispatch.wakes(soon), Some(at(0) + ASK_PAUSE));
    assert_eq!(asked(dispatch.step(&around(20), at(0) + ASK_PAUSE)).len(), 1);
    let many = (0..ASK_BATCH).map(foreign).collect();
    let mut dispatch = self::dispatch();
    hear(&mut dispatch, Event::Delivered((0..FEW_PARKED).map(|number| fed(number, "a")).collect()), at(0));
    hear(&mut dispatch, Event::Delivered(many), at(0));
    assert_eq!(asked(dispatch.step(&around(200), at(0))).len(), ASK_BATCH, "many wait for nothing");
}

#[test]
fn a_job_without_a_document_fails_after_a_minute_of_this_process_whatever_its_clock_says() {
    let mut dispatch = dispatch();
    let added = Some(WALL + Duration::from_secs(7_200));
    for (second, fails) in [(0, false), (30, false), (60, true)] {
        hear_only(&mut dispatch, Event::Delivered(vec![Job { added, ..foreign(0) }]), at(second));
        let jobs = asked(dispatch.step(&around(20), at(second)));
        let stood = Event::Stood { jobs, standings: Ok(vec![Standing::Unknown]), wall: WALL };
        let told = finished(hear(&mut dispatch, stood, at(second)));
        assert_eq!(matches!(told[0].1, Delivered::Failed(_)), fails, "{second}");
    }
}

#[test]
fn nothing_is_claimed_or_asked_while_records_are_away_and_all_goes_on_after() {
    let mut dispatch = dispatch();
    hear(&mut dispatch, Event::Delivered(vec![fed(0, "a"), foreign(1)]), at(0));
    let mut effects = dispatch.step(&around(20), at(0));
    let jobs = asked(vec![effects.remove(0)]);
    let started = claims(effects);
    hear(&mut dispatch, Event::Stood { jobs, standings: Err(away()), wall: WALL }, at(0));
    hear(&mut dispatch, Event::Claimed { started, claims: Err(away()) }, at(0));
    assert_eq!(dispatch.under_way(), 0);
    assert!(dispatch.step(&around(20), at(0)).is_empty());
    let again = dispatch.wakes(at(0)).expect("it is tried again");
    assert_eq!(again, at(0) + super::super::outage::PAUSE);
    assert_eq!(asked(dispatch.step(&around(20), at(1))).len(), 2, "both are there still");
}

#[test]
fn records_that_are_away_for_ten_minutes_end_the_work() {
    let mut dispatch = dispatch();
    for (second, goes_on) in [(0, true), (600, true), (601, false)] {
        hear_only(&mut dispatch, Event::Delivered(vec![foreign(second as usize)]), at(second));
        let jobs = asked(dispatch.step(&around(2_000), at(second)));
        assert!(!jobs.is_empty(), "{second}");
        let stood = Event::Stood { jobs, standings: Err(away()), wall: WALL };
        assert_eq!(dispatch.hear(stood, at(second)).1.is_ok(), goes_on, "{second}");
    }
}

fn hear_only(dispatch: &mut Dispatch, event: Event, now: Instant) {
    assert!(hear(dispatch, event, now).is_empty());
}

/// Ten images of an origin fail in a row: it is left alone from then on.
fn with_a_dead_origin() -> Dispatch {
    let mut dispatch = dispatch();
    for number in 0..10 {
        hear(&mut dispatch, Event::Delivered(vec![fed(number, "dead")]), at(0));
        let started = claims(dispatch.step(&around(100), at(0))).remove(0);
        let claimed = Event::Claimed { claims: Ok(vec![claim(&started)]), started: vec![started.clone()] };
        hear(&mut dispatch, claimed, at(0));
        let fault = Fault::transient(Code::FetchTimeout, "no answer");
        let job = started.job.clone();
        let told = hear(
            &mut dispatch,
            Event::Asked { started: Arc::new(started), reply: OriginReply::Faulted(fault) },
            at(0),
        );
        let open = usize::from(number == 9);
        assert!(matches!(told[..], [Effect::OriginsOpen(origins)] if origins == open), "{told:?}");
        hear_only(&mut dispatch, Event::Worked { asked: true }, at(0));
        assert_eq!(
            finished(hear(&mut dispatch, Event::Left { job, delivered: Delivered::Returned }, at(0))).len(),
            1
        );
    }
    assert_eq!(dispatch.under_way(), 0);
    dispatch
}

#[test]
fn images_of_a_stuck_origin_are_put_off_only_when_others_need_their_room() {
    let mut dispatch = with_a_dead_origin();
    hear_only(&mut dispatch, Event::Delivered((10..110).map(|number| fed(number, "dead")).collect()), at(0));
    assert!(dispatch.step(&around(200), at(0)).is_empty(), "there is room");
    let effects = dispatch.step(&around(100), at(0));
    let [Effect::PutOff(jobs, wait)] = &effects[..] else { panic!("{effects:?}") };
    assert_eq!(jobs.len(), 100 - STUCK_KEPT);
    assert_eq!(dispatch.room_to_park(100), 0, "until that is written");
    let (jobs, wait) = (jobs.clone(), *wait);
    let told = finished(hear(&mut dispatch, Event::PutOff { jobs, wait, written: Ok(()) }, at(0)));
    assert!(told.iter().all(|(_, delivered)| *delivered == Delivered::PutOff(wait)));
    assert_eq!((told.len(), dispatch.room_to_park(100)), (100 - STUCK_KEPT, 100 - STUCK_KEPT));
}

#[test]
fn what_could_not_be_put_off_is_handed_back() {
    let mut dispatch = with_a_dead_origin();
    hear_only(&mut dispatch, Event::Delivered((10..110).map(|number| fed(number, "dead")).collect()), at(0));
    let effects = dispatch.step(&around(100), at(0));
    let [Effect::PutOff(jobs, wait)] = &effects[..] else { panic!("{effects:?}") };
    let (jobs, wait, fatal) = (jobs.clone(), *wait, Fault::permanent(Code::BackendUnavailable, "damaged"));
    let (effects, goes_on) = dispatch.hear(Event::PutOff { jobs, wait, written: Err(fatal) }, at(0));
    assert!(goes_on.is_err());
    assert!(finished(effects).iter().all(|(_, delivered)| *delivered == Delivered::Returned));
}

#[test]
fn more_are_claimed_than_there_are_places_and_the_next_claim_waits_for_company() {
    let mut dispatch = dispatch();
    let hosts: Vec<String> = (0..100).map(|number| format!("h{number}")).collect();
    hear_only(&mut dispatch, Event::Delivered(hosts.iter().map(|host| fed(0, host)).collect()), at(0));
    let started = claims(dispatch.step(&around(200), at(0)));
    assert_eq!(started.len(), 8 + AHEAD);
    let done = started[0].clone();
    let won = started.iter().map(claim).collect();
    hear(&mut dispatch, Event::Claimed { started, claims: Ok(won) }, at(0));
    let job = done.job.clone();
    hear(&mut dispatch, Event::Asked { started: Arc::new(done), reply: OriginReply::Answered }, at(0));
    hear_only(&mut dispatch, Event::Worked { asked: true }, at(0));
    hear(&mut dispatch, Event::Left { job, delivered: Delivered::Returned }, at(0));
    assert!(claims(dispatch.step(&around(200), at(0))).is_empty());
    assert_eq!(dispatch.wakes(at(0)), Some(at(0) + CLAIM_WAIT));
    assert_eq!(claims(dispatch.step(&around(200), at(0) + CLAIM_WAIT)).len(), 1);
}

#[test]
fn images_aside_leave_their_claims_to_others() {
    let mut dispatch = dispatch();
    let hosts: Vec<String> = (0..100).map(|number| format!("h{number}")).collect();
    hear_only(&mut dispatch, Event::Delivered(hosts.iter().map(|host| fed(0, host)).collect()), at(0));
    assert_eq!(claims(dispatch.step(&around(200), at(0))).len(), 8 + AHEAD);
    let aside = Around { aside: 30, ..around(200) };
    assert_eq!(claims(dispatch.step(&aside, at(0))).len(), 30);
}

/// Whoever carries out what the state says, in any order and with any outcome.
#[derive(Default)]
struct Carrier {
    under_way: Vec<Event>,
    /// How often each job was finished.
    finished: BTreeMap<String, usize>,
}

impl Carrier {
    fn carry_out(&mut self, effects: Vec<Effect>, choice: u8) {
        for effect in effects {
            match effect {
                Effect::Ask(jobs) => {
                    let standing = |job: &Job| match choice % 4 {
                        0 => Standing::Held,
                        1 => Standing::Failed(Failure { code: Code::FetchStatus, message: "404".into() }),
                        2 => Standing::Unknown,
                        _ => {
                            let image = job.image.as_str().to_owned();
                            let host = image.split('-').next().unwrap_or_default().to_owned();
                            Standing::Claimable(candidate(&image, &host), WALL)
                        }
                    };
                    let standings = match choice {
                        200.. => Err(away()),
                        _ => Ok(jobs.iter().map(standing).collect()),
                    };
                    self.under_way.push(Event::Stood { jobs, standings, wall: WALL });
                }
                Effect::PutOff(jobs, wait) => {
                    let written = if choice < 200 { Ok(()) } else { Err(away()) };
                    self.under_way.push(Event::PutOff { jobs, wait, written });
                }
                Effect::Claim(started) => {
                    let some = started.iter().filter(|one| one.job.id.as_str().len() as u8 % 3 != choice % 3);
                    let claims = if choice < 200 { Ok(some.map(claim).collect()) } else { Err(away()) };
                    self.under_way.push(Event::Claimed { started, claims });
                }
                Effect::Work(_, started) => {
                    let (job, started) = (started.job.clone(), Arc::new(*started));
                    if started.given_up.is_none() {
                        let reply = match choice % 3 {
                            0 => OriginReply::Answered,
                            1 => OriginReply::Faulted(Fault::transient(Code::FetchTimeout, "no answer")),
                            _ => OriginReply::Skipped,
                        };
                        self.under_way.push(Event::Left { job, delivered: Delivered::Returned });
                        self.under_way.push(Event::Worked { asked: true });
                        self.under_way.push(Event::Asked { started, reply });
                    } else {
                        self.under_way.push(Event::Left { job, delivered: Delivered::Returned });
                        self.under_way.push(Event::Worked { asked: false });
                    }
                }
                Effect::Finish(job, _) => *self.finished.entry(job.as_str().to_owned()).or_default() += 1,
                Effect::Learnt(_) | Effect::OriginsOpen(_) => {}
            }
        }
    }
}

proptest! {
    /// Whatever comes in whatever order, each job that was delivered is finished or handed back once, and no more are
    /// held than may be.
    #[test]
    fn every_job_is_finished_once(steps in prop::collection::vec((0..5u8, any::<u8>()), 1..120)) {
        const HOLD: usize = 40;
        let (mut dispatch, mut carrier) = (dispatch(), Carrier::default());
        let (mut delivered, mut now) = (0, at(0));
        for (kind, choice) in steps {
            match kind {
                0 => {
                    let many = dispatch.room_to_park(HOLD).min(usize::from(choice) % 12);
                    let jobs = (delivered..delivered + many).map(|number| {
                        let host = ["a", "b", "c"][(number + usize::from(choice)) % 3];
                        let job = fed(number, host);
                        if choice % 4 == 0 { Job { candidate: None, ..job } } else { job }
                    });
                    let jobs = jobs.collect();
                    delivered += many;
                    hear_only(&mut dispatch, Event::Delivered(jobs), now);
                }
                1 | 2 => {
                    if let Some(event) = carrier.under_way.pop() {
                        let (effects, _) = dispatch.hear(event, now);
                        carrier.carry_out(effects, choice);
                    }
                }
                3 => now += Duration::from_millis(u64::from(choice) * 40),
                _ => {
                    let effects = dispatch.step(&around(HOLD), now);
                    carrier.carry_out(effects, choice);
                }
            }
        }
        while let Some(event) = carrier.under_way.pop() {
            let (effects, _) = dispatch.hear(event, now);
            carrier.carry_out(effects, 0);
        }
        prop_assert_eq!(dispatch.under_way(), 0);
        let left = dispatch.hand_back();
        prop_assert_eq!(dispatch.room_to_park(HOLD), HOLD);
        prop_assert!(carrier.finished.values().all(|times| *times == 1));
        prop_assert_eq!(left.len() + carrier.finished.len(), delivered);
    }
}
