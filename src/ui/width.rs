//! Columns that text takes on a terminal, and cutting it to them. Counts each character by itself,
//! which is never too few: terminals differ in whether they join what belongs together. Knows
//! neither colours nor what the text means; control characters must be gone.

use console::measure_text_width;

/// Stands for what was cut out.
const ELLIPSIS: char = '…';

/// Columns of `text`.
pub(super) fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// `text` in at most `columns_max` columns, cut in the middle: its end says what kind of file it
/// is.
pub(super) fn shorten(text: &str, columns_max: usize) -> String {
    if columns(text) <= columns_max {
        return text.to_owned();
    }
    if columns_max == 0 {
        return String::new();
    }
    let tail_max = columns_max / 3;
    let tail: Vec<char> = fitting(text.chars().rev(), tail_max).collect();
    let head = fitting(text.chars(), columns_max - tail_max - columns_of(ELLIPSIS));
    head.chain([ELLIPSIS]).chain(tail.into_iter().rev()).collect()
}

/// `text` and as many spaces as fill `columns_min` columns.
pub(super) fn pad(text: &str, columns_min: usize) -> String {
    let missing = columns_min.saturating_sub(columns(text));
    format!("{text}{}", " ".repeat(missing))
}

/// The first of `characters`, those that fit in `columns_max` columns.
fn fitting(
    characters: impl Iterator<Item = char>,
    columns_max: usize,
) -> impl Iterator<Item = char> {
    let mut taken = 0;
    characters.take_while(move |&c| {
        taken += columns_of(c);
        taken <= columns_max
    })
}

fn columns_of(c: char) -> usize {
    match c {
        ' '..='~' => 1,
        // Asks for the picture of the character before it, which may be a column wider.
        '\u{fe0f}' => 1,
        _ => measure_text_width(c.encode_utf8(&mut [0; 4])),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn wide_and_joined_characters_count_as_drawn_or_more() {
        for (text, width) in [("", 0), ("abc", 3), ("日本", 4), ("e\u{301}", 1), ("…━", 2)] {
            assert_eq!(columns(text), width, "{text}");
        }
        assert_eq!(columns("👩\u{200d}👧"), 4, "two people where they are not joined");
        assert_eq!(columns("❤\u{fe0f}"), 2);
    }

    #[test]
    fn names_keep_both_ends() {
        assert_eq!(shorten("short.iso", 20), "short.iso");
        let short = shorten("a-very-long-name-of-something.iso", 20);
        assert_eq!(short, "a-very-long-n…ng.iso");
        assert_eq!(shorten("日本語日本語日本語", 9), "日本…語");
        assert_eq!(shorten("abc", 2), "a…");
        assert_eq!((shorten("abc", 1), shorten("abc", 0)), ("…".into(), String::new()));
        assert_eq!(pad("日本", 6), "日本  ");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn never_wider_than_asked(text in "\\PC{0,40}", columns_max in 0usize..30) {
            let short = shorten(&text, columns_max);
            prop_assert!(columns(&short) <= columns_max, "{short:?}");
            prop_assert!(measure_text_width(&short) <= columns_max, "{short:?}");
        }
    }
}
