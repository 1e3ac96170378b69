//! The picture as the corruptions see it: one run of bytes, row by row, channels beside each other.

/// A picture to corrupt.
#[derive(Clone, Copy)]
pub(crate) struct Picture<'a> {
    /// height x width x channels samples.
    pub(crate) pixels: &'a [u8],
    pub(crate) height: usize,
    pub(crate) width: usize,
    /// 1 or 3.
    pub(crate) channels: usize,
}

impl Picture<'_> {
    /// Samples of a row.
    pub(crate) fn stride(&self) -> usize {
        self.width * self.channels
    }

    /// The size that parameters are scaled by: the shorter side, in pixels.
    pub(crate) fn size(&self) -> usize {
        self.height.min(self.width)
    }

    /// The samples as numbers from 0 to 255.
    pub(crate) fn to_f32(self) -> Vec<f32> {
        self.pixels.iter().map(|&sample| f32::from(sample)).collect()
    }

    /// The picture mixed with a layer, pixel by pixel: the bytes of `mix(sample, channel, what the layer has there)`.
    pub(crate) fn mixed<L>(
        self,
        layer: impl Iterator<Item = L>,
        mix: impl Fn(f32, usize, &L) -> f32,
    ) -> Vec<u8> {
        match self.channels {
            1 => self.mixed_of::<1, L>(layer, mix),
            _ => self.mixed_of::<3, L>(layer, mix),
        }
    }

    fn mixed_of<const C: usize, L>(
        self,
        layer: impl Iterator<Item = L>,
        mix: impl Fn(f32, usize, &L) -> f32,
    ) -> Vec<u8> {
        let mut bytes = vec![0; self.pixels.len()];
        let (out, _) = bytes.as_chunks_mut::<C>();
        let (pixels, _) = self.pixels.as_chunks::<C>();
        for ((out, pixel), layer) in out.iter_mut().zip(pixels).zip(layer) {
            *out = std::array::from_fn(|c| to_byte(mix(f32::from(pixel[c]), c, &layer)));
        }
        bytes
    }
}

/// What a whole number may have lost to rounding and still be taken for it.
const WHOLE: f32 = 1.0 / 1024.0;

/// The byte of a value: cut to 0 to 255, then rounded *down*, as the published pictures were made.
///
/// There, a sample that a corruption leaves alone may lose a level to rounding errors; here it does not.
#[inline(always)]
pub(crate) fn to_byte(value: f32) -> u8 {
    (value + WHOLE).clamp(0.0, 255.0) as i32 as u8
}

/// How bright a colour looks, 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601).
#[inline(always)]
pub(crate) fn luma(red: f32, green: f32, blue: f32) -> f32 {
    0.299 * red + 0.587 * green + 0.114 * blue
}
