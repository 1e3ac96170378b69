//! Kernels, strides and paddings of convolutions and poolings: written out where the file leaves them to
//! defaults (some runtimes know none), and within reason (some runtimes trust them).

use crate::graph::{Attribute, Graph, Node, Setting, signed};

/// No kernel, stride or padding of a classifier comes near this.
const MAX: i64 = 1 << 14;

/// Completes the settings of every convolution and pooling.
///
/// # Errors
/// A setting is out of range, of the wrong length, or contradicts the weight; in words, naming the node.
pub(super) fn complete(graph: &mut Graph) -> Result<(), String> {
    for index in 0..graph.nodes.len() {
        let node = &graph.nodes[index];
        let named = format!("node {} ({})", node.name, node.operator);
        let weight = node.inputs.get(1).and_then(|name| graph.initializer(name));
        let kernel = match node.operator.as_str() {
            "Conv" | "ConvTranspose" => match weight.map(|tensor| tensor.dims.as_slice()) {
                Some([_, _, kernel @ ..]) if !kernel.is_empty() => {
                    let kernel: Vec<i64> = kernel.iter().map(|&size| size as i64).collect();
                    let stated = node.signed("kernel_shape").unwrap_or(&kernel);
                    if stated != kernel && in_range(stated, 1) {
                        let dims = weight.map(|tensor| &tensor.dims);
                        return Err(format!(
                            "{named} has kernel_shape {stated:?}; its weight is {:?}",
                            dims.unwrap_or(&Vec::new())
                        ));
                    }
                    stated.to_vec()
                }
                Some(dims) => return Err(format!("{named} has a weight of shape {dims:?}")),
                // computed weights: the file has to say
                None => node.signed("kernel_shape").unwrap_or_default().to_vec(),
            },
            "MaxPool" | "AveragePool" | "LpPool" => {
                node.signed("kernel_shape").unwrap_or_default().to_vec()
            }
            _ => continue,
        };
        let axes = kernel.len();
        let same = node.text("auto_pad").is_some_and(|mode| mode.starts_with("SAME"));
        let mut completed = vec![("kernel_shape", kernel, 1, axes)];
        for (name, default, length) in
            [("strides", 1, axes), ("dilations", 1, axes), ("pads", 0, 2 * axes)]
        {
            let values = node.signed(name).map_or_else(|| vec![default; length], <[i64]>::to_vec);
            // with automatic padding a file must not, and need not, say how much
            if name != "pads" || !same {
                completed.push((name, values, default, length));
            }
        }
        for (name, values, least, length) in &completed {
            if values.len() != *length || values.is_empty() || !in_range(values, *least) {
                return Err(format!(
                    "{named} has {name} {values:?}; expected {} numbers from {least} to {MAX}",
                    (*length).max(1)
                ));
            }
        }
        if node.int("group", 1) < 1 {
            return Err(format!("{named} has a group below 1"));
        }
        let node = &mut graph.nodes[index];
        for (name, values, ..) in completed {
            set(node, signed(name, &values));
        }
        if !same {
            node.attributes.retain(|attribute| attribute.name != "auto_pad");
        }
    }
    Ok(())
}

fn in_range(values: &[i64], least: i64) -> bool {
    values.iter().all(|value| (least..=MAX).contains(value))
}

fn set(node: &mut Node, attribute: Attribute) {
    // average pooling knew no dilations before operator set 19; ones change nothing
    let ones = matches!(&attribute.value, Setting::Ints(values) if values.iter().all(|&v| v == 1));
    if node.operator == "AveragePool" && attribute.name == "dilations" && ones {
        node.attributes.retain(|old| old.name != attribute.name);
        return;
    }
    match node.attributes.iter_mut().find(|old| old.name == attribute.name) {
        Some(old) => *old = attribute,
        None => node.attributes.push(attribute),
    }
}
