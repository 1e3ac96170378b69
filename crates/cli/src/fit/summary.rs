//! What a fit says when it is done.

use anyhow::Result;
use introspective_reflect::{Features, Head, Method, largest};
use serde_json::{Value, json};

use crate::args::FitArgs;
use crate::output;

/// How the classifier and each method do on the kept images.
pub struct Summary {
    rows: Vec<(String, f64)>,
}

impl Summary {
    pub fn of(head: &Head, kept: &Features) -> Self {
        let accuracy = |logits: ndarray::ArrayView2<'_, f32>| {
            let rows = logits.outer_iter().zip(&kept.labels);
            let right = rows.filter(|(row, label)| largest(*row) == **label).count();
            right as f64 / kept.len().max(1) as f64
        };
        let mut rows = vec![("f".to_owned(), accuracy(kept.z.view()))];
        let activations = head.activations(kept);
        for method in Method::ALL {
            let (a, z) = (activations.view(), kept.z.view());
            let logits = head.logits(method, 0, &head.statistics, a, z);
            rows.extend(logits.map(|logits| (method.name().to_owned(), accuracy(logits.view()))));
        }
        Self { rows }
    }
}

/// Prints it.
pub fn print(args: &FitArgs, head: &Head, summary: &Summary) -> Result<()> {
    let about = &head.about;
    if args.json {
        let accuracies: serde_json::Map<String, Value> =
            summary.rows.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
        let line = json!({
            "head": args.out.display().to_string(),
            "about": about,
            "parameters": head.parameters(Method::Reflection),
            "kept_accuracy": accuracies,
        });
        return output::line(&line.to_string());
    }
    let parameters = head.parameters(Method::Reflection).unwrap_or(0);
    output::line(&format!(
        "H of {parameters} parameters, {} classes, {} features; M = {:.4}; trained on {} images",
        about.classes, about.features, about.question.height, about.trained_on
    ))?;
    let temperatures = about.seeds.first().map(|seed| &seed.temperatures);
    for (name, accuracy) in &summary.rows {
        let method = Method::ALL.into_iter().find(|method| method.name() == name);
        let temperature = method.map_or(Some(about.temperature), |method| {
            temperatures.and_then(|all| all.get(&method).copied())
        });
        let temperature = temperature.unwrap_or(1.0);
        output::line(&format!(
            "  {name:<11} accuracy {accuracy:.4} on the {} images kept aside; temperature {temperature:.3}",
            about.kept
        ))?;
    }
    output::line(&format!("  {}", args.out.display()))
}
