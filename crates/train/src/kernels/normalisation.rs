//! Normalisation over a batch, with the sum and the rectification that follow it in a residual block.

use pulp::{Simd, WithSimd};
use rayon::prelude::*;

use super::lanes::run;

/// `out = rectify(weight (x - mean) / sqrt(variance + epsilon) + bias + residual)`, per channel, the last two
/// steps where they are wanted.
#[derive(Clone, Copy, Debug)]
pub struct Normalisation {
    /// Pictures in the batch.
    pub batch: usize,
    /// Channels of each.
    pub channels: usize,
    /// Pixels of each.
    pub area: usize,
    /// Added to the variance.
    pub epsilon: f32,
    /// Whether what is negative becomes 0.
    pub rectify: bool,
}

/// What a channel's values are like: mean and biased variance.
#[derive(Clone, Debug, Default)]
pub struct Moments {
    /// A mean a channel.
    pub mean: Vec<f32>,
    /// A variance a channel, over all values (not one less).
    pub variance: Vec<f32>,
}

impl Moments {
    fn scales(&self, epsilon: f32) -> Vec<f32> {
        self.variance
            .iter()
            .map(|v| (f64::from(*v) + f64::from(epsilon)).sqrt().recip() as f32)
            .collect()
    }
}

/// Gradients with respect to what a normalisation was given.
#[derive(Debug)]
pub struct Gradients {
    /// With respect to the weight.
    pub weight: Vec<f32>,
    /// With respect to the bias.
    pub bias: Vec<f32>,
}

impl Normalisation {
    fn picture(&self) -> usize {
        self.channels * self.area
    }

    /// Mean and variance of each channel of x (batch x channels x area).
    ///
    /// Each plane's mean is taken first and its squares around that, then planes are joined in double precision
    /// in their order (Chan, Golub and LeVeque 1983), whatever the number of threads.
    pub fn moments(&self, x: &[f32]) -> Moments {
        let planes: Vec<[f32; 2]> = x
            .par_chunks(self.picture())
            .flat_map_iter(|x| {
                let mut moments = vec![[0.0; 2]; self.channels];
                run(PlaneMoments { x, area: self.area, moments: &mut moments });
                moments
            })
            .collect();
        let area = self.area as f64;
        let mut moments = Moments::default();
        for channel in 0..self.channels {
            let (mut count, mut mean, mut squares) = (0.0, 0.0, 0.0);
            for plane in planes.iter().skip(channel).step_by(self.channels) {
                let (m, s) = (f64::from(plane[0]), f64::from(plane[1]));
                let delta = m - mean;
                let total = count + area;
                mean += delta * area / total;
                squares += s + delta * delta * count * area / total;
                count = total;
            }
            moments.mean.push(mean as f32);
            moments.variance.push((squares / count) as f32);
        }
        moments
    }

    /// The output, of x's shape; `residual` too.
    pub fn forward(
        &self,
        x: &[f32],
        moments: &Moments,
        [weight, bias]: [&[f32]; 2],
        residual: Option<&[f32]>,
        out: &mut [f32],
    ) {
        let scales = moments.scales(self.epsilon);
        let lines: Vec<[f32; 2]> = (0..self.channels)
            .map(|c| {
                let scale = weight[c] * scales[c];
                [scale, bias[c] - moments.mean[c] * scale]
            })
            .collect();
        let size = self.picture();
        out.par_chunks_mut(size).enumerate().for_each(|(index, out)| {
            let part = index * size..(index + 1) * size;
            run(Apply {
                x: &x[part.clone()],
                residual: residual.map(|residual| &residual[part]),
                area: self.area,
                lines: &lines,
                rectify: self.rectify,
                out,
            });
        });
    }

    /// Turns `g`, the gradient with respect to `out`, into the one with respect to x; `residual`, if there was one,
    /// gets its own.
    pub fn backward(
        &self,
        x: &[f32],
        moments: &Moments,
        weight: &[f32],
        out: &[f32],
        g: &mut [f32],
        residual: Option<&mut [f32]>,
    ) -> Gradients {
        let size = self.picture();
        let sums: Vec<[f32; 2]> = g
            .par_chunks_mut(size)
            .zip(x.par_chunks(size).zip(out.par_chunks(size)))
            .flat_map_iter(|(g, (x, out))| {
                let mut sums = vec![[0.0; 2]; self.channels];
                let mean = &moments.mean;
                let rectified = self.rectify.then_some(out);
                run(MaskAndSum { x, out: rectified, area: self.area, mean, g, sums: &mut sums });
                sums
            })
            .collect();
        if let Some(residual) = residual {
            residual.copy_from_slice(g);
        }
        let scales = moments.scales(self.epsilon);
        let count = (self.batch * self.area) as f64;
        let mut gradients = Gradients { weight: Vec::new(), bias: Vec::new() };
        let mut lines = Vec::new();
        for c in 0..self.channels {
            let (mut sum, mut product) = (0.0, 0.0);
            for picture in sums.iter().skip(c).step_by(self.channels) {
                sum += f64::from(picture[0]);
                product += f64::from(picture[1]);
            }
            let scale = f64::from(scales[c]);
            gradients.bias.push(sum as f32);
            gradients.weight.push((product * scale) as f32);
            // gx = a (g - sum / n - (x - mean) scale^2 product / n), as a g + b x + c
            let a = f64::from(weight[c]) * scale;
            let b = -a * scale * scale * product / count;
            let rest = -a * sum / count - b * f64::from(moments.mean[c]);
            lines.push([a as f32, b as f32, rest as f32]);
        }
        g.par_chunks_mut(size).zip(x.par_chunks(size)).for_each(|(g, x)| {
            run(Combine { x, area: self.area, lines: &lines, g });
        });
        gradients
    }
}

struct PlaneMoments<'a> {
    x: &'a [f32],
    area: usize,
    moments: &'a mut [[f32; 2]],
}

impl WithSimd for PlaneMoments<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        for (moments, x) in self.moments.iter_mut().zip(self.x.chunks_exact(self.area)) {
            let (vectors, rest) = S::as_simd_f32s(x);
            let mean = {
                let mut sums = [simd.splat_f32s(0.0); 4];
                let (fours, ones) = vectors.as_chunks::<4>();
                for four in fours {
                    for (sum, &x) in sums.iter_mut().zip(four) {
                        *sum = simd.add_f32s(*sum, x);
                    }
                }
                for &x in ones {
                    sums[0] = simd.add_f32s(sums[0], x);
                }
                let sum = total(simd, sums) + rest.iter().sum::<f32>();
                sum / self.area as f32
            };
            let middle = simd.splat_f32s(mean);
            let mut sums = [simd.splat_f32s(0.0); 4];
            let (fours, ones) = vectors.as_chunks::<4>();
            for four in fours {
                for (sum, &x) in sums.iter_mut().zip(four) {
                    let d = simd.sub_f32s(x, middle);
                    *sum = simd.mul_add_f32s(d, d, *sum);
                }
            }
            for &x in ones {
                let d = simd.sub_f32s(x, middle);
                sums[0] = simd.mul_add_f32s(d, d, sums[0]);
            }
            let squares = total(simd, sums) + rest.iter().map(|x| (x - mean).powi(2)).sum::<f32>();
            *moments = [mean, squares];
        }
    }
}

#[inline(always)]
fn total<S: Simd>(simd: S, [a, b, c, d]: [S::f32s; 4]) -> f32 {
    simd.reduce_sum_f32s(simd.add_f32s(simd.add_f32s(a, b), simd.add_f32s(c, d)))
}

struct Apply<'a> {
    x: &'a [f32],
    residual: Option<&'a [f32]>,
    area: usize,
    /// Slope and height of each channel.
    lines: &'a [[f32; 2]],
    rectify: bool,
    out: &'a mut [f32],
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, residual, area, lines, rectify, out } = self;
        let lowest = if rectify { 0.0 } else { f32::NEG_INFINITY };
        let planes = out.chunks_exact_mut(area).zip(x.chunks_exact(area)).zip(lines);
        for (index, ((out, x), &[slope, height])) in planes.enumerate() {
            let residual = residual.map(|residual| &residual[index * area..(index + 1) * area]);
            let (out_vectors, out_rest) = S::as_mut_simd_f32s(out);
            let (x_vectors, x_rest) = S::as_simd_f32s(x);
            let (slopes, heights) = (simd.splat_f32s(slope), simd.splat_f32s(height));
            let lowests = simd.splat_f32s(lowest);
            match residual {
                None => {
                    for (out, &x) in out_vectors.iter_mut().zip(x_vectors) {
                        let y = simd.mul_add_f32s(x, slopes, heights);
                        *out = simd.max_f32s(y, lowests);
                    }
                    for (out, x) in out_rest.iter_mut().zip(x_rest) {
                        *out = x.mul_add(slope, height).max(lowest);
                    }
                }
                Some(residual) => {
                    let (r_vectors, r_rest) = S::as_simd_f32s(residual);
                    for ((out, &x), &r) in out_vectors.iter_mut().zip(x_vectors).zip(r_vectors) {
                        let y = simd.add_f32s(simd.mul_add_f32s(x, slopes, heights), r);
                        *out = simd.max_f32s(y, lowests);
                    }
                    for ((out, x), r) in out_rest.iter_mut().zip(x_rest).zip(r_rest) {
                        *out = (x.mul_add(slope, height) + r).max(lowest);
                    }
                }
            }
        }
    }
}

/// Sets g to 0 where `out` is, and sums g and g (x - mean).
struct MaskAndSum<'a> {
    x: &'a [f32],
    out: Option<&'a [f32]>,
    area: usize,
    mean: &'a [f32],
    g: &'a mut [f32],
    sums: &'a mut [[f32; 2]],
}

impl WithSimd for MaskAndSum<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let Self { x, out, area, mean, g, sums } = self;
        let planes = g.chunks_exact_mut(area).zip(x.chunks_exact(area)).zip(mean).zip(sums);
        for (index, (((g, x), &mean), sums)) in planes.enumerate() {
            let zero = simd.splat_f32s(0.0);
            if let Some(out) = out.map(|out| &out[index * area..(index + 1) * area]) {
                let (out_vectors, out_rest) = S::as_simd_f32s(out);
                let (g_vectors, g_rest) = S::as_mut_simd_f32s(g);
                for (g, &out) in g_vectors.iter_mut().zip(out_vectors) {
                    *g = simd.select_f32s(simd.greater_than_f32s(out, zero), *g, zero);
                }
                for (g, out) in g_rest.iter_mut().zip(out_rest) {
                    *g = if *out > 0.0 { *g } else { 0.0 };
                }
            }
            let (g_vectors, g_rest) = S::as_simd_f32s(g);
            let (x_vectors, x_rest) = S::as_simd_f32s(x);
            let middle = simd.splat_f32s(mean);
            let (mut a, mut b) = ([zero; 4], [zero; 4]);
            let ((g_fours, g_ones), (x_fours, x_ones)) =
                (g_vectors.as_chunks::<4>(), x_vectors.as_chunks::<4>());
            for (g, x) in g_fours.iter().zip(x_fours) {
                for i in 0..4 {
                    a[i] = simd.add_f32s(a[i], g[i]);
                    b[i] = simd.mul_add_f32s(g[i], simd.sub_f32s(x[i], middle), b[i]);
                }
            }
            for (&g, &x) in g_ones.iter().zip(x_ones) {
                a[0] = simd.add_f32s(a[0], g);
                b[0] = simd.mul_add_f32s(g, simd.sub_f32s(x, middle), b[0]);
            }
            let products: f32 = g_rest.iter().zip(x_rest).map(|(g, x)| g * (x - mean)).sum();
            *sums = [total(simd, a) + g_rest.iter().sum::<f32>(), total(simd, b) + products];
        }
    }
}

/// `g = a g + b x + c`, with numbers of each channel.
struct Combine<'a> {
    x: &'a [f32],
    area: usize,
    lines: &'a [[f32; 3]],
    g: &'a mut [f32],
}

impl WithSimd for Combine<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        let planes = self.g.chunks_exact_mut(self.area).zip(self.x.chunks_exact(self.area));
        for ((g, x), &[a, b, c]) in planes.zip(self.lines) {
            let (g_vectors, g_rest) = S::as_mut_simd_f32s(g);
            let (x_vectors, x_rest) = S::as_simd_f32s(x);
            let (av, bv, cv) = (simd.splat_f32s(a), simd.splat_f32s(b), simd.splat_f32s(c));
            for (g, &x) in g_vectors.iter_mut().zip(x_vectors) {
                *g = simd.mul_add_f32s(*g, av, simd.mul_add_f32s(x, bv, cv));
            }
            for (g, x) in g_rest.iter_mut().zip(x_rest) {
                *g = g.mul_add(a, x.mul_add(b, c));
            }
        }
    }
}
