//! The local name of a file whose URL is all we know. Owns the rules that make a name chosen by a
//! stranger safe in our folder; knows no disk. Below it: the target of an item that may say more
//! (`target`), and which targets are taken (`Taken`).

mod taken;
mod target;

pub use taken::Taken;
pub use target::target;

use crate::base::Url;
use crate::base::limits::{FILE_NAME_BYTES_MAX, JOURNAL_SUFFIX, PART_SUFFIX};

/// Bytes a name may have: the journal beside it needs its suffix as well, the longest one there is,
/// and one byte more while it is being made.
const NAME_BYTES_MAX: usize = FILE_NAME_BYTES_MAX - JOURNAL_SUFFIX.len() - 1;

const _: () = assert!(PART_SUFFIX.len() <= JOURNAL_SUFFIX.len());

/// The name of a URL that has none: wget's choice, and what most such pages are.
const NAMELESS: &str = "index.html";

/// Bytes up to which the text behind the last dot counts as an extension worth keeping.
const EXTENSION_BYTES_MAX: usize = 16;

/// The file name for `url`: the last segment of its path, percent-decoded and made safe.
///
/// The result is one path component of 1 to 245 bytes. It is never `.` or `..`, has no slash, no
/// backslash, no control character and no character that reorders text; it does not begin with a
/// dot (no hidden file) or a dash (no option for the next command) and does not end in `.part` or
/// `.ringhaul`, where another transfer might be writing. A URL without a name gives `index.html`.
///
/// ```
/// use ringhaul::internal::base::Url;
/// use ringhaul::internal::batch::naming::file_name;
///
/// let url = Url::parse("https://example.com/pool/my%20disk.iso?token=1")?;
/// assert_eq!(file_name(&url), "my disk.iso");
/// # Ok::<(), ringhaul::Error>(())
/// ```
pub fn file_name(url: &Url) -> String {
    safe_name(&url.last_segment())
}

/// The same for a name that a server proposes; `None` if nothing of it is of use.
pub fn proposed_name(proposed: &str) -> Option<String> {
    let is_blank = |c: char| c.is_whitespace() || is_unsafe(c) || c == '.';
    (!proposed.chars().all(is_blank)).then(|| safe_name(proposed))
}

/// Whether the URL has a name for its file.
pub fn names_file(url: &Url) -> bool {
    !url.last_segment().trim().is_empty()
}

fn safe_name(proposed: &str) -> String {
    let clean: String =
        proposed.chars().map(|c| if is_unsafe(c) { '_' } else { c }).collect::<String>();
    let mut name = clean.trim().to_owned();
    if name.is_empty() {
        return NAMELESS.to_owned();
    }
    if name.starts_with(['.', '-']) {
        name.replace_range(..1, "_");
    }
    let mut name = shortened(&name);
    while let Some(dot) = suffix_in_making(&name) {
        name.replace_range(dot..=dot, "_");
    }
    name
}

/// Where the suffix begins with which `name` is that of a part file, or of a journal, which has one
/// character more while it is being made.
fn suffix_in_making(name: &str) -> Option<usize> {
    let journal = name.strip_suffix('~').filter(|bare| bare.ends_with(JOURNAL_SUFFIX));
    let bare = journal.unwrap_or(name);
    let suffixes = [PART_SUFFIX, JOURNAL_SUFFIX];
    suffixes.iter().find_map(|suffix| Some(bare.strip_suffix(suffix)?.len()))
}

/// Separators (the backslash for copies to other systems), control characters, and the marks with
/// which `gpj.exe` is made to look like `exe.jpg`.
fn is_unsafe(c: char) -> bool {
    let reorders = matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}'
        | '\u{2066}'..='\u{2069}');
    matches!(c, '/' | '\\') || c.is_control() || reorders
}

/// Cuts the stem, not the extension, and never inside a character.
fn shortened(name: &str) -> String {
    if name.len() <= NAME_BYTES_MAX {
        return name.to_owned();
    }
    let dot = name.rfind('.').filter(|dot| name.len() - dot <= EXTENSION_BYTES_MAX);
    let (stem, extension) = name.split_at(dot.unwrap_or(name.len()));
    let stem = stem[..stem.floor_char_boundary(NAME_BYTES_MAX - extension.len())].trim_end();
    format!("{stem}{extension}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn name_of(url: &str) -> String {
        file_name(&Url::parse(url).unwrap())
    }

    #[test]
    fn ordinary_names_stay() {
        for (url, name) in [
            ("http://h/a/debian-12.5.iso", "debian-12.5.iso"),
            ("http://h/a/x.tar.gz?sig=1#top", "x.tar.gz"),
            ("http://h/na%C3%AFve%20file.txt", "naïve file.txt"),
            ("http://h/100%25.txt", "100%.txt"),
            ("http://h/a.part.txt", "a.part.txt"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
    }

    #[test]
    fn nothing_to_take_a_name_from() {
        for url in ["http://h", "http://h/", "http://h/dir/", "http://h/%20", "http://h/a/.."] {
            assert_eq!(name_of(url), "index.html", "{url}");
        }
    }

    #[test]
    fn strangers_do_not_choose_the_folder() {
        for (url, name) in [
            ("http://h/..%2f..%2fetc%2fpasswd", "_._.._etc_passwd"),
            ("http://h/a%5c..%5cb", "a_.._b"),
            ("http://h/x%00y%0a%1b[31m", "x_y__[31m"),
            ("http://h/.bashrc", "_bashrc"),
            ("http://h/-rf", "_rf"),
            ("http://h/%20-rf", "_rf"),
            ("http://h/%E2%80%AEgpj.exe", "_gpj.exe"),
            ("http://h/film.mkv.part", "film.mkv_part"),
            ("http://h/.part", "_part"),
            ("http://h/film.mkv.ringhaul", "film.mkv_ringhaul"),
            ("http://h/film.mkv.ringhaul~", "film.mkv_ringhaul~"),
        ] {
            assert_eq!(name_of(url), name, "{url}");
        }
        assert_eq!(safe_name(".."), "_.");
        assert_eq!(safe_name("."), "_");
    }

    #[test]
    fn what_a_server_proposes_is_made_safe_or_refused() {
        let shell = "~/.ssh/authorized_keys";
        for (proposed, name) in [
            ("a b.iso", Some("a b.iso")),
            (".bashrc", Some("_bashrc")),
            ("-rf", Some("_rf")),
            (shell, Some("~_.ssh_authorized_keys")),
            ("x.part", Some("x_part")),
            ("", None),
            ("..", None),
            (" . ", None),
            ("\u{1b}\u{202e}", None),
        ] {
            assert_eq!(proposed_name(proposed).as_deref(), name, "{proposed:?}");
        }
        let named = |url: &str| names_file(&Url::parse(url).unwrap());
        assert!(named("http://h/a") && named("http://h/d/a?b"));
        assert!(!named("http://h") && !named("http://h/d/") && !named("http://h/%20?a"));
    }

    #[test]
    fn long_names_keep_their_extension_and_whole_characters() {
        let name = safe_name(&format!("{}.tar.gz", "é".repeat(200)));
        assert!(name.len() <= NAME_BYTES_MAX && name.ends_with(".gz"), "{name}");
        assert_eq!(safe_name(&"a".repeat(300)).len(), NAME_BYTES_MAX);
        let dots = safe_name(&format!("a.{}", "b".repeat(300)));
        assert_eq!(dots.len(), NAME_BYTES_MAX);
        let cut = safe_name(&format!("{}.part{}", "a".repeat(245), "b".repeat(20)));
        assert!(!cut.ends_with(PART_SUFFIX), "{cut}");
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn any_proposal_becomes_one_safe_component(
            proposed in "(\\PC|[./\\\\ \\x00-\\x20-]|\\.part|\\.ringhaul~?){0,300}") {
            let name = safe_name(&proposed);
            prop_assert!((1..=NAME_BYTES_MAX).contains(&name.len()), "{name:?}");
            prop_assert!(name != "." && name != "..");
            prop_assert!(!name.contains(['/', '\\', '\0']) && !name.chars().any(char::is_control));
            prop_assert!(!name.starts_with(['.', '-', ' ']) && suffix_in_making(&name).is_none());
            prop_assert_eq!(safe_name(&name), name, "a safe name stays as it is");
        }
    }
}
