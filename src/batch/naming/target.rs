//! Where a file goes below the folder of its batch: by the user's words (`out`, `dir`), or by the
//! name in its URL. Owns the rules that keep it below that folder as far as names can tell; links
//! on the disk are the business of whoever makes the folders. Must not touch the disk.

use super::{NAME_BYTES_MAX, file_name, suffix_in_making};
use crate::base::limits::{JOURNAL_SUFFIX, NAME_SHOWN_CHARS_MAX, PART_SUFFIX, TARGET_BYTES_MAX};
use crate::base::{Error, ErrorKind, Result, Url};
use std::path::PathBuf;

/// The path of a file below the folder of its batch.
///
/// It is `dir`, if given, and then `out`, or else the [`file_name`] of `url`. Both may have
/// folders. The result is relative and has neither `.` nor doubled slashes, so that equal paths are
/// written equally.
///
/// # Errors
/// [`ErrorKind::Usage`] names the part and the reason: `..` and absolute paths (a target never
/// leaves the folder, be it a folder of the user's own), nothing at all, control characters, names
/// under which part files and journals are written, and what is too long for a file system.
///
/// ```
/// use ringhaul::internal::base::Url;
/// use ringhaul::internal::batch::naming::target;
/// use std::path::Path;
///
/// let url = Url::parse("http://h/shards/00%201.bin")?;
/// assert_eq!(target(None, Some("model"), &url)?, Path::new("model/00 1.bin"));
/// assert_eq!(target(Some("a/b.bin"), Some("model/"), &url)?, Path::new("model/a/b.bin"));
/// assert!(target(Some("../b.bin"), None, &url).is_err());
/// # Ok::<(), ringhaul::Error>(())
/// ```
pub fn target(out: Option<&str>, dir: Option<&str>, url: &Url) -> Result<PathBuf> {
    let mut path = PathBuf::new();
    if let Some(dir) = dir {
        path.extend(parts("dir", dir)?);
    }
    match out {
        Some(out) if out.ends_with('/') => {
            return Err(refused("out", out, "ends in a slash").advise("name a folder with dir"));
        }
        Some(out) => path.extend(parts("out", out)?),
        None => path.push(file_name(url)),
    }
    if path.as_os_str().len() > TARGET_BYTES_MAX {
        let what = format!("the target is longer than {TARGET_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::Usage, what).advise("use shorter names"));
    }
    Ok(path)
}

/// The parts of what `key` says: one at least, except for a `dir` that is the folder itself.
fn parts<'a>(key: &str, value: &'a str) -> Result<Vec<&'a str>> {
    if value.starts_with('/') {
        let error = refused(key, value, "is absolute");
        return Err(error.advise("write it relative to the folder given with -d"));
    }
    let named = value.split('/').filter(|part| !matches!(*part, "" | "."));
    let parts: Vec<&str> = named.collect();
    if value.is_empty() || (parts.is_empty() && key == "out") {
        return Err(refused(key, value, "names nothing"));
    }
    for part in &parts {
        if let Some(reason) = unusable(part) {
            return Err(refused(key, value, &reason));
        }
    }
    Ok(parts)
}

/// Why a folder or a file cannot have this name.
fn unusable(part: &str) -> Option<String> {
    if part == ".." {
        return Some("leaves the folder ('..')".to_owned());
    }
    if part.chars().any(char::is_control) {
        return Some("has a control character".to_owned());
    }
    if suffix_in_making(part).is_some() {
        return Some(format!(
            "ends in {PART_SUFFIX} or {JOURNAL_SUFFIX}, as files in the making do"
        ));
    }
    (part.len() > NAME_BYTES_MAX)
        .then(|| format!("has a part of {} bytes, more than {NAME_BYTES_MAX}", part.len()))
}

fn refused(key: &str, value: &str, reason: &str) -> Error {
    let mut shown: String = value.chars().take(NAME_SHOWN_CHARS_MAX).collect();
    if shown.len() < value.len() {
        shown.push('…');
    }
    Error::new(ErrorKind::Usage, format!("{key} '{shown}' {reason}")).advise("choose another name")
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    fn of(out: Option<&str>, dir: Option<&str>) -> Result<PathBuf> {
        target(out, dir, &Url::parse("http://h/a/f%20x.bin?t").unwrap())
    }

    #[test]
    fn a_target_is_dir_and_out_or_the_name_in_the_url() {
        for (out, dir, path) in [
            (None, None, "f x.bin"),
            (None, Some("d/e/"), "d/e/f x.bin"),
            (None, Some("."), "f x.bin"),
            (Some("./b//c"), None, "b/c"),
            (Some("b/./c"), Some("./d"), "d/b/c"),
            (Some(".hidden"), Some("-d"), "-d/.hidden"),
            (Some("a..b/...c"), None, "a..b/...c"),
            (Some("x.partial"), Some("a.parts"), "a.parts/x.partial"),
        ] {
            let found = of(out, dir).unwrap();
            assert_eq!(found.as_os_str(), path, "{out:?} {dir:?}: written without detours");
        }
    }

    #[test]
    fn what_leaves_the_folder_or_cannot_be_a_name_says_why() {
        let long = format!("a/{}", "x".repeat(NAME_BYTES_MAX + 1));
        for (value, reason) in [
            ("../x", "leaves the folder"),
            ("a/../../x", "leaves the folder"),
            ("a/..", "leaves the folder"),
            ("/etc/x", "is absolute"),
            ("//x", "is absolute"),
            ("", "names nothing"),
            ("a\0b", "control character"),
            ("a\nb/c", "control character"),
            ("\u{9b}31m", "control character"),
            ("x.part", "ends in .part or .ringhaul"),
            ("a/x.ringhaul", "ends in .part or .ringhaul"),
            ("x.ringhaul~/a", "ends in .part or .ringhaul"),
            (&long, "has a part of 246 bytes, more than 245"),
        ] {
            for error in [of(Some(value), None), of(None, Some(value))].map(Result::unwrap_err) {
                assert_eq!(error.kind(), ErrorKind::Usage);
                assert!(error.to_string().contains(reason), "{error}");
                assert!(error.to_string().len() < 300, "{error}");
            }
        }
        for out in ["a/", ".", "./", "./."] {
            assert!(of(Some(out), None).is_err(), "{out}");
        }
        let deep = "a/".repeat(TARGET_BYTES_MAX / 2);
        assert!(of(None, Some(&deep)).unwrap_err().to_string().contains("longer than"));
        assert!(of(None, Some(&"a/".repeat(1000))).is_ok());
    }

    #[test]
    fn the_longest_name_leaves_room_for_its_journal() {
        let name = "x".repeat(NAME_BYTES_MAX);
        let path = of(Some(&name), None).unwrap();
        assert!(path.as_os_str().len() + JOURNAL_SUFFIX.len() < 255);
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_target_leaves_the_folder(
            out in proptest::option::of("(\\.\\.?|[a-z]|/|\\PC|\\.part|[\\x00-\\x20~]){0,12}"),
            dir in proptest::option::of("(\\.\\.?|[a-z]|/|\\PC){0,12}"),
        ) {
            let Ok(path) = of(out.as_deref(), dir.as_deref()) else { return Ok(()) };
            prop_assert!(path.components().all(|part| matches!(part, Component::Normal(_))));
            let bytes = path.as_os_str().as_encoded_bytes();
            prop_assert!(path != Path::new("") && !bytes.contains(&0));
            let again = of(path.to_str(), None).unwrap();
            prop_assert_eq!(again, path, "a target stays as it is");
        }
    }
}
