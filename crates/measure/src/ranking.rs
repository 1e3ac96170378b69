//! Images in order of their confidence.

use crate::outputs::Checked;
use crate::weights::Weights;

/// The largest probability of each image, and whether the class it belongs to is the right one.
pub(crate) struct Confidences {
    pub(crate) values: Vec<f64>,
    pub(crate) right: Vec<bool>,
}

impl Confidences {
    pub(crate) fn new(checked: &Checked<'_>, labels: &[usize]) -> Self {
        let predictions: Vec<usize> =
            (0..checked.images()).map(|row| checked.prediction(row)).collect();
        let confidence = |(row, class): (usize, &usize)| checked.probability(row, *class);
        Self {
            values: predictions.iter().enumerate().map(confidence).collect(),
            right: predictions.iter().zip(labels).map(|(p, y)| p == y).collect(),
        }
    }

    /// Confidence minus correctness of an image.
    pub(crate) fn gap(&self, image: u32) -> f64 {
        self.values[image as usize] - f64::from(self.right[image as usize])
    }
}

/// Images by descending confidence, those of equal confidence together.
pub(crate) struct Ranking {
    images: Vec<u32>,
    /// 1 for a wrong prediction, in the order of `images`.
    wrong: Vec<f64>,
    /// Confidence minus correctness, in the order of `images`.
    gaps: Vec<f64>,
    /// Where each group of equal confidence ends in `images`.
    ends: Vec<u32>,
}

/// Images of equal confidence, taken as often as their weights say.
pub(crate) struct Group {
    /// Sum of the weights, not zero.
    pub(crate) mass: f64,
    /// Of these, wrong ones.
    pub(crate) wrong: f64,
    /// Weighted sum of confidence minus correctness.
    pub(crate) gap: f64,
    /// Where the group ends in the order.
    pub(crate) end: usize,
}

impl Ranking {
    pub(crate) fn new(confidences: &Confidences) -> Self {
        let values = &confidences.values;
        let mut images: Vec<u32> = (0..values.len() as u32).collect();
        images.sort_by(|a, b| values[*b as usize].total_cmp(&values[*a as usize]));
        let mut end = 0;
        let ends = images
            .chunk_by(|a, b| values[*a as usize] == values[*b as usize])
            .map(|group| {
                end += group.len() as u32;
                end
            })
            .collect();
        let wrong = images.iter().map(|image| f64::from(!confidences.right[*image as usize]));
        let gaps = images.iter().map(|image| confidences.gap(*image));
        Self { wrong: wrong.collect(), gaps: gaps.collect(), ends, images }
    }

    /// The image at a place of the order.
    pub(crate) fn image(&self, place: usize) -> u32 {
        self.images[place]
    }

    /// Visits the groups from the most confident to the least, leaving out those of no weight.
    pub(crate) fn walk(&self, weights: &Weights<'_>, mut visit: impl FnMut(Group)) {
        let mut start = 0;
        for end in &self.ends {
            let end = *end as usize;
            let mut group = Group { mass: 0.0, wrong: 0.0, gap: 0.0, end };
            for place in start..end {
                let weight = weights.of(self.images[place]);
                group.mass += weight;
                group.wrong += weight * self.wrong[place];
                group.gap += weight * self.gaps[place];
            }
            if group.mass > 0.0 {
                visit(group);
            }
            start = end;
        }
    }
}
