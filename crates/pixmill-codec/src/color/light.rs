//! Colours that a file describes by numbers instead of a profile: primaries and transfer functions (ITU-T H.273), PNG's
//! `gAMA` and `cHRM`. What is brighter than sRGB can be is brought down as ITU-R BT.2390 describes it.

/// A point of the CIE 1931 diagram.
type Xy = (f64, f64);
type Matrix = [[f64; 3]; 3];

const D65: Xy = (0.3127, 0.3290);
const SRGB: [Xy; 4] = [(0.64, 0.33), (0.30, 0.60), (0.15, 0.06), D65];
/// Chromaticities that differ by no more are the same.
const NEAR: f64 = 0.002;

/// What white of a print is on a screen of high range, in cd/m² (ITU-R BT.2408): sRGB's white.
const WHITE: f64 = 203.0;
/// The peak that pictures of high range are taken to have been made for, in cd/m².
const PEAK: f64 = 1000.0;

/// How an encoded value becomes light.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Transfer {
    Srgb,
    /// Light is the value to this power.
    Power(f64),
    /// sRGB's value is the encoded one to this power: what browsers make of `gAMA`.
    Gamma(f64),
    /// SMPTE ST 2084.
    Pq,
    /// Hybrid log-gamma (ITU-R BT.2100).
    Hlg,
}

/// Colours that aren't sRGB's.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Light {
    /// Red, green, blue and white.
    primaries: [Xy; 4],
    transfer: Transfer,
}

impl Light {
    /// By the numbers of ITU-T H.273, 8.1 and 8.2. `None` for sRGB, and for what is not specified or known.
    pub(crate) fn from_cicp(primaries: u16, transfer: u16) -> Option<Self> {
        let primaries = chromaticities(primaries);
        let transfer = match transfer {
            4 => Transfer::Power(2.2),
            5 => Transfer::Power(2.8),
            8 => Transfer::Power(1.0),
            16 => Transfer::Pq,
            17 => Transfer::Power(2.6),
            18 => Transfer::Hlg,
            // Those made for video too, which browsers show by sRGB's curve.
            _ => Transfer::Srgb,
        };
        Light { primaries, transfer }.unless_srgb()
    }

    /// By PNG's `gAMA`, in 1/100,000, and `cHRM`: white, red, green, blue, in 1/100,000. A gamma near that of sRGB is
    /// sRGB's, as libpng and browsers have it. One of exactly 1 with nothing beside it is what writers put there that
    /// meant nothing by it, PngSuite's among them: other decoders show its samples as they are, and so it stays.
    pub(crate) fn from_png(gamma: Option<u32>, chromaticities: Option<[u32; 8]>) -> Option<Self> {
        let meant = |gamma: &u32| *gamma > 0 && (*gamma != 100_000 || chromaticities.is_some());
        let power = gamma.filter(meant).map(|gamma| 100_000.0 / (f64::from(gamma) * 2.2));
        let transfer = match power {
            Some(power) if (power - 1.0).abs() > 0.05 => Transfer::Gamma(power),
            _ => Transfer::Srgb,
        };
        let primaries = chromaticities.map(|all| {
            let [white, red, green, blue] =
                [0, 2, 4, 6].map(|at| (f64::from(all[at]) / 1e5, f64::from(all[at + 1]) / 1e5));
            [red, green, blue, white]
        });
        let sound =
            primaries.filter(|primaries| primaries[3].1 > 0.0 && inverse(&to_xyz(primaries)).is_some());
        Light { primaries: sound.unwrap_or(SRGB), transfer }.unless_srgb()
    }

    fn unless_srgb(self) -> Option<Self> {
        let near = |(a, b): (&Xy, &Xy)| (a.0 - b.0).abs() < NEAR && (a.1 - b.1).abs() < NEAR;
        let same = self.primaries.iter().zip(&SRGB).all(near);
        (!same || self.transfer != Transfer::Srgb).then_some(self)
    }
}

/// Red, green, blue and white of primaries by their number (ITU-T H.273, 8.1).
fn chromaticities(primaries: u16) -> [Xy; 4] {
    const C: Xy = (0.310, 0.316);
    match primaries {
        4 => [(0.67, 0.33), (0.21, 0.71), (0.14, 0.08), C],
        5 => [(0.64, 0.33), (0.29, 0.60), (0.15, 0.06), D65],
        6 | 7 => [(0.630, 0.340), (0.310, 0.595), (0.155, 0.070), D65],
        8 => [(0.681, 0.319), (0.243, 0.692), (0.145, 0.049), C],
        9 => [(0.708, 0.292), (0.170, 0.797), (0.131, 0.046), D65],
        10 => [(1.0, 0.0), (0.0, 1.0), (0.0, 0.0), (1.0 / 3.0, 1.0 / 3.0)],
        11 => [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060), (0.314, 0.351)],
        12 => [(0.680, 0.320), (0.265, 0.690), (0.150, 0.060), D65],
        22 => [(0.630, 0.340), (0.295, 0.605), (0.155, 0.077), D65],
        _ => SRGB,
    }
}

/// How much red and blue of primaries weigh in light (ITU-T H.273, 8.3, equations 32 to 37).
#[cfg_attr(not(feature = "avif"), allow(dead_code, reason = "AVIF alone is told its primaries so"))]
pub(crate) fn luminances(primaries: u16) -> (f32, f32) {
    let [_, [red, _, blue], _] = to_xyz(&chromaticities(primaries));
    (red as f32, blue as f32)
}

/// Makes sRGB of a picture's pixels.
pub(crate) struct ToSrgb {
    /// Light by encoded value, where 1 is sRGB's white; of high range in cd/m².
    light: Vec<f32>,
    /// What light of the brightest sample's encoded value is multiplied by.
    scale: Option<Vec<f32>>,
    is_hlg: bool,
    matrix: [[f32; 3]; 3],
    /// sRGB's value by light.
    srgb: Vec<u8>,
}

const LAST: f32 = 65_535.0;

impl ToSrgb {
    pub(crate) fn new(light: &Light) -> Self {
        let transfer = light.transfer;
        let table = |value: &dyn Fn(f64) -> f64| -> Vec<f32> {
            (0..=u16::MAX).map(|at| value(f64::from(at) / 65_535.0) as f32).collect()
        };
        let matrix = multiplied(
            &inverse(&to_xyz(&SRGB)).unwrap_or_default(),
            &multiplied(&adapted(light.primaries[3]), &to_xyz(&light.primaries)),
        );
        ToSrgb {
            light: table(&|value| decoded(transfer, value)),
            scale: match transfer {
                Transfer::Pq => Some(table(&|value| toned(pq(value)) / pq(value).max(1e-6))),
                // By light instead: what an encoded value comes to depends on the others.
                Transfer::Hlg => Some(table(&|share| toned(share * PEAK) / (share * PEAK).max(1e-6))),
                _ => None,
            },
            is_hlg: transfer == Transfer::Hlg,
            matrix: matrix.map(|row| row.map(|value| value as f32)),
            srgb: (0..=u16::MAX).map(|at| (encoded(f64::from(at) / 65_535.0) * 255.0 + 0.5) as u8).collect(),
        }
    }

    /// A pixel's encoded values, 0 to 1, as sRGB.
    pub(crate) fn pixel(&self, values: [f32; 3]) -> [u8; 3] {
        let place = |value: f32| (value.clamp(0.0, 1.0) * LAST + 0.5) as usize;
        let mut light = values.map(|value| self.light[place(value)]);
        if self.is_hlg {
            // What the system adds to a scene on a screen of that peak (BT.2100, table 5).
            let luma = light[0] * 0.2627 + light[1] * 0.6780 + light[2] * 0.0593;
            let gain = luma.max(1e-6).powf(0.2) * PEAK as f32;
            light = light.map(|light| light * gain);
        }
        if let Some(scale) = &self.scale {
            let brightest = if self.is_hlg {
                light.iter().fold(0.0_f32, |most, light| most.max(*light)) / PEAK as f32
            } else {
                values.iter().fold(0.0_f32, |most, value| most.max(*value))
            };
            let by = scale[place(brightest)];
            light = light.map(|light| light * by);
        }
        let row = |row: &[f32; 3]| row[0] * light[0] + row[1] * light[1] + row[2] * light[2];
        [0, 1, 2].map(|at| self.srgb[place(row(&self.matrix[at]))])
    }
}

fn decoded(transfer: Transfer, value: f64) -> f64 {
    match transfer {
        Transfer::Srgb => linear(value),
        Transfer::Power(power) => value.powf(power),
        Transfer::Gamma(power) => linear(value.powf(power)),
        Transfer::Pq => pq(value),
        Transfer::Hlg => {
            let (a, b, c) = (0.178_832_77, 0.284_668_92, 0.559_910_73);
            if value <= 0.5 { value * value / 3.0 } else { (((value - c) / a).exp() + b) / 12.0 }
        }
    }
}

/// sRGB's value to light.
fn linear(value: f64) -> f64 {
    if value <= 0.040_45 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
}

/// Light to sRGB's value.
fn encoded(light: f64) -> f64 {
    if light <= 0.003_130_8 { light * 12.92 } else { 1.055 * light.powf(1.0 / 2.4) - 0.055 }
}

const M1: f64 = 0.159_301_757_812_5;
const M2: f64 = 78.843_75;
const C1: f64 = 0.835_937_5;
const C2: f64 = 18.851_562_5;
const C3: f64 = 18.687_5;

/// SMPTE ST 2084: an encoded value to cd/m².
fn pq(value: f64) -> f64 {
    let root = value.powf(1.0 / M2);
    10_000.0 * ((root - C1).max(0.0) / (C2 - C3 * root)).powf(1.0 / M1)
}

/// SMPTE ST 2084: cd/m² to an encoded value.
fn pq_encoded(light: f64) -> f64 {
    let power = (light / 10_000.0).max(0.0).powf(M1);
    ((C1 + C2 * power) / (1.0 + C3 * power)).powf(M2)
}

/// Light in cd/m², brought below sRGB's white by the EETF of ITU-R BT.2390-11, 5.4, as a share of that white.
fn toned(light: f64) -> f64 {
    let (peak, most) = (pq_encoded(PEAK), pq_encoded(WHITE) / pq_encoded(PEAK));
    let value = (pq_encoded(light) / peak).min(1.0);
    let knee = 1.5 * most - 0.5;
    let bent = if value < knee {
        value
    } else {
        let t = (value - knee) / (1.0 - knee);
        let (t2, t3) = (t * t, t * t * t);
        (2.0 * t3 - 3.0 * t2 + 1.0) * knee + (t3 - 2.0 * t2 + t) * (1.0 - knee) + (3.0 * t2 - 2.0 * t3) * most
    };
    (pq(bent * peak) / WHITE).min(1.0)
}

/// RGB to XYZ, where white has a luminance of 1.
fn to_xyz(primaries: &[Xy; 4]) -> Matrix {
    let xyz = |(x, y): Xy| [x, y, 1.0 - x - y];
    let [red, green, blue] = [xyz(primaries[0]), xyz(primaries[1]), xyz(primaries[2])];
    let columns: Matrix = std::array::from_fn(|row| [red[row], green[row], blue[row]]);
    let white = xyz(primaries[3]).map(|value| value / primaries[3].1);
    let Some(inverse) = inverse(&columns) else { return [[0.0; 3]; 3] };
    let shares = applied(&inverse, white);
    columns.map(|row| std::array::from_fn(|at| row[at] * shares[at]))
}

/// What a white becomes D65 by (Bradford's matrix).
fn adapted(white: Xy) -> Matrix {
    const CONES: Matrix = [[0.8951, 0.2664, -0.1614], [-0.7502, 1.7135, 0.0367], [0.0389, -0.0685, 1.0296]];
    let cones = |(x, y): Xy| applied(&CONES, [x / y, 1.0, (1.0 - x - y) / y]);
    let (from, to) = (cones(white), cones(D65));
    let scaled: Matrix = std::array::from_fn(|row| CONES[row].map(|value| value * to[row] / from[row]));
    multiplied(&inverse(&CONES).unwrap_or_default(), &scaled)
}

fn applied(matrix: &Matrix, vector: [f64; 3]) -> [f64; 3] {
    matrix.map(|row| row[0] * vector[0] + row[1] * vector[1] + row[2] * vector[2])
}

fn multiplied(a: &Matrix, b: &Matrix) -> Matrix {
    a.map(|row| std::array::from_fn(|at| row[0] * b[0][at] + row[1] * b[1][at] + row[2] * b[2][at]))
}

fn inverse(m: &Matrix) -> Option<Matrix> {
    let minor = |r: usize, c: usize| {
        let ((r1, r2), (c1, c2)) = (((r + 1) % 3, (r + 2) % 3), ((c + 1) % 3, (c + 2) % 3));
        m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]
    };
    let determinant: f64 = (0..3).map(|at| m[0][at] * minor(0, at)).sum();
    let is_sound = determinant.is_finite() && determinant.abs() > 1e-9;
    is_sound
        .then(|| std::array::from_fn(|row| std::array::from_fn(|column| minor(column, row) / determinant)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(light: Option<Light>, values: [f32; 3]) -> [u8; 3] {
        ToSrgb::new(&light.expect("not sRGB")).pixel(values)
    }

    #[test]
    fn srgb_needs_nothing_by_whatever_means_it_is_named() {
        for (primaries, transfer) in [(1, 13), (2, 2), (1, 1), (1, 6), (1, 2)] {
            assert_eq!(Light::from_cicp(primaries, transfer), None, "{primaries}, {transfer}");
        }
        let srgb = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
        assert_eq!(Light::from_png(Some(45_455), Some(srgb)), None);
        assert_eq!(Light::from_png(None, Some([0; 8])), None);
    }

    #[test]
    fn luminances_are_those_of_the_recommendations() {
        for (primaries, wanted) in [(1, (0.2126, 0.0722)), (9, (0.2627, 0.0593)), (12, (0.2290, 0.0793))] {
            let (red, blue) = luminances(primaries);
            assert!(
                (red - wanted.0).abs() < 0.001 && (blue - wanted.1).abs() < 0.001,
                "{primaries}: {red} {blue}"
            );
        }
    }

    #[test]
    fn greys_stay_grey_under_all_primaries() {
        for primaries in [4, 5, 6, 8, 9, 10, 11, 12, 22] {
            let [r, g, b] = shown(Light::from_cicp(primaries, 13), [0.5; 3]);
            assert!(
                r.abs_diff(128) < 2 && g.abs_diff(128) < 2 && b.abs_diff(128) < 2,
                "{primaries}: {r} {g} {b}"
            );
        }
    }

    #[test]
    fn a_colour_of_p3_is_the_one_that_css_color_4_gives() {
        // color(display-p3 0.5 0.4 0.3) is rgb(131 101 72).
        let [r, g, b] = shown(Light::from_cicp(12, 13), [0.5, 0.4, 0.3]);
        assert!(r.abs_diff(131) < 2 && g.abs_diff(101) < 2 && b.abs_diff(72) < 2, "{r} {g} {b}");
        assert_eq!(shown(Light::from_cicp(12, 13), [1.0, 0.0, 0.0]), [255, 0, 0]);
    }

    #[test]
    fn light_of_high_range_keeps_its_order_and_its_white_is_bright() {
        // 58 % of PQ and 75 % of HLG are the white of a print, 203 cd/m².
        for (transfer, white) in [(16, 0.5807), (18, 0.75)] {
            let light = Light::from_cicp(9, transfer);
            let levels: Vec<u8> = (0..=20).map(|at| shown(light, [at as f32 / 20.0; 3])[1]).collect();
            assert!(levels.is_sorted() && levels[0] == 0 && levels[20] == 255, "{levels:?}");
            let white = shown(light, [white; 3])[1];
            assert!((210..250).contains(&white), "{transfer}: white is {white}");
        }
    }

    #[test]
    fn dark_light_of_high_range_is_left_as_it_is() {
        // 20 cd/m² lie below the knee: a tenth of white.
        let value = pq_encoded(20.3) as f32;
        let wanted = (encoded(0.1) * 255.0).round() as u8;
        assert!(shown(Light::from_cicp(1, 16), [value; 3])[0].abs_diff(wanted) < 2);
    }

    #[test]
    fn a_gamma_of_one_is_light_itself_where_primaries_stand_beside_it() {
        let srgb = [31_270, 32_900, 64_000, 33_000, 30_000, 60_000, 15_000, 6_000];
        let level = shown(Light::from_png(Some(100_000), Some(srgb)), [0.5; 3])[0];
        assert!(level.abs_diff(186) < 3, "{level}");
        assert_eq!(Light::from_png(Some(100_000), None), None);
        let level = shown(Light::from_png(Some(55_556), None), [0.5; 3])[0];
        assert!(level.abs_diff(145) < 2, "{level}");
    }
}
