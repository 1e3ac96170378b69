//! `introspect export`.

use std::process::ExitCode;

use anyhow::{Result, bail};
use introspective_network::ExportOptions;

use crate::args::ExportArgs;
use crate::preprocessing::preprocessing;
use crate::{network, output};

/// Writes the network as an ONNX file and prints the paths of the files written.
pub fn run(args: &ExportArgs) -> Result<ExitCode> {
    if !args.out.extension().is_some_and(|extension| extension.eq_ignore_ascii_case("onnx")) {
        // --model would not know it again
        bail!("--out {} does not end in .onnx", args.out.display());
    }
    let opened = network::open(&args.network)?;
    let classes = network::known_names(args.classes.as_deref(), &args.network, &opened)?;
    // for grey networks nothing is usual; then the file says nothing
    let said = opened.preprocessing.is_some() || !args.preprocessing.is_default();
    let preprocessing = (said || opened.classifier.channels() == 3)
        .then(|| preprocessing(&args.preprocessing, &opened))
        .transpose()?;
    let options = ExportOptions {
        classes: classes.as_ref(),
        preprocessing: preprocessing.as_ref(),
        external_data: args.external_data,
        overwrite: args.force,
    };
    for path in opened.classifier.export(&args.out, &options)? {
        output::line(&path.display().to_string())?;
    }
    Ok(ExitCode::SUCCESS)
}
