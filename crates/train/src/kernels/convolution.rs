//! Convolutions of one group, forward and backward.

use rayon::prelude::*;

use super::geometry::{Layout, Window};
use super::lanes::{Accumulate, BLOCK, Correlate, ROWS, SUMMED, Total, WIDEST, run};

/// The batch is worked on in so many parts, whatever the number of threads: sums are taken over each part
/// and then over the parts, so that they do not depend on it.
const PARTS: usize = 16;

/// Numbers that the second cache of a processor's core holds, with room to spare.
const CACHE: usize = 1 << 16;

/// A convolution: its window, and from how many channels to how many.
#[derive(Clone, Debug)]
pub struct Convolution {
    layout: Layout,
    from: usize,
    to: usize,
}

impl Convolution {
    /// `None` where the kernel does not fit into the padded input once.
    pub fn new(window: &Window, input: [usize; 2], from: usize, to: usize) -> Option<Self> {
        Some(Self { layout: Layout::new(window, input)?, from, to })
    }

    /// Height and width of the output.
    pub fn output(&self) -> [usize; 2] {
        self.layout.output
    }

    fn input_length(&self) -> usize {
        self.from * self.layout.input.iter().product::<usize>()
    }

    fn output_length(&self) -> usize {
        self.to * self.layout.output.iter().product::<usize>()
    }

    fn packed_length(&self) -> usize {
        self.from * self.layout.phases.len() * self.layout.plane
    }

    /// Where each weight of an output channel (from x kernel) finds its values in the packed input.
    fn columns(&self) -> Vec<usize> {
        let Layout { plane, phases, taps, .. } = &self.layout;
        (0..self.from)
            .flat_map(|c| {
                taps.iter().map(move |&(phase, offset)| (c * phases.len() + phase) * plane + offset)
            })
            .collect()
    }

    fn pack_input(&self, x: &[f32], packed: &mut [f32]) {
        let area: usize = self.layout.input.iter().product();
        let phases = self.layout.phases.len();
        for (c, planes) in packed.chunks_exact_mut(phases * self.layout.plane).enumerate() {
            let picture = &x[c * area..(c + 1) * area];
            for (phase, plane) in planes.chunks_exact_mut(self.layout.plane).enumerate() {
                self.layout.pack(picture, phase, plane);
            }
        }
    }

    /// `y = x * weight`: batch x from x height x width and to x from x kernel give batch x to x output.
    pub fn forward(&self, x: &[f32], weight: &[f32], y: &mut [f32]) {
        let layout = &self.layout;
        let columns = self.columns();
        let weights = interleaved(self.to, columns.len(), |o, j| weight[o * columns.len() + j]);
        let pitch = layout.run.next_multiple_of(BLOCK);
        let batch = x.len() / self.input_length();
        let part = batch.div_ceil(PARTS).max(1);
        let [_, width] = layout.output;
        y.par_chunks_mut(part * self.output_length())
            .zip(x.par_chunks(part * self.input_length()))
            .for_each(|(y, x)| {
                let mut packed = vec![0.0; self.packed_length()];
                let mut out = vec![0.0; self.to.next_multiple_of(ROWS) * pitch];
                let pictures = y.chunks_exact_mut(self.output_length());
                for (y, x) in pictures.zip(x.chunks_exact(self.input_length())) {
                    self.pack_input(x, &mut packed);
                    let (offsets, weights, x) = (&*columns, &*weights, &*packed);
                    run(Correlate { offsets, weights, x, out: &mut out, pitch, run: layout.run });
                    let planes = y.chunks_exact_mut(self.output_length() / self.to);
                    for (plane, out) in planes.zip(out.chunks_exact(pitch)) {
                        for (row, out) in
                            plane.chunks_exact_mut(width).zip(out.chunks(layout.pitch))
                        {
                            row.copy_from_slice(&out[..width]);
                        }
                    }
                }
            });
    }

    /// Gradients with respect to the weight and, if there is a place for it, the input.
    pub fn backward(
        &self,
        x: &[f32],
        weight: &[f32],
        g: &[f32],
        gx: Option<&mut [f32]>,
    ) -> Vec<f32> {
        let batch = x.len() / self.input_length();
        let part = batch.div_ceil(PARTS).max(1);
        let xs = x.par_chunks(part * self.input_length());
        let gs = g.par_chunks(part * self.output_length());
        let back = Back::new(self, weight);
        let parts: Vec<Vec<f32>> = match gx {
            Some(gx) => gx
                .par_chunks_mut(part * self.input_length())
                .zip(xs.zip(gs))
                .map(|(gx, (x, g))| back.part(x, g, Some(gx)))
                .collect(),
            None => xs.zip(gs).map(|(x, g)| back.part(x, g, None)).collect(),
        };
        let mut total = vec![0.0; weight.len()];
        for part in parts {
            for (total, part) in total.iter_mut().zip(part) {
                *total += part;
            }
        }
        total
    }
}

/// What the parts of a batch need for the way back.
struct Back<'a> {
    conv: &'a Convolution,
    columns: Vec<usize>,
    /// Zeros before each plane of gradients, as far as a weight looks.
    lead: usize,
    /// Distance of planes of gradients.
    plane: usize,
    /// For each phase, where each weight of an input channel finds its gradients, and the weights.
    phases: Vec<(Vec<usize>, Vec<f32>)>,
}

impl<'a> Back<'a> {
    fn new(conv: &'a Convolution, weight: &[f32]) -> Self {
        let layout = &conv.layout;
        let lead = layout.furthest().next_multiple_of(8);
        let reach = layout.run.max(layout.lead() + layout.input_run());
        let plane = (lead + reach + BLOCK).next_multiple_of(8);
        let kernel = layout.taps.len();
        let phases = (0..layout.phases.len())
            .map(|phase| {
                let taps: Vec<(usize, usize)> = layout
                    .taps
                    .iter()
                    .enumerate()
                    .filter(|(_, tap)| tap.0 == phase)
                    .map(|(index, tap)| (index, lead - tap.1 + layout.lead()))
                    .collect();
                let offsets = (0..conv.to)
                    .flat_map(|o| taps.iter().map(move |(_, offset)| o * plane + offset))
                    .collect::<Vec<_>>();
                let weights = interleaved(conv.from, offsets.len(), |c, j| {
                    let (o, tap) = (j / taps.len(), taps[j % taps.len()].0);
                    weight[(o * conv.from + c) * kernel + tap]
                });
                (offsets, weights)
            })
            .collect();
        Self { conv, columns: conv.columns(), lead, plane, phases }
    }

    fn part(&self, x: &[f32], g: &[f32], mut gx: Option<&mut [f32]>) -> Vec<f32> {
        let Self { conv, .. } = self;
        let layout = &conv.layout;
        let (to, from) = (conv.to.next_multiple_of(SUMMED), conv.from.next_multiple_of(ROWS));
        let (x_step, g_step) = (conv.packed_length(), to * self.plane);
        let (inner, outer) = (conv.input_length(), conv.output_length());
        let together = (CACHE / (x_step + g_step)).clamp(1, x.len() / inner);
        let mut packed = vec![0.0; together * x_step];
        // what is read behind the last plane starts with the lead of the next
        let mut gradients = vec![0.0; together * g_step + self.lead];
        let pitch = layout.input_run().next_multiple_of(BLOCK);
        let mut out = vec![0.0; if gx.is_some() { from * pitch } else { 0 }];
        let mut sums = vec![0.0; to * self.columns.len() * WIDEST];
        let [_, width] = layout.output;
        for (index, (x, g)) in
            x.chunks(together * inner).zip(g.chunks(together * outer)).enumerate()
        {
            let pictures = x.len() / inner;
            for (x, packed) in x.chunks_exact(inner).zip(packed.chunks_exact_mut(x_step)) {
                conv.pack_input(x, packed);
            }
            for (g, gradients) in g.chunks_exact(outer).zip(gradients.chunks_exact_mut(g_step)) {
                let planes = gradients.chunks_exact_mut(self.plane);
                for (plane, g) in planes.zip(g.chunks_exact(outer / conv.to)) {
                    let rows = plane[self.lead..].chunks_mut(layout.pitch);
                    for (row, g) in rows.zip(g.chunks_exact(width)) {
                        row[..width].copy_from_slice(g);
                    }
                }
            }
            run(Accumulate {
                offsets: &self.columns,
                pictures,
                g: &gradients[self.lead..],
                g_step,
                pitch: self.plane,
                x: &packed,
                x_step,
                run: layout.run,
                sums: &mut sums,
            });
            let Some(gx) = &mut gx else { continue };
            let gx = &mut gx[index * together * inner..][..pictures * inner];
            for (gx, gradients) in gx.chunks_exact_mut(inner).zip(gradients.chunks_exact(g_step)) {
                for (phase, (offsets, weights)) in self.phases.iter().enumerate() {
                    let run_length = layout.input_run();
                    let x = gradients;
                    run(Correlate { offsets, weights, x, out: &mut out, pitch, run: run_length });
                    let pictures = gx.chunks_exact_mut(inner / conv.from);
                    for (picture, out) in pictures.zip(out.chunks_exact(pitch)) {
                        layout.unpack(out, layout.lead(), phase, picture);
                    }
                }
            }
        }
        let count = self.columns.len();
        let mut weights = vec![0.0; conv.to * count];
        let mut totals = vec![0.0; to * count];
        run(Total { sums: &sums, out: &mut totals });
        for (index, &total) in totals.iter().enumerate() {
            let row = index / (count * SUMMED) * SUMMED + index % SUMMED;
            let column = index / SUMMED % count;
            if row < conv.to {
                weights[row * count + column] = total;
            }
        }
        weights
    }
}

/// A matrix of weights as the loops read it: (rows / 4) x columns x 4.
fn interleaved(rows: usize, columns: usize, value: impl Fn(usize, usize) -> f32) -> Vec<f32> {
    let mut out = vec![0.0; rows.next_multiple_of(ROWS) * columns];
    for row in 0..rows {
        for column in 0..columns {
            out[(row / ROWS * columns + column) * ROWS + row % ROWS] = value(row, column);
        }
    }
    out
}
