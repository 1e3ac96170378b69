//! `introspect layers`.

use std::process::ExitCode;

use anyhow::Result;

use crate::args::LayersArgs;
use crate::{network, output};

/// Lists layers in the order in which the network computes them.
pub fn run(args: &LayersArgs) -> Result<ExitCode> {
    let classifier = network::for_layers(&args.network)?;
    let side = args.crop.map_or(224, |side| side as usize);
    let fixed = classifier.input_size().filter(|_| args.crop.is_none());
    let [height, width] = fixed.unwrap_or([side, side]);
    let layers = classifier.layers(height, width)?;
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
