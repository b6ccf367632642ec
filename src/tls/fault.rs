//! What went wrong in a TLS session, in words: rustls's reasons become one readable line each.
//!
//! Owns the split between "TLS failed" and "the certificate is not trusted". Must not know how a
//! session runs.

use super::pin::OtherKey;
use crate::base::limits::{CERTIFICATE_NAMES_SHOWN_MAX, TLS_STAGING_BYTES_MIN};
use crate::base::{Error, ErrorKind};
use rustls::{AlertDescription, CertificateError};

/// Why a session ended before its time.
#[derive(Debug)]
pub(super) enum Fault {
    /// rustls refused what the peer sent, or passed on its alert.
    Tls(rustls::Error),
    /// The very first bytes are no TLS record; `http` if they begin an HTTP response.
    NotTls {
        /// Indicates whether they begin an HTTP response.
        http: bool,
    },
    /// A handshake message does not fit into the smallest allowed staging buffer.
    HandshakeTooLarge,
}

impl Fault {
    /// The error the caller sees; `host` is who was asked for.
    pub(super) fn into_error(self, host: &str) -> Error {
        match self {
            Fault::Tls(error) => from_rustls(error, host),
            Fault::NotTls { http } => {
                let answer = if http { ", it answers plain HTTP" } else { "" };
                Error::new(ErrorKind::Tls, format!("the port of {host} does not speak TLS{answer}"))
                    .advise("check the port, or write http:// if plain HTTP is meant")
            }
            Fault::HandshakeTooLarge => Error::new(
                ErrorKind::Tls,
                format!("{host} sent a handshake message above {TLS_STAGING_BYTES_MIN} bytes"),
            ),
        }
    }
}

impl From<rustls::Error> for Fault {
    fn from(error: rustls::Error) -> Self {
        Fault::Tls(error)
    }
}

fn from_rustls(error: rustls::Error, host: &str) -> Error {
    match &error {
        rustls::Error::InvalidCertificate(reason) => match explain(reason, host) {
            Some(explained) => explained,
            None => untrusted(format!("the certificate of {host} cannot be used")).caused_by(error),
        },
        rustls::Error::NoCertificatesPresented => {
            untrusted(format!("{host} presented no certificate"))
        }
        rustls::Error::AlertReceived(alert) => alerted(*alert, host),
        _ => Error::new(ErrorKind::Tls, format!("TLS with {host} failed")).caused_by(error),
    }
}

/// What a server's alert says (RFC 8446 6.2). Those about certificates are about ours.
fn alerted(alert: AlertDescription, host: &str) -> Error {
    let name = snake_case(&format!("{alert:?}"));
    let ended = format!("{host} ended TLS with the alert '{name}'");
    match alert {
        AlertDescription::CertificateRequired => {
            untrusted(format!("{host} demands a client certificate"))
                .advise("give one with --cert and --key")
        }
        AlertDescription::BadCertificate
        | AlertDescription::UnsupportedCertificate
        | AlertDescription::CertificateRevoked
        | AlertDescription::CertificateExpired
        | AlertDescription::CertificateUnknown
        | AlertDescription::UnknownCA
        | AlertDescription::AccessDenied => {
            untrusted(format!("{host} does not accept the client certificate: alert '{name}'"))
                .advise("check with the server's operator which one to give with --cert")
        }
        AlertDescription::ProtocolVersion => Error::new(ErrorKind::Tls, ended)
            .advise("it speaks none of the TLS versions that were offered; see --tls-min"),
        AlertDescription::HandshakeFailure => Error::new(ErrorKind::Tls, ended)
            .advise("it may demand a client certificate (--cert), or speak outdated TLS only"),
        _ => Error::new(ErrorKind::Tls, ended),
    }
}

/// The reasons users meet, each with what helps; `None` leaves rustls's own words.
fn explain(reason: &CertificateError, host: &str) -> Option<Error> {
    let date_advice = "check this machine's clock, or accept any certificate with --insecure";
    Some(match reason {
        CertificateError::UnknownIssuer => {
            untrusted(format!("the certificate of {host} is not signed by a known authority"))
        }
        CertificateError::Expired => {
            untrusted(format!("the certificate of {host} has expired")).advise(date_advice)
        }
        CertificateError::ExpiredContext { time, not_after } => {
            let ago = days(time.as_secs().saturating_sub(not_after.as_secs()));
            untrusted(format!("the certificate of {host} expired {ago} ago")).advise(date_advice)
        }
        CertificateError::NotValidYet => {
            untrusted(format!("the certificate of {host} is not valid yet")).advise(date_advice)
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let ahead = days(not_before.as_secs().saturating_sub(time.as_secs()));
            untrusted(format!("the certificate of {host} becomes valid in {ahead}"))
                .advise(date_advice)
        }
        CertificateError::NotValidForName => wrong_name(host, &[]),
        CertificateError::NotValidForNameContext { presented, .. } => wrong_name(host, presented),
        CertificateError::BadEncoding => {
            untrusted(format!("the certificate of {host} cannot be decoded"))
        }
        CertificateError::BadSignature => {
            untrusted(format!("the certificate of {host} carries a wrong signature"))
        }
        CertificateError::Other(rustls::OtherError(other)) => {
            let key = other.downcast_ref::<OtherKey>()?;
            untrusted(format!("the certificate of {host} is not the expected one: {key}"))
                .advise("ask the server's operator for its key, then pin it with --pinnedpubkey")
        }
        CertificateError::Revoked => untrusted(format!("the certificate of {host} is revoked")),
        _ => return None,
    })
}

fn untrusted(context: String) -> Error {
    Error::new(ErrorKind::Certificate, context)
}

fn wrong_name(host: &str, presented: &[String]) -> Error {
    let mut names: Vec<&str> =
        presented.iter().take(CERTIFICATE_NAMES_SHOWN_MAX).map(|n| bare_name(n)).collect();
    let others = format!("{} more", presented.len() - names.len());
    if names.len() < presented.len() {
        names.push(&others);
    }
    let valid_for = if names.is_empty() { "no name at all".to_owned() } else { names.join(", ") };
    untrusted(format!("the certificate of {host} is for {valid_for}"))
        .advise("check the host name in the URL, or accept any certificate with --insecure")
}

/// webpki presents names as `DnsName("h")` and `IpAddress(..)`; only what is inside is of interest.
fn bare_name(presented: &str) -> &str {
    let inner = presented.split_once('(').map_or(presented, |(_, inner)| inner);
    inner.trim_end_matches(')').trim_matches('"')
}

fn days(seconds: u64) -> String {
    match seconds / 86_400 {
        0 => "less than a day".to_owned(),
        1 => "a day".to_owned(),
        n => format!("{n} days"),
    }
}

/// `HandshakeFailure` to `handshake_failure`, the name RFC 8446 6.2 gives it.
fn snake_case(camel: &str) -> String {
    let mut out = String::with_capacity(camel.len() + 4);
    let mut after_lower = false;
    for c in camel.chars() {
        if c.is_ascii_uppercase() && after_lower {
            out.push('_');
        }
        after_lower = c.is_ascii_lowercase();
        out.push(c.to_ascii_lowercase());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alerts_bear_the_names_of_the_rfc() {
        for (alert, name) in [
            (AlertDescription::HandshakeFailure, "handshake_failure"),
            (AlertDescription::UnknownCA, "unknown_ca"),
            (AlertDescription::BadRecordMac, "bad_record_mac"),
        ] {
            let error = from_rustls(rustls::Error::AlertReceived(alert), "h");
            let is_ours = alert == AlertDescription::UnknownCA;
            let kind = if is_ours { ErrorKind::Certificate } else { ErrorKind::Tls };
            assert_eq!(error.kind(), kind);
            assert!(error.to_string().contains(&format!("'{name}'")), "{error}");
        }
    }

    #[test]
    fn thousands_of_names_stay_one_short_line() {
        let many: Vec<String> = (0..5000).map(|i| format!("DnsName(\"h{i}\")")).collect();
        let line = wrong_name("x", &many).to_string();
        assert!(line.contains("is for h0, h1, h2, h3, 4996 more"), "{line}");
        assert!(wrong_name("x", &[]).to_string().contains("is for no name at all"));
        assert!(wrong_name("x", &many[..1]).to_string().contains("is for h0 ("));
    }

    #[test]
    fn ages_are_in_days() {
        assert_eq!(days(86_399), "less than a day");
        assert_eq!(days(86_400), "a day");
        assert_eq!(days(86_400 * 12 + 5), "12 days");
    }
}
