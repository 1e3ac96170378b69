//! SqueezeNet 1.0 and 1.1 as torchvision writes them (`torchvision/models/squeezenet.py`).

use super::Plan;
use super::builder::{Builder, Conv, MaxPool};

/// Output of the last Fire module, in both versions.
pub(super) const DEFAULT_LAYER: &str = "features.12";

/// One entry of `features`.
enum Step {
    /// Fire module: squeeze to `.0` channels, expand to `.1` by 1x1 and as many by 3x3.
    Fire(usize, usize),
    /// 3x3 max-pooling of stride 2, sizes rounded up.
    Pool,
}

use Step::{Fire, Pool};

pub(super) fn squeezenet1_0(b: &mut Builder) -> Plan {
    let steps = [
        Pool,
        Fire(16, 64),
        Fire(16, 64),
        Fire(32, 128),
        Pool,
        Fire(32, 128),
        Fire(48, 192),
        Fire(48, 192),
        Fire(64, 256),
        Pool,
        Fire(64, 256),
    ];
    squeezenet(b, 96, 7, &steps)
}

pub(super) fn squeezenet1_1(b: &mut Builder) -> Plan {
    let steps = [
        Pool,
        Fire(16, 64),
        Fire(16, 64),
        Pool,
        Fire(32, 128),
        Fire(32, 128),
        Pool,
        Fire(48, 192),
        Fire(48, 192),
        Fire(64, 256),
        Fire(64, 256),
    ];
    squeezenet(b, 64, 3, &steps)
}

fn squeezenet(b: &mut Builder, stem: usize, kernel: usize, steps: &[Step]) -> Plan {
    let channels = b.channels("features.0.weight");
    let classes = b.classes("classifier.1.weight");

    let x = b.input(channels);
    let x = b.conv("features.0", &x, Conv::new(channels, stem, kernel).stride(2));
    let mut x = b.relu("features.1", &x);
    let mut from = stem;
    for (index, step) in steps.iter().enumerate() {
        let module = format!("features.{}", index + 2);
        x = match *step {
            Pool => {
                let pool = MaxPool { kernel: 3, stride: 2, padding: 0, ceil: true };
                b.max_pool(&module, &x, pool)
            }
            Fire(squeeze, expand) => {
                let y = fire(b, &module, &x, from, squeeze, expand);
                from = 2 * expand;
                y
            }
        };
    }
    b.alias("features", &x);

    b.dropout("classifier.0", &x);
    let x = b.conv("classifier.1", &x, Conv::new(from, classes, 1));
    let x = b.relu("classifier.2", &x);
    let x = b.global_average_pool("classifier.3", &x);
    b.alias("classifier", &x);
    let logits = b.flatten("logits", &x);
    Plan { logits, classes, channels }
}

fn fire(
    b: &mut Builder,
    name: &str,
    x: &str,
    from: usize,
    squeeze: usize,
    expand: usize,
) -> String {
    let module = |part: &str| format!("{name}.{part}");
    let s = b.conv(&module("squeeze"), x, Conv::new(from, squeeze, 1));
    let s = b.relu(&module("squeeze_activation"), &s);
    let one = b.conv(&module("expand1x1"), &s, Conv::new(squeeze, expand, 1));
    let one = b.relu(&module("expand1x1_activation"), &one);
    let three = b.conv(&module("expand3x3"), &s, Conv::new(squeeze, expand, 3).padding(1));
    let three = b.relu(&module("expand3x3_activation"), &three);
    let out = b.concat(&module("concat"), &[&one, &three]);
    b.alias(name, &out);
    out
}
