//! Whether something grows: a slope that single outliers do not move, and how far it can be
//! trusted.

use std::fmt;

/// 1.96: of a normal distribution, 95 % lie within so many standard deviations.
const Z95: f64 = 1.96;

/// A slope with the interval in which it lies with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Slope {
    /// The lower end.
    pub low: f64,
    /// The median of the slopes between any two points.
    pub middle: f64,
    /// The upper end.
    pub high: f64,
}

impl fmt::Display for Slope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:+.2} ({:+.2} to {:+.2})", self.middle, self.low, self.high)
    }
}

/// The slope through points of which no two have the same `x` (Theil 1950; the interval by
/// Kendall's tau, Sen 1968). Neighbouring points must not hang together: give medians of blocks.
///
/// # Panics
/// When there are fewer than ten points.
#[expect(clippy::cast_precision_loss, reason = "few points")]
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "places in a list")]
pub fn slope(points: &[(f64, f64)]) -> Slope {
    assert!(points.len() >= 10, "{} points are too few", points.len());
    let mut slopes = Vec::new();
    for (at, (x, y)) in points.iter().enumerate() {
        slopes.extend(points[at + 1..].iter().map(|(later, other)| (other - y) / (later - x)));
    }
    slopes.sort_by(f64::total_cmp);
    let (pairs, n) = (slopes.len() as f64, points.len() as f64);
    let spread = Z95 * (n * (n - 1.0) * (2.0 * n + 5.0) / 18.0).sqrt();
    let at = |place: f64| slopes[(place.max(0.0) as usize).min(slopes.len() - 1)];
    let half = slopes.len() / 2;
    let middle = if slopes.len().is_multiple_of(2) {
        f64::midpoint(slopes[half - 1], slopes[half])
    } else {
        slopes[half]
    };
    Slope {
        low: at(((pairs - spread) / 2.0).floor() - 1.0),
        middle,
        high: at(f64::midpoint(pairs, spread).ceil()),
    }
}

/// The medians of so many blocks of equal length, each at its middle place.
#[expect(clippy::cast_precision_loss, reason = "few values")]
pub fn blocks(values: &[f64], count: usize) -> Vec<(f64, f64)> {
    let length = values.len() / count;
    let median = |number: usize| {
        let begin = number * length;
        let mut block = values[begin..begin + length].to_vec();
        block.sort_by(f64::total_cmp);
        (begin as f64 + (length - 1) as f64 / 2.0, block[length / 2])
    };
    (0..count).map(median).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noisy(rng: &mut fastrand::Rng, slope: f64, noise: f64) -> Vec<(f64, f64)> {
        (0..20).map(|x| (f64::from(x), slope * f64::from(x) + noise * (rng.f64() - 0.5))).collect()
    }

    #[test]
    fn a_line_has_its_slope() {
        let points: Vec<_> = (0..12).map(|x| (f64::from(x), 3.0 * f64::from(x) + 1.0)).collect();
        let Slope { low, middle, high } = slope(&points);
        assert!([low, middle, high].iter().all(|value| (value - 3.0).abs() < 1e-9));
    }

    #[test]
    fn the_interval_holds_what_is_true_and_outliers_do_not_move_it() {
        let mut rng = fastrand::Rng::with_seed(9420);
        let (mut held, mut seen) = (0, 0);
        for _ in 0..400 {
            let level = slope(&noisy(&mut rng, 0.0, 4.0));
            held += usize::from(level.low <= 0.0 && 0.0 <= level.high);
            let mut rising = noisy(&mut rng, 0.5, 4.0);
            rising[3].1 += 1000.0;
            seen += usize::from(slope(&rising).low > 0.0);
        }
        // 95 % of 400, by chance a few less.
        assert!(held >= 370, "{held} of 400 intervals hold 0");
        assert!(seen >= 390, "{seen} of 400 see a slope of 0.5");
    }

    #[test]
    fn a_block_is_its_median() {
        let values = [1.0, 9.0, 2.0, 5.0, 5.0, 700.0, 8.0];
        assert_eq!(blocks(&values, 2), [(1.0, 2.0), (4.0, 5.0)]);
    }
}
