use super::*;
use crate::code::Code;
use crate::model::id::{ImageId, RequestId};

const NOW: Instant = Instant(Duration::from_secs(1_000));

/// Room for so many.
fn most(most: usize) -> Room {
    Room { most, of_each: 0 }
}

fn park(lanes: &mut Lanes, number: usize, host: &str) {
    park_of(lanes, "request", number, host);
}

fn park_of(lanes: &mut Lanes, request: &str, number: usize, host: &str) {
    let (image, request) = (ImageId::from(format!("image-{host}-{number}")), RequestId::from(request));
    let job = Job {
        id: image.as_str().into(),
        image: image.clone(),
        request: request.clone(),
        candidate: None,
        retries: None,
        added: None,
    };
    let input = format!("http://{host}/{number}.jpg");
    lanes.park(job, &Candidate { image, request, input, round: 1, attempts: 0, tenant: String::new() });
}

fn lanes(hosts: &[(&str, usize)]) -> Lanes {
    let mut lanes = Lanes::new(8, true, Duration::from_secs(60));
    for (host, count) in hosts {
        (0..*count).for_each(|number| park(&mut lanes, number, host));
    }
    lanes
}

/// An image of a host that was started and whose origin is asked.
fn turn(host: &str) -> Started {
    let image = ImageId::from(host.to_owned());
    let job = Job {
        id: image.as_str().into(),
        image,
        request: RequestId::from("request"),
        candidate: None,
        retries: None,
        added: None,
    };
    let lane = format!("http://{host}").into();
    Started { job, lane, given_up: None, at: NOW, company: false, answered: false }
}

fn timeout() -> OriginReply {
    OriginReply::Faulted(Fault::transient(Code::FetchTimeout, "no answer"))
}

#[test]
fn an_origin_is_asked_for_at_most_eight_at_once() {
    let mut lanes = lanes(&[("a", 40)]);
    assert_eq!(lanes.start(NOW, most(64)).len(), 8);
    assert!(lanes.start(NOW, most(64)).is_empty());
    lanes.asked(&turn("a"), &OriginReply::Answered, NOW);
    assert_eq!(lanes.start(NOW, most(64)).len(), 1);
}

#[test]
fn a_slow_origin_leaves_room_for_the_others() {
    let mut lanes = lanes(&[("slow", 100), ("b", 4), ("c", 4)]);
    let started = lanes.start(NOW, most(16));
    assert_eq!(started.iter().filter(|s| &*s.lane == "http://slow").count(), 8);
    assert_eq!(started.len(), 16);
}

#[test]
fn origins_take_turns() {
    let mut lanes = lanes(&[("a", 3), ("b", 3)]);
    let order: Vec<_> = lanes.start(NOW, most(4)).iter().map(|s| s.lane.to_string()).collect();
    assert_eq!(order, ["http://a", "http://b", "http://a", "http://b"]);
}

#[test]
fn retry_after_holds_the_lane_and_narrows_it() {
    let mut lanes = lanes(&[("a", 40)]);
    lanes.start(NOW, most(64));
    let busy = Fault::transient(Code::FetchStatus, "503").after(Some(Duration::from_secs(5)));
    (0..8).for_each(|_| drop(lanes.asked(&turn("a"), &OriginReply::Faulted(busy.clone()), NOW)));
    assert!(lanes.start(NOW, most(64)).is_empty());
    assert_eq!(lanes.next_change(NOW), Some(NOW + Duration::from_secs(5)));
    assert_eq!(lanes.start(NOW + Duration::from_secs(5), most(64)).len(), 1);
}

#[test]
fn a_dead_origin_is_probed_by_one_image_at_a_time() {
    let mut lanes = lanes(&[("dead", 40)]);
    lanes.start(NOW, most(64));
    (0..8).for_each(|_| drop(lanes.asked(&turn("dead"), &timeout(), NOW)));
    assert_eq!(lanes.start(NOW, most(2)).len(), 2);
    (0..2).for_each(|_| drop(lanes.asked(&turn("dead"), &timeout(), NOW)));
    assert!(lanes.start(NOW, most(64)).is_empty());
    assert_eq!(lanes.start(NOW + Duration::from_secs(1), most(64)).len(), 1);
    let given_up = lanes.start(NOW + Duration::from_secs(601), most(64));
    assert_eq!(given_up.len(), 29);
    assert!(given_up.iter().all(|started| started.given_up.is_some()));
}

/// One image of each of many origins that never answer.
fn fail_once(lanes: &mut Lanes, hosts: std::ops::Range<usize>, now: Instant) {
    for host in hosts {
        park(lanes, 0, &format!("dead-{host}"));
        for started in lanes.start(now, most(64)) {
            lanes.asked(&started, &timeout(), now);
            lanes.left(&started.job.request);
        }
    }
}

#[test]
fn however_many_origins_are_dead_few_are_remembered() {
    let mut lanes = lanes(&[]);
    fail_once(&mut lanes, 0..MOST_REMEMBERED + 100, NOW);
    assert_eq!((lanes.lanes.len(), lanes.idle.len()), (MOST_REMEMBERED, MOST_REMEMBERED));
    let later = NOW + REMEMBERED;
    fail_once(&mut lanes, 0..1, later);
    assert_eq!((lanes.lanes.len(), lanes.idle.len()), (1, 1), "old ones are forgotten");
}

#[test]
fn faults_are_remembered_between_an_origins_images() {
    let mut lanes = lanes(&[]);
    for second in 0..10 {
        let now = NOW + Duration::from_secs(second);
        fail_once(&mut lanes, 7..8, now);
    }
    park(&mut lanes, 1, "dead-7");
    let now = NOW + Duration::from_millis(9_500);
    assert!(lanes.start(now, most(64)).is_empty(), "ten faults opened its breaker, one after another");
    assert_eq!(lanes.next_change(now), Some(NOW + Duration::from_secs(10)));
}

#[test]
fn lanes_without_a_past_are_forgotten() {
    let mut lanes = lanes(&[("a", 1), ("b", 1)]);
    for started in lanes.start(NOW, most(64)) {
        lanes.asked(&started, &OriginReply::Answered, NOW);
    }
    assert!(lanes.lanes.is_empty());
}

#[test]
fn stuck_images_can_be_taken_out() {
    let mut lanes = lanes(&[("dead", 40), ("b", 40)]);
    lanes.start(NOW, most(20));
    (0..10).for_each(|_| drop(lanes.asked(&turn("dead"), &timeout(), NOW)));
    let taken = lanes.take_stuck(NOW, 10);
    assert_eq!(taken.len(), 22);
    assert_eq!(lanes.parked(), 10 + 32);
}

#[test]
fn stuck_images_of_many_requests_leave_their_room_too() {
    let mut lanes = lanes(&[("dead", 10)]);
    lanes.start(NOW, most(20));
    (0..10).for_each(|_| drop(lanes.asked(&turn("dead"), &timeout(), NOW)));
    for number in 0..500 {
        park_of(&mut lanes, &format!("request-{number}"), number, "dead");
    }
    let before = lanes.parked();
    let taken = lanes.take_stuck(NOW, 10);
    assert_eq!((taken.len(), lanes.parked()), (before - 80, 80), "80 of all requests stay");
    park_of(&mut lanes, "request-499", 1_000, "b");
    let started = lanes.start(NOW, most(20));
    assert!(started.iter().any(|one| &*one.lane == "http://b"), "{started:?}");
    assert_eq!(lanes.take_all().len() + started.len(), 81);
}

#[test]
fn all_that_waits_can_be_taken_out() {
    let mut lanes = lanes(&[("a", 9), ("b", 2)]);
    assert_eq!(lanes.take_all().len(), 11);
    assert!(lanes.parked() == 0 && lanes.start(NOW, most(64)).is_empty());
}

fn too_much() -> OriginReply {
    OriginReply::Faulted(Fault::transient(Code::FetchStatus, "429").under(Pressure::Sure))
}

#[test]
fn an_origin_that_takes_less_is_asked_less_often_and_says_so() {
    let mut lanes = lanes(&[("a", 40), ("b", 40)]);
    let started = lanes.start(NOW, most(16));
    let soon = NOW + Duration::from_millis(5);
    let learnt = started
        .iter()
        .filter(|started| &*started.lane == "http://a")
        .map(|started| lanes.asked(started, &too_much(), soon).expect("it is limited"));
    let last = learnt.last().expect("eight were started");
    assert_eq!((last.origin.as_str(), last.per_second, last.refusals), ("http://a", Some(4.0), 8));
    assert!(lanes.start(soon, most(64)).is_empty(), "the other origin has its eight");
    assert_eq!(lanes.next_change(soon), Some(soon + Duration::from_secs(1)));
    let next = lanes.start(soon + Duration::from_secs(1), most(64));
    assert_eq!(next.len(), 1, "one looks whether it is open again");
    assert!(next[0].company && !next[0].answered);
    let learnt = lanes.asked(&next[0], &OriginReply::Answered, soon + Duration::from_millis(1_010));
    assert!(learnt.is_some());
}

#[test]
fn the_pace_of_an_origin_is_remembered_while_nothing_waits_for_it() {
    let mut lanes = lanes(&[("a", 1)]);
    let started = lanes.start(NOW, most(64)).remove(0);
    assert!(!started.company, "it is the only one of its origin");
    lanes.asked(&started, &too_much(), NOW);
    park(&mut lanes, 1, "a");
    assert!(lanes.start(NOW, most(64)).is_empty());
    assert_eq!(lanes.start(NOW + Duration::from_secs(1), most(64)).len(), 1);
}

#[test]
fn what_an_origins_pace_holds_up_leaves_room_for_others() {
    let mut lanes = lanes(&[("slow", 400), ("b", 40)]);
    let started = lanes.start(NOW, most(16));
    for started in started.iter().filter(|started| &*started.lane == "http://slow") {
        lanes.asked(started, &too_much(), NOW);
    }
    assert_eq!(lanes.take_stuck(NOW, 32).len(), 400 - 8 - 32);
}

fn requests(started: &[Started]) -> Vec<&str> {
    started.iter().map(|started| started.job.request.as_str()).collect()
}

#[test]
fn requests_take_turns_however_many_origins_one_has() {
    let mut lanes = lanes(&[]);
    (0..500).for_each(|number| park_of(&mut lanes, "large", 0, &format!("host-{number}")));
    (0..3).for_each(|number| park_of(&mut lanes, "small", number, "b"));
    // Where both have images at one origin, they take turns there too.
    (0..20).for_each(|number| park_of(&mut lanes, "large", number, "b"));
    let started = lanes.start(NOW, most(6));
    assert_eq!(requests(&started), ["large", "small", "large", "small", "large", "small"]);
    for one in &started {
        lanes.asked(one, &OriginReply::Answered, NOW);
        lanes.left(&one.job.request);
    }
    assert_eq!(lanes.parties.len(), 1, "who has nothing left is forgotten");
}

#[test]
fn a_few_images_of_each_request_start_whatever_is_under_way_of_others() {
    let mut lanes = lanes(&[]);
    (0..500).for_each(|number| park_of(&mut lanes, "large", 0, &format!("host-{number}")));
    assert_eq!(lanes.start(NOW, most(200)).len(), 200);
    (0..10).for_each(|number| park_of(&mut lanes, "small", 0, &format!("b-{number}")));
    let full = Room { most: 0, of_each: 8 };
    assert_eq!(requests(&lanes.start(NOW, full)), ["small"; 8]);
    assert!(lanes.start(NOW, full).is_empty());
    lanes.left(&RequestId::from("small"));
    assert_eq!(requests(&lanes.start(NOW, full)), ["small"]);
}

/// What an operator wants of one host.
fn rules(host: &str, rule: HostRule) -> Arc<Rules> {
    Arc::new(Rules::from([(host.to_owned(), rule)]))
}

const PAUSED: HostRule = HostRule { paused: true, limit: None };

#[test]
fn a_host_that_is_paused_is_left_alone_and_holds_up_no_other() {
    let mut lanes = lanes(&[("a", 40), ("b", 4)]);
    lanes.obey(rules("a", PAUSED), NOW);
    park(&mut lanes, 99, "a");
    let started = lanes.start(NOW, most(64));
    assert!(started.iter().all(|one| &*one.lane == "http://b") && started.len() == 4, "{started:?}");
    assert_eq!(lanes.next_change(NOW), None, "it wakes by nobody but an operator");
    assert!(!lanes.take_stuck(NOW, 32).is_empty(), "what waits for it leaves room to others");
    lanes.obey(Arc::default(), NOW);
    assert_eq!(lanes.start(NOW, most(64)).len(), 8, "it goes on");
}

#[test]
fn a_host_that_is_paused_is_not_given_up_while_it_is() {
    let mut lanes = lanes(&[("a", 20)]);
    lanes.start(NOW, most(64));
    (0..10).for_each(|_| drop(lanes.asked(&turn("a"), &timeout(), NOW)));
    lanes.obey(rules("a", PAUSED), NOW);
    let late = NOW + Duration::from_secs(3_600);
    assert!(lanes.start(late, most(64)).is_empty());
    lanes.obey(Arc::default(), late);
    assert_eq!(lanes.start(late, most(64)).len(), 1, "one looks whether it is back");
}

#[test]
fn an_operators_limit_holds_for_lanes_of_now_and_later() {
    let mut lanes = lanes(&[("a", 40)]);
    lanes.obey(rules("a", HostRule { paused: false, limit: Some(3) }), NOW);
    assert_eq!(lanes.start(NOW, most(64)).len(), 3);
    lanes.obey(rules("b:8080", HostRule { paused: false, limit: Some(100) }), NOW);
    assert_eq!(lanes.start(NOW, most(64)).len(), 5, "none any more");
    (0..40).for_each(|number| park(&mut lanes, number, "b:8080"));
    let of_b = lanes.start(NOW, most(64));
    assert_eq!(of_b.len(), 8, "what is configured is not exceeded");
}

#[test]
fn how_origins_stand_is_told_those_that_stand_still_first() {
    let mut lanes = lanes(&[("busy", 50), ("dead", 20), ("idle", 1), ("shut", 9)]);
    lanes.start(NOW, most(64));
    (0..10).for_each(|_| drop(lanes.asked(&turn("dead"), &timeout(), NOW)));
    lanes.obey(rules("shut", PAUSED), NOW);
    let look = lanes.look(NOW);
    let order: Vec<_> = look.origins.iter().map(|origin| origin.origin.as_str()).collect();
    assert_eq!(order, ["http://dead", "http://shut", "http://busy", "http://idle"]);
    let [dead, shut, busy, _] = look.origins.as_slice() else { panic!("{look:?}") };
    assert_eq!(dead.fault, Some((Code::FetchTimeout, "no answer".into())));
    assert_eq!(dead.quiet, Some(Duration::from_secs(1)));
    let paused = |origin: &str| lanes.lanes[origin].rule.paused;
    assert!(paused(&shut.origin) && !paused(&busy.origin));
    assert_eq!((busy.under_way, busy.allowed, busy.waiting), (8, 8, 42));
    assert_eq!(look.waiting, 42 + 12 + 1);
}
