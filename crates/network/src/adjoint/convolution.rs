//! Convolutions.

use super::{Tape, unsupported};
use crate::error::Result;
use crate::graph::{Node, int, ints, signed};

/// No kernel, stride or dilation is larger.
const MAX_STEP: usize = 1 << 16;

/// How a two-dimensional window moves over an image.
pub(super) struct Windows {
    pub kernel: [usize; 2],
    pub strides: [usize; 2],
    pub dilations: [usize; 2],
    /// Top, left, bottom, right; `auto_pad` resolved.
    pub pads: [usize; 4],
}

impl Windows {
    /// Reads a node's attributes. `sizes` are height and width of its input.
    pub fn of(node: &Node, kernel: &[usize], sizes: [usize; 2]) -> Result<Self> {
        let pair = |name: &str| <[usize; 2]>::try_from(node.ints(name, &[1, 1]));
        let (Ok(kernel), Ok(strides), Ok(dilations), Ok(mut pads)) = (
            <[usize; 2]>::try_from(kernel),
            pair("strides"),
            pair("dilations"),
            <[usize; 4]>::try_from(node.ints("pads", &[0; 4])),
        ) else {
            return Err(unsupported(node, "its window is not two-dimensional"));
        };
        let sane = |sizes: [usize; 2]| sizes.iter().all(|size| (1..=MAX_STEP).contains(size));
        if !(sane(kernel) && sane(strides) && sane(dilations)) {
            let detail = format!(
                "its kernel is {kernel:?}, its strides {strides:?}, its dilations {dilations:?}"
            );
            return Err(unsupported(node, detail));
        }
        let auto_pad = node.text("auto_pad").unwrap_or("NOTSET");
        if auto_pad == "VALID" {
            pads = [0; 4];
        } else if auto_pad != "NOTSET" {
            for axis in 0..2 {
                let outputs = sizes[axis].div_ceil(strides[axis]);
                let reach = outputs.saturating_sub(1) * strides[axis]
                    + dilations[axis] * (kernel[axis] - 1)
                    + 1;
                let total = reach.saturating_sub(sizes[axis]);
                let less = total / 2;
                let (before, after) = match auto_pad {
                    "SAME_UPPER" => (less, total - less),
                    "SAME_LOWER" => (total - less, less),
                    other => {
                        return Err(unsupported(node, format!("its auto_pad is {other}")));
                    }
                };
                (pads[axis], pads[axis + 2]) = (before, after);
            }
        }
        Ok(Self { kernel, strides, dilations, pads })
    }

    /// Rows (axis 0) or columns (axis 1) from the first window's start to the last one's end.
    pub fn covered(&self, axis: usize, outputs: usize) -> usize {
        outputs.saturating_sub(1) * self.strides[axis]
            + self.dilations[axis] * (self.kernel[axis] - 1)
            + 1
    }

    /// Padding of the convolution with the turned kernel that undoes this one; `None` if the strides
    /// are not one or the padding is wider than the kernel.
    fn turned_pads(&self) -> Option<[usize; 4]> {
        let pad = |place: usize| {
            let axis = place % 2;
            let reach = self.dilations[axis] * (self.kernel[axis] - 1);
            reach.checked_sub(self.pads[place])
        };
        let pads = [pad(0)?, pad(1)?, pad(2)?, pad(3)?];
        (self.strides == [1, 1]).then_some(pads)
    }
}

impl Tape<'_> {
    /// The transposed convolution, padded to the input's size where the stride did not divide it; or,
    /// where it is as good and quicker, a convolution with the turned weight.
    pub(super) fn conv(&mut self, node: &Node, g: &str) -> Result<()> {
        if node.inputs.iter().skip(1).any(|input| self.is_active(input)) {
            return Err(unsupported(node, "its weight or bias depends on the layer"));
        }
        let input = self.input(node, 0)?;
        let [_, channels, height, width] = self.image_shape(node, input)?;
        let [_, out_channels, out_height, out_width] = self.image_shape(node, &node.outputs[0])?;
        let [_, _, kernel @ ..] = self.image_shape(node, self.input(node, 1)?)?;
        let windows = Windows::of(node, &kernel, [height, width])?;
        let group = node.int("group", 1);
        let weight = self.operand(node, 1)?;

        let depthwise = group == channels as i64 && channels == out_channels;
        // measured: rten's transposed convolution adds up columns of all kernel places for every input
        // channel, a convolution gathers them for every output channel, and turning the weight takes time
        let pays = 3 * out_height * out_width >= out_channels;
        let fewer = group == 1 && pays && (kernel == [1, 1] || channels > 2 * out_channels);
        if let (true, Some(pads)) = (depthwise || fewer, windows.turned_pads()) {
            let turned = self.turned(&weight, kernel, depthwise);
            let gradient = self.emit_with(
                "Conv",
                &[g, &turned],
                vec![
                    int("group", group),
                    ints("kernel_shape", &kernel),
                    ints("dilations", &windows.dilations),
                    ints("pads", &pads),
                ],
            );
            self.contribute(input, gradient);
            return Ok(());
        }

        let [top, left, bottom, right] = windows.pads;
        let rest = |whole: usize, covered: usize| {
            whole.checked_sub(covered).ok_or_else(|| {
                unsupported(node, format!("its padding {:?} reaches past the input", windows.pads))
            })
        };
        let rest_h = rest(height + top + bottom, windows.covered(0, out_height))?;
        let rest_w = rest(width + left + right, windows.covered(1, out_width))?;
        let gradient = self.emit_with(
            "ConvTranspose",
            &[g, &weight],
            vec![
                int("group", group),
                ints("kernel_shape", &kernel),
                ints("strides", &windows.strides),
                ints("dilations", &windows.dilations),
                ints("pads", &windows.pads),
                ints("output_padding", &[rest_h, rest_w]),
            ],
        );
        self.contribute(input, gradient);
        Ok(())
    }

    /// A weight with input and output channels swapped (a depthwise one has no two to swap) and the
    /// kernel turned by half a turn.
    fn turned(&mut self, weight: &str, kernel: [usize; 2], depthwise: bool) -> String {
        let mut turned = weight.to_owned();
        if !depthwise {
            turned = self.emit_with("Transpose", &[&turned], vec![signed("perm", &[1, 0, 2, 3])]);
        }
        if kernel != [1, 1] {
            let (starts, ends) = (self.integers(&[-1, -1]), self.integers(&[i64::MIN + 1; 2]));
            let axes = self.integers(&[2, 3]);
            turned = self.emit("Slice", &[&turned, &starts, &ends, &axes, &starts]);
        }
        turned
    }

    /// The convolution that a transposed one is the adjoint of.
    pub(super) fn conv_transpose(&mut self, node: &Node, g: &str) -> Result<()> {
        if node.inputs.iter().skip(1).any(|input| self.is_active(input)) {
            return Err(unsupported(node, "its weight or bias depends on the layer"));
        }
        if node.text("auto_pad").is_some_and(|pad| !matches!(pad, "NOTSET" | "VALID"))
            || node.setting("output_shape").is_some()
        {
            return Err(unsupported(node, "its padding is not given by pads"));
        }
        let input = self.input(node, 0)?;
        let [_, _, height, width] = self.image_shape(node, input)?;
        let [_, _, kernel @ ..] = self.image_shape(node, self.input(node, 1)?)?;
        let windows = Windows::of(node, &kernel, [height, width])?;
        let weight = self.operand(node, 1)?;
        let gradient = self.emit_with(
            "Conv",
            &[g, &weight],
            vec![
                int("group", node.int("group", 1)),
                ints("kernel_shape", &kernel),
                ints("strides", &windows.strides),
                ints("dilations", &windows.dilations),
                ints("pads", &windows.pads),
            ],
        );
        self.contribute(input, gradient);
        Ok(())
    }
}
