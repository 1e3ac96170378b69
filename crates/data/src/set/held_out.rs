//! Setting examples aside, class by class.

use std::collections::BTreeMap;

use rand::SeedableRng;
use rand::seq::index;
use rand_chacha::ChaCha8Rng;

use super::error::SetError;

/// Examples in two parts; both sorted, together all of them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Held {
    /// What is left.
    pub kept: Vec<usize>,
    /// What was set aside.
    pub held: Vec<usize>,
}

/// Sets `share` of the examples aside, in each class as nearly the same share as whole examples allow.
///
/// With `n` examples, `round(share n)` are held: `floor(share n_c)` of the `n_c` examples of class
/// `c`, and one more in the classes with the largest remainders (among equals, the first). A class
/// never loses its last example, so fewer may be held where classes are small. Which examples of a
/// class are held depends on `seed`, the class and the number of its examples alone
/// (ChaCha8, its stream numbered by the class), not on the platform.
///
/// # Errors
/// [`SetError::Share`] unless `0 < share < 1`; [`SetError::TooFew`] if nothing would be held.
pub fn held_out(labels: &[usize], share: f64, seed: u64) -> Result<Held, SetError> {
    if !(share > 0.0 && share < 1.0) {
        return Err(SetError::Share { share });
    }
    let mut classes = BTreeMap::<usize, Vec<usize>>::new();
    for (example, &label) in labels.iter().enumerate() {
        classes.entry(label).or_default().push(example);
    }
    let sizes: Vec<usize> = classes.values().map(Vec::len).collect();
    let mut held = vec![false; labels.len()];
    for ((class, examples), count) in classes.iter().zip(counts(&sizes, share)) {
        let mut random = ChaCha8Rng::seed_from_u64(seed);
        random.set_stream(*class as u64);
        for chosen in index::sample(&mut random, examples.len(), count) {
            held[examples[chosen]] = true;
        }
    }
    let (held, kept): (Vec<_>, Vec<_>) = (0..labels.len()).partition(|&example| held[example]);
    if held.is_empty() {
        let (examples, classes) = (labels.len(), classes.len());
        return Err(SetError::TooFew { share, examples, classes });
    }
    Ok(Held { kept, held })
}

/// How many examples of each class to hold, by the largest remainders.
fn counts(sizes: &[usize], share: f64) -> Vec<usize> {
    let total: usize = sizes.iter().sum();
    let wanted = (share * total as f64).round() as usize;
    let quotas: Vec<f64> = sizes.iter().map(|&size| share * size as f64).collect();
    let mut counts: Vec<usize> = quotas
        .iter()
        .zip(sizes)
        .map(|(quota, &size)| (quota.floor() as usize).min(size - 1))
        .collect();
    let mut order: Vec<usize> = (0..sizes.len()).collect();
    order.sort_by(|&a, &b| quotas[b].fract().total_cmp(&quotas[a].fract()));
    let mut missing = wanted.saturating_sub(counts.iter().sum());
    for class in order {
        if missing > 0 && counts[class] + 1 < sizes[class] {
            counts[class] += 1;
            missing -= 1;
        }
    }
    counts
}
