//! Which of some names is meant by one that is misspelt. Must not know what is named.

/// The most like `name`, if it is like it at all: of four characters at most one is wrong.
pub(super) fn nearest<'a>(name: &str, names: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let name: Vec<char> = name.chars().collect();
    let near = names.into_iter().filter_map(|text| {
        let other: Vec<char> = text.chars().collect();
        let chars_max = name.len().max(other.len());
        // What differs that much in length is not compared: a name may have any length.
        let is_near = |distance: &usize| distance * 4 <= chars_max;
        let distance = Some(name.len().abs_diff(other.len())).filter(is_near);
        let distance = distance.map(|_| distance_between(&name, &other)).filter(is_near)?;
        Some((distance, text))
    });
    near.min_by_key(|(distance, _)| *distance).map(|(_, text)| text)
}

/// Characters to be changed, added, left out, or exchanged with the next one.
fn distance_between(one: &[char], other: &[char]) -> usize {
    let mut before = Vec::new();
    let mut above: Vec<usize> = (0..=other.len()).collect();
    for i in 1..=one.len() {
        let mut row = vec![i];
        for j in 1..=other.len() {
            let changed = above[j - 1] + usize::from(one[i - 1] != other[j - 1]);
            let mut least = changed.min(above[j] + 1).min(row[j - 1] + 1);
            if i > 1 && j > 1 && one[i - 2..i] == [other[j - 1], other[j - 2]] {
                least = least.min(before[j - 2] + 1);
            }
            row.push(least);
        }
        before = std::mem::replace(&mut above, row);
    }
    above[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_name_finds_its_like_and_another_one_none() {
        let names = ["connections", "max-connections", "dir", "retries"];
        for (name, near) in [
            ("conections", Some("connections")),
            ("max_connections", Some("max-connections")),
            ("retires", Some("retries")),
            ("connections", Some("connections")),
            ("user", None),
            ("dri", None),
            ("conenctions", Some("connections")),
            ("", None),
        ] {
            assert_eq!(nearest(name, names), near, "{name}");
        }
        assert_eq!(nearest(&"x".repeat(1_000_000), names), None);
    }
}
