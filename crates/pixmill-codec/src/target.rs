//! The smallest result that still looks like its source: quality is searched for by SSIMULACRA2.

use crate::error::unsupported;
use crate::{Error, Score};

/// Finds the lowest quality of 1 to 100 whose result reaches a score, and gives that result; where none does, the
/// result of 100. `attempt` gives a quality's result and its score.
///
/// Scores rise with quality and nearly along a line, so that each try goes where the line through its neighbours
/// reaches the target: four or five tries as a rule, and never more than nine.
pub(crate) fn smallest<T>(
    target: Score,
    mut attempt: impl FnMut(u8) -> Result<(T, f64), Error>,
) -> Result<T, Error> {
    let wanted = target.value();
    let (mut low, mut high) = ((0_u8, f64::MIN), (101_u8, f64::MAX));
    let mut best = None;
    let mut quality = first_guess(wanted);
    for tries in 1.. {
        let (result, score) = attempt(quality)?;
        if score >= wanted {
            high = (quality, score);
            best = Some(result);
        } else {
            low = (quality, score);
            if quality == 100 {
                return Ok(result);
            }
        }
        if high.0 - low.0 <= 1 {
            break;
        }
        quality = between(low, high, wanted, tries);
    }
    best.ok_or_else(|| unsupported("no quality reaches the score that was asked for"))
}

/// What photographs take as a rule.
fn first_guess(wanted: f64) -> u8 {
    (50.0 + (wanted - 62.0) * 2.0).clamp(1.0, 100.0) as u8
}

/// The next quality to try, between two that are tried or beyond all.
fn between(low: (u8, f64), high: (u8, f64), wanted: f64, tries: u32) -> u8 {
    let (least, most) = (f64::from(low.0) + 1.0, f64::from(high.0) - 1.0);
    let next = match (low.0, high.0) {
        // One side is open: two points of score a step of quality is what to expect at most.
        (0, _) => f64::from(high.0) - (high.1 - wanted) * 1.5 - 2.0,
        (_, 101) => f64::from(low.0) + (wanted - low.1) * 1.5 + 2.0,
        // After some tries along lines that bend, halves are sure.
        _ if tries > 4 => f64::midpoint(least, most),
        _ => {
            let share = (wanted - low.1) / (high.1 - low.1);
            f64::from(low.0) + share * f64::from(high.0 - low.0)
        }
    };
    next.ceil().clamp(least, most) as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn search(wanted: f64, score: impl Fn(u8) -> f64) -> (u8, u32) {
        let mut tries = 0;
        let target = Score::try_from(wanted).unwrap();
        let found = smallest(target, |quality| {
            tries += 1;
            Ok((quality, score(quality)))
        });
        (found.unwrap(), tries)
    }

    #[test]
    fn a_score_out_of_reach_gives_the_best_there_is() {
        assert_eq!(search(95.0, |quality| f64::from(quality) * 0.5).0, 100);
    }

    #[test]
    fn a_score_that_everything_reaches_gives_the_least() {
        assert_eq!(search(10.0, |_| 90.0).0, 1);
    }

    proptest! {
        #[test]
        fn the_lowest_quality_that_reaches_a_score_is_found_in_few_tries(
            wanted in 1.0..99.0_f64, start in -50.0..60.0_f64, bend in 0.3..3.0_f64,
        ) {
            let score = |quality: u8| start + (99.5 - start) * (f64::from(quality) / 100.0).powf(bend);
            let target = Score::try_from(wanted).unwrap().value();
            let lowest = (1..=100).find(|&quality| score(quality) >= target);
            let (found, tries) = search(wanted, score);
            prop_assert_eq!(found, lowest.unwrap_or(100));
            prop_assert!(tries <= 14, "{} tries", tries);
        }
    }
}
