//! VGG as torchvision writes it (`torchvision/models/vgg.py`), with and without batch normalisation.

use super::Plan;
use super::builder::{Builder, Conv, MaxPool};

/// How many 3x3 convolutions each of the five stages has.
type Depths = [usize; 5];

pub(super) const VGG11: Depths = [1, 1, 2, 2, 2];
pub(super) const VGG13: Depths = [2, 2, 2, 2, 2];
pub(super) const VGG16: Depths = [2, 2, 3, 3, 3];
pub(super) const VGG19: Depths = [2, 2, 4, 4, 4];

const WIDTHS: [usize; 5] = [64, 128, 256, 512, 512];

/// Modules of `features` are numbered through; each stage ends with its max-pooling.
pub(super) fn vgg(b: &mut Builder, depths: Depths, batch_norm: bool) -> Plan {
    let channels = b.channels("features.0.weight");
    let classes = b.classes("classifier.6.weight");

    let mut x = b.input(channels);
    let mut from = channels;
    let mut modules = (0..).map(|index| format!("features.{index}"));
    let mut module = || modules.next().unwrap_or_default();
    for (to, depth) in WIDTHS.into_iter().zip(depths) {
        for _ in 0..depth {
            x = b.conv(&module(), &x, Conv::new(from, to, 3).padding(1));
            if batch_norm {
                x = b.batch_norm(&module(), &x, to);
            }
            x = b.relu(&module(), &x);
            from = to;
        }
        let halve = MaxPool { kernel: 2, stride: 2, padding: 0, ceil: false };
        x = b.max_pool(&module(), &x, halve);
    }
    b.alias("features", &x);

    let x = b.adaptive_average_pool("avgpool", &x, 7);
    let x = b.flatten("flatten", &x);
    let x = b.linear("classifier.0", &x, from * 7 * 7, 4096);
    let x = b.relu("classifier.1", &x);
    b.dropout("classifier.2", &x);
    let x = b.linear("classifier.3", &x, 4096, 4096);
    let x = b.relu("classifier.4", &x);
    b.dropout("classifier.5", &x);
    let logits = b.linear("classifier.6", &x, 4096, classes);
    b.alias("classifier", &logits);
    Plan { logits, classes, channels }
}
