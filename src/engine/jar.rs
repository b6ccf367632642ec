//! The cookies of a run: set by any answer on the way, sent back by the rules of `http::Cookies`,
//! read from and written to cookie files. Must not know who asks, or where those files are.
//!
//! A request of a transfer whose hosts have no cookies takes no lock for them: it remembers the
//! state of the jar at which there were none.

use crate::base::{Result, Url};
use crate::http::{Cookie, Cookies, Head};
use crate::manifest::cookie_jar::{JarLine, parse_cookie_jar, write_cookie_jar};
use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

/// Cookies that downloads share. A clone is the same jar.
#[derive(Clone, Default)]
pub struct CookieJar {
    inner: Arc<Inner>,
}

#[derive(Default)]
struct Inner {
    /// Counts changes; 0: nothing has ever been in it.
    state: AtomicU64,
    cookies: Mutex<Cookies>,
}

/// The state of a jar at which it had no cookies for a host; for one host only.
#[derive(Default)]
pub(super) struct NoneAt(AtomicU64);

impl CookieJar {
    /// An empty jar.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts the cookies of a file in Netscape's format into it.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`](crate::ErrorKind::Usage), which names the line, if it is none.
    pub fn load(&self, text: &[u8]) -> Result<()> {
        let (lines, now) = (parse_cookie_jar(text)?, now());
        let mut cookies = self.lock();
        for line in lines {
            cookies.insert(cookie(line), now);
        }
        self.inner.state.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }

    /// What a file in Netscape's format has that holds what is in it now, session cookies included.
    pub fn to_text(&self) -> String {
        let cookies = self.lock();
        write_cookie_jar(cookies.all(now()).map(line))
    }

    /// Takes what the answer of `url` sets.
    pub(super) fn hear(&self, url: &Url, head: &Head) {
        if head.get("Set-Cookie").is_some() && self.lock().hear(url, head, now()) {
            self.inner.state.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// What a request for `url` carries as `Cookie`, beside what is `taken`.
    pub(super) fn field(
        &self,
        url: &Url,
        none_at: &NoneAt,
        taken: impl FnOnce() -> Vec<String>,
    ) -> Option<String> {
        let state = self.inner.state.load(Ordering::Relaxed);
        if state == none_at.0.load(Ordering::Relaxed) {
            return None;
        }
        let cookies = self.lock();
        if !cookies.concern(&url.origin().host) {
            none_at.0.store(state, Ordering::Relaxed);
            return None;
        }
        let taken = taken();
        let taken: Vec<&str> = taken.iter().map(String::as_str).collect();
        cookies.field(url, now(), &taken)
    }

    fn lock(&self) -> MutexGuard<'_, Cookies> {
        self.inner.cookies.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for CookieJar {
    /// How many there are; each may be a secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CookieJar({} cookies)", self.lock().count())
    }
}

fn cookie(line: JarLine) -> Cookie {
    let JarLine { domain, is_for_below, path, is_secure, is_http_only, expires, name, value } =
        line;
    let (host_only, secure, http_only) = (!is_for_below, is_secure, is_http_only);
    Cookie { name, value, domain, host_only, path, secure, http_only, expires }
}

fn line(cookie: &Cookie) -> JarLine {
    let Cookie { name, value, domain, path, expires, .. } = cookie.clone();
    JarLine {
        domain,
        is_for_below: !cookie.host_only,
        path,
        is_secure: cookie.secure,
        is_http_only: cookie.http_only,
        expires,
        name,
        value,
    }
}

/// Seconds since 1970.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_loaded_is_sent_and_saved() {
        let (jar, url) = (CookieJar::new(), Url::parse("http://h/").unwrap());
        let (none_at, other) = (NoneAt::default(), NoneAt::default());
        assert_eq!(jar.field(&url, &none_at, Vec::new), None);
        jar.load(b"h\tFALSE\t/\tFALSE\t0\ta\tsesame\nh\tFALSE\t/\tFALSE\t1\told\tx").unwrap();
        assert_eq!(jar.field(&url, &none_at, Vec::new).as_deref(), Some("a=sesame"));
        assert_eq!(jar.field(&url, &none_at, || vec!["a".to_owned()]), None);
        let elsewhere = Url::parse("http://i/").unwrap();
        assert_eq!(jar.field(&elsewhere, &other, Vec::new), None);
        let _locked = jar.lock();
        assert_eq!(jar.field(&elsewhere, &other, Vec::new), None, "without a look into the jar");
        drop(_locked);
        assert!(jar.to_text().ends_with("\n\nh\tFALSE\t/\tFALSE\t0\ta\tsesame\n"));
        assert!(jar.load(b"garbage").is_err());
        assert_eq!(format!("{jar:?}"), "CookieJar(1 cookies)");
    }
}
