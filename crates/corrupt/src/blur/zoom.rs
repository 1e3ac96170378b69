//! Motion towards the picture.

use crate::vectors::vectorized;

use crate::bilinear::Axis;
use crate::corruption::Severity;
use crate::parameters::{Kind, Table};
use crate::picture::{Picture, to_byte};

/// How many enlargements, and by how much each is larger than the one before. The first is no enlargement.
///
/// The reference writes its factors as ranges whose end is not meant to belong to them, and where rounding decides it does.
const ZOOM: Table<2> = Table {
    small: [[7.0, 0.01], [12.0, 0.01], [16.0, 0.01], [21.0, 0.01], [26.0, 0.01]],
    large: [[12.0, 0.01], [16.0, 0.01], [11.0, 0.02], [13.0, 0.02], [11.0, 0.03]],
    kinds: [Kind::Amount, Kind::Amount],
};

/// (x + sum over i of zoom(x, 1 + i step)) / (n + 1), with i from 0 to n - 1; see [`Axis`] for zoom.
///
/// The picture itself counts twice, as in the reference.
pub(crate) fn zoom(picture: Picture<'_>, severity: Severity) -> Vec<u8> {
    let [count, step] = ZOOM.at(severity, picture.size());
    let count = count.round() as usize;
    // with the rounding error of NumPy's ranges: 26 pixels enlarged by 1.25 and a little become 33, by 1.25 they become 32
    let step = (1.0 + step) - 1.0;
    let samples = picture.to_f32();
    let mut sum: Vec<f32> = samples.iter().map(|x| 2.0 * x).collect();
    // a row of enlarged samples is written four at a time, and so may need room for three more
    let mut line = vec![0.0; picture.stride() + 4];
    let factors: Vec<(Axis, Axis)> = (1..count)
        .map(|i| {
            let factor = 1.0 + i as f64 * step;
            (Axis::new(picture.height, factor), Axis::new(picture.width, factor))
        })
        .collect();
    vectorized(
        #[inline(always)]
        || {
            for (rows, columns) in &factors {
                match picture.channels {
                    1 => add::<1>(&mut sum, &samples, picture.width, rows, columns, &mut line),
                    _ => add::<3>(&mut sum, &samples, picture.width, rows, columns, &mut line),
                }
            }
        },
    );
    let share = 1.0 / (count + 1) as f32;
    sum.into_iter().map(|value| to_byte(value * share)).collect()
}

/// Adds an enlarged image to a sum.
#[inline(always)]
fn add<const C: usize>(
    sum: &mut [f32],
    samples: &[f32],
    width: usize,
    rows: &Axis,
    columns: &Axis,
    line: &mut [f32],
) {
    let stride = width * C;
    let part = columns.start * C..(columns.start + columns.length) * C;
    for (sum, &(y, down)) in sum.chunks_exact_mut(stride).zip(&rows.places) {
        let above = &samples[(rows.start + y) * stride..][..stride][part.clone()];
        let next = (y + 1).min(rows.length - 1);
        let below = &samples[(rows.start + next) * stride..][..stride][part.clone()];
        for ((out, a), b) in line.iter_mut().zip(above).zip(below) {
            *out = a + down * (b - a);
        }
        let (sum, _) = sum.as_chunks_mut::<C>();
        for (sum, &(x, right)) in sum.iter_mut().zip(&columns.places) {
            let next = (x + 1).min(columns.length - 1);
            let a: [f32; C] = std::array::from_fn(|c| line[x * C + c]);
            let b: [f32; C] = std::array::from_fn(|c| line[next * C + c]);
            for c in 0..C {
                sum[c] += a[c] + right * (b[c] - a[c]);
            }
        }
    }
}
