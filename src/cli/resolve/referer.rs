//! `--referer`: the URL that a request says it comes from (RFC 9110 section 10.1.3). Must not know
//! other header fields.

use crate::base::{Error, ErrorKind, Result, Url};

/// The field, unless one was given with `--header`. User name, password and fragment are not sent.
pub(in crate::cli) fn field(
    referer: Option<&str>,
    given: &[(String, String)],
) -> Result<Option<(String, String)>> {
    let Some(referer) = referer else { return Ok(None) };
    if referer.ends_with(";auto") {
        return Err(Error::new(ErrorKind::Usage, "--referer: ';auto' is not supported")
            .advise("name the URL of the page alone"));
    }
    let url = Url::parse(referer).map_err(|error| error.within("--referer"))?;
    let is_given = given.iter().any(|(name, _)| name.eq_ignore_ascii_case("referer"));
    let value = format!("{}{}", url.origin(), url.request_target());
    Ok((!is_given).then(|| ("Referer".to_owned(), value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_named_without_what_is_private() {
        for (given, sent) in [
            ("https://h/a?b=c", "https://h/a?b=c"),
            ("http://user:pw@h:81/a#part", "http://h:81/a"),
            ("https://h", "https://h/"),
        ] {
            let (name, value) = field(Some(given), &[]).unwrap().unwrap();
            assert_eq!((name.as_str(), value.as_str()), ("Referer", sent));
        }
        let own = [("referer".to_owned(), "x".to_owned())];
        assert_eq!(field(Some("https://h/"), &own).unwrap(), None);
        assert_eq!(field(None, &[]).unwrap(), None);
        for bad in ["page", "https://h/;auto", "https://h/\r\nX: y:9:z", ""] {
            let fine = field(Some(bad), &[]).ok().flatten();
            assert!(fine.is_none_or(|(_, value)| !value.contains(['\r', '\n'])), "{bad:?}");
        }
        let line = field(Some("http://user:secret@h:99999/"), &[]).unwrap_err().to_string();
        assert!(line.contains("--referer") && !line.contains("secret"), "{line}");
    }
}
