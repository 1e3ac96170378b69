//! The way out of an error, where the flags know one.

use introspective_explain::QuestionError;
use introspective_network::{CheckpointError, ClassError, NetworkError};

const TO_ONNX: &str =
    "export it to ONNX and give that file to --model: docs/bring-your-own-network.md says how";

/// What to do next.
pub fn for_error(error: &anyhow::Error) -> Option<&'static str> {
    error.chain().find_map(|cause| {
        if let Some(error) = cause.downcast_ref::<NetworkError>() {
            return network(error);
        }
        if let Some(error) = cause.downcast_ref::<ClassError>() {
            return class(error);
        }
        #[cfg(feature = "train")]
        if let Some(error) = cause.downcast_ref::<introspective_train::TrainError>() {
            return train(error);
        }
        if let Some(error) = cause.downcast_ref::<QuestionError>() {
            return Some(match error {
                QuestionError::SameClass { .. } => {
                    "name another class with --rather-than, or ask about another with --class"
                }
                _ => "give an index or a name that the network has",
            });
        }
        None
    })
}

#[cfg(feature = "train")]
fn train(error: &introspective_train::TrainError) -> Option<&'static str> {
    use introspective_train::TrainError;
    Some(match error {
        TrainError::Diverged { .. } => {
            "try a tenth of that rate (--lr), or --schedule one-cycle, which begins low; then --force begins anew"
        }
        TrainError::Exists { checkpoint: true, .. } => {
            "--resume goes on from it, --force begins anew; or choose another --out"
        }
        TrainError::Exists { .. } => "choose another --out, or add --force",
        TrainError::Checkpoint { .. } => {
            "give the settings that it was begun with, or begin anew with --force"
        }
        // they wrap another room's error, which has its own advice
        TrainError::Network(error) => return network(error),
        _ => return None,
    })
}

fn network(error: &NetworkError) -> Option<&'static str> {
    Some(match error {
        NetworkError::CorruptWeights { .. } => "the file is probably cut short: fetch it again",
        NetworkError::UnknownWeights { found, .. } => unknown_weights(found),
        NetworkError::Checkpoint { source, .. } => checkpoint(source),
        NetworkError::TensorTwice { .. } | NetworkError::TensorsTooLarge { .. } => {
            "save the state dict alone: torch.save(model.state_dict(), \"model.pth\")"
        }
        NetworkError::ElementType { .. } => "convert the tensors to float32 before saving them",
        NetworkError::Mismatch(mismatch) if mismatch.fits.is_empty() => {
            "weights must be a state dict in torchvision's names; `introspect models` lists the architectures"
        }
        NetworkError::Ambiguous { .. } => "choose one with --model",
        NetworkError::InputSize { .. } => {
            "leave --crop and --size away: the file's own size is the default"
        }
        NetworkError::ForeignNetwork { .. } => TO_ONNX,
        NetworkError::Setting { key, .. } if is_structure(key) => TO_ONNX,
        NetworkError::Folder { .. } => {
            "timm.models.save_for_hf(model, FOLDER, safe_serialization=True) writes such a folder"
        }
        NetworkError::Setting { key, .. } if is_preprocessing(key) => {
            "to prepare pictures otherwise, give the weights alone: --model NAME --weights FILE with --size, --crop, ..."
        }
        NetworkError::UnfitOnnx { .. } => {
            "docs/bring-your-own-network.md says how to export one that can"
        }
        NetworkError::Mismatch(_) => "name the architecture that fits with --model",
        NetworkError::UnknownArchitecture { .. } => "`introspect models` lists them all",
        NetworkError::UnknownLayer { .. } => "`introspect layers` lists them all",
        NetworkError::NotSpatial { .. }
        | NetworkError::NoPath { .. }
        | NetworkError::NoDefaultLayer { .. }
        | NetworkError::ChannelsLast { .. } => {
            "choose a convolutional layer; `introspect layers` lists their shapes"
        }
        NetworkError::NotDifferentiable { .. } => {
            "choose a later --layer: only what lies between it and the logits needs a gradient"
        }
        NetworkError::RuntimeNotBuilt => {
            "build one that can: cargo install --path crates/cli --features onnxruntime; or leave --runtime away"
        }
        NetworkError::RuntimeNotFound { .. } => {
            "`pip install onnxruntime` into the active environment or that of the python3 on the path, or name the library with ORT_DYLIB_PATH"
        }
        NetworkError::RuntimeUnusable { .. } => {
            "`pip install --upgrade onnxruntime`, or name another library with ORT_DYLIB_PATH; --runtime rten needs none"
        }
        NetworkError::Exists { .. } => "choose another --out, or add --force",
        NetworkError::Run { .. } => "a larger input may help: --size and --crop",
        _ => return None,
    })
}

/// What to do with a file that holds no weights; `found` is what the library calls it.
fn unknown_weights(found: &str) -> &'static str {
    let is = |word: &str| found.contains(word);
    if is("ONNX") {
        "give it with --model, under a name that ends in .onnx"
    } else if is("Git LFS") {
        "fetch the file itself: git lfs pull"
    } else if is("web page") || is("empty") {
        "download the file again, from its direct link"
    } else if is("TorchScript") || is("torch.export") {
        "save the weights of the Python model: torch.save(model.state_dict(), \"model.pth\")"
    } else if is("compressed") || is("tar") || is("7z") {
        "unpack it first"
    } else {
        "from PyTorch: torch.save(model.state_dict(), \"model.pth\")"
    }
}

fn checkpoint(error: &CheckpointError) -> &'static str {
    match error {
        CheckpointError::SeveralStateDicts { .. } => {
            "save the one you mean by itself: torch.save(checkpoint[\"...\"], \"model.pth\")"
        }
        CheckpointError::NoStateDict { .. } => {
            "save the weights: torch.save(model.state_dict(), \"model.pth\")"
        }
        CheckpointError::Archive(_)
        | CheckpointError::Legacy(_)
        | CheckpointError::Pickle { .. } => {
            "the file is probably cut short or damaged: fetch it again"
        }
        _ => {
            "load it in PyTorch and save the weights anew: torch.save(model.state_dict(), \"model.pth\")"
        }
    }
}

/// A key of a configuration that says what a network computes.
fn is_structure(key: &str) -> bool {
    key.starts_with("model_args.")
        || [
            "global_pool",
            "hidden_sizes",
            "embedding_size",
            "hidden_act",
            "downsample_in_first_stage",
            "downsample_in_bottleneck",
            "depths",
        ]
        .contains(&key)
}

/// A key of a configuration or of metadata that is about preparing pictures.
fn is_preprocessing(key: &str) -> bool {
    let last = key.rsplit('.').next().unwrap_or(key);
    [
        "crop_mode",
        "crop_pct",
        "crop_size",
        "do_center_crop",
        "do_resize",
        "image_processor_type",
        "feature_extractor_type",
        "input_size",
        "interpolation",
        "resample",
        "size",
    ]
    .contains(&last)
}

fn class(error: &ClassError) -> Option<&'static str> {
    Some(match error {
        ClassError::Unknown { .. } => {
            "give an index or a name; --classes FILE names a network's classes"
        }
        ClassError::Count { .. } => "give the names of this network's classes with --classes FILE",
        _ => return None,
    })
}
