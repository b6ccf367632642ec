//! Which config file is read, and its text. Must not know what stands in it.

use crate::base::limits::CONFIG_BYTES_MAX;
use crate::base::{Error, ErrorKind, Result};
use crate::cli::habits::Words;
use crate::cli::settings_folder::settings_folder;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Below the folder of the user's settings.
const DEFAULT_NAME: &str = "ringhaul/config.toml";
/// The name that means standard input.
const STANDARD_INPUT: &str = "-";
/// Anyone may write the file.
const MODE_OTHERS_WRITE: u32 = 0o002;
/// What a variable says to have a switch off.
const NO: [&str; 7] = ["", "0", "n", "no", "f", "false", "off"];

/// A config file as it was read.
#[derive(Debug)]
pub(super) struct Text {
    /// As messages call it.
    pub(super) name: String,
    pub(super) text: String,
}

/// Where a variable says what it says.
type Variables<'a> = &'a dyn Fn(&str) -> Option<OsString>;

/// The file that is named, or the usual one if it is there. `None`: there is none to be read.
pub(super) fn read(words: &Words, variable: Variables<'_>) -> Result<Option<Text>> {
    if words.has("no_config") {
        if words.has("config") {
            let what = "'--config' and '--no-config' cannot be used together";
            return Err(Error::new(ErrorKind::Usage, what));
        }
        return Ok(None);
    }
    if let Some(named) = words.value("config") {
        return read_named(Path::new(named)).map(Some);
    }
    let is_no = variable("RINGHAUL_NO_CONFIG").is_some_and(|value| {
        let value = value.to_string_lossy().to_ascii_lowercase();
        !NO.contains(&value.as_str())
    });
    if is_no {
        return Ok(None);
    }
    if let Some(named) = variable("RINGHAUL_CONFIG").filter(|name| !name.is_empty()) {
        return read_named(Path::new(&named)).map(Some);
    }
    let Some(folder) = settings_folder(variable) else { return Ok(None) };
    let path = folder.join(DEFAULT_NAME);
    match File::open(&path) {
        // Nothing is there, or it is in a home that this user may not enter.
        Err(_) if path.metadata().is_err() => Ok(None),
        Err(cause) => Err(unreadable(&path.display().to_string(), cause)),
        Ok(file) => read_file(file, &path).map(Some),
    }
}

fn read_named(path: &Path) -> Result<Text> {
    if path == Path::new(STANDARD_INPUT) {
        return text_of(io::stdin().lock(), "standard input".into());
    }
    let file = File::open(path).map_err(|cause| unreadable(&path.display().to_string(), cause))?;
    read_file(file, path)
}

/// What anyone may write is refused: it says which certificates are trusted, and where files go.
fn read_file(file: File, path: &Path) -> Result<Text> {
    let name = path.display().to_string();
    let meta = file.metadata().map_err(|cause| unreadable(&name, cause))?;
    if meta.is_file() && meta.permissions().mode() & MODE_OTHERS_WRITE != 0 {
        let what = format!("anyone may write the config file '{name}'");
        return Err(Error::new(ErrorKind::Usage, what).advise(format!("chmod o-w '{name}'")));
    }
    text_of(file, name)
}

fn text_of(source: impl Read, name: String) -> Result<Text> {
    let mut bytes = Vec::new();
    let read = source.take(CONFIG_BYTES_MAX + 1).read_to_end(&mut bytes);
    let read = read.map_err(|cause| unreadable(&name, cause))?;
    if read as u64 > CONFIG_BYTES_MAX {
        let what = format!("the config file '{name}' is larger than {CONFIG_BYTES_MAX} bytes");
        return Err(Error::new(ErrorKind::Usage, what).advise("check the name behind --config"));
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let valid = error.utf8_error().valid_up_to();
        let line = 1 + error.as_bytes()[..valid].iter().filter(|byte| **byte == b'\n').count();
        let what = format!("{name}:{line}: the config file is not UTF-8 text");
        Error::new(ErrorKind::Usage, what).advise("check the name behind --config")
    })?;
    Ok(Text { name, text })
}

fn unreadable(name: &str, cause: io::Error) -> Error {
    Error::new(ErrorKind::Usage, format!("cannot read the config file '{name}'"))
        .caused_by(cause)
        .advise("name another one with --config, or leave it out with --no-config")
}

/// For tests: the usual place below this folder.
#[cfg(test)]
pub(super) fn usual_below(folder: &Path) -> std::path::PathBuf {
    folder.join(DEFAULT_NAME)
}
