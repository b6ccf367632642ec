//! Which digests are computed, and what the file's is compared with: the caller's own, or else one
//! that the server offers.

use crate::base::{Error, ErrorKind, Result};
use crate::digest::{Algorithm, Checksum, Digest};
use crate::engine::context::Context;
use crate::engine::progress::{Level, Verified};
use crate::http::{Offered, contradiction};

/// A digest the file must have.
#[derive(Debug, Clone)]
pub(in crate::engine) struct Expected {
    pub(in crate::engine) checksum: Checksum,
    /// Where it came from, as the user reads it.
    pub(super) against: String,
    /// It is the server's own word.
    pub(super) is_servers: bool,
}

/// The digests of an attempt.
pub(super) struct Wanted {
    pub(super) expected: Option<Expected>,
    /// What is computed of the file that is made, each once: the expected digest's, and those asked
    /// for.
    pub(super) algorithms: Vec<Algorithm>,
    /// The expected digest is that of a part at its place, which is read back for it in the end.
    pub(super) is_of_part: bool,
}

/// The digest the caller named; or else, unless that is not wanted, the best one on offer, or the
/// one that is `described`.
fn choose(
    context: &Context,
    offers: &[Offered],
    described: Option<Expected>,
) -> Result<Option<Expected>> {
    let options = &context.options;
    if let Some(checksum) = options.checksum.clone() {
        let endpoint = options.checksum_source.as_ref().map(|endpoint| format!("from {endpoint}"));
        let against = endpoint.unwrap_or_else(|| "given with --checksum".to_owned());
        return Ok(Some(Expected { checksum, against, is_servers: false }));
    }
    // Digests on offer are of the whole file.
    let is_partial = options.part.is_some() && options.slice.is_none();
    if !options.verify || is_partial {
        return Ok(None);
    }
    let chosen = better(on_offer(offers)?, described);
    if let Some(Expected { checksum, against, .. }) = &chosen {
        let text = format!("{against} is {checksum}: the file will be compared with it");
        context.tell(Level::Detail, None, text);
    }
    Ok(chosen)
}

/// The one of two digests that proves more; the first one if they are alike.
fn better(first: Option<Expected>, second: Option<Expected>) -> Option<Expected> {
    let both: Vec<Expected> = first.into_iter().chain(second).collect();
    let algorithms: Vec<Algorithm> = both.iter().map(|e| e.checksum.algorithm).collect();
    let best = Algorithm::choose(&algorithms)?;
    both.into_iter().find(|expected| expected.checksum.algorithm == best)
}

/// The best of the digests that a server offers. One that contradicts itself is an error, as one of
/// its answers is wrong.
pub(in crate::engine) fn on_offer(offers: &[Offered]) -> Result<Option<Expected>> {
    if let Some(what) = contradiction(offers) {
        return Err(Error::new(ErrorKind::Protocol, what)
            .advise("name the right one with --checksum, or ignore them with --no-verify"));
    }
    let known = offers.iter().filter_map(|offered| {
        let algorithm = offered.algorithm.parse().ok()?;
        let checksum = Checksum::new(algorithm, offered.value.clone()).ok()?;
        let against = format!("server's {}", offered.field);
        Some(Expected { checksum, against, is_servers: true })
    });
    let known: Vec<Expected> = known.collect();
    let algorithms: Vec<Algorithm> = known.iter().map(|e| e.checksum.algorithm).collect();
    let Some(best) = Algorithm::choose(&algorithms) else { return Ok(None) };
    Ok(known.into_iter().find(|expected| expected.checksum.algorithm == best))
}

impl Wanted {
    /// What the caller wants, what the server offers, and what its description says.
    pub(super) fn choose(
        context: &Context,
        offers: &[Offered],
        described: Option<Expected>,
    ) -> Result<Self> {
        let expected = choose(context, offers, described)?;
        let own = expected.as_ref().map(|expected| expected.checksum.algorithm);
        let mut algorithms: Vec<Algorithm> = Vec::new();
        let options = &context.options;
        let is_at_place = options.part.as_ref().is_some_and(|part| !part.is_packed());
        let is_of_part = is_at_place && options.slice.is_none() && expected.is_some();
        // Whoever joins slices computes the digests of the file.
        let is_whole = options.slice.is_none() && !is_at_place;
        let wanted = own.into_iter().chain(options.digests.iter().copied());
        for algorithm in wanted.filter(|_| is_whole) {
            if !algorithms.contains(&algorithm) {
                algorithms.push(algorithm);
            }
        }
        Ok(Self { expected, algorithms, is_of_part })
    }

    /// The digest that the file must have. That of a part says nothing of what rounding adds to it.
    pub(super) fn of_whole(&self) -> Option<&Expected> {
        self.expected.as_ref().filter(|_| !self.is_of_part)
    }

    /// The same as text.
    pub(super) fn digest(&self) -> Option<String> {
        self.of_whole().map(|expected| expected.checksum.to_string())
    }

    /// What has to be hashed in file order, where the book has the CRC-32C of the blocks.
    pub(super) fn in_order(&self) -> Vec<Algorithm> {
        let mut algorithms = self.algorithms.clone();
        algorithms.retain(|algorithm| *algorithm != Algorithm::Crc32c);
        algorithms
    }
}

/// Compares what came out with what was expected.
pub(super) fn compare(
    expected: Option<&Expected>,
    digests: &[Digest],
    read_back_bytes: u64,
) -> Result<Option<Verified>> {
    let Some(Expected { checksum, against, .. }) = expected else { return Ok(None) };
    let digest = digests.iter().find(|digest| digest.algorithm == checksum.algorithm);
    let digest = digest.expect("the expected digest is computed");
    checksum.verify(digest)?;
    let (digest, against) = (format!("{}:{digest}", digest.algorithm), against.clone());
    Ok(Some(Verified { digest, against, read_back_bytes }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::options::Options;

    fn offered(field: &'static str, algorithm: &'static str, byte: u8, len: usize) -> Offered {
        Offered { field, algorithm, value: vec![byte; len] }
    }

    fn choose_with(options: Options, offers: &[Offered]) -> Result<Option<String>> {
        let context = Context::alone(options);
        let chosen = choose(&context, offers, None)?;
        Ok(chosen.map(|e| format!("{} {}", e.checksum.algorithm, e.against)))
    }

    #[test]
    fn the_callers_own_digest_goes_before_any_on_offer() {
        let offers = [offered("Digest", "sha256", 1, 32), offered("Content-MD5", "md5", 1, 16)];
        let offers = &offers[..];
        let own: Checksum = format!("sha512:{}", "ab".repeat(64)).parse().unwrap();
        let options = Options { checksum: Some(own), ..Options::default() };
        assert_eq!(choose_with(options, offers).unwrap().unwrap(), "sha512 given with --checksum");
        let chosen = choose_with(Options::default(), offers).unwrap();
        assert_eq!(chosen.unwrap(), "sha256 server's Digest");
        let options = Options { verify: false, ..Options::default() };
        assert_eq!(choose_with(options, offers).unwrap(), None);
    }

    #[test]
    fn a_server_that_contradicts_itself_is_told_so() {
        let offers = [offered("Digest", "sha256", 1, 32), offered("Repr-Digest", "sha256", 2, 32)];
        let error = choose_with(Options::default(), &offers).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Protocol);
        let options = Options { verify: false, ..Options::default() };
        assert_eq!(choose_with(options, &offers).unwrap(), None);
    }

    #[test]
    fn what_is_of_no_use_is_no_offer() {
        let offers = [offered("Digest", "sha256", 1, 31), offered("Digest", "unheard", 1, 4)];
        assert_eq!(choose_with(Options::default(), &offers).unwrap(), None);
    }
}
