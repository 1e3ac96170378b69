//! `introspect models`.

use std::process::ExitCode;

use anyhow::Result;
use introspective_network::Architecture;

use crate::output;

/// Lists the zoo: name, default layer, parameters for 1000 classes.
pub fn run() -> Result<ExitCode> {
    output::line(&format!("{:<18} {:<14} {}", "model", "default layer", "parameters"))?;
    for architecture in Architecture::ALL {
        let parameters: usize = architecture
            .tensors(1000, 3)
            .iter()
            .filter(|(name, _)| !name.contains("running_"))
            .map(|(_, shape)| shape.iter().product::<usize>())
            .sum();
        let layer = architecture.default_layer();
        let millions = parameters as f64 / 1e6;
        output::line(&format!("{:<18} {layer:<14} {millions:>6.1} M", architecture.name()))?;
    }
    Ok(ExitCode::SUCCESS)
}
