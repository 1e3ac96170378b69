//! Text broken into lines of a given width.

use crate::Typeface;

impl Typeface {
    /// Breaks `text` into at most `lines` lines of at most `width` pixels.
    ///
    /// Lines break at line ends and white space (not at no-break spaces); a word wider than a line breaks between its
    /// letters; of a line too narrow for one letter, one letter is put on it all the same. Text that does not fit ends
    /// with an ellipsis.
    pub fn wrap(&self, text: &str, size: f32, width: f32, lines: usize) -> Vec<String> {
        let mut broken = Vec::new();
        'text: for paragraph in text.lines() {
            let mut line = String::new();
            for word in paragraph.split(breakable).filter(|word| !word.is_empty()) {
                let joined =
                    if line.is_empty() { word.to_owned() } else { format!("{line} {word}") };
                if self.width(&joined, size) <= width {
                    line = joined;
                    continue;
                }
                if !line.is_empty() {
                    broken.push(std::mem::take(&mut line));
                }
                for letter in word.chars() {
                    line.push(letter);
                    if self.width(&line, size) > width && line.chars().nth(1).is_some() {
                        line.pop();
                        broken.push(std::mem::replace(&mut line, letter.to_string()));
                        if broken.len() > lines {
                            break 'text;
                        }
                    }
                }
                if broken.len() > lines {
                    break 'text;
                }
            }
            if !line.is_empty() {
                broken.push(line);
            }
        }
        if broken.len() > lines {
            broken.truncate(lines);
            if let Some(last) = broken.last_mut() {
                self.shorten(last, size, width);
            }
        }
        broken
    }

    /// Breaks `text` as [`Typeface::wrap`] does, into lines of about the same width, so that no word is left alone.
    pub fn wrap_evenly(&self, text: &str, size: f32, width: f32, lines: usize) -> Vec<String> {
        let broken = self.wrap(text, size, width, lines);
        // A text that was cut off, or has a word that must be broken, gains nothing from narrower lines.
        if broken.len() < 2 || broken.last().is_some_and(|line| line.ends_with('…')) {
            return broken;
        }
        let words = text.split(breakable).map(|word| self.width(word, size));
        let widest_word = words.fold(0.0, f32::max);
        if widest_word > width {
            return broken;
        }
        let (mut too_narrow, mut enough) = (widest_word - 1.0, width);
        let mut best = broken;
        while enough - too_narrow > 1.0 {
            let middle = 0.5 * (too_narrow + enough);
            let narrower = self.wrap(text, size, middle.max(widest_word), lines + 1);
            if narrower.len() > best.len() {
                too_narrow = middle;
            } else {
                enough = middle;
                best = narrower;
            }
        }
        best
    }

    /// Cuts `line` until it fits with an ellipsis after it.
    fn shorten(&self, line: &mut String, size: f32, width: f32) {
        loop {
            let kept = line.trim_end_matches(|c: char| c.is_whitespace() || c == ',').len();
            line.truncate(kept);
            let shortened = format!("{line}…");
            if line.is_empty() || self.width(&shortened, size) <= width {
                *line = shortened;
                return;
            }
            line.pop();
        }
    }
}

fn breakable(letter: char) -> bool {
    letter.is_whitespace() && !matches!(letter, '\u{a0}' | '\u{202f}' | '\u{2007}')
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, missing_docs)]
    use proptest::prelude::*;

    use super::*;
    use crate::Weight;

    fn regular() -> Typeface {
        Typeface::embedded(Weight::Regular).unwrap()
    }

    #[test]
    fn a_long_text_ends_with_an_ellipsis() {
        let font = regular();
        let text =
            "great white shark, white shark, man-eater, man-eating shark, Carcharodon carcharias";
        let all = font.wrap(text, 20.0, 200.0, 99);
        assert_eq!(all.join(" "), text);
        let some = font.wrap(text, 20.0, 200.0, 2);
        assert_eq!(some.len(), 2);
        assert!(some[1].ends_with('…') && !some[1].ends_with(",…"), "{some:?}");
        assert_eq!(some[0], all[0]);
        assert!(font.wrap(text, 20.0, 200.0, 0).is_empty());
    }

    #[test]
    fn line_ends_are_kept_and_no_break_spaces_hold() {
        let font = regular();
        assert_eq!(font.wrap("one\ntwo three", 20.0, 500.0, 9), ["one", "two three"]);
        let narrow = font.width("in 83", 20.0);
        assert_eq!(font.wrap("in 83\u{a0}% of", 20.0, narrow, 9), ["in", "83\u{a0}%", "of"]);
    }

    #[test]
    fn even_lines_leave_no_word_alone() {
        let font = regular();
        let text = "Why astronaut, rather than class 1?";
        let width = font.width("Why astronaut, rather than class", 20.0) + 1.0;
        assert_eq!(font.wrap(text, 20.0, width, 5), ["Why astronaut, rather than class", "1?"]);
        assert_eq!(
            font.wrap_evenly(text, 20.0, width, 5),
            ["Why astronaut,", "rather than class 1?"]
        );
        assert_eq!(font.wrap_evenly("one line", 20.0, width, 5), ["one line"]);
        assert_eq!(font.wrap_evenly(text, 20.0, width, 1), font.wrap(text, 20.0, width, 1));
    }

    proptest! {
        #[test]
        fn wrapped_lines_fit_and_lose_nothing(text in "[a-zA-Zäß漢,\\- ]{0,80}", width in 30.0f32..300.0) {
            let font = regular();
            let lines = font.wrap(&text, 20.0, width, 1000);
            let even = font.wrap_evenly(&text, 20.0, width, 1000);
            prop_assert_eq!(even.len(), lines.len());
            prop_assert_eq!(even.concat().replace(' ', ""), lines.concat().replace(' ', ""));
            for line in lines.iter().chain(&even) {
                prop_assert!(font.width(line, 20.0) <= width, "{line:?} in {width}");
            }
            let letters = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(letters(&lines.concat()), letters(&text));
        }

        #[test]
        fn shortened_text_fits_whatever_it_is(text in ".{0,60}", width in 1.0f32..120.0, lines in 0usize..4) {
            let font = regular();
            let broken = font.wrap(&text, 20.0, width, lines);
            prop_assert!(broken.len() <= lines);
            for line in broken {
                prop_assert!(font.width(&line, 20.0) <= width.max(60.0), "{line:?} in {width}");
            }
        }
    }
}
