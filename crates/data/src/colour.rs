//! From whatever colours a decoder gives to 8-bit RGB.

use image::DynamicImage;

/// Gives the pixels of `image` as 8-bit RGB, three bytes each, without a copy where they are so
/// already and within the same memory where only alpha has to go.
pub(crate) fn into_rgb(image: DynamicImage) -> Vec<u8> {
    match image {
        DynamicImage::ImageRgb8(rgb) => rgb.into_raw(),
        DynamicImage::ImageRgba8(rgba) => drop_alpha(rgba.into_raw()),
        DynamicImage::ImageLuma8(grey) => repeat(&grey.into_raw()),
        other => other.into_rgb8().into_raw(),
    }
}

/// Three equal channels.
fn repeat(grey: &[u8]) -> Vec<u8> {
    let mut rgb = vec![[0; 3]; grey.len()];
    for (pixel, &value) in rgb.iter_mut().zip(grey) {
        *pixel = [value; 3];
    }
    rgb.into_flattened()
}

/// Moves the colours of RGBA pixels together and forgets the rest.
fn drop_alpha(mut rgba: Vec<u8>) -> Vec<u8> {
    let pixels = rgba.len() / 4;
    for pixel in 0..pixels {
        rgba.copy_within(4 * pixel..4 * pixel + 3, 3 * pixel);
    }
    rgba.truncate(3 * pixels);
    rgba
}

#[cfg(test)]
mod tests {
    use image::{ImageBuffer, Luma, Rgb};

    use super::*;

    #[test]
    fn alpha_is_dropped_and_not_composited() {
        let rgba = vec![1, 2, 3, 0, 4, 5, 6, 255, 7, 8, 9, 128];
        assert_eq!(drop_alpha(rgba), [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        assert!(drop_alpha(Vec::new()).is_empty());
    }

    /// The whole range of 16 bits: `round(v / 257)`.
    #[test]
    fn sixteen_bits_are_scaled_by_value() {
        let values: Vec<u16> = (0..=u16::MAX).collect();
        let expected: Vec<u8> = values
            .iter()
            .map(|&v| (f64::from(v) / 257.0).round() as u8)
            .flat_map(|v| [v; 3])
            .collect();
        let grey = ImageBuffer::<Luma<u16>, _>::from_raw(256, 256, values).unwrap_or_default();
        assert_eq!(into_rgb(DynamicImage::ImageLuma16(grey)), expected);
    }

    #[test]
    fn floats_are_clamped_to_0_and_1() {
        let values = vec![0.0, 1.0, 0.5, -3.0, 7.0, 0.2];
        let float = ImageBuffer::<Rgb<f32>, _>::from_raw(2, 1, values).unwrap_or_default();
        let rgb = into_rgb(DynamicImage::ImageRgb32F(float));
        assert_eq!(rgb, [0, 255, 128, 0, 255, 51]);
    }
}
