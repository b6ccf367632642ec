//! Cookies (RFC 6265, and draft-ietf-httpbis-rfc6265bis where browsers follow it): which ones an
//! answer sets, which ones are kept, and which ones a request carries.
//!
//! Owns the rules of domain, path, `Secure`, expiry and name prefixes, and the bounds that a flood
//! of cookies runs into. Must not know files of cookies, whom requests go to, or the clock: `now`
//! is the time in seconds since 1970.

mod date;
mod set_cookie;

use super::head::Head;
use crate::base::Url;
use crate::base::limits::{COOKIE_FIELD_BYTES_MAX, COOKIES_MAX, COOKIES_PER_DOMAIN_MAX};
use crate::base::url::Scheme;
use set_cookie::SetCookie;
use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

/// One cookie, as it is kept.
#[derive(Clone, PartialEq, Eq)]
pub struct Cookie {
    /// Its name; empty for one that is a value only.
    pub name: String,
    /// Its value.
    pub value: String,
    /// Host or domain in lower case, without a dot in front.
    pub domain: String,
    /// Indicates whether it goes to the host alone, and not to those below it.
    pub host_only: bool,
    /// Start of the paths that it goes to; begins with a slash.
    pub path: String,
    /// Indicates whether it goes over https only.
    pub secure: bool,
    /// Indicates whether scripts of a page must not see it, which nobody here does.
    pub http_only: bool,
    /// When it ends, in seconds since 1970; `None` at the end of the run.
    pub expires: Option<u64>,
}

impl fmt::Debug for Cookie {
    /// Name and place; the value may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Cookie({} of {}{})", self.name, self.domain, self.path)
    }
}

/// The cookies that are kept.
#[derive(Debug, Default)]
pub struct Cookies {
    /// By domain.
    kept: BTreeMap<String, Vec<Kept>>,
    count: usize,
    /// Number of the next cookie, in the order in which they were first set.
    next: u64,
}

#[derive(Debug)]
struct Kept {
    cookie: Cookie,
    number: u64,
}

/// What matters of the URL that is asked.
struct Place {
    host: String,
    path: String,
    is_secure: bool,
}

impl Cookies {
    /// Takes what the answer of `url` with this head sets, as far as it may; `true` if that changes
    /// anything.
    pub fn hear(&mut self, url: &Url, head: &Head, now: u64) -> bool {
        let mut place = None;
        let mut changes = false;
        for field in head.all("Set-Cookie") {
            let place = place.get_or_insert_with(|| Place::of(url));
            let cookie = SetCookie::parse(field, now).and_then(|set| place.admit(set));
            if let Some(cookie) = cookie.filter(|cookie| !self.is_guarded(place, cookie)) {
                changes |= self.insert(cookie, now);
            }
        }
        changes
    }

    /// Keeps a cookie in the place of the one that it replaces; one that has ended only removes
    /// that. `true` if anything has changed. Where there are too many of a domain, or of all, the
    /// oldest makes room.
    pub fn insert(&mut self, cookie: Cookie, now: u64) -> bool {
        let is_over = cookie.has_ended(now);
        if let Some(kept) = self.kept.get_mut(&cookie.domain)
            && let Some(index) = kept.iter().position(|kept| kept.cookie.is_replaced_by(&cookie))
        {
            if is_over {
                kept.remove(index);
                self.count -= 1;
                return true;
            }
            let changes = kept[index].cookie != cookie;
            kept[index].cookie = cookie;
            return changes;
        }
        if is_over {
            return false;
        }
        self.make_room(&cookie.domain, now);
        let number = self.next;
        (self.next, self.count) = (self.next + 1, self.count + 1);
        self.kept.entry(cookie.domain.clone()).or_default().push(Kept { cookie, number });
        true
    }

    /// Whether any cookie may ever go to this host.
    pub fn concern(&self, host: &str) -> bool {
        domains_of(host).any(|domain| self.kept.contains_key(domain))
    }

    /// What a request for `url` carries as `Cookie`, without those named in `taken`; `None` if that
    /// is nothing. Longer paths come first, then what was set earlier; what exceeds
    /// [`COOKIE_FIELD_BYTES_MAX`] stays out.
    pub fn field(&self, url: &Url, now: u64, taken: &[&str]) -> Option<String> {
        let place = Place::of(url);
        let mut found: Vec<&Kept> = domains_of(&place.host)
            .filter_map(|domain| self.kept.get(domain))
            .flatten()
            .filter(|kept| place.takes(&kept.cookie, now))
            .filter(|kept| !taken.contains(&kept.cookie.name.as_str()))
            .collect();
        found.sort_by_key(|kept| (usize::MAX - kept.cookie.path.len(), kept.number));
        let mut field = String::new();
        for Kept { cookie, .. } in found {
            let bytes = cookie.name.len() + cookie.value.len() + "; =".len();
            if field.len() + bytes > COOKIE_FIELD_BYTES_MAX {
                continue;
            }
            let gap = if field.is_empty() { "" } else { "; " };
            let sign = if cookie.name.is_empty() { "" } else { "=" };
            field.extend([gap, &cookie.name, sign, &cookie.value]);
        }
        (!field.is_empty()).then_some(field)
    }

    /// All that have not ended, by domain and in the order in which they were set.
    pub fn all(&self, now: u64) -> impl Iterator<Item = &Cookie> {
        let cookies = self.kept.values().flatten().map(|kept| &kept.cookie);
        cookies.filter(move |cookie| !cookie.has_ended(now))
    }

    /// How many are kept, those included that have ended and not been missed yet.
    pub fn count(&self) -> usize {
        self.count
    }

    /// Whether plain http would put `cookie` over one that was set for https ("Leave Secure Cookies
    /// Alone", RFC 6265bis section 5.7 step 16).
    fn is_guarded(&self, place: &Place, cookie: &Cookie) -> bool {
        let is_near = |other: &Cookie| {
            domain_matches(&other.domain, &cookie.domain)
                || domain_matches(&cookie.domain, &other.domain)
        };
        !place.is_secure
            && self.kept.values().flatten().any(|Kept { cookie: other, .. }| {
                other.secure
                    && other.name == cookie.name
                    && is_near(other)
                    && path_matches(&cookie.path, &other.path)
            })
    }

    /// Room for one more cookie of `domain`: what has ended goes first, then the oldest.
    fn make_room(&mut self, domain: &str, now: u64) {
        if self.kept.get(domain).is_some_and(|kept| kept.len() >= COOKIES_PER_DOMAIN_MAX) {
            self.evict(now, |other| other == domain, COOKIES_PER_DOMAIN_MAX);
        }
        if self.count >= COOKIES_MAX {
            self.evict(now, |_| true, COOKIES_MAX);
        }
    }

    /// Leaves fewer than `max` cookies of these domains, which have `max`.
    fn evict(&mut self, now: u64, is_meant: impl Fn(&str) -> bool, max: usize) {
        let mut left = 0;
        for (_, kept) in self.kept.iter_mut().filter(|(domain, _)| is_meant(domain)) {
            kept.retain(|kept| !kept.cookie.has_ended(now));
            left += kept.len();
        }
        if left >= max {
            let all = self.kept.iter().filter(|(domain, _)| is_meant(domain));
            let numbers = all.flat_map(|(_, kept)| kept).map(|kept| kept.number);
            let oldest = numbers.min();
            self.kept.values_mut().for_each(|kept| kept.retain(|k| Some(k.number) != oldest));
        }
        self.kept.retain(|_, kept| !kept.is_empty());
        self.count = self.kept.values().map(Vec::len).sum();
    }
}

impl Cookie {
    fn has_ended(&self, now: u64) -> bool {
        self.expires.is_some_and(|end| end <= now)
    }

    fn is_replaced_by(&self, new: &Self) -> bool {
        self.name == new.name && self.host_only == new.host_only && self.path == new.path
    }
}

impl Place {
    fn of(url: &Url) -> Self {
        let (target, origin) = (url.request_target(), url.origin());
        let path = target.split('?').next().unwrap_or_default().to_owned();
        Self {
            host: origin.host.to_ascii_lowercase(),
            path,
            is_secure: origin.scheme == Scheme::Https,
        }
    }

    /// The cookie that is kept of what an answer of this place sets; `None` if it may not set that
    /// (RFC 6265bis section 5.7).
    fn admit(&self, set: SetCookie) -> Option<Cookie> {
        let domain = set.domain.as_deref().filter(|domain| !domain.is_empty());
        // Who serves a whole public suffix, such as `github.io`, may speak for itself alone.
        let domain = domain.filter(|domain| *domain != self.host || !is_public_suffix(domain));
        let is_foreign = |domain: &str| {
            !domain.is_ascii() || is_public_suffix(domain) || !domain_matches(&self.host, domain)
        };
        if domain.is_some_and(is_foreign) {
            return None;
        }
        let host_only = domain.is_none() || is_address(&self.host);
        let path = set.path.as_deref().filter(|path| path.starts_with('/'));
        let is_rooted = path == Some("/");
        let is_secured = set.secure && self.is_secure;
        let kept_by_prefix = match () {
            () if has_prefix(&set, "__Host-") => is_secured && domain.is_none() && is_rooted,
            () if has_prefix(&set, "__Secure-") => is_secured,
            () => self.is_secure || !set.secure,
        };
        kept_by_prefix.then(|| Cookie {
            domain: domain.unwrap_or(&self.host).to_owned(),
            host_only,
            path: path.map_or_else(|| default_path(&self.path).to_owned(), str::to_owned),
            secure: set.secure,
            http_only: set.http_only,
            expires: set.expires,
            name: set.name,
            value: set.value,
        })
    }

    /// Whether the cookie goes here.
    fn takes(&self, cookie: &Cookie, now: u64) -> bool {
        let is_near = if cookie.host_only {
            self.host == cookie.domain
        } else {
            domain_matches(&self.host, &cookie.domain)
        };
        is_near
            && path_matches(&self.path, &cookie.path)
            && (self.is_secure || !cookie.secure)
            && !cookie.has_ended(now)
    }
}

/// Whether a cookie claims this prefix, in any case, by its name or, without one, by its value.
fn has_prefix(set: &SetCookie, prefix: &str) -> bool {
    let claim = if set.name.is_empty() { &set.value } else { &set.name };
    claim.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix))
}

/// The host and the domains that it lies in, the longest first.
fn domains_of(host: &str) -> impl Iterator<Item = &str> {
    let first = Some(host).filter(|host| !host.is_empty());
    let is_address = is_address(host);
    std::iter::successors(first, move |domain| {
        domain.split_once('.').map(|(_, above)| above).filter(|_| !is_address)
    })
}

/// RFC 6265 section 5.1.3.
fn domain_matches(host: &str, domain: &str) -> bool {
    let below = || host.strip_suffix(domain).is_some_and(|rest| rest.ends_with('.'));
    host == domain || (below() && !is_address(host))
}

/// RFC 6265 section 5.1.4.
fn path_matches(path: &str, start: &str) -> bool {
    let rest = path.strip_prefix(start);
    rest.is_some_and(|rest| rest.is_empty() || start.ends_with('/') || rest.starts_with('/'))
}

/// RFC 6265 section 5.1.4.
fn default_path(path: &str) -> &str {
    match path.rfind('/') {
        None | Some(0) => "/",
        Some(end) => &path[..end],
    }
}

/// Whether everybody may have a domain below this one, such as `co.uk`.
fn is_public_suffix(domain: &str) -> bool {
    !is_address(domain) && psl::suffix_str(domain) == Some(domain)
}

fn is_address(host: &str) -> bool {
    host.parse::<IpAddr>().is_ok()
}

#[cfg(test)]
mod tests;
