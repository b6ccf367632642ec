//! What lets a transfer in: credentials, and cookies. Plain data; reads no file.

use crate::base::Url;
use crate::base::url::{Credentials, Origin};
pub use crate::engine::jar::CookieJar;
pub use crate::manifest::netrc::Netrc;
use std::fmt;
use std::sync::Arc;

/// Credentials and cookies of a download. A user name in a URL counts before all of them, then
/// [`user`](Self::user), [`bearer`](Self::bearer), [`by_origin`](Self::by_origin) and
/// [`netrc`](Self::netrc); an `Authorization` among the header fields takes the place of all.
#[derive(Debug, Clone, Default)]
pub struct Login {
    /// Name and password for the origin of the URL that was named first; for no other.
    pub user: Option<Credentials>,
    /// The token of a Bearer (RFC 6750) for that origin.
    pub bearer: Option<Token>,
    /// What lets in at single origins, wherever they occur.
    pub by_origin: Vec<(Origin, OriginLogin)>,
    /// Names and passwords of hosts, also of mirrors and of where redirects lead; the `default`
    /// entry is for the origin of the URL that was named first.
    pub netrc: Option<Arc<Netrc>>,
    /// Never send a password itself, as Basic authentication does: only Digest challenges are
    /// answered.
    pub digest_only: bool,
    /// Cookies; `None` for those that are set during the life of the client.
    pub jar: Option<CookieJar>,
}

/// What lets in at one origin: the name before the token.
#[derive(Debug, Clone, Default)]
pub struct OriginLogin {
    /// Name and password.
    pub user: Option<Credentials>,
    /// The token of a Bearer (RFC 6750).
    pub bearer: Option<Token>,
}

/// A secret word. Has no `Display`, and `Debug` says nothing.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(pub String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(..)")
    }
}

/// What gives rights at one URL.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(in crate::engine) enum Rights {
    #[default]
    None,
    Name(Credentials),
    Bearer(Token),
}

impl Login {
    /// What it has for `url`; `is_home` indicates whether that is of the origin that the caller's
    /// secrets are meant for.
    pub(in crate::engine) fn rights(&self, url: &Url, is_home: bool) -> Rights {
        if let Some(own) = url.credentials() {
            return Rights::Name(self.completed(url, own, is_home));
        }
        if let Some(user) = self.user.as_ref().filter(|_| is_home) {
            return Rights::Name(user.clone());
        }
        if let Some(token) = self.bearer.as_ref().filter(|_| is_home) {
            return Rights::Bearer(token.clone());
        }
        let origin = url.origin();
        let own = self.by_origin.iter().find(|(known, _)| *known == origin);
        if let Some(OriginLogin { user, bearer }) = own.map(|(_, login)| login) {
            let token = || bearer.clone().map(Rights::Bearer);
            let rights = user.clone().map(Rights::Name).or_else(token);
            if let Some(rights) = rights {
                return rights;
            }
        }
        let find = |netrc: &Arc<Netrc>| netrc.find(&origin.host, None, is_home);
        self.netrc.as_ref().and_then(find).map_or(Rights::None, Rights::Name)
    }

    /// A name without a password may have one in the netrc file.
    fn completed(&self, url: &Url, own: Credentials, is_home: bool) -> Credentials {
        let netrc = self.netrc.as_ref().filter(|_| own.password.is_empty());
        let find = |netrc: &Arc<Netrc>| netrc.find(&url.origin().host, Some(&own.user), is_home);
        netrc.and_then(find).unwrap_or(own)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(user: &str, password: &str) -> Credentials {
        Credentials { user: user.into(), password: password.into() }
    }

    #[test]
    fn the_nearest_source_of_credentials_counts() {
        let text = b"machine h login net password rc default login any password one";
        let netrc = Some(Arc::new(Netrc::parse(text).unwrap()));
        let rights =
            |login: &Login, url: &str, is_home| login.rights(&Url::parse(url).unwrap(), is_home);
        let mut login = Login { netrc, ..Login::default() };
        assert_eq!(rights(&login, "http://h:1/", false), Rights::Name(name("net", "rc")));
        assert_eq!(rights(&login, "http://i/", true), Rights::Name(name("any", "one")));
        assert_eq!(rights(&login, "http://i/", false), Rights::None);
        assert_eq!(rights(&login, "http://net@h/", false), Rights::Name(name("net", "rc")));
        assert_eq!(rights(&login, "http://me@h/", false), Rights::Name(name("me", "")));
        let token = Token("open".into());
        let at_host = OriginLogin { user: None, bearer: Some(token.clone()) };
        let origin = Url::parse("http://h/").unwrap().origin();
        login.by_origin = vec![(origin, at_host)];
        assert_eq!(rights(&login, "http://h/", false), Rights::Bearer(token));
        assert_eq!(rights(&login, "http://h:1/", false), Rights::Name(name("net", "rc")));
        login.bearer = Some(Token("sesame".into()));
        assert_eq!(rights(&login, "http://h/", true), Rights::Bearer(Token("sesame".into())));
        login.user = Some(name("me", "pw"));
        assert_eq!(rights(&login, "http://h/", true), Rights::Name(name("me", "pw")));
        assert_eq!(rights(&login, "http://h:1/", false), Rights::Name(name("net", "rc")));
        assert_eq!(rights(&login, "http://a:b@h/", true), Rights::Name(name("a", "b")));
        assert!(!format!("{login:?}").contains("sesame"));
    }
}
