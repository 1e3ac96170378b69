//! Text and numbers as HTML, which here is well-formed XML, too.

/// `text` for a place between tags or inside a quoted attribute.
///
/// Control characters, which neither HTML nor XML may hold, become the replacement character, and so do those that turn
/// the direction of writing, by which a name could make the words beside it read otherwise.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            '\n' | '\t' => escaped.push(character),
            '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}' => escaped.push('\u{fffd}'),
            '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            control if control.is_control() => escaped.push('\u{fffd}'),
            other => escaped.push(other),
        }
    }
    escaped
}

/// A name, which may be broken behind `+`, `-`, `_`, `/` and `.`, and before `@`, in a box that stays narrow.
pub(super) fn name(name: &str) -> String {
    let mut broken = String::new();
    for part in name.split_inclusive(['+', '-', '_', '/', '.']) {
        broken += &escape(part).replace('@', "<wbr/>@");
        broken += "<wbr/>";
    }
    format!("<span class=\"name\">{}</span>", broken.trim_end_matches("<wbr/>"))
}

/// A number with so many decimals, with a real minus sign; a dash if it is not finite.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let digits = format!("{:.decimals$}", value.abs());
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if value < 0.0 && !is_zero { format!("−{digits}") } else { digits }
}

/// A difference: as [`number`], with a plus sign where it is positive.
pub(super) fn difference(value: f64, decimals: usize) -> String {
    let digits = number(value, decimals);
    let is_zero = digits.chars().all(|digit| matches!(digit, '0' | '.'));
    if value.is_finite() && value > 0.0 && !is_zero { format!("+{digits}") } else { digits }
}

/// A count with commas between its thousands.
pub(super) fn count(value: usize) -> String {
    let digits = value.to_string();
    let mut grouped = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// `1 method`, `2 methods`.
pub(super) fn several(number: usize, what: &str) -> String {
    format!("{} {what}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signs_and_zeros() {
        assert_eq!(number(-0.01234, 3), "−0.012");
        assert_eq!(number(-0.0001, 3), "0.000");
        assert_eq!(number(f64::NAN, 3), "–");
        assert_eq!(difference(0.5, 1), "+0.5");
        assert_eq!(difference(0.01, 1), "0.0");
        assert_eq!(difference(f64::INFINITY, 1), "–");
        assert_eq!(difference(-2.0, 0), "−2");
    }

    #[test]
    fn counts_are_grouped() {
        let counts = [0, 12, 999, 1000, 50_000, 1_234_567].map(count);
        assert_eq!(counts, ["0", "12", "999", "1,000", "50,000", "1,234,567"]);
    }

    #[test]
    fn nothing_that_could_end_a_tag_or_turn_the_text_is_left() {
        assert_eq!(
            escape("<b a=\"1\" c='2'>&\0\u{202e}é\n"),
            "&lt;b a=&quot;1&quot; c=&#39;2&#39;&gt;&amp;\u{fffd}\u{fffd}é\n"
        );
    }
}
