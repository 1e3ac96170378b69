//! AlexNet as torchvision writes it (`torchvision/models/alexnet.py`, Krizhevsky's "one weird trick"
//! form without the two towers).

use super::Plan;
use super::builder::{Builder, Conv, MaxPool};

/// The ReLU before the last max-pooling.
pub(super) const DEFAULT_LAYER: &str = "features.11";

const POOL: MaxPool = MaxPool { kernel: 3, stride: 2, padding: 0, ceil: false };

pub(super) fn alexnet(b: &mut Builder) -> Plan {
    let channels = b.channels("features.0.weight");
    let classes = b.classes("classifier.6.weight");

    let x = b.input(channels);
    let x = b.conv("features.0", &x, Conv::new(channels, 64, 11).stride(4).padding(2));
    let x = b.relu("features.1", &x);
    let x = b.max_pool("features.2", &x, POOL);
    let x = b.conv("features.3", &x, Conv::new(64, 192, 5).padding(2));
    let x = b.relu("features.4", &x);
    let x = b.max_pool("features.5", &x, POOL);
    let x = b.conv("features.6", &x, Conv::new(192, 384, 3).padding(1));
    let x = b.relu("features.7", &x);
    let x = b.conv("features.8", &x, Conv::new(384, 256, 3).padding(1));
    let x = b.relu("features.9", &x);
    let x = b.conv("features.10", &x, Conv::new(256, 256, 3).padding(1));
    let x = b.relu("features.11", &x);
    let x = b.max_pool("features.12", &x, POOL);
    b.alias("features", &x);

    let x = b.adaptive_average_pool("avgpool", &x, 6);
    let x = b.flatten("flatten", &x);
    b.dropout("classifier.0", &x);
    let x = b.linear("classifier.1", &x, 256 * 6 * 6, 4096);
    let x = b.relu("classifier.2", &x);
    b.dropout("classifier.3", &x);
    let x = b.linear("classifier.4", &x, 4096, 4096);
    let x = b.relu("classifier.5", &x);
    let logits = b.linear("classifier.6", &x, 4096, classes);
    b.alias("classifier", &logits);
    Plan { logits, classes, channels }
}
