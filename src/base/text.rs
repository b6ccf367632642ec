//! Text from strangers, as it may be shown. Must not know who shows it.

/// Peers, URLs and file names bring characters that would move the cursor or reorder the line: each
/// of them becomes a question mark.
pub fn printable(text: &str) -> String {
    let reorders = |c| matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().map(|c| if c.is_control() || reorders(c) { '?' } else { c }).collect()
}
