//! `introspect layers`.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::LayersArgs;
use crate::{network, output};

/// Lists layers in the order in which the network computes them.
pub fn run(args: &LayersArgs) -> Result<ExitCode> {
    let opened = network::for_layers(&args.network)?;
    let usual = match &opened.preprocessing {
        Some(preprocessing) => [preprocessing.input_size(); 2],
        None => opened.classifier.input_size().unwrap_or([224; 2]),
    };
    let [height, width] = args.crop.map_or(usual, |side| [side as usize; 2]);
    let layers = opened.classifier.layers(height, width)?;
    if args.json {
        let list: Vec<_> = layers
            .iter()
            .map(|layer| {
                serde_json::json!({
                    "name": layer.name,
                    "shape": layer.shape,
                    "default": layer.default,
                })
            })
            .collect();
        output::line(&serde_json::to_string(&list)?)?;
        return Ok(ExitCode::SUCCESS);
    }
    let width = layers.iter().map(|layer| layer.name.len()).max().unwrap_or(0);
    for layer in &layers {
        let shape: Vec<String> = layer.shape.iter().map(usize::to_string).collect();
        let note = if layer.default { "  (default)" } else { "" };
        output::line(&format!("{:<width$}  {}{note}", layer.name, shape.join(" x ")))?;
    }
    Ok(ExitCode::SUCCESS)
}
