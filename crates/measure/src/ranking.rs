//! Images in order of their confidence.

use std::ops::Range;

use crate::outputs::Checked;

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
}

/// Images by descending confidence; of those of equal confidence, the ones that are predicted right come first.
pub(crate) struct Ranking {
    pub(crate) images: Vec<u32>,
    /// Confidence minus correctness, in the order of `images`.
    pub(crate) gaps: Vec<f64>,
    pub(crate) groups: Vec<Group>,
}

/// Images of equal confidence.
pub(crate) struct Group {
    pub(crate) confidence: f64,
    pub(crate) start: usize,
    /// Where those end that are predicted right.
    pub(crate) right: usize,
    pub(crate) end: usize,
}

impl Group {
    pub(crate) fn places(&self) -> Range<usize> {
        self.start..self.end
    }

    pub(crate) fn mass(&self) -> usize {
        self.end - self.start
    }

    pub(crate) fn wrong(&self) -> usize {
        self.end - self.right
    }
}

impl Ranking {
    pub(crate) fn new(confidences: &Confidences) -> Self {
        let Confidences { values, right } = confidences;
        let mut order: Vec<(f64, bool, u32)> = values
            .iter()
            .zip(right)
            .zip(0..)
            .map(|((value, right), image)| (*value, !right, image))
            .collect();
        order.sort_unstable_by(|a, b| b.0.total_cmp(&a.0).then(a.1.cmp(&b.1)).then(a.2.cmp(&b.2)));
        let mut end = 0;
        let group = |group: &[(f64, bool, u32)]| {
            let start = end;
            end += group.len();
            let right = start + group.iter().filter(|(_, wrong, _)| !wrong).count();
            Group { confidence: group[0].0, start, right, end }
        };
        Self {
            groups: order.chunk_by(|a, b| a.0 == b.0).map(group).collect(),
            gaps: order.iter().map(|(value, wrong, _)| value - f64::from(!wrong)).collect(),
            images: order.iter().map(|(_, _, image)| *image).collect(),
        }
    }
}
