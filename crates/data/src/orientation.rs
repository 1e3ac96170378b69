//! Turning pixels upright.

/// Side in pixels of the squares that are copied at a time, so that the rows read and the rows
/// written of a quarter turn stay in the cache together.
const TILE: usize = 64;

/// Applies EXIF orientation `orientation` to `rgb` (height x width x 3, rows from the top), and
/// gives the upright pixels with their width and height.
///
/// `orientation` says where the stored first row and first column belong (EXIF 2.3, tag 0x0112);
/// anything but 2..=8 leaves the pixels as they are. `rgb` must have `3 * width * height` bytes.
pub(crate) fn apply(
    rgb: Vec<u8>,
    width: usize,
    height: usize,
    orientation: u8,
) -> (Vec<u8>, usize, usize) {
    // Whether rows and columns change places, and whether the result is then mirrored from left
    // to right, and from top to bottom.
    let (swap, mirror_x, mirror_y) = match orientation {
        2 => (false, true, false),
        3 => (false, true, true),
        4 => (false, false, true),
        5 => (true, false, false),
        6 => (true, true, false),
        7 => (true, true, true),
        8 => (true, false, true),
        _ => return (rgb, width, height),
    };
    if width == 0 || height == 0 {
        return (rgb, width, height);
    }
    let (out_width, out_height) = if swap { (height, width) } else { (width, height) };

    let (stored, _) = rgb.as_chunks::<3>();
    let mut upright = vec![[0; 3]; stored.len()];
    for tile_y in (0..out_height).step_by(TILE) {
        for tile_x in (0..out_width).step_by(TILE) {
            for y in tile_y..out_height.min(tile_y + TILE) {
                let from_y = if mirror_y { out_height - 1 - y } else { y };
                for x in tile_x..out_width.min(tile_x + TILE) {
                    let from_x = if mirror_x { out_width - 1 - x } else { x };
                    let (column, row) = if swap { (from_y, from_x) } else { (from_x, from_y) };
                    upright[y * out_width + x] = stored[row * width + column];
                }
            }
        }
    }
    (upright.into_flattened(), out_width, out_height)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 3 x 2 pixels a b c / d e f, and what EXIF says each orientation shows.
    #[test]
    fn every_orientation_of_a_small_picture() {
        let cases: [(u8, &str); 10] = [
            (0, "abc/def"),
            (1, "abc/def"),
            (2, "cba/fed"),
            (3, "fed/cba"),
            (4, "def/abc"),
            (5, "ad/be/cf"),
            (6, "da/eb/fc"),
            (7, "fc/eb/da"),
            (8, "cf/be/ad"),
            (9, "abc/def"),
        ];
        let stored: Vec<u8> = b"abcdef".iter().flat_map(|&p| [p, p + 1, p + 2]).collect();
        for (orientation, expected) in cases {
            let (rgb, width, height) = apply(stored.clone(), 3, 2, orientation);
            let rows: Vec<String> = (0..height)
                .map(|y| {
                    let row = &rgb[y * width * 3..(y + 1) * width * 3];
                    row.chunks(3).map(|pixel| char::from(pixel[0])).collect()
                })
                .collect();
            assert_eq!(rows.join("/"), expected, "orientation {orientation}");
            assert!(rgb.chunks(3).all(|p| p[1] == p[0] + 1 && p[2] == p[0] + 2));
        }
    }

    #[test]
    fn sizes_beyond_one_tile_lose_no_pixel() {
        let (width, height) = (TILE + 7, 2 * TILE + 1);
        let stored: Vec<u8> = (0..width * height * 3).map(|i| (i * 31 % 251) as u8).collect();
        // A quarter turn and its opposite.
        let (turned, w, h) = apply(stored.clone(), width, height, 6);
        assert_eq!((w, h), (height, width));
        assert_ne!(turned, stored);
        assert_eq!(apply(turned, w, h, 8), (stored, width, height));
    }
}
