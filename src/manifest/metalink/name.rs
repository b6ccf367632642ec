//! What a Metalink may call a file: a relative path that stays below the folder it is put in.
//!
//! Must not know how the names of a batch are chosen, which has rules of its own.

use crate::base::limits::TARGET_BYTES_MAX;

/// The name without `.` and doubled slashes, so that equal paths are written equally; the error
/// says why there is none (RFC 5854 section 4.1.2.1).
pub(super) fn safe(name: &str) -> Result<String, &'static str> {
    if name.trim().is_empty() {
        return Err("is empty");
    }
    if name.len() > TARGET_BYTES_MAX {
        return Err("is too long");
    }
    if name.chars().any(char::is_control) {
        return Err("has a control character");
    }
    if name.contains('\\') {
        return Err("has a backslash, which is a separator on other systems");
    }
    if name.starts_with('/') {
        return Err("is an absolute path");
    }
    let is_drive =
        |bytes: &[u8]| matches!(bytes, [letter, b':', ..] if letter.is_ascii_alphabetic());
    if is_drive(name.as_bytes()) {
        return Err("begins with a drive letter");
    }
    if name.ends_with('/') {
        return Err("names a folder");
    }
    let parts = || name.split('/');
    if parts().any(|part| part == "..") {
        return Err("leaves the folder ('..')");
    }
    let parts: Vec<&str> = parts().filter(|part| !matches!(*part, "" | ".")).collect();
    if parts.is_empty() || name.ends_with("/.") {
        return Err("names a folder");
    }
    Ok(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::path::{Component, Path};

    #[test]
    fn names_are_relative_paths_without_detours() {
        for (name, path) in [
            ("repomd.xml", "repomd.xml"),
            ("a/b//c.iso", "a/b/c.iso"),
            ("./a/./b", "a/b"),
            ("..a/b..", "..a/b.."),
            (" x ", " x "),
            ("\u{e4}:b", "\u{e4}:b"),
        ] {
            assert_eq!(safe(name).as_deref(), Ok(path), "{name}");
        }
    }

    #[test]
    fn what_leaves_the_folder_or_names_none_is_refused() {
        let long = "x".repeat(TARGET_BYTES_MAX + 1);
        for (name, reason) in [
            ("", "is empty"),
            (" \u{a0}", "is empty"),
            ("../x", "leaves the folder"),
            ("a/../x", "leaves the folder"),
            ("..", "leaves the folder"),
            ("/etc/passwd", "absolute"),
            ("//x", "absolute"),
            ("..\\x", "backslash"),
            ("a\\b", "backslash"),
            ("C:x", "drive letter"),
            ("a\0b", "control character"),
            ("a\nb", "control character"),
            ("a/", "names a folder"),
            (".", "names a folder"),
            ("a/.", "names a folder"),
            (&long, "too long"),
        ] {
            let error = safe(name).unwrap_err();
            assert!(error.contains(reason), "{name:?} {error}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn no_name_leaves_the_folder(name in "(\\.\\.?|[a-z]|/|\\\\|\\PC|[\\x00-\\x20~]){0,12}") {
            let Ok(path) = safe(&name) else { return Ok(()) };
            prop_assert!(Path::new(&path).components().all(|p| matches!(p, Component::Normal(_))));
            prop_assert!(!path.is_empty() && !path.contains('\0'));
            prop_assert_eq!(safe(&path), Ok(path.clone()), "a name stays as it is");
        }
    }
}
