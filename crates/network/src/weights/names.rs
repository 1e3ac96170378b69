//! Tensor names as training scripts leave them, made torchvision's.

use std::collections::BTreeMap;

/// Tensors under their new names.
pub(crate) type Renamed<T> = BTreeMap<String, T>;

/// What wrappers put before every name: `DataParallel` and its like, Lightning modules and home-made
/// classes, `torch.compile`.
const PREFIXES: [&str; 5] = ["module.", "model.", "net.", "network.", "_orig_mod."];

/// Drops the batch counters of batch normalisation, strips the wrappers' prefixes that all names
/// share (as often as they do), and gives old DenseNet names their present form.
///
/// # Errors
/// The name that two tensors would have.
pub(crate) fn tidy<T>(
    tensors: impl IntoIterator<Item = (String, T)>,
) -> Result<Renamed<T>, String> {
    let mut tensors: BTreeMap<String, T> =
        tensors.into_iter().filter(|(name, _)| !name.ends_with("num_batches_tracked")).collect();
    let shared = |skip: usize| {
        PREFIXES.iter().find(|&&prefix| {
            let longer = |name: &String| name[skip..].len() > prefix.len();
            !tensors.is_empty()
                && tensors.keys().all(|name| name[skip..].starts_with(prefix) && longer(name))
        })
    };
    let mut skip = 0;
    while let Some(prefix) = shared(skip) {
        skip += prefix.len();
    }
    let mut renamed = BTreeMap::new();
    while let Some((name, tensor)) = tensors.pop_first() {
        let name = densenet(&name[skip..]);
        if renamed.contains_key(&name) {
            return Err(name);
        }
        renamed.insert(name, tensor);
    }
    Ok(renamed)
}

/// `features.denseblock1.denselayer1.norm.1.weight` is `...denselayer1.norm1.weight` since
/// torchvision 0.3; the same goes for `conv.2`.
fn densenet(name: &str) -> String {
    let parts: Vec<&str> = name.split('.').collect();
    let numbered_layer = |part: &str| {
        let number = part.strip_prefix("denselayer");
        number.is_some_and(|n| !n.is_empty() && n.bytes().all(|byte| byte.is_ascii_digit()))
    };
    match &parts[..] {
        [before @ .., layer, kind @ ("norm" | "conv"), number @ ("1" | "2"), last]
            if numbered_layer(layer) =>
        {
            let joined = format!("{kind}{number}");
            let mut parts = before.to_vec();
            parts.extend([*layer, &joined, last]);
            parts.join(".")
        }
        _ => name.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn names(before: &[&str]) -> Vec<String> {
        let tensors = before.iter().map(|name| ((*name).to_owned(), ()));
        tidy(tensors).unwrap().into_keys().collect()
    }

    #[test]
    fn prefixes_are_stripped_only_where_all_names_share_them() {
        assert_eq!(names(&["module.a.w", "module.b.w"]), ["a.w", "b.w"]);
        assert_eq!(names(&["module.a.w", "b.w"]), ["b.w", "module.a.w"]);
        assert_eq!(names(&["module._orig_mod.model.a", "module._orig_mod.model.b"]), ["a", "b"]);
        assert_eq!(names(&["module.module.a"]), ["a"]);
        // not even a prefix may leave an empty name
        assert_eq!(names(&["module."]), ["module."]);
        assert_eq!(names(&["features.0.weight", "features.1.weight"]).len(), 2);
        assert!(names(&[]).is_empty());
    }

    #[test]
    fn counters_do_not_count() {
        assert_eq!(names(&["module.a", "bn.num_batches_tracked"]), ["a"]);
    }

    #[test]
    fn old_densenet_names_are_renewed() {
        let block = "features.denseblock4.denselayer12";
        for (old, new) in [
            ("norm.1.weight", "norm1.weight"),
            ("norm.2.running_var", "norm2.running_var"),
            ("conv.1.weight", "conv1.weight"),
            ("conv.2.weight", "conv2.weight"),
            ("norm.3.weight", "norm.3.weight"),
            ("conv1.weight", "conv1.weight"),
        ] {
            assert_eq!(names(&[&format!("{block}.{old}")]), [format!("{block}.{new}")]);
        }
        assert_eq!(names(&["features.denselayerx.conv.1.w"]), ["features.denselayerx.conv.1.w"]);
    }

    #[test]
    fn two_tensors_of_one_name_are_an_error() {
        let both = ["a.denselayer1.norm1.bias", "a.denselayer1.norm.1.bias"];
        let error = tidy(both.map(|name| (name.to_owned(), ()))).unwrap_err();
        assert_eq!(error, both[0]);
    }
}
