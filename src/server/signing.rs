//! Signed URLs that expire: `/x` leads to `/signed/N/x`, which is good for so many requests.
//!
//! Owns which signatures were given out and what is left of each. Must not know sockets or files.

use super::effects::Instead;
use super::gate::lock;
use std::sync::Mutex;

const PREFIX: &str = "/signed/";

/// The signatures of one server.
#[derive(Default)]
pub(super) struct Signer {
    /// Requests that signature N, counted from 1, is still good for.
    left: Mutex<Vec<u32>>,
}

impl Signer {
    /// What a request for `path` gets in place of the file: 403 where its signature is used up, a
    /// redirect with a new one where `requests` says what that is to be good for, nothing
    /// otherwise.
    pub(super) fn judge(&self, path: &str, requests: Option<u32>) -> Option<Instead> {
        if let Some((number, _)) = signed(path) {
            return self.admit(number);
        }
        let number = {
            let mut left = lock(&self.left);
            left.push(requests?);
            left.len()
        };
        let location = format!("{PREFIX}{number}{path}?sig=sesame-{number}");
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
pub(super) fn file_path(path: &str) -> &str {
    signed(path).map_or(path, |(_, file)| file)
}

/// The number of the signature, and the path it was given for.
fn signed(path: &str) -> Option<(usize, &str)> {
    let rest = path.strip_prefix(PREFIX)?;
    let (number, file) = rest.split_at(rest.find('/')?);
    Some((number.parse().ok()?, file))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_good_for_its_requests() {
        let signer = Signer::default();
        let status =
            |path: &str, requests| signer.judge(path, requests).map(|instead| instead.status);
        assert_eq!(status("/x", None), None);
        assert_eq!(status("/signed/1/x", None), Some(403), "never given out");
        assert_eq!(status("/x", Some(2)), Some(302));
        let second = signer.judge("/x", Some(1)).unwrap();
        assert_eq!(second.headers[0].1, "/signed/2/x?sig=sesame-2");
        let answers = [1, 1, 2, 1, 2].map(|n| status(&format!("/signed/{n}/x"), Some(9)));
        assert_eq!(answers, [None, None, None, Some(403), Some(403)]);
        assert_eq!(status("/signed/0/x", None), Some(403));
    }

    #[test]
    fn the_file_behind_a_signature() {
        assert_eq!(file_path("/signed/17/a/b"), "/a/b");
        for plain in ["/signed/x/b", "/signed/17", "/a/signed/1/b", "/"] {
            assert_eq!(file_path(plain), plain);
        }
    }
}
