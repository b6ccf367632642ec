//! What one `Set-Cookie` field says (RFC 6265bis section 5.6). Must not know who may say it.

use super::date::cookie_date;
use crate::base::limits::{COOKIE_ATTRIBUTE_BYTES_MAX, COOKIE_BYTES_MAX, COOKIE_SECONDS_MAX};
use crate::http::head::trim_ows;

/// One field, as it was sent.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct SetCookie {
    pub(super) name: String,
    pub(super) value: String,
    /// In lower case, without a dot in front.
    pub(super) domain: Option<String>,
    pub(super) path: Option<String>,
    pub(super) secure: bool,
    pub(super) http_only: bool,
    /// In seconds since 1970; 0 for what is to be removed.
    pub(super) expires: Option<u64>,
}

impl SetCookie {
    /// `None` for what sets nothing.
    pub(super) fn parse(field: &str, now: u64) -> Option<Self> {
        if field.bytes().any(|byte| byte.is_ascii_control() && byte != b'\t') {
            return None;
        }
        let (pair, attributes) = field.split_once(';').unwrap_or((field, ""));
        let (name, value) = pair.split_once('=').unwrap_or(("", pair));
        let (name, value) = (trim_ows(name), trim_ows(value));
        let bytes = name.len() + value.len();
        if bytes == 0 || bytes > COOKIE_BYTES_MAX {
            return None;
        }
        let mut set = Self { name: name.to_owned(), value: value.to_owned(), ..Self::default() };
        let (mut max_age, mut date) = (None, None);
        for attribute in attributes.split(';') {
            let (name, value) = attribute.split_once('=').unwrap_or((attribute, ""));
            let (name, value) = (trim_ows(name), trim_ows(value));
            if value.len() > COOKIE_ATTRIBUTE_BYTES_MAX {
                continue;
            }
            match name.to_ascii_lowercase().as_str() {
                "expires" => date = cookie_date(value).or(date),
                "max-age" => max_age = seconds(value).or(max_age),
                "domain" => {
                    let domain = value.strip_prefix('.').unwrap_or(value);
                    set.domain = Some(domain.to_ascii_lowercase());
                }
                "path" => set.path = Some(value.to_owned()),
                "secure" => set.secure = true,
                "httponly" => set.http_only = true,
                _ => {}
            }
        }
        let end = |age: u64| if age == 0 { 0 } else { now.saturating_add(age) };
        let latest = now.saturating_add(COOKIE_SECONDS_MAX);
        set.expires = max_age.map(end).or(date).map(|end| end.min(latest));
        Some(set)
    }
}

/// The value of Max-Age; 0 for none and less.
fn seconds(text: &str) -> Option<u64> {
    let (sign, digits) = match text.strip_prefix('-') {
        Some(digits) => (true, digits),
        None => (false, text),
    };
    if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // Too many digits are many seconds.
    Some(if sign { 0 } else { digits.parse().unwrap_or(u64::MAX) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_000_000;

    fn set(field: &str) -> SetCookie {
        SetCookie::parse(field, NOW).unwrap()
    }

    #[test]
    fn parts_of_a_field() {
        let all =
            set(" a =\t\"b = c\" ; DOMAIN=.Example.COM; path=/x; Secure; httponly; Max-Age=5; \
             Expires=Wed, 09 Jun 2021 10:18:14 GMT; SameSite=Lax; x");
        let expected = SetCookie {
            name: "a".into(),
            value: "\"b = c\"".into(),
            domain: Some("example.com".into()),
            path: Some("/x".into()),
            secure: true,
            http_only: true,
            expires: Some(NOW + 5),
        };
        assert_eq!(all, expected);
        assert_eq!((set("a=").name, set("alone").value), ("a".into(), "alone".into()));
        assert_eq!(set("a=b; path=/x; path=").path, Some(String::new()), "the last one counts");
    }

    #[test]
    fn what_sets_nothing() {
        for field in ["", "=", ";", " = ; Path=/", "a=b\0", "a=b\r\nc: d", "a\x7f=b"] {
            assert_eq!(SetCookie::parse(field, NOW), None, "{field:?}");
        }
        let long = format!("a={}", "x".repeat(COOKIE_BYTES_MAX));
        assert_eq!(SetCookie::parse(&long, NOW), None);
        assert!(SetCookie::parse(&long[..long.len() - 1], NOW).is_some());
    }

    #[test]
    fn when_it_ends() {
        for (attributes, expires) in [
            ("", None),
            ("; Max-Age=0", Some(0)),
            ("; Max-Age=-5", Some(0)),
            ("; Max-Age=1", Some(NOW + 1)),
            ("; Max-Age=soon", None),
            ("; Max-Age=", None),
            ("; Max-Age=+5", None),
            ("; Max-Age=99999999999999999999999", Some(NOW + COOKIE_SECONDS_MAX)),
            ("; Expires=Thu, 01 Jan 1970 00:00:10 GMT", Some(10)),
            ("; Expires=yesterday", None),
            ("; Max-Age=7; Expires=Thu, 01 Jan 1970 00:00:10 GMT", Some(NOW + 7)),
            ("; Expires=Fri, 31 Dec 9999 23:59:59 GMT", Some(NOW + COOKIE_SECONDS_MAX)),
        ] {
            assert_eq!(set(&format!("a=b{attributes}")).expires, expires, "{attributes}");
        }
        let long = format!("a=b; path=/{}", "x".repeat(COOKIE_ATTRIBUTE_BYTES_MAX));
        assert_eq!(set(&long).path, None, "an attribute that is too long is none");
    }
}
