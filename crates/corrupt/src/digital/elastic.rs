//! A rubber sheet.

use crate::border::Border;
use crate::convolve::{gaussian_kernel, separable};
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};
use crate::random::Stream;

/// In pixels: the largest displacement before it is smoothed, the standard deviation of the smoothing, and how far the
/// corners of a triangle are moved.
///
/// The small set is published as multiples of 32. The large one multiplies displacements of 0.005 x size by 250 x a factor, and
/// smooths with 0.01 x size.
const ELASTIC: Table<3> = Table {
    small: [
        [0.0, 0.0, 32.0 * 0.08],
        [32.0 * 0.05, 32.0 * 0.2, 32.0 * 0.07],
        [32.0 * 0.08, 32.0 * 0.06, 32.0 * 0.06],
        [32.0 * 0.1, 32.0 * 0.04, 32.0 * 0.05],
        [32.0 * 0.1, 32.0 * 0.03, 32.0 * 0.03],
    ],
    large: [
        [1.12 * 250.0 * 0.05, 2.24, 0.0],
        [1.12 * 250.0 * 0.065, 2.24, 0.0],
        [1.12 * 250.0 * 0.085, 2.24, 0.0],
        [1.12 * 250.0 * 0.1, 2.24, 0.0],
        [1.12 * 250.0 * 0.12, 2.24, 0.0],
    ],
    kinds: [Kind::Reach, Kind::Reach, Kind::Reach],
};

/// x(p + d(p)) by linear interpolation, with d uniform noise, smoothed by a normal blur (cut at 3 sigma); before, where the
/// parameters say so, an affine map that moves the corners of a triangle by uniform offsets.
///
/// The affine map mirrors at the outermost pixels, the displacement repeats them once; both are interpolated, so that the first
/// severity of the small set, which displaces nothing, blurs a little too.
pub(crate) fn elastic(picture: Picture<'_>, severity: Severity, stream: &mut Stream) -> Vec<u8> {
    let [reach, sigma, corners] = ELASTIC.at(severity, picture.size());
    let mut image = picture.to_f32();
    let (height, width) = (picture.height, picture.width);
    if corners > 0.0 {
        let map = Affine::random(height, width, corners as f32, stream);
        image = sample(&image, picture, Border::Mirror, |y, x| map.at(y as f32, x as f32));
    }
    if reach > 0.0 {
        let kernel = gaussian_kernel(sigma, 3.0);
        let mut displacement = || {
            let noise: Vec<f32> =
                (0..height * width).map(|_| stream.uniform(-reach as f32, reach as f32)).collect();
            separable(&noise, (height, width, 1), (&kernel, &kernel), Border::Symmetric)
        };
        let (right, down) = (displacement(), displacement());
        image = sample(&image, picture, Border::Symmetric, |y, x| {
            let at = y * width + x;
            (y as f32 + down[at], x as f32 + right[at])
        });
    }
    image.into_iter().map(to_byte).collect()
}

/// For each pixel (y, x), the image at `place(y, x)`.
fn sample(
    image: &[f32],
    picture: Picture<'_>,
    border: Border,
    place: impl Fn(usize, usize) -> (f32, f32),
) -> Vec<f32> {
    match picture.channels {
        1 => sample_of::<1>(image, picture, border, place),
        _ => sample_of::<3>(image, picture, border, place),
    }
}

fn sample_of<const C: usize>(
    image: &[f32],
    picture: Picture<'_>,
    border: Border,
    place: impl Fn(usize, usize) -> (f32, f32),
) -> Vec<f32> {
    let (height, width) = (picture.height, picture.width);
    let (pixels, _) = image.as_chunks::<C>();
    let mut out = vec![0.0; image.len()];
    let mut targets = out.as_chunks_mut::<C>().0.iter_mut();
    for y in 0..height {
        for x in 0..width {
            let (at_y, at_x) = place(y, x);
            let (top, left) = (at_y.floor(), at_x.floor());
            let (down, right) = (at_y - top, at_x - left);
            let (top, left) = (top as isize, left as isize);
            let (above, below) =
                (border.at(top, height) * width, border.at(top + 1, height) * width);
            let (before, after) = (border.at(left, width), border.at(left + 1, width));
            let (a, b) = (&pixels[above + before], &pixels[above + after]);
            let (c, d) = (&pixels[below + before], &pixels[below + after]);
            if let Some(target) = targets.next() {
                for k in 0..C {
                    let upper = a[k] + right * (b[k] - a[k]);
                    let lower = c[k] + right * (d[k] - c[k]);
                    target[k] = upper + down * (lower - upper);
                }
            }
        }
    }
    out
}

/// Where each pixel of the result comes from: an origin, and steps for each row and each column.
struct Affine {
    origin: [f32; 2],
    row: [f32; 2],
    column: [f32; 2],
}

impl Affine {
    /// The map that takes a right triangle around the centre, with legs of two thirds of the shorter side, to one whose corners are
    /// moved by up to `reach` in either direction, turned round: from places of the result to places of the image.
    fn random(height: usize, width: usize, reach: f32, stream: &mut Stream) -> Affine {
        let leg = (height.min(width) / 3).max(1) as f32;
        let centre = [(height / 2) as f32, (width / 2) as f32];
        let mut moved = |down: f32, right: f32| {
            let from = [centre[0] + down * leg, centre[1] + right * leg];
            from.map(|x| x + stream.uniform(-reach, reach))
        };
        // the right angle, and the ends of the legs along rows and columns
        let (corner, down, right) = (moved(-1.0, 1.0), moved(1.0, 1.0), moved(-1.0, -1.0));
        let u = [(down[0] - corner[0]) / (2.0 * leg), (down[1] - corner[1]) / (2.0 * leg)];
        let v = [(corner[0] - right[0]) / (2.0 * leg), (corner[1] - right[1]) / (2.0 * leg)];
        // a step of a row takes the image's points by u, one of a column by v; both are inverted
        let determinant = u[0] * v[1] - u[1] * v[0];
        let row = [v[1] / determinant, -u[1] / determinant];
        let column = [-v[0] / determinant, u[0] / determinant];
        let from = [centre[0] - leg, centre[1] + leg];
        let origin = std::array::from_fn(|k| from[k] - corner[0] * row[k] - corner[1] * column[k]);
        Affine { origin, row, column }
    }

    #[inline(always)]
    fn at(&self, y: f32, x: f32) -> (f32, f32) {
        (
            self.origin[0] + y * self.row[0] + x * self.column[0],
            self.origin[1] + y * self.row[1] + x * self.column[1],
        )
    }
}
