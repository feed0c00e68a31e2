//! Whose turn it is to be told: receivers in turn, few calls at a time to each, so that one that hangs delays nobody else.
//!
//! A state machine without a clock or a port: told what happened, it says what may be done.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::fault::Fault;
use crate::model::event::Telling;
use crate::port::clock::Instant;

/// Calls at the same time: to all receivers, and to each.
const CALLS: usize = 256;
const CALLS_EACH: usize = 4;

/// Events that wait here for a call to their receiver. Records keep the others.
const WAITING_EACH: usize = 16;

/// How soon is looked again at an event that found no room.
const NO_ROOM: Duration = Duration::from_secs(2);

/// So many calls in a row without an answer say that a receiver is away. Then one call is made in so long.
const SILENT: u32 = 3;
const AWAY: Duration = Duration::from_secs(15);

/// Receivers that are known before those are forgotten of whom there is nothing to know.
const MANY: usize = 1_024;

/// Names a receiver: scheme, host and port.
pub(super) type Name = Arc<str>;

/// What is to be done with an event.
#[derive(Debug, PartialEq)]
pub(super) enum Turn {
    /// Tell its receiver.
    Call(Name, Telling),
    /// Its receiver is away: a try in vain, for this reason, without a call.
    InVain(Telling, Fault),
    /// No try now, but again after so long.
    PutOff(Telling, Duration),
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Heard {
    /// An answer, which may ask for a pause.
    Answer(Option<Duration>),
    /// None.
    Silence(Fault),
    /// Nothing can be said: the call was not made.
    Nothing,
}

#[derive(Debug, Default)]
struct Receiver {
    waiting: VecDeque<(Instant, Telling)>,
    under_way: usize,
    /// Calls in a row that were not answered.
    silent: u32,
    last: Option<Fault>,
    /// While it is away: when it is called again, to see whether it is back.
    probe_at: Instant,
    /// Asked to be left alone until then.
    not_before: Instant,
}

/// All receivers of whom something is known.
#[derive(Debug)]
pub(super) struct Receivers {
    receivers: BTreeMap<Name, Receiver>,
    /// Those for whom events wait, in turn.
    ring: VecDeque<Name>,
    waiting: usize,
    under_way: usize,
    /// How long an event may wait here: its lease must outlast the call.
    patience: Duration,
}

impl Receivers {
    pub(super) fn new(patience: Duration) -> Self {
        Receivers { receivers: BTreeMap::new(), ring: VecDeque::new(), waiting: 0, under_way: 0, patience }
    }

    /// Events that wait here.
    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    /// Has an event wait for its turn, unless there is no room, or no call to be made soon.
    pub(super) fn wait(&mut self, name: Name, telling: Telling, now: Instant) -> Option<Turn> {
        if self.receivers.len() >= MANY {
            self.receivers.retain(|_, receiver| receiver.is_worth_knowing(now));
        }
        let receiver = self.receivers.entry(name.clone()).or_default();
        if let Some(pause) = receiver.pause(now) {
            return Some(Turn::PutOff(telling, pause));
        }
        if receiver.is_away(now) {
            return Some(Turn::InVain(telling, receiver.silence(&name)));
        }
        if receiver.waiting.len() >= WAITING_EACH {
            return Some(Turn::PutOff(telling, NO_ROOM));
        }
        if receiver.waiting.is_empty() {
            self.ring.push_back(name);
        }
        receiver.waiting.push_back((now, telling));
        self.waiting += 1;
        None
    }

    /// The next thing that may be done now, receivers in turn.
    pub(super) fn next(&mut self, now: Instant) -> Option<Turn> {
        for _ in 0..self.ring.len() {
            let name = self.ring.pop_front()?;
            let Some(receiver) = self.receivers.get_mut(&name) else { continue };
            let turn = receiver.next(&name, now, self.under_way < CALLS, self.patience);
            if !receiver.waiting.is_empty() {
                self.ring.push_back(name);
            }
            if let Some(turn) = turn {
                self.waiting -= 1;
                self.under_way += usize::from(matches!(turn, Turn::Call(..)));
                return Some(turn);
            }
        }
        None
    }

    /// A call is over.
    pub(super) fn heard(&mut self, name: &Name, heard: Heard, now: Instant) {
        self.under_way = self.under_way.saturating_sub(1);
        let Some(receiver) = self.receivers.get_mut(name) else { return };
        receiver.under_way = receiver.under_way.saturating_sub(1);
        match heard {
            Heard::Answer(pause) => {
                receiver.silent = 0;
                receiver.not_before = receiver.not_before.max(now + pause.unwrap_or_default());
            }
            Heard::Silence(fault) => {
                receiver.silent = receiver.silent.saturating_add(1);
                receiver.probe_at = now + AWAY;
                receiver.last = Some(fault);
            }
            Heard::Nothing => {}
        }
    }

    /// Takes all that wait.
    pub(super) fn take_all(&mut self) -> Vec<Telling> {
        (self.waiting, self.ring) = (0, VecDeque::new());
        let waiting = self.receivers.values_mut().flat_map(|receiver| receiver.waiting.drain(..));
        waiting.map(|(_, telling)| telling).collect()
    }
}

impl Receiver {
    fn next(&mut self, name: &Name, now: Instant, free: bool, patience: Duration) -> Option<Turn> {
        let (since, telling) = self.waiting.pop_front()?;
        if let Some(pause) = self.pause(now) {
            return Some(Turn::PutOff(telling, pause));
        }
        if self.is_away(now) {
            return Some(Turn::InVain(telling, self.silence(name)));
        }
        if free && self.under_way < CALLS_EACH {
            self.under_way += 1;
            return Some(Turn::Call(name.clone(), telling));
        }
        if now.since(since) >= patience {
            return Some(Turn::PutOff(telling, NO_ROOM));
        }
        self.waiting.push_front((since, telling));
        None
    }

    /// How long it asked to be left alone from now on.
    fn pause(&self, now: Instant) -> Option<Duration> {
        Some(self.not_before.since(now)).filter(|pause| !pause.is_zero())
    }

    /// Whether it does not answer, and is not to be called now to see whether it is back.
    fn is_away(&self, now: Instant) -> bool {
        self.silent >= SILENT && (now < self.probe_at || self.under_way > 0)
    }

    fn silence(&self, name: &Name) -> Fault {
        let code = self.last.as_ref().map_or(crate::code::Code::FetchTimeout, |last| last.code);
        let times = self.silent;
        Fault::transient(code, format!("{name} did not answer {times} times in a row: it was not called"))
    }

    fn is_worth_knowing(&self, now: Instant) -> bool {
        let is_away = self.silent > 0 && now.since(self.probe_at) < AWAY;
        !self.waiting.is_empty() || self.under_way > 0 || is_away || self.not_before > now
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::model::event::Completion;
    use crate::model::lease::Token;
    use crate::model::request::Progress;
    use crate::model::time::Timestamp;

    const NOW: Instant = Instant(Duration::from_secs(1_000));
    const PATIENCE: Duration = Duration::from_secs(15);

    fn telling(number: usize) -> Telling {
        let event =
            Completion { id: number.to_string(), request: "request".into(), round: 1, at: Timestamp(0) };
        let (progress, token) = (Progress::default(), Token(1));
        Telling { event, progress, url: None, traceparent: None, tries: 0, token }
    }

    fn receivers(events: &[(&str, usize)]) -> Receivers {
        let mut receivers = Receivers::new(PATIENCE);
        for (name, count) in events {
            for number in 0..*count {
                assert_eq!(receivers.wait((*name).into(), telling(number), NOW), None);
            }
        }
        receivers
    }

    fn all(receivers: &mut Receivers, now: Instant) -> Vec<Turn> {
        std::iter::from_fn(|| receivers.next(now)).collect()
    }

    fn called(turns: &[Turn], of: &str) -> usize {
        turns.iter().filter(|turn| matches!(turn, Turn::Call(name, _) if &**name == of)).count()
    }

    fn silence() -> Heard {
        Heard::Silence(Fault::transient(Code::FetchTimeout, "no answer"))
    }

    #[test]
    fn receivers_take_turns_and_each_is_called_few_times_at_once() {
        let mut receivers = receivers(&[("http://slow", WAITING_EACH), ("http://b", 2), ("http://c", 2)]);
        let turns = all(&mut receivers, NOW);
        let count = ["http://slow", "http://b", "http://c"].map(|of| called(&turns, of));
        assert_eq!(count, [CALLS_EACH, 2, 2]);
        assert_eq!(called(&turns[..3], "http://slow"), 1);
        receivers.heard(&"http://slow".into(), Heard::Answer(None), NOW);
        assert_eq!(called(&all(&mut receivers, NOW), "http://slow"), 1);
    }

    #[test]
    fn events_without_room_are_put_off() {
        let mut receivers = receivers(&[("http://slow", WAITING_EACH)]);
        let put_off = Some(Turn::PutOff(telling(99), NO_ROOM));
        assert_eq!(receivers.wait("http://slow".into(), telling(99), NOW), put_off);
        all(&mut receivers, NOW);
        let later = all(&mut receivers, NOW + PATIENCE);
        assert_eq!(
            later.len(),
            WAITING_EACH - CALLS_EACH,
            "what waited as long as its lease allows goes back"
        );
        assert!(later.iter().all(|turn| matches!(turn, Turn::PutOff(_, NO_ROOM))), "{later:?}");
    }

    #[test]
    fn a_receiver_that_does_not_answer_is_called_once_in_a_while() {
        let mut receivers = receivers(&[("http://hung", WAITING_EACH)]);
        assert_eq!(all(&mut receivers, NOW).len(), CALLS_EACH);
        let name: Name = "http://hung".into();
        (0..CALLS_EACH).for_each(|_| receivers.heard(&name, silence(), NOW));
        let turns = all(&mut receivers, NOW);
        assert_eq!(turns.len(), WAITING_EACH - CALLS_EACH);
        assert!(matches!(&turns[0], Turn::InVain(_, fault) if fault.code == Code::FetchTimeout), "{turns:?}");
        assert!(matches!(receivers.wait(name.clone(), telling(1), NOW), Some(Turn::InVain(..))));
        receivers.wait(name.clone(), telling(1), NOW + AWAY);
        receivers.wait(name.clone(), telling(2), NOW + AWAY);
        let turns = all(&mut receivers, NOW + AWAY);
        assert!(
            matches!(turns[..], [Turn::Call(..), Turn::InVain(..)]),
            "one sees whether it is back: {turns:?}"
        );
        receivers.heard(&name, Heard::Answer(None), NOW + AWAY);
        receivers.wait(name.clone(), telling(3), NOW + AWAY);
        assert_eq!(called(&all(&mut receivers, NOW + AWAY), "http://hung"), 1);
    }

    #[test]
    fn a_pause_that_a_receiver_asks_for_holds_for_all_its_events() {
        let mut receivers = receivers(&[("http://busy", 1)]);
        all(&mut receivers, NOW);
        let pause = Duration::from_secs(90);
        receivers.heard(&"http://busy".into(), Heard::Answer(Some(pause)), NOW);
        let put_off = receivers.wait("http://busy".into(), telling(1), NOW);
        assert_eq!(put_off, Some(Turn::PutOff(telling(1), pause)));
        receivers.wait("http://busy".into(), telling(2), NOW + pause);
        assert_eq!(called(&all(&mut receivers, NOW + pause), "http://busy"), 1);
    }

    #[test]
    fn receivers_of_whom_nothing_is_to_be_known_are_forgotten() {
        let mut receivers = Receivers::new(PATIENCE);
        for number in 0..10 * MANY {
            receivers.wait(format!("http://{number}").into(), telling(number), NOW);
            let Some(Turn::Call(name, _)) = receivers.next(NOW) else { panic!("it was not called") };
            receivers.heard(&name, Heard::Answer(None), NOW);
        }
        assert!(receivers.receivers.len() <= MANY);
    }
}
