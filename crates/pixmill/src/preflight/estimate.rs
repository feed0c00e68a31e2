//! What a run would take, guessed from what probes found.

use std::collections::BTreeMap;
use std::time::Duration;

use pixmill_codec::{Format, Recipe};

use super::probe::{Probed, Settings};
use super::survey::Survey;

/// Bytes a pixel of photographs as JPEG, by quality: medians of pixmill's own outputs of 13 of them (the Kodak
/// suite, PNG and JPEG). In between is interpolated.
const JPEG: [(f64, f64); 6] =
    [(1.0, 0.01), (20.0, 0.05), (50.0, 0.10), (80.0, 0.18), (95.0, 0.42), (100.0, 0.95)];

/// WebP's share of JPEG's bytes at the same quality, by the same outputs.
const WEBP: f64 = 0.7;

/// Seconds that one core takes for a pixel, decoding and encoding together.
const PIXEL: f64 = 25e-9;

/// What probes found at one origin.
#[derive(Debug, Default, Clone)]
pub(crate) struct Figures {
    /// Probes that ended.
    pub(crate) probed: u64,
    /// Those that failed.
    pub(crate) failed: u64,
    bytes: Mean,
    pixels: Mean,
    time: Mean,
    /// The slowest probe.
    pub(crate) slowest: Duration,
}

#[derive(Debug, Default, Clone, Copy)]
struct Mean {
    sum: f64,
    count: u64,
}

impl Mean {
    fn add(&mut self, value: f64) {
        self.sum += value;
        self.count += 1;
    }

    fn get(self) -> Option<f64> {
        (self.count > 0).then(|| self.sum / self.count as f64)
    }
}

impl Figures {
    /// Takes in what a probe found.
    pub(crate) fn take(&mut self, probed: &Probed) {
        self.probed += 1;
        match &probed.found {
            Ok(found) => {
                self.time.add(probed.took.as_secs_f64());
                self.slowest = self.slowest.max(probed.took);
                if let Some(bytes) = found.bytes {
                    self.bytes.add(bytes as f64);
                }
                if let Some(pixels) = found.pixels {
                    self.pixels.add(pixels as f64);
                }
            }
            Err(_) => self.failed += 1,
        }
    }

    /// Mean size of its pictures, bytes.
    pub(crate) fn mean_bytes(&self) -> Option<u64> {
        self.bytes.get().map(|mean| mean as u64)
    }

    /// Mean time of its probes, seconds.
    pub(crate) fn mean_seconds(&self) -> Option<f64> {
        self.time.get()
    }

    /// The share of its pictures that can be expected to be there.
    fn well(&self) -> f64 {
        if self.probed == 0 { 1.0 } else { (self.probed - self.failed) as f64 / self.probed as f64 }
    }
}

/// What a run would take. Rough, and nothing where nothing is known.
#[derive(Debug, Default, Clone, Copy, PartialEq)]
pub(crate) struct Estimate {
    /// Bytes to be fetched.
    pub(crate) bytes_before: Option<f64>,
    /// Bytes of outputs.
    pub(crate) bytes_after: Option<f64>,
    /// Seconds.
    pub(crate) seconds: Option<f64>,
}

/// Guesses from origins that were probed; the others count like the mean of all that were.
pub(crate) fn estimate(
    survey: &Survey,
    figures: &BTreeMap<String, Figures>,
    settings: &Settings,
    cores: usize,
) -> Estimate {
    let unknown = Figures::default();
    let overall = |mean: fn(&Figures) -> Mean| {
        let sum = figures
            .values()
            .map(mean)
            .fold(Mean::default(), |all, one| Mean { sum: all.sum + one.sum, count: all.count + one.count });
        sum.get()
    };
    let (bytes, pixels, time) =
        (overall(|all| all.bytes), overall(|all| all.pixels), overall(|all| all.time));
    let (mut total, mut slowest_lane) = ([0.0; 3], 0.0f64);
    for (origin, share) in &survey.origins {
        let known = figures.get(origin).unwrap_or(&unknown);
        let images = share.distinct as f64 * known.well();
        let waiting = images * known.time.get().or(time).unwrap_or(0.0);
        total[0] += images * known.bytes.get().or(bytes).unwrap_or(0.0);
        total[1] += images * known.pixels.get().or(pixels).unwrap_or(0.0);
        total[2] += waiting;
        slowest_lane = slowest_lane.max(waiting / settings.per_origin as f64);
    }
    let [bytes_before, pixels_total, waiting] = total;
    let bytes_before = bytes.map(|_| bytes_before);
    let bytes_after = pixels.and_then(|mean| output(&settings.recipe, pixels_total, mean, bytes_before));
    let seconds = time.map(|_| {
        let fetching = slowest_lane.max(waiting / settings.connections as f64);
        fetching.max(pixels_total * PIXEL / cores as f64)
    });
    Estimate { bytes_before, bytes_after, seconds }
}

/// Bytes of outputs that hold so many pixels together; nothing for formats whose bytes pixels don't foretell.
fn output(recipe: &Recipe, pixels: f64, mean_pixels: f64, bytes_before: Option<f64>) -> Option<f64> {
    let share = match recipe.format {
        Format::Jpeg => 1.0,
        Format::Webp => WEBP,
        Format::Avif | Format::Png | Format::Keep => return None,
    };
    // As if all pictures had the mean's size and a shape of 4:3.
    let (width, height) = ((mean_pixels * 4.0 / 3.0).sqrt(), (mean_pixels * 3.0 / 4.0).sqrt());
    let fit = |most: Option<u32>, side: f64| most.map_or(1.0, |most| (f64::from(most) / side).min(1.0));
    let scale = fit(recipe.max_width, width).min(fit(recipe.max_height, height));
    let bytes = pixels * scale * scale * per_pixel(f64::from(recipe.quality)) * share;
    Some(bytes_before.map_or(bytes, |before| bytes.min(before)))
}

/// Bytes a pixel at a quality from 1 to 100.
fn per_pixel(quality: f64) -> f64 {
    let above = JPEG.iter().position(|(known, _)| quality <= *known).unwrap_or(JPEG.len() - 1).max(1);
    let ((low, fewer), (high, more)) = (JPEG[above - 1], JPEG[above]);
    fewer + (more - fewer) * (quality - low) / (high - low)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use pixmill_codec::Limits;

    use super::super::probe::Found;
    use super::super::survey::Share;
    use super::*;

    fn settings(recipe: Recipe) -> Settings {
        Settings {
            connections: 10,
            per_origin: 2,
            timeout: Duration::from_secs(30),
            max_bytes: 1_000_000,
            limits: Limits::default(),
            recipe,
        }
    }

    fn figures(bytes: u64, pixels: u64, seconds: u64) -> Figures {
        let mut figures = Figures::default();
        let found = Ok(Found { bytes: Some(bytes), pixels: Some(pixels) });
        figures.take(&Probed {
            line: 2,
            position: 0,
            origin: String::new(),
            took: Duration::from_secs(seconds),
            found,
        });
        figures
    }

    fn survey(origins: &[(&str, u64)]) -> Survey {
        let share = |images| Share { images, distinct: images };
        Survey {
            origins: origins.iter().map(|(name, images)| ((*name).to_owned(), share(*images))).collect(),
            ..Survey::default()
        }
    }

    #[test]
    fn origins_that_were_not_probed_count_like_the_mean_of_the_others() {
        let survey = survey(&[("a", 100), ("b", 100)]);
        let figures = BTreeMap::from([("a".to_owned(), figures(400_000, 1_000_000, 1))]);
        let estimate = estimate(&survey, &figures, &settings(Recipe::default()), 4);
        assert_eq!(estimate.bytes_before, Some(200.0 * 400_000.0));
        assert_eq!(estimate.bytes_after.map(f64::round), Some(200.0 * 100_000.0));
        // Each origin takes 100 answers of a second, two at a time.
        assert_eq!(estimate.seconds, Some(50.0));
    }

    #[test]
    fn outputs_are_no_larger_than_sources_and_shrink_with_the_picture() {
        let guess = |recipe| {
            let figures = BTreeMap::from([("a".to_owned(), figures(50_000, 1_200_000, 1))]);
            estimate(&survey(&[("a", 1)]), &figures, &settings(recipe), 4).bytes_after
        };
        assert_eq!(guess(Recipe::default()), Some(50_000.0));
        let small = guess(Recipe { max_width: Some(400), ..Recipe::default() }).unwrap();
        assert!((small - 12_000.0).abs() < 100.0, "{small}");
        assert_eq!(guess(Recipe { format: Format::Png, ..Recipe::default() }), None);
    }

    #[test]
    fn nothing_is_guessed_from_nothing() {
        let guess = estimate(&survey(&[("a", 9)]), &BTreeMap::new(), &settings(Recipe::default()), 4);
        assert_eq!(guess, Estimate::default());
    }

    #[test]
    fn bytes_a_pixel_grow_with_quality() {
        assert_eq!(per_pixel(50.0), 0.10);
        assert!((1..100).all(|quality| per_pixel(f64::from(quality)) < per_pixel(f64::from(quality + 1))));
    }
}
