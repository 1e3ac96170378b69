//! The order in which pixels are taken away or put in.

use introspective_network::resize_bilinear;
use ndarray::{Array2, ArrayView2};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::CheckError;

/// All pixels of a picture, in an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PixelOrder {
    /// Indices, row after row from the upper left corner: the first one comes first.
    pixels: Vec<usize>,
    size: [usize; 2],
}

impl PixelOrder {
    /// The pixels by descending value of a map, H x W; equal ones row after row.
    ///
    /// Only the order of the values matters: any increasing function of the map gives the same.
    pub fn of(map: ArrayView2<'_, f32>) -> Self {
        let (height, width) = map.dim();
        let rows = Self { pixels: (0..height * width).collect(), size: [height, width] };
        rows.sorted(map)
    }

    /// The pixels by descending value of a map, H x W; equal ones in the order of `ties`.
    ///
    /// A rectified map is zero in much of the picture, and row after row would take that part from its upper edge. With a
    /// [`random_map`]'s order for the ties, a map that says nothing gets exactly what chance gets.
    ///
    /// # Errors
    /// [`CheckError::Size`] if `ties` is of another size.
    pub fn with_ties(map: ArrayView2<'_, f32>, ties: &Self) -> Result<Self, CheckError> {
        let (height, width) = map.dim();
        if ties.size != [height, width] {
            let (found, expected) = ([height, width], ties.size);
            return Err(CheckError::Size { what: "the map", found, expected });
        }
        Ok(ties.clone().sorted(map))
    }

    fn sorted(mut self, map: ArrayView2<'_, f32>) -> Self {
        // zero and its negative are equal
        let values: Vec<f32> = map.iter().map(|value| value + 0.0).collect();
        self.pixels.sort_by(|&a, &b| values[b].total_cmp(&values[a]));
        self
    }

    /// Height and width of the picture.
    pub fn size(&self) -> [usize; 2] {
        self.size
    }

    /// Indices of the pixels, y W + x, the first to be taken first.
    pub fn pixels(&self) -> &[usize] {
        &self.pixels
    }
}

/// A map that knows nothing of the picture: uniform numbers on a grid (rows, columns), brought to `size` (height, width) as a
/// map of that layer is (bilinear). The baseline that a map of the same coarseness is held against.
///
/// Pixels in a random order would be no fair one: scattered ones destroy a picture far sooner than patches of the same area.
/// (Measured: at deletion they do as well as Grad-CAM's maps, for SqueezeNet 1.1 and for a small residual network.)
pub fn random_map(grid: [usize; 2], size: [usize; 2], seed: u64) -> Array2<f32> {
    let mut random = ChaCha8Rng::seed_from_u64(seed);
    let coarse = Array2::from_shape_simple_fn(grid, || random.random::<f32>());
    resize_bilinear(coarse.view(), size[0], size[1])
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;
    use ndarray::{Array2, array};
    use proptest::prelude::*;

    #[test]
    fn equal_pixels_come_row_after_row_or_in_the_order_of_others() {
        let map = array![[0.0, 1.0], [-0.0, 1.0]];
        assert_eq!(PixelOrder::of(map.view()).pixels(), [1, 3, 0, 2]);
        let others = PixelOrder::of(array![[0.0, 0.1], [0.2, 0.3]].view());
        let order = PixelOrder::with_ties(map.view(), &others).unwrap();
        assert_eq!(order.pixels(), [3, 1, 2, 0]);
        let wrong = PixelOrder::with_ties(Array2::zeros((3, 2)).view(), &others);
        assert!(matches!(wrong, Err(CheckError::Size { found: [3, 2], expected: [2, 2], .. })));
    }

    #[test]
    fn a_constant_map_has_the_order_of_its_ties() {
        let others = PixelOrder::of(random_map([3, 4], [20, 30], 7).view());
        let constant = Array2::from_elem((20, 30), 0.25);
        assert_eq!(PixelOrder::with_ties(constant.view(), &others).unwrap(), others);
    }

    #[test]
    fn random_maps_differ_by_their_seed_alone() {
        let draw = |seed| random_map([7, 7], [32, 32], seed);
        assert_eq!(draw(1), draw(1));
        assert_ne!(draw(1), draw(2));
    }

    proptest! {
        /// Every pixel once, and the same ones for any increasing function of the map.
        #[test]
        fn only_the_order_of_the_values_matters(values in prop::collection::vec(0u8..20, 12)) {
            let map = Array2::from_shape_vec((3, 4), values.iter().map(|&v| f32::from(v)).collect()).unwrap();
            let order = PixelOrder::of(map.view());
            let mut all = order.pixels().to_vec();
            all.sort_unstable();
            prop_assert_eq!(all, (0..12).collect::<Vec<_>>());
            prop_assert!(order.pixels().windows(2).all(|p| values[p[0]] >= values[p[1]]));
            for increasing in [|v: f32| 3.0 * v - 1.0, |v: f32| v.exp(), |v: f32| v.sqrt()] {
                prop_assert_eq!(&PixelOrder::of(map.mapv(increasing).view()), &order);
            }
        }
    }
}
