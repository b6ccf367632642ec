//! What a server says of a file, as one line of JSON.
//!
//! | key | value |
//! |---|---|
//! | `url`, `final_url` | what was asked for, and where redirects led |
//! | `redirects` | a list of `status` and `url` |
//! | `status` | a number |
//! | `size` | bytes, or null |
//! | `ranges` | true or false |
//! | `etag`, `last_modified`, `content_type`, `server` | fields as sent, or null |
//! | `strong` | whether parts can be proved to be of one version |
//! | `name` | what Content-Disposition proposes, or null |
//! | `digests` | a list of `field` and `digest` (`sha256:HEX`) |
//! | `mirrors`, `description` | what Link names |
//! | `address`, `addresses`, `proxy` | who answered, of how many, and through whom |
//! | `protocol`, `tls`, `cipher` | `HTTP/1.1`, `TLS 1.3` or null, its cipher or null |
//! | `connect_seconds` | a number |
//!
//! One that failed has `url` and `error`, with `text` and `exit_code`. URLs have no secrets.

use super::Inspection;
use crate::base::{Error, Url};
use serde_json::{Value, json};

impl Inspection {
    /// The line, its end included.
    pub fn json_line(&self) -> String {
        let shown = |urls: &[Url]| urls.iter().map(ToString::to_string).collect::<Vec<_>>();
        let redirects = self.redirects.iter();
        let redirects = redirects.map(|(status, url)| json!({"status": status, "url": text(url)}));
        let digests = self.digests.iter();
        let digests = digests.map(|(field, digest)| json!({"field": field, "digest": digest}));
        let (tls, cipher) = self.tls.clone().unzip();
        line(&json!({
            "url": text(&self.asked),
            "final_url": text(&self.url),
            "redirects": redirects.collect::<Vec<Value>>(),
            "status": self.status,
            "size": self.bytes,
            "ranges": self.has_ranges,
            "etag": self.etag,
            "last_modified": self.last_modified,
            "strong": self.is_strong,
            "content_type": self.content_type,
            "name": self.proposed_name,
            "digests": digests.collect::<Vec<Value>>(),
            "mirrors": shown(&self.mirrors),
            "description": self.description.as_ref().map(text),
            "server": self.server,
            "address": self.address,
            "addresses": self.addresses,
            "proxy": self.proxy,
            "protocol": self.protocol,
            "tls": tls,
            "cipher": cipher,
            "connect_seconds": self.connected_in.as_secs_f64(),
        }))
    }
}

/// The line of a URL that could not be asked.
pub fn failure_line(url: &Url, error: &Error) -> String {
    let error = json!({"text": error.to_string(), "exit_code": error.exit_code()});
    line(&json!({"url": text(url), "error": error}))
}

fn text(url: &Url) -> String {
    url.to_string()
}

fn line(value: &Value) -> String {
    format!("{value}\n")
}
