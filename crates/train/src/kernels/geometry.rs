//! Where the values of a convolution lie, so that it becomes sums over runs of memory.

use super::lanes::BLOCK;

/// A two-dimensional convolution of one group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// Rows and columns of the kernel.
    pub kernel: [usize; 2],
    /// Steps of the window, down and to the right.
    pub stride: [usize; 2],
    /// Zeros around the picture: top, left, bottom, right.
    pub pads: [usize; 4],
}

impl Window {
    /// Height and width of the output; `None` where the kernel does not fit in once.
    pub fn output(&self, [height, width]: [usize; 2]) -> Option<[usize; 2]> {
        let along = |size: usize, axis: usize| {
            let padded = size + self.pads[axis] + self.pads[axis + 2];
            Some(padded.checked_sub(self.kernel[axis])? / self.stride[axis] + 1)
        };
        Some([along(height, 0)?, along(width, 1)?])
    }
}

/// A picture's planes laid out so that every weight of the kernel meets the run of outputs as one run of
/// inputs, shifted by an offset of its own.
///
/// A plane is a picture with its zeros around it, row after row at `pitch`. Output (i, j) is at
/// `i pitch + j`, and the weight (a, b) meets there the value at `i pitch + j + offset(a, b)`. The runs cross
/// from row to row: what lies between `width` and `pitch` is computed too, and thrown away. With a stride of
/// s, each plane is s x s planes (phases), one for each remainder of row and column, and every weight
/// reads one of them.
#[derive(Clone, Debug)]
pub struct Layout {
    /// Height and width of the input.
    pub input: [usize; 2],
    /// Height and width of the output.
    pub output: [usize; 2],
    stride: [usize; 2],
    pads: [usize; 4],
    /// Distance of rows, in a plane and in the run of outputs.
    pub pitch: usize,
    /// Length of a plane with what may be read behind it.
    pub plane: usize,
    /// Remainders of row and column that some weight reads.
    pub phases: Vec<[usize; 2]>,
    /// For each weight of the kernel, row by row: its phase and its offset.
    pub taps: Vec<(usize, usize)>,
    /// Outputs in a run, from the first to the last one that counts.
    pub run: usize,
    /// Whether the zeros at the end of a row are those at the start of the next.
    shared: bool,
}

impl Layout {
    /// `None` where the kernel does not fit into the padded input once.
    pub fn new(window: &Window, input: [usize; 2]) -> Option<Self> {
        let output = window.output(input)?;
        let Window { kernel, stride, pads } = window.clone();
        let reach = |axis: usize| (output[axis] - 1) * stride[axis] + kernel[axis];
        let shared = stride == [1, 1];
        let pitch = if shared {
            let right = reach(1).saturating_sub(input[1] + pads[1]);
            (input[1] + pads[1].max(right)).max(output[1])
        } else {
            reach(1).div_ceil(stride[1]).max(output[1])
        };
        let mut phases = Vec::new();
        let mut taps = Vec::new();
        for a in 0..kernel[0] {
            for b in 0..kernel[1] {
                let phase = [a % stride[0], b % stride[1]];
                let index = phases.iter().position(|&p| p == phase).unwrap_or_else(|| {
                    phases.push(phase);
                    phases.len() - 1
                });
                taps.push((index, a / stride[0] * pitch + b / stride[1]));
            }
        }
        let run = (output[0] - 1) * pitch + output[1];
        let furthest = taps.iter().map(|&(_, offset)| offset).max().unwrap_or(0);
        // the picture's own last value may lie behind the last one that is read
        let lead = if shared { pads[0] * pitch + pads[1] } else { 0 };
        let filled = lead + input[0].div_ceil(stride[0]) * pitch + pitch;
        let plane = (run + BLOCK + furthest).max(filled).next_multiple_of(8);
        Some(Self { input, output, stride, pads, pitch, plane, phases, taps, run, shared })
    }

    /// Place of the first value of the input's rows in a plane, for stride 1; 0 else.
    pub fn lead(&self) -> usize {
        if self.shared { self.pads[0] * self.pitch + self.pads[1] } else { 0 }
    }

    /// The furthest that a weight looks ahead.
    pub fn furthest(&self) -> usize {
        self.taps.iter().map(|&(_, offset)| offset).max().unwrap_or(0)
    }

    /// Length of the run of a plane that holds all values of the input, from [`Layout::lead`] on.
    pub fn input_run(&self) -> usize {
        if self.shared {
            (self.input[0] - 1) * self.pitch + self.input[1]
        } else {
            (self.input[0] + self.pads[0]).div_ceil(self.stride[0]) * self.pitch
        }
    }

    /// Calls `copy(row, first, step, count, place)` for every run of a phase: `count` values of row `row`
    /// from column `first` on, `step` apart, lie one after the other from `place` on.
    #[inline(always)]
    fn rows(&self, phase: usize, mut copy: impl FnMut(usize, usize, usize, usize, usize)) {
        let [height, width] = self.input;
        if self.shared {
            for row in 0..height {
                copy(row, 0, 1, width, self.lead() + row * self.pitch);
            }
            return;
        }
        let [a, b] = self.phases[phase];
        let [down, right] = self.stride;
        // column c of the input is column c + left of the padded one: the first with the phase's remainder
        let first_of = |remainder: usize, pad: usize, stride: usize| {
            let k = pad.saturating_sub(remainder).div_ceil(stride);
            (k, k * stride + remainder - pad)
        };
        let (i, row) = first_of(a, self.pads[0], down);
        let (j, column) = first_of(b, self.pads[1], right);
        let count = width.saturating_sub(column).div_ceil(right).min(self.pitch - j);
        for (k, row) in (row..height).step_by(down).enumerate() {
            copy(row, column, right, count, (i + k) * self.pitch + j);
        }
    }

    /// Lays a picture's plane out; the zeros around it must be there already.
    #[inline(always)]
    pub fn pack(&self, picture: &[f32], phase: usize, plane: &mut [f32]) {
        let width = self.input[1];
        self.rows(phase, |row, first, step, count, place| {
            if place + count > plane.len() {
                return;
            }
            let from = &picture[row * width + first..(row + 1) * width];
            let to = &mut plane[place..place + count];
            if step == 1 {
                to.copy_from_slice(&from[..count]);
            } else {
                for (to, from) in to.iter_mut().zip(from.iter().step_by(step)) {
                    *to = *from;
                }
            }
        });
    }

    /// The other way round, from a plane that starts `skipped` values later.
    #[inline(always)]
    pub fn unpack(&self, plane: &[f32], skipped: usize, phase: usize, picture: &mut [f32]) {
        let width = self.input[1];
        self.rows(phase, |row, first, step, count, place| {
            let from = &plane[place - skipped..place - skipped + count];
            let to = &mut picture[row * width + first..(row + 1) * width];
            if step == 1 {
                to[..count].copy_from_slice(from);
            } else {
                for (to, from) in to.iter_mut().step_by(step).zip(from) {
                    *to = *from;
                }
            }
        });
    }
}
