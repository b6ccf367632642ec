//! Text from strangers, as it may be shown, and lists of numbers. Must not know who shows it.

/// Groups of neighbouring numbers that a list names, before it says how many more there are.
const RANGES_SHOWN_MAX: usize = 10;

/// Peers, URLs and file names bring characters that would move the cursor or reorder the line: each
/// of them becomes a question mark.
pub fn printable(text: &str) -> String {
    let reorders = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || reorders(c) { '?' } else { c }).collect()
}

/// Numbers that grow, as a person writes them: `2`, `2 and 5`, `1, 3 to 6 and 8`. Of many the first
/// ones, and how many more there are.
pub fn listed(numbers: &[u32]) -> String {
    let mut ranges: Vec<(u32, u32)> = Vec::new();
    for &number in numbers {
        match ranges.last_mut() {
            Some((_, last)) if last.checked_add(1) == Some(number) => *last = number,
            _ => ranges.push((number, number)),
        }
    }
    let shown = &ranges[..ranges.len().min(RANGES_SHOWN_MAX)];
    let mut words: Vec<String> = Vec::new();
    for &(first, last) in shown {
        match last - first {
            0 => words.push(first.to_string()),
            1 => words.extend([first, last].map(|number| number.to_string())),
            _ => words.push(format!("{first} to {last}")),
        }
    }
    let shown: usize = shown.iter().map(|(first, last)| (last - first) as usize + 1).sum();
    if shown < numbers.len() {
        words.push(format!("{} more", numbers.len() - shown));
    }
    match &words[..] {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_listed_as_a_person_writes_them() {
        let numbers = |text: &str| -> Vec<u32> {
            text.split(' ').filter_map(|number| number.parse().ok()).collect()
        };
        for (from, words) in [
            ("", ""),
            ("2", "2"),
            ("2 5", "2 and 5"),
            ("1 2", "1 and 2"),
            ("1 2 3", "1 to 3"),
            ("1 3 4 5 6 8", "1, 3 to 6 and 8"),
            ("1 2 5 4294967295", "1, 2, 5 and 4294967295"),
        ] {
            assert_eq!(listed(&numbers(from)), words);
        }
        let every_second: Vec<u32> = (0..100).map(|number| 2 * number).collect();
        assert_eq!(listed(&every_second), "0, 2, 4, 6, 8, 10, 12, 14, 16, 18 and 90 more");
    }
}
