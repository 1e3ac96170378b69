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
    /// True for a wrong prediction, in the order of `images`.
    wrong: Vec<bool>,
    /// Confidence minus correctness, in the order of `images`.
    gaps: Vec<f64>,
    runs: Vec<Run>,
}

/// A stretch of the order.
struct Run {
    end: usize,
    /// All of one confidence; else each has its own.
    tied: bool,
}

/// Images of equal confidence, taken as often as their weights say.
#[derive(Default)]
pub(crate) struct Group {
    /// Sum of the weights; zero for an image that was not drawn.
    pub(crate) mass: usize,
    /// Share of wrong ones, from 0 to 1; some number if the mass is zero.
    pub(crate) rate: f64,
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
        let mut runs: Vec<Run> = Vec::new();
        let mut end = 0;
        for group in images.chunk_by(|a, b| values[*a as usize] == values[*b as usize]) {
            end += group.len();
            match runs.last_mut() {
                Some(run) if !run.tied && group.len() == 1 => run.end = end,
                _ => runs.push(Run { end, tied: group.len() > 1 }),
            }
        }
        let wrong = images.iter().map(|image| !confidences.right[*image as usize]).collect();
        let gaps = images.iter().map(|image| confidences.gap(*image)).collect();
        Self { images, wrong, gaps, runs }
    }

    /// The image at a place of the order.
    pub(crate) fn image(&self, place: usize) -> u32 {
        self.images[place]
    }

    /// Visits the groups from the most confident to the least.
    pub(crate) fn walk(&self, weights: &Weights<'_>, mut visit: impl FnMut(Group)) {
        let mut start = 0;
        for Run { end, tied } in &self.runs {
            let places = start..*end;
            let images = self.images[places.clone()].iter();
            let values = self.wrong[places.clone()].iter().zip(&self.gaps[places]);
            let drawn = images.zip(values).map(|(image, (wrong, gap))| {
                let mass = weights.of(*image);
                let (rate, gap) = (f64::from(u8::from(*wrong)), f64::from(mass) * gap);
                Group { mass: usize::from(mass), rate, gap, end: 0 }
            });
            if *tied {
                let mut group = Group { end: *end, ..Group::default() };
                let mut wrong = 0.0;
                for one in drawn {
                    group.mass += one.mass;
                    group.gap += one.gap;
                    wrong += one.mass as f64 * one.rate;
                }
                group.rate = wrong / group.mass.max(1) as f64;
                visit(group);
            } else {
                // whether an image was drawn cannot be foreseen, so nothing here branches on it
                for (place, one) in drawn.enumerate() {
                    visit(Group { end: start + place + 1, ..one });
                }
            }
            start = *end;
        }
    }
}
