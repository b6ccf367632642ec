//! Checksum lists as lists of files: each name becomes a URL below the base.

use super::item::{ListItem, bad};
use crate::base::url::encode_segment;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::manifest::checksums::shown;
use crate::manifest::line::{Kind, Line};

/// The folder that names are relative to.
#[derive(Debug, Clone)]
pub(super) struct Base {
    /// Up to the slash in front of the name.
    before: String,
    /// The query.
    behind: String,
}

impl Base {
    /// A URL without a slash at its end names a folder all the same; a fragment has no meaning.
    pub(super) fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        Url::parse(text).map_err(|error| error.within("the base URL"))?;
        let text = text.split('#').next().unwrap_or_default();
        let (path, query) = text.split_at(text.find('?').unwrap_or(text.len()));
        let slash = if path.ends_with('/') { "" } else { "/" };
        Ok(Self { before: format!("{path}{slash}"), behind: query.to_owned() })
    }

    /// The URL of a file that has this name, folders included.
    fn url_of(&self, name: &str) -> String {
        let segments: Vec<String> = name.split('/').map(encode_segment).collect();
        format!("{}{}{}", self.before, segments.join("/"), self.behind)
    }
}

/// The item of a line.
pub(super) fn item(number: u64, text: &str, base: &Base, hint: Option<&str>) -> Result<ListItem> {
    let line = Line::parse(text, hint).ok_or_else(|| bad("the line has no checksum"))?;
    let name = line.name.ok_or_else(|| bad("the checksum names no file"))?;
    let algorithm = match line.kind {
        Kind::Known(algorithm) => algorithm,
        Kind::Foreign(kind) => {
            let kind = shown(&kind);
            return Err(bad(format!("checksums of the kind {kind} are not supported")));
        }
    };
    let out = relative(&name)?;
    let url = base.url_of(&out);
    let mut item = ListItem::new(number, std::iter::once(url.as_str()))?;
    item.add_digest(algorithm, &line.digits)?;
    item.out = Some(out);
    Ok(item)
}

/// The error where names have no base.
pub(super) fn lacks_base() -> Error {
    let what = "a list of checksums names files without URLs";
    Error::new(ErrorKind::Usage, what).advise("give the URL of their folder with --base-url")
}

/// The name without `.` and doubled slashes; one that leaves the folder is refused, since as a URL
/// it would do so, too.
fn relative(name: &str) -> Result<String> {
    let leaves = name.starts_with('/') || name.split('/').any(|part| part == "..");
    if leaves {
        return Err(bad(format!("the name {} leaves the folder", shown(name))));
    }
    let parts = name.split('/').filter(|part| !matches!(*part, "" | "."));
    let name = parts.collect::<Vec<_>>().join("/");
    if name.is_empty() { Err(bad("the checksum names no file")) } else { Ok(name) }
}
