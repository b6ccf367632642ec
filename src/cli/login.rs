//! Credentials and cookies: reads the files that the options name, asks for a missing password, and
//! writes the cookies down at the end. Must not know whom they are sent to.

use super::args::{DownloadArgs, LoginArgs};
use super::resolve;
use crate::base::limits::{COOKIE_FILE_BYTES_MAX, NETRC_BYTES_MAX, REQUEST_BYTES_MAX};
use crate::base::size::format_bytes;
use crate::base::url::Credentials;
use crate::base::{Error, ErrorKind, Result};
use crate::engine::options::login::{CookieJar, Login, Netrc, OriginLogin, Token};
use crate::io::whole;
use crate::ui;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A file that only its owner reads.
const PRIVATE_MODE: u32 = 0o600;
/// What others than its owner may do with a file.
const OTHERS: u32 = 0o077;

/// Brings in all that the options name: header fields from files, credentials, cookies. To be
/// called once, before anything is asked.
pub(super) fn settle(args: &mut DownloadArgs) -> Result<()> {
    args.header = headers(&args.header)?;
    let login = &args.login;
    let (jar, pairs) = cookies(login)?;
    let fields = pairs.into_iter().map(|pair| format!("Cookie: {pair}"));
    args.header.extend(fields);
    args.settled_login = Login {
        user: user(login)?,
        bearer: bearer(login)?,
        by_origin: args.logins_by_origin.clone(),
        netrc: netrc(login)?.map(Arc::new),
        digest_only: login.digest,
        jar: Some(jar),
    };
    Ok(())
}

/// What the table of an origin names: a user, a token.
pub(super) fn of_origin(login: &LoginArgs) -> Result<OriginLogin> {
    Ok(OriginLogin { user: user(login)?, bearer: bearer(login)? })
}

/// Writes the cookies down, if that is asked for, however the downloads have ended.
pub(super) fn keep_cookies(args: &DownloadArgs) -> Result<()> {
    let (Some(path), Some(jar)) = (&args.login.cookie_jar, &args.settled_login.jar) else {
        return Ok(());
    };
    let written = whole::replace_private(path, PRIVATE_MODE, jar.to_text().as_bytes());
    written.map_err(|cause| cannot_write(path, cause))
}

fn user(login: &LoginArgs) -> Result<Option<Credentials>> {
    let Some(text) = &login.user else { return Ok(None) };
    let (user, password) = match text.split_once(':') {
        Some((user, password)) => (user, password.as_bytes().to_vec()),
        None => (text.as_str(), ui::ask_password(text)?),
    };
    Ok(Some(Credentials { user: user.as_bytes().to_vec(), password }))
}

fn bearer(login: &LoginArgs) -> Result<Option<Token>> {
    let text = match (&login.oauth2_bearer, &login.bearer_file) {
        (Some(token), _) => token.clone(),
        (None, None) => return Ok(None),
        (None, Some(path)) => {
            let wanted = Secret { path, what: "the token file", option: "--bearer-file" };
            let text = wanted.read_text(REQUEST_BYTES_MAX as u64)?;
            text.lines().next().unwrap_or_default().to_owned()
        }
    };
    let token = text.trim();
    // RFC 6750 section 2.1 has fewer letters; what is none of them would only puzzle the server.
    if token.is_empty() || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
        let what = "the token of a Bearer is empty, or has blanks or other than ASCII letters";
        return Err(Error::new(ErrorKind::Usage, what)
            .advise("check --bearer-file, whose first line is the token alone"));
    }
    Ok(Some(Token(token.to_owned())))
}

fn netrc(login: &LoginArgs) -> Result<Option<Netrc>> {
    if login.netrc_file.is_none() && !login.netrc && !login.netrc_optional {
        return Ok(None);
    }
    let is_named = login.netrc_file.is_some();
    let option = if is_named { "--netrc-file" } else { "--netrc" };
    let path = login.netrc_file.clone().or_else(usual_netrc).ok_or_else(|| {
        Error::new(ErrorKind::Usage, "neither NETRC nor HOME says where the netrc file is")
            .advise("name it with --netrc-file")
    })?;
    let wanted = Secret { path: &path, what: "the netrc file", option };
    let is_optional = login.netrc_optional && !login.netrc;
    if is_optional && path.metadata().is_err_and(|e| e.kind() == io::ErrorKind::NotFound) {
        return Ok(None);
    }
    let file = wanted.open()?;
    if !login.allow_readable_netrc {
        wanted.check_private(&file)?;
    }
    let text = wanted.read(file, NETRC_BYTES_MAX)?;
    Netrc::parse(&text).map(Some).map_err(|error| error.within(path.display()))
}

/// The file that NETRC names, or the one in the home folder.
fn usual_netrc() -> Option<PathBuf> {
    let place = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    place("NETRC").or_else(|| place("HOME").map(|home| home.join(".netrc")))
}

/// The jar with what the files have, and the cookies that are given themselves. As with curl a `=`
/// tells them apart; the name of a file that has one can be given as `./a=b`.
fn cookies(login: &LoginArgs) -> Result<(CookieJar, Vec<String>)> {
    let jar = CookieJar::new();
    let mut pairs = Vec::new();
    for text in login.cookie.iter().filter(|text| !text.is_empty()) {
        let is_path = ["/", "./", "../"].iter().any(|start| text.starts_with(start));
        if text.contains('=') && !is_path {
            if text.contains(char::is_control) {
                let what = "a cookie given with -b has control characters";
                return Err(Error::new(ErrorKind::Usage, what).advise("write it as NAME=VALUE"));
            }
            pairs.push(text.clone());
            continue;
        }
        let path = Path::new(text);
        let wanted = Secret { path, what: "the cookie file", option: "-b" };
        let text = wanted.read(wanted.open()?, COOKIE_FILE_BYTES_MAX)?;
        jar.load(&text).map_err(|error| error.within(path.display()))?;
    }
    if let Some(path) = &login.cookie_jar {
        whole::check_replaceable(path, PRIVATE_MODE).map_err(|cause| cannot_write(path, cause))?;
    }
    Ok((jar, pairs))
}

/// The header fields that are given, those of files in the place of `@FILE`.
fn headers(given: &[String]) -> Result<Vec<String>> {
    let mut fields = Vec::new();
    for text in given {
        let Some(path) = text.strip_prefix('@') else {
            fields.push(text.clone());
            continue;
        };
        let wanted = Secret { path: Path::new(path), what: "the header file", option: "-H @FILE" };
        let text = wanted.read_text(REQUEST_BYTES_MAX as u64)?;
        for (number, line) in (1..).zip(text.lines()).filter(|(_, line)| !line.trim().is_empty()) {
            if resolve::header_field(line).is_none() {
                let what = format!("line {number} of {path} is no header field");
                return Err(
                    Error::new(ErrorKind::Usage, what).advise("write one a line, as 'Name: value'")
                );
            }
            fields.push(line.to_owned());
        }
    }
    Ok(fields)
}

/// A file with secrets: no message repeats anything of it.
struct Secret<'a> {
    /// `-` is standard input.
    path: &'a Path,
    what: &'a str,
    option: &'a str,
}

impl Secret<'_> {
    fn read_text(&self, bytes_max: u64) -> Result<String> {
        let bytes = match self.path.to_str() {
            Some("-") => self.read(io::stdin().lock(), bytes_max)?,
            _ => self.read(self.open()?, bytes_max)?,
        };
        String::from_utf8(bytes).map_err(|_| self.refused("is no text"))
    }

    fn open(&self) -> Result<File> {
        File::open(self.path).map_err(|cause| self.refused("cannot be opened").caused_by(cause))
    }

    /// One byte more than is allowed is enough to see that there are too many.
    fn read(&self, from: impl Read, bytes_max: u64) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        let read = from.take(bytes_max + 1).read_to_end(&mut bytes);
        read.map_err(|cause| self.refused("cannot be read").caused_by(cause))?;
        if bytes.len() as u64 > bytes_max {
            return Err(self.refused(&format!("has more than {}", format_bytes(bytes_max))));
        }
        Ok(bytes)
    }

    fn check_private(&self, file: &File) -> Result<()> {
        let meta = file.metadata();
        let meta = meta.map_err(|cause| self.refused("cannot be looked at").caused_by(cause))?;
        if meta.is_file() && meta.mode() & OTHERS != 0 {
            let path = self.path.display();
            return Err(self.refused("is open to other users").advise(format!(
                "close it with chmod 600 '{path}', or accept that with --allow-readable-netrc"
            )));
        }
        Ok(())
    }

    fn refused(&self, why: &str) -> Error {
        let what = format!("{} '{}' {why}", self.what, self.path.display());
        Error::new(ErrorKind::Usage, what).advise(format!("check the file of {}", self.option))
    }
}

fn cannot_write(path: &Path, cause: io::Error) -> Error {
    Error::new(ErrorKind::TargetUnusable, format!("cannot write cookies to '{}'", path.display()))
        .caused_by(cause)
        .advise("choose another file with --cookie-jar")
}
