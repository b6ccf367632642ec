//! Signed URLs that expire: `/x` leads to `/signed/x?sig=sesame-N`, which is good for a number of
//! requests. The signature is in the query, as those of object stores are: all name one resource.
//!
//! Owns which signatures were given out and what is left of each. Must not know sockets or files.

use super::effects::Instead;
use crate::server::stop::lock;
use std::sync::Mutex;

const PREFIX: &str = "/signed";
const QUERY: &str = "?sig=sesame-";

/// The signatures of one server.
#[derive(Default)]
pub(in crate::server) struct Signer {
    /// Requests that signature N, counted from 1, is still good for.
    left: Mutex<Vec<u32>>,
}

impl Signer {
    /// What a request for `target` gets in place of the file: 403 where its signature is used up, a
    /// redirect with a new one where `requests` says what that is to be good for, nothing
    /// otherwise.
    pub(in crate::server) fn judge(&self, target: &str, requests: Option<u32>) -> Option<Instead> {
        if let Some(number) = signature(target) {
            return self.admit(number);
        }
        let path = target.split('?').next().unwrap_or(target);
        let number = {
            let mut left = lock(&self.left);
            left.push(requests?);
            left.len()
        };
        let location = format!("{PREFIX}{path}{QUERY}{number}");
        let headers = vec![("Location".to_owned(), location)];
        Some(Instead { status: 302, headers, body: b"signed\n".to_vec() })
    }

    fn admit(&self, number: usize) -> Option<Instead> {
        let mut left = lock(&self.left);
        if let Some(left) = number.checked_sub(1).and_then(|index| left.get_mut(index))
            && *left > 0
        {
            *left -= 1;
            return None;
        }
        Some(Instead { status: 403, headers: Vec::new(), body: b"expired\n".to_vec() })
    }
}

/// The path of the file that `path` leads to, signed or not.
pub(in crate::server) fn file_path(path: &str) -> &str {
    path.strip_prefix(PREFIX).filter(|file| file.starts_with('/')).unwrap_or(path)
}

/// The number of the signature that a request's target has.
pub(in crate::server) fn signature(target: &str) -> Option<usize> {
    let (path, number) = target.split_once(QUERY)?;
    let number = number.parse().ok()?;
    path.starts_with(PREFIX).then_some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_requests() {
        let signer = Signer::default();
        let status =
            |target: &str, requests| signer.judge(target, requests).map(|instead| instead.status);
        let signed = |number: u32| format!("/signed/x?sig=sesame-{number}");
        assert_eq!(status("/x", None), None);
        assert_eq!(status(&signed(1), None), Some(403), "never given out");
        assert_eq!(status("/x?q", Some(2)), Some(302));
        let second = signer.judge("/x", Some(1)).unwrap();
        assert_eq!(second.headers[0].1, signed(2));
        let answers = [1, 1, 2, 1, 2].map(|number| status(&signed(number), Some(9)));
        assert_eq!(answers, [None, None, None, Some(403), Some(403)]);
        assert_eq!(status(&signed(0), None), Some(403));
    }

    #[test]
    fn the_file_behind_a_signature() {
        assert_eq!(file_path("/signed/a/b"), "/a/b");
        for plain in ["/signed", "/signedly/x", "/a/signed/b", "/"] {
            assert_eq!(file_path(plain), plain);
        }
        for unsigned in ["/signed/x", "/signed/x?sig=sesame-", "/x?sig=sesame-1"] {
            assert_eq!(signature(unsigned), None, "{unsigned}");
        }
    }
}
