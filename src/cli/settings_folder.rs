//! Where the user's settings are. Must not know which.

use std::ffi::OsString;
use std::path::PathBuf;

/// The folder of the user's settings (XDG Base Directory Specification), if a variable names it.
pub(super) fn settings_folder(variable: &dyn Fn(&str) -> Option<OsString>) -> Option<PathBuf> {
    // The specification has relative ones passed over.
    let folder = |name| variable(name).map(PathBuf::from).filter(|path| path.is_absolute());
    folder("XDG_CONFIG_HOME").or_else(|| folder("HOME").map(|home| home.join(".config")))
}
