//! Which contrasts are worth looking at: those whose maps differ.

use ndarray::{Array1, ArrayView2};

use crate::answer::is_constant;
use crate::atlas::Atlas;

/// A contrast's place in [`Atlas::ranking`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Ranked {
    /// The other class Q.
    pub class: usize,
    /// Its softmax probability.
    pub probability: f64,
    /// Distance to the nearest of the maps that come before it and of *Why P?*, in [0, 2]: `1 - r` with Pearson's r of two
    /// rectified maps over their positions. `None` for an empty map, or if there is nothing to compare with.
    pub distance: Option<f64>,
    /// The rectified map is constant: there is nothing to see.
    pub empty: bool,
}

impl Ranked {
    /// Below this [`distance`](Self::distance) two maps are called alike (r > 0.95; a choice of this software).
    pub const ALIKE: f64 = 0.05;

    /// True if the map looks like one that comes before it, or like *Why P?*.
    pub fn is_alike(&self) -> bool {
        self.distance.is_some_and(|distance| distance < Self::ALIKE)
    }
}

impl Atlas {
    /// How many of the N - 1 contrast maps are empty ([`Answer::is_empty`](crate::Answer::is_empty)).
    pub fn empty_contrasts(&self) -> usize {
        let others = self.others().into_iter();
        others.filter(|&class| extremes(self.map(&self.rather_than, class)).is_none()).count()
    }

    /// The first `count` contrasts in the order in which they add something to be seen.
    ///
    /// The distance of two maps is `1 - r`, r being Pearson's correlation of the rectified maps over the u v positions:
    /// like the min-max scaling of a displayed map, r is blind to an offset and to a positive factor, so maps that look
    /// the same are at distance zero. The most probable Q comes first; then, again and again, the Q whose map is farthest
    /// from its nearest neighbour among *Why P?* and those chosen already (greedy farthest-first traversal: Gonzalez
    /// 1985), the more probable one among equals. Distances therefore fall from the second place on, and once one is
    /// [`alike`](Ranked::is_alike) all that follow are. Empty maps come last, the most probable first.
    ///
    /// There are N - 1 contrasts; `count` may exceed that. Cost: `count` passes over all maps.
    pub fn ranking(&self, count: usize) -> Vec<Ranked> {
        let others = self.others();
        let mut empty = Vec::new();
        // the nearest distance of each candidate so far, most probable first
        let mut candidates = Vec::with_capacity(others.len());
        let why = shape(self.map(&self.cam, self.predicted));
        for class in others {
            match shape(self.map(&self.rather_than, class)) {
                Some(shape) => {
                    let nearest = why.as_ref().map(|why| distance(why, &shape));
                    candidates.push((class, shape, nearest));
                }
                None => empty.push(class),
            }
        }
        let entry = |class, distance, empty| Ranked {
            class,
            probability: self.probabilities[class],
            distance,
            empty,
        };
        let mut ranking = Vec::with_capacity(count.min(candidates.len() + empty.len()));
        let mut next = 0;
        while ranking.len() < count && !candidates.is_empty() {
            let (class, chosen, nearest) = candidates.remove(next);
            ranking.push(entry(class, nearest, false));
            let mut farthest = f64::NEG_INFINITY;
            next = 0;
            for (index, (_, shape, nearest)) in candidates.iter_mut().enumerate() {
                let other = distance(&chosen, shape);
                let least = nearest.map_or(other, |nearest| nearest.min(other));
                *nearest = Some(least);
                if least > farthest {
                    (farthest, next) = (least, index);
                }
            }
        }
        ranking.extend(empty.into_iter().map(|class| entry(class, None, true)));
        ranking.truncate(count);
        ranking
    }
}

/// A rectified map without its mean and of length one; `None` for a constant one.
fn shape(map: ArrayView2<'_, f32>) -> Option<Array1<f32>> {
    let (_, high) = extremes(map)?;
    // of values up to one no square overflows
    let values: Array1<f64> = map.iter().map(|&v| f64::from(v.max(0.0) / high)).collect();
    let centered = &values - values.mean()?;
    let length = centered.dot(&centered).sqrt();
    (length > 0.0).then(|| centered.mapv(|value| (value / length) as f32))
}

/// The smallest and the largest value of a map; `None` if the rectified map is constant.
fn extremes(map: ArrayView2<'_, f32>) -> Option<(f32, f32)> {
    let low = map.fold(f32::INFINITY, |low, &value| low.min(value));
    let high = map.fold(f32::NEG_INFINITY, |high, &value| high.max(value));
    (!is_constant(low, high)).then_some((low, high))
}

/// `1 - r`, in [0, 2].
fn distance(a: &Array1<f32>, b: &Array1<f32>) -> f64 {
    (1.0 - f64::from(a.dot(b))).clamp(0.0, 2.0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use ndarray::{Array3, array};
    use proptest::prelude::*;

    use super::*;
    use crate::atlas::tests::{any, of};

    /// Contrasts that are given rather than computed; class 0 is predicted.
    fn atlas(rather_than: Array3<f32>, logits: Array1<f32>) -> Atlas {
        let mut atlas = of(rather_than.clone(), logits);
        atlas.rather_than = rather_than;
        atlas
    }

    #[test]
    fn the_most_probable_comes_first_then_what_differs_then_copies_then_empty_maps() {
        let maps = array![
            [[4.0, 0.0, 0.0, 0.0]],    // Why P?
            [[-1.0, -1.0, -2.0, 0.0]], // empty
            [[0.0, 0.0, 3.0, 0.0]],    // as class 5, less probable
            [[2.0, 1.0, 0.0, 0.0]],    // the most probable
            [[5.0, 3.0, 1.0, 1.0]],    // 2 x + 1 of class 3
            [[-5.0, 0.0, 7.0, 0.0]],
            [[0.0, 0.0, 0.0, 0.0]], // empty
        ];
        let atlas = atlas(maps, array![9.0, -1.0, 1.0, 5.0, 3.0, 2.0, 8.0]);
        let ranking = atlas.ranking(10);
        let order: Vec<usize> = ranking.iter().map(|ranked| ranked.class).collect();
        assert_eq!(order, [3, 5, 4, 2, 6, 1]);
        let empty: Vec<bool> = ranking.iter().map(|ranked| ranked.empty).collect();
        assert_eq!(empty, [false, false, false, false, true, true]);
        let alike: Vec<bool> = ranking.iter().map(Ranked::is_alike).collect();
        assert_eq!(alike, [false, false, true, true, false, false]);
        assert_eq!(atlas.ranking(2), ranking[..2]);
        assert!(atlas.ranking(0).is_empty());
    }

    #[test]
    fn without_a_map_of_p_the_first_contrast_has_nothing_to_be_compared_with() {
        let maps = array![[[0.0, 0.0]], [[1.0, 0.0]], [[0.0, 1.0]]];
        let ranking = atlas(maps, array![3.0, 2.0, 1.0]).ranking(5);
        assert_eq!((ranking[0].class, ranking[0].distance), (1, None));
        assert_eq!(ranking[1].class, 2);
        assert!((ranking[1].distance.unwrap() - 2.0).abs() < 1e-6);
    }

    proptest! {
        #[test]
        fn every_class_is_ranked_once_and_distances_fall(atlas in any(3.0)) {
            let ranking = atlas.ranking(usize::MAX);
            let mut classes: Vec<usize> = ranking.iter().map(|ranked| ranked.class).collect();
            classes.sort_unstable();
            let mut others = atlas.others();
            others.sort_unstable();
            prop_assert_eq!(classes, others);
            let distances: Vec<f64> = ranking.iter().skip(1).filter_map(|r| r.distance).collect();
            prop_assert!(distances.windows(2).all(|pair| pair[0] >= pair[1]), "{distances:?}");
            prop_assert!(ranking.windows(2).all(|pair| pair[0].empty <= pair[1].empty));
        }
    }
}
