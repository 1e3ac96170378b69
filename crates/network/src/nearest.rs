//! "Did you mean": the names most like a mistyped one.

/// The `count` candidates most like `name`, best first.
///
/// A candidate that contains `name` comes first; then the fewer edits (Damerau-Levenshtein, relative
/// to the longer name, case ignored), then the longer common beginning. Ties keep the candidates'
/// order.
pub fn nearest<'a>(
    name: &str,
    candidates: impl IntoIterator<Item = &'a str>,
    count: usize,
) -> Vec<String> {
    let wanted = name.trim().to_lowercase();
    let mut scored: Vec<(f64, &str)> = candidates
        .into_iter()
        .map(|candidate| {
            let lower = candidate.to_lowercase();
            let holds = !wanted.is_empty() && lower.contains(&wanted);
            let common = wanted.chars().zip(lower.chars()).take_while(|(a, b)| a == b).count();
            let score = strsim::normalized_damerau_levenshtein(&wanted, &lower)
                + 0.001 * common as f64
                + f64::from(u8::from(holds));
            (score, candidate)
        })
        .collect();
    scored.sort_by(|a, b| b.0.total_cmp(&a.0));
    scored.dedup_by(|a, b| a.1 == b.1);
    scored.into_iter().take(count).map(|(_, name)| name.to_owned()).collect()
}

#[cfg(test)]
mod tests {
    use super::nearest;

    #[test]
    fn the_mistyped_name_comes_first() {
        let names = ["resnet18", "resnet50", "squeezenet1_1"];
        assert_eq!(nearest("restnet50", names, 1), ["resnet50"]);
        assert_eq!(nearest("squeezenet", names, 1), ["squeezenet1_1"]);
    }

    #[test]
    fn a_name_that_holds_the_words_beats_one_that_looks_alike() {
        let names = ["setter", "English setter", "settee"];
        assert_eq!(nearest("english set", names, 1), ["English setter"]);
    }
}
