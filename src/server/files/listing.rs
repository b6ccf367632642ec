//! What a folder looks like in a browser: its entries as a page, in the order that was asked for.
//!
//! Owns the page and its escaping: names are bytes that anybody may have chosen. Must not know
//! sockets, requests, or how a folder is read.

use crate::base::calendar::date_and_time;
use crate::base::size::format_bytes;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use std::cmp::Ordering;
use std::time::{Duration, UNIX_EPOCH};

/// What stands in a path as it is (RFC 3986 2.3).
const OUTSIDE_PATHS: &AsciiSet =
    &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Of the page: nothing is loaded, nothing runs.
pub(in crate::server) const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'";

/// One file or folder of a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::server) struct Entry {
    /// Without a slash.
    pub(in crate::server) name: Vec<u8>,
    pub(in crate::server) is_folder: bool,
    pub(in crate::server) size_bytes: u64,
    /// Seconds since the start of 1970.
    pub(in crate::server) modified_seconds: u64,
}

/// The entries of a folder.
#[derive(Debug, Default)]
pub(in crate::server) struct Listing {
    pub(in crate::server) entries: Vec<Entry>,
    /// There are more, which are not listed.
    pub(in crate::server) is_cut: bool,
}

/// By what the entries are sorted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Column {
    Name,
    Modified,
    Size,
}

/// The order of entries, in the words that servers have for it: `C=N;O=A`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Order {
    column: Column,
    is_descending: bool,
}

impl Order {
    /// The order that a query asks for; by name, where it asks for none.
    fn of(query: &str) -> Self {
        let words: Vec<&str> = query.split([';', '&']).collect();
        let column = match words.iter().find_map(|word| word.strip_prefix("C=")) {
            Some("M") => Column::Modified,
            Some("S") => Column::Size,
            _ => Column::Name,
        };
        Self { column, is_descending: words.contains(&"O=D") }
    }

    fn compare(self, one: &Entry, other: &Entry) -> Ordering {
        let by_column = match self.column {
            Column::Name => Ordering::Equal,
            Column::Modified => one.modified_seconds.cmp(&other.modified_seconds),
            Column::Size => one.size_bytes.cmp(&other.size_bytes),
        };
        let order = by_column.then_with(|| one.name.cmp(&other.name));
        let order = if self.is_descending { order.reverse() } else { order };
        // Folders come first in every order.
        other.is_folder.cmp(&one.is_folder).then(order)
    }

    /// The link of a column's head: the other way round where the page is sorted by it already.
    fn link(self, column: Column) -> String {
        let letter = match column {
            Column::Name => 'N',
            Column::Modified => 'M',
            Column::Size => 'S',
        };
        let is_turned = self.column == column && !self.is_descending;
        format!("?C={letter};O={}", if is_turned { 'D' } else { 'A' })
    }
}

impl Listing {
    /// The page of the folder at `path`, whose bytes are decoded, in the order of `query`.
    pub(in crate::server) fn page(mut self, path: &[u8], query: &str) -> String {
        let order = Order::of(query);
        self.entries.sort_by(|one, other| order.compare(one, other));
        let title = format!("Index of {}", shown(path));
        let mut page = format!("{HEAD}<title>{title}</title>\n<h1>{title}</h1>\n<table>\n<tr>");
        for (column, name) in
            [(Column::Name, "Name"), (Column::Modified, "Modified"), (Column::Size, "Size")]
        {
            let link = order.link(column);
            page += &format!("<th><a href=\"{link}\" rel=\"nofollow\">{name}</a></th>");
        }
        page += "</tr>\n";
        if path.iter().any(|byte| *byte != b'/') {
            page += "<tr><td><a href=\"../\">../</a></td><td></td><td></td></tr>\n";
        }
        self.entries.iter().for_each(|entry| page += &row(entry));
        page += "</table>\n";
        if self.is_cut {
            let count = self.entries.len();
            page += &format!("<p>There are more than these {count}.</p>\n");
        }
        page
    }
}

fn row(entry: &Entry) -> String {
    let slash = if entry.is_folder { "/" } else { "" };
    let link = percent_encode(&entry.name, OUTSIDE_PATHS);
    let name = shown(&entry.name);
    let modified = date_and_time(UNIX_EPOCH + Duration::from_secs(entry.modified_seconds));
    let size = if entry.is_folder { String::new() } else { format_bytes(entry.size_bytes) };
    format!(
        "<tr><td><a href=\"{link}{slash}\">{name}{slash}</a></td>\
         <td>{modified}</td><td>{size}</td></tr>\n"
    )
}

/// Bytes as text of the page: no markup, no control characters.
fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for c in String::from_utf8_lossy(bytes).chars() {
        match c {
            '&' => text += "&amp;",
            '<' => text += "&lt;",
            '>' => text += "&gt;",
            '"' => text += "&quot;",
            '\'' => text += "&#39;",
            c if c.is_control() => text.push(char::REPLACEMENT_CHARACTER),
            c => text.push(c),
        }
    }
    text
}

const HEAD: &str = "<!DOCTYPE html>\n<meta charset=\"utf-8\">\n\
<meta name=\"viewport\" content=\"width=device-width\">\n\
<style>body{font-family:sans-serif;margin:2em}td,th{padding:.1em 1.5em .1em 0;text-align:left;\
white-space:nowrap}td:last-child,th:last-child{text-align:right}</style>\n";

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(name: &[u8], is_folder: bool, size_bytes: u64, modified_seconds: u64) -> Entry {
        Entry { name: name.to_vec(), is_folder, size_bytes, modified_seconds }
    }

    fn page(query: &str) -> String {
        let entries = vec![
            entry(b"b", false, 10, 3_600),
            entry(b"a", false, 3_000_000, 7_200),
            entry(b"z", true, 4096, 0),
            entry(b"c", false, 5, 60),
        ];
        Listing { entries, is_cut: false }.page(b"/x/", query)
    }

    fn names(page: &str) -> String {
        let links = page.split("<td><a href=\"").skip(1);
        links
            .filter_map(|link| link.split(['"', '/']).next())
            .filter(|name| *name != "..")
            .collect()
    }

    #[test]
    fn entries_come_in_the_order_asked_for_and_folders_first() {
        for (query, expected) in [
            ("", "zabc"),
            ("C=N;O=A", "zabc"),
            ("C=N;O=D", "zcba"),
            ("C=M;O=A", "zcba"),
            ("C=M&O=D", "zabc"),
            ("C=S;O=A", "zcba"),
            ("C=S;O=D", "zabc"),
            ("C=<script>;O=", "zabc"),
        ] {
            assert_eq!(names(&page(query)), expected, "{query}");
        }
    }

    #[test]
    fn a_column_that_is_sorted_by_turns_round() {
        let page = page("C=S;O=A");
        for link in ["\"?C=S;O=D\"", "\"?C=N;O=A\"", "\"?C=M;O=A\""] {
            assert!(page.contains(link), "{link}\n{page}");
        }
        assert!(page.contains("<td>1970-01-01 02:00 UTC</td><td>2.86 MiB</td>"), "{page}");
    }

    #[test]
    fn names_are_no_markup_and_no_addresses_of_others() {
        let names: [&[u8]; 6] = [
            b"<script>alert(1)</script>",
            b"\" onclick=\"x",
            b"javascript:x",
            b"a&amp;b 'c'?#%2e",
            b"\xff\n\x1b[31m",
            "\u{fc}".as_bytes(),
        ];
        let entries = names.iter().map(|name| entry(name, false, 1, 1)).collect();
        let page = Listing { entries, is_cut: true }.page(b"/<b>/", "");
        assert!(!page.contains("<script") && !page.contains("<b>"), "{page}");
        assert!(!page.contains("javascript:x\"") && !page.contains("\" onclick"), "{page}");
        assert!(page.contains("href=\"javascript%3Ax\""), "{page}");
        assert!(page.contains("href=\"a%26amp%3Bb%20%27c%27%3F%23%252e\""), "{page}");
        assert!(page.contains("href=\"%FF%0A%1B%5B31m\""), "{page}");
        assert!(page.contains("href=\"%C3%BC\">\u{fc}</a>"), "{page}");
        assert!(page.contains("There are more than these 6."), "{page}");
        assert!(!page.contains('\x1b'), "{page}");
    }

    #[test]
    fn the_top_has_nothing_above_it() {
        assert!(!Listing::default().page(b"/", "").contains("../"));
        assert!(Listing::default().page(b"/x/", "").contains("../"));
    }
}
