//! What pictures and manifests say in words: questions, notes, shares, file names.

use introspective_explain::{Answer, Evidence, Question};
use introspective_network::ClassNames;

/// The question in words.
pub(crate) fn title(classes: &ClassNames, answer: &Answer) -> String {
    let class = classes.short(answer.asked.class);
    match (answer.asked.question, answer.asked.contrast) {
        (Question::RatherThan, Some(other)) => {
            format!("Why {class}, rather than {}?", classes.short(other))
        }
        (Question::WhatIfNot, _) => format!("What if not {class}?"),
        (Question::Why | Question::RatherThan, _) => format!("Why {class}?"),
    }
}

/// What the picture cannot say for itself: min-max scaling makes every map equally bright.
pub(crate) fn note(empty: bool, evidence: Evidence) -> String {
    if empty && evidence.share > 0.0 {
        return "empty: the same evidence everywhere, so no place stands out".to_owned();
    }
    if empty {
        return "empty: nothing at this layer answers the question".to_owned();
    }
    let share = format!("{} of the map's mass", percent(evidence.share));
    if evidence.is_nearly_empty() {
        return format!("nearly empty: {share}");
    }
    format!("{} of the picture, {share}", percent(evidence.area))
}

/// Two digits: `3.1 %`, `83 %`; never a rounded 0 or 100 for what is not.
pub(crate) fn percent(fraction: f64) -> String {
    let value = 100.0 * fraction;
    if value > 0.0 && value < 0.05 {
        "<\u{a0}0.1\u{a0}%".to_owned()
    } else if value < 9.95 {
        format!("{value:.1}\u{a0}%")
    } else if (99.5..100.0).contains(&value) {
        ">\u{a0}99\u{a0}%".to_owned()
    } else {
        format!("{value:.0}\u{a0}%")
    }
}

/// Lower-case words joined by hyphens, at most 60 characters: fit for a file name anywhere.
pub(crate) fn slug(name: &str) -> String {
    let words: Vec<String> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect();
    words.join("-").chars().take(60).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentages_keep_two_digits_and_do_not_round_to_nothing() {
        let cases = [
            (0.0, "0.0\u{a0}%"),
            (0.0001, "<\u{a0}0.1\u{a0}%"),
            (0.031, "3.1\u{a0}%"),
            (0.0996, "10\u{a0}%"),
            (0.834, "83\u{a0}%"),
            (0.9999, ">\u{a0}99\u{a0}%"),
            (1.0, "100\u{a0}%"),
        ];
        for (fraction, text) in cases {
            assert_eq!(percent(fraction), text, "{fraction}");
        }
    }

    #[test]
    fn slugs_are_plain_file_names() {
        assert_eq!(slug("crane (134)"), "crane-134");
        assert_eq!(slug("Ä/B\\..C d"), "ä-b-c-d");
        assert_eq!(slug("../"), "");
        assert_eq!(slug(&"long name ".repeat(20)).len(), 59);
    }
}
