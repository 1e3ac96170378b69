//! Changed copies of a picture, for training: each depends on a seed and a number alone.

use ndarray::{Array3, Axis, s};
use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::picture::Picture;

/// How a picture is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Augmentation {
    /// Every other time its mirror image.
    Flip,
    /// Shifted by up to an eighth of its longer side each way, black coming in, and every other time its mirror
    /// image: for 32 x 32 pixels what a padding of 4 and a random crop do.
    CropFlip,
    /// One of four mild corruptions, drawn evenly: Gaussian noise of a standard deviation of 0.02 to 0.08 (of values in
    /// 0..1); a blur with the 3 x 3 binomial filter, once or twice; brightness shifted by up to 0.15 either way; contrast
    /// about the mean times 0.5 to 1.1. Each is well below the first severity of the usual corruption benchmarks or
    /// near it.
    Mild,
}

impl Augmentation {
    /// The changed picture; size and colours stay.
    pub fn apply(self, mut picture: Picture, seed: u64, number: u64) -> Picture {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(number);
        let pixels = &mut picture.pixels;
        match self {
            Self::Flip => flip(pixels, &mut random),
            Self::CropFlip => {
                shift(pixels, &mut random);
                flip(pixels, &mut random);
            }
            Self::Mild => mild(pixels, &mut random),
        }
        picture
    }
}

fn flip(pixels: &mut Array3<u8>, random: &mut ChaCha8Rng) {
    if random.random::<bool>() {
        pixels.invert_axis(Axis(1));
        *pixels = pixels.as_standard_layout().into_owned();
    }
}

fn shift(pixels: &mut Array3<u8>, random: &mut ChaCha8Rng) {
    let (height, width, _) = pixels.dim();
    let reach = (height.max(width) / 8) as i64;
    let (down, right) = (random.random_range(-reach..=reach), random.random_range(-reach..=reach));
    let mut shifted = Array3::zeros(pixels.dim());
    // where the shifted picture overlaps its old place: from there, and to here
    let overlap = |size: usize, by: i64| {
        let lost = (by.unsigned_abs() as usize).min(size);
        if by >= 0 { (0..size - lost, lost..size) } else { (lost..size, 0..size - lost) }
    };
    let ((from_y, to_y), (from_x, to_x)) = (overlap(height, down), overlap(width, right));
    shifted.slice_mut(s![to_y, to_x, ..]).assign(&pixels.slice(s![from_y, from_x, ..]));
    *pixels = shifted;
}

fn mild(pixels: &mut Array3<u8>, random: &mut ChaCha8Rng) {
    match random.random_range(0..4) {
        0 => noise(pixels, random.random_range(0.02..0.08), random),
        1 => (0..random.random_range(1..=2)).for_each(|_| blur(pixels)),
        2 => {
            let shift = 255.0 * random.random_range(-0.15..0.15_f32);
            pixels.mapv_inplace(|v| byte(f32::from(v) + shift));
        }
        _ => {
            let factor = random.random_range(0.5..1.1_f32);
            let sum: u64 = pixels.iter().map(|&v| u64::from(v)).sum();
            let mean = sum as f32 / pixels.len().max(1) as f32;
            pixels.mapv_inplace(|v| byte(mean + factor * (f32::from(v) - mean)));
        }
    }
}

fn byte(value: f32) -> u8 {
    value.round().clamp(0.0, 255.0) as u8
}

/// A grey picture stays grey: its channels get the same noise.
fn noise(pixels: &mut Array3<u8>, deviation: f32, random: &mut ChaCha8Rng) {
    let grey = pixels.lanes(Axis(2)).into_iter().all(|rgb| rgb.iter().all(|v| *v == rgb[0]));
    for mut rgb in pixels.lanes_mut(Axis(2)) {
        let mut drawn = 0.0;
        for (channel, value) in rgb.iter_mut().enumerate() {
            if channel == 0 || !grey {
                drawn = 255.0 * deviation * normal(random);
            }
            *value = byte(f32::from(*value) + drawn);
        }
    }
}

/// Standard normal, by Box and Muller.
fn normal(random: &mut impl Rng) -> f32 {
    let (u, v): (f32, f32) = (1.0 - random.random::<f32>(), random.random());
    (-2.0 * u.ln()).sqrt() * (std::f32::consts::TAU * v).cos()
}

/// The filter 1 2 1 in both directions; beyond the border the border's pixels are repeated.
fn blur(pixels: &mut Array3<u8>) {
    for axis in [Axis(0), Axis(1)] {
        for mut lane in pixels.lanes_mut(axis) {
            let values = lane.to_vec();
            let at = |index: usize| u16::from(values[index.min(values.len() - 1)]);
            for (index, value) in lane.iter_mut().enumerate() {
                let sum = at(index.saturating_sub(1)) + 2 * at(index) + at(index + 1);
                *value = ((sum + 2) / 4) as u8;
            }
        }
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::HashSet;

    use ndarray::Array3;

    use super::Augmentation;
    use crate::picture::{Picture, decode};

    fn picture(grey: bool) -> Picture {
        let mut ppm = b"P6 16 8 255 ".to_vec();
        for i in 0..16 * 8 {
            let v = (i * 5 % 251) as u8;
            ppm.extend(if grey { [v, v, v] } else { [v, v / 2, 255 - v] });
        }
        decode(&ppm, "x.ppm").unwrap()
    }

    fn changed(kind: Augmentation, grey: bool, count: u64) -> Vec<Array3<u8>> {
        (0..count).map(|number| kind.apply(picture(grey), 3, number).pixels).collect()
    }

    #[test]
    fn a_copy_depends_on_seed_and_number_alone() {
        for kind in [Augmentation::Flip, Augmentation::CropFlip, Augmentation::Mild] {
            assert_eq!(changed(kind, false, 20), changed(kind, false, 20));
            let different: HashSet<_> = changed(kind, false, 20).into_iter().collect();
            assert!(different.len() > 1, "{kind:?}");
        }
    }

    #[test]
    fn flips_are_mirror_images_or_nothing() {
        let original = picture(false).pixels;
        let mut mirrored = original.clone();
        mirrored.invert_axis(ndarray::Axis(1));
        let copies = changed(Augmentation::Flip, false, 64);
        let turned = copies.iter().filter(|copy| **copy == mirrored).count();
        assert!((16..48).contains(&turned), "{turned} of 64");
        assert!(copies.iter().all(|copy| *copy == mirrored || *copy == original));
    }

    #[test]
    fn shifts_stay_within_an_eighth() {
        for copy in changed(Augmentation::CropFlip, false, 64) {
            // 2 of 16 columns and 2 of 8 rows at most are black; the picture has few zeros of its own
            let filled = copy.iter().filter(|v| **v > 0).count();
            assert!(filled * 100 >= 60 * copy.len(), "{filled} of {}", copy.len());
        }
    }

    #[test]
    fn mild_copies_stay_near_and_grey_stays_grey() {
        let original = picture(true).pixels;
        for copy in changed(Augmentation::Mild, true, 64) {
            assert!(
                copy.lanes(ndarray::Axis(2))
                    .into_iter()
                    .all(|rgb| rgb[0] == rgb[1] && rgb[1] == rgb[2])
            );
            let far: f64 = copy.iter().zip(&original).map(|(a, b)| f64::from(a.abs_diff(*b))).sum();
            assert!(far / (copy.len() as f64) < 60.0, "{}", far / copy.len() as f64);
        }
    }
}
