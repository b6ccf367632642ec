//! URLs without a scheme, as people type them: they mean https. Looks whether a file has that name,
//! and nowhere else.

use crate::base::{Error, ErrorKind, Result, url};
use std::path::Path;

/// What a URL without a scheme is taken for.
const SCHEME: &str = "https://";

/// The URL with `https://` in front, if it has no scheme and begins like a host: `example.com/file`
/// or `localhost:8080`. `None`: it is taken as it stands.
///
/// # Errors
/// [`ErrorKind::Usage`] if it is the name of a file that is here: that is no URL.
pub(in crate::cli) fn with_scheme(place: &str) -> Result<Option<String>> {
    if !begins_like_a_host(place) {
        return Ok(None);
    }
    if Path::new(place).is_file() {
        let what = format!("'{}' is a file here, and no URL", url::without_secrets(place));
        return Err(Error::new(ErrorKind::Usage, what).advise("write -i in front of a list"));
    }
    Ok(Some(format!("{SCHEME}{place}")))
}

/// A name with a dot in it, or `localhost`, and perhaps a port, up to the first slash. A name with
/// an `@` may be a password's end.
fn begins_like_a_host(place: &str) -> bool {
    if place.contains("://") || place.contains('@') {
        return false;
    }
    let authority = place.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = authority.split_once(':').unwrap_or((authority, "0"));
    let is_port = !port.is_empty() && port.bytes().all(|byte| byte.is_ascii_digit());
    let is_of_host = |c: char| c.is_alphanumeric() || matches!(c, '.' | '-');
    let has_dot = host.trim_matches('.').contains('.') || host.eq_ignore_ascii_case("localhost");
    is_port && has_dot && !host.starts_with('.') && host.chars().all(is_of_host)
}
