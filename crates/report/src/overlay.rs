//! A map drawn over the photograph it explains.

use std::fmt;
use std::str::FromStr;

use ndarray::{Array3, ArrayView2, ArrayView3};

use crate::picture::{check_rgb, contiguous};
use crate::{Colormap, DrawError};

/// How a map is put on a photograph.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Style {
    /// As in the authors' code: colours added to the photograph, the sum divided by its maximum.
    Authors,
    /// Colours laid over the photograph, the more opaque the hotter; where the map is cold the photograph is plain.
    Blend,
    /// The map with its signs, in two hues over a grey photograph.
    Signed,
}

/// There is no style of that name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("there is no style named {name:?}; expected one of {}", Style::ALL.map(Style::name).join(", "))]
pub struct UnknownStyle {
    /// What was asked for.
    pub name: String,
}

impl Style {
    /// Every style.
    pub const ALL: [Style; 3] = [Style::Authors, Style::Blend, Style::Signed];

    /// The name on the command line and in manifests.
    pub fn name(self) -> &'static str {
        match self {
            Style::Authors => "authors",
            Style::Blend => "blend",
            Style::Signed => "signed",
        }
    }

    /// The colour map that is used when none is asked for: jet, turbo, red-blue.
    pub fn default_colormap(self) -> Colormap {
        match self {
            Style::Authors => Colormap::Jet,
            Style::Blend => Colormap::Turbo,
            Style::Signed => Colormap::RedBlue,
        }
    }

    /// Whether the style can be drawn in this colour map: the signed one in diverging maps only, the others never.
    ///
    /// # Errors
    /// [`DrawError::NeedsDiverging`] or [`DrawError::NeedsSequential`].
    pub fn check(self, colormap: Colormap) -> Result<(), DrawError> {
        match (self, colormap.is_diverging()) {
            (Style::Signed, false) => Err(DrawError::NeedsDiverging { style: self, colormap }),
            (Style::Authors | Style::Blend, true) => {
                Err(DrawError::NeedsSequential { style: self, colormap })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Style {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Style {
    type Err = UnknownStyle;

    /// Reads a name as [`Style::name`] spells it; capitals are forgiven.
    fn from_str(name: &str) -> Result<Self, UnknownStyle> {
        let plain = name.trim().to_lowercase();
        Style::ALL
            .into_iter()
            .find(|style| style.name() == plain)
            .ok_or_else(|| UnknownStyle { name: name.to_owned() })
    }
}

/// How opaque the hottest spot is.
const OPACITY: f32 = 0.7;
/// The heat from which on a blend is fully that opaque.
const HOT: f32 = 0.6;

/// Draws `map` over `photo`. Both have H x W; the result is H x W x 3.
///
/// - [`Style::Authors`]: with c = table\[floor(255 m)\]/255 and x = photo/255 the picture is floor(255 s / max s),
///   s = c + x, in single precision, as `numpy` and `cv2` compute it in the authors' repository.
/// - [`Style::Blend`]: (1 - a) x + a c with a = 0.7 (3 e^2 - 2 e^3), e = min(1, m / 0.6).
/// - [`Style::Signed`]: v = m / max |m|; (1 - a) g + a c with g the luma of the photograph, a = 0.8 |v| and c the
///   colour of sign(v) (1 + |v|)/2, so that a weak value is faint rather than white; a map of zeros gives the grey
///   photograph.
///
/// For the first two `map` is the displayed map in [0, 1] (values beyond count as the nearer end); for
/// [`Style::Signed`] it is the raw map, upsampled but neither rectified nor scaled. NaN counts as 0.
///
/// # Errors
/// The sizes differ, the photograph is not RGB or empty, or the colour map does not suit the style.
pub fn overlay(
    photo: ArrayView3<'_, u8>,
    map: ArrayView2<'_, f32>,
    style: Style,
    colormap: Colormap,
) -> Result<Array3<u8>, DrawError> {
    style.check(colormap)?;
    let (height, width) = check_rgb("the photograph", photo)?;
    if map.dim() != (height, width) {
        return Err(DrawError::SizeMismatch { photo: (height, width), map: map.dim() });
    }
    let table = colormap.table();
    Ok(match style {
        Style::Authors => authors(photo, map, &table),
        Style::Blend => each_pixel(photo, map, |pixel, heat| blend(pixel, heat, &table)),
        Style::Signed => {
            let most = map
                .iter()
                .filter(|value| value.is_finite())
                .fold(0.0f32, |most, value| most.max(value.abs()));
            each_pixel(photo, map, |pixel, value| {
                signed(pixel, if most > 0.0 { value / most } else { 0.0 }, &table)
            })
        }
    })
}

type Table = [[u8; 3]; 256];

fn authors(photo: ArrayView3<'_, u8>, map: ArrayView2<'_, f32>, table: &Table) -> Array3<u8> {
    let unit: [f32; 256] = std::array::from_fn(|level| level as f32 / 255.0);
    let sum = |pixel: [u8; 3], heat: f32| -> [f32; 3] {
        // A cast saturates and takes NaN to 0, so no value can leave the table.
        let colour = table[usize::from((255.0 * heat) as u8)];
        std::array::from_fn(|c| unit[usize::from(colour[c])] + unit[usize::from(pixel[c])])
    };
    let (pixels, heats) = (contiguous(&photo), contiguous(&map));
    let pairs = pixels.as_chunks::<3>().0.iter().zip(heats.iter());
    let most = pairs
        .map(|(pixel, heat)| sum(*pixel, *heat))
        .fold(0.0f32, |most, [r, g, b]| most.max(r).max(g).max(b));
    let most = if most > 0.0 { most } else { 1.0 };
    each_pixel(photo, map, |pixel, heat| {
        sum(pixel, heat).map(|value| (255.0 * (value / most)) as u8)
    })
}

fn blend(pixel: [u8; 3], heat: f32, table: &Table) -> [u8; 3] {
    let heat = if heat.is_nan() { 0.0 } else { heat.clamp(0.0, 1.0) };
    let edge = (heat / HOT).min(1.0);
    mix(
        pixel,
        table[usize::from(nearest(255.0 * heat))],
        OPACITY * edge * edge * (3.0 - 2.0 * edge),
    )
}

fn signed(pixel: [u8; 3], value: f32, table: &Table) -> [u8; 3] {
    let value = if value.is_nan() { 0.0 } else { value.clamp(-1.0, 1.0) };
    let vivid = value.signum() * 0.5 * (1.0 + value.abs());
    mix([luma(pixel); 3], table[usize::from(nearest(127.5 * (1.0 + vivid)))], 0.8 * value.abs())
}

/// The picture whose every pixel is `f` of the photograph's pixel and the map's value there.
fn each_pixel(
    photo: ArrayView3<'_, u8>,
    map: ArrayView2<'_, f32>,
    f: impl Fn([u8; 3], f32) -> [u8; 3],
) -> Array3<u8> {
    let mut picture = Array3::zeros(photo.dim());
    let (pixels, values) = (contiguous(&photo), contiguous(&map));
    if let Some(drawn) = picture.as_slice_mut() {
        let drawn = drawn.as_chunks_mut::<3>().0.iter_mut();
        for ((drawn, pixel), value) in drawn.zip(pixels.as_chunks::<3>().0).zip(values.iter()) {
            *drawn = f(*pixel, *value);
        }
    }
    picture
}

fn mix(under: [u8; 3], over: [u8; 3], opacity: f32) -> [u8; 3] {
    std::array::from_fn(|c| {
        let (under, over) = (f32::from(under[c]), f32::from(over[c]));
        nearest(under + opacity * (over - under))
    })
}

/// ITU-R BT.601 luma.
fn luma([red, green, blue]: [u8; 3]) -> u8 {
    nearest(0.299 * f32::from(red) + 0.587 * f32::from(green) + 0.114 * f32::from(blue))
}

/// Rounds a value that is not negative; far cheaper than `round`, which is a call on plain x86-64.
fn nearest(value: f32) -> u8 {
    (value + 0.5) as u8
}
