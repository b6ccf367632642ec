//! The twin test: whether what a endpoint serves is the file of which bytes are here, found out by
//! fetching samples of them again. Where neither a validator of the same resource nor a digest
//! proves that, it has to pass before a byte of the endpoint joins those that are here.
//!
//! Owns which bytes are compared, and how. Must not know what made the test necessary.

use super::body;
use super::connection::Connection;
use super::endpoint::Endpoint;
use super::exchange::{Opening, ask};
use super::follow::{Located, locate};
use super::retry::retrying;
use super::versions::Versions;
use crate::base::limits::{SPAN_ALIGN_BYTES, TWIN_SAMPLE_BYTES, TWIN_SAMPLES};
use crate::base::rng::Rng;
use crate::base::{Error, ErrorKind, Result, Span, SpanSet, Url};
use crate::disk::output::Output;
use crate::disk::salvage::Salvage;
use crate::engine::failure::Failure;
use crate::engine::local::Local;
use crate::http::{Exchange, Part, may_have_expired};

/// What is compared with what.
pub(in crate::engine) struct Twin<'a> {
    /// Who asks, beside the connection that made the test necessary.
    pub(in crate::engine) local: &'a Local,
    /// What the caller named, to be asked again where a URL that it led to expires.
    pub(in crate::engine) url: &'a Url,
    /// Serves the file that is to be proved the same.
    pub(in crate::engine) endpoint: &'a Endpoint,
    /// What its answers are held against.
    pub(in crate::engine) versions: &'a Versions,
    /// Has the bytes that are here.
    pub(in crate::engine) output: &'a dyn Here,
}

/// What has the bytes that are here.
pub(in crate::engine) trait Here {
    /// Reads bytes that are there (blocking).
    fn read(&self, span: Span) -> Result<Vec<u8>>;
}

impl Here for Output {
    fn read(&self, span: Span) -> Result<Vec<u8>> {
        self.read(span)
    }
}

impl Here for Salvage {
    fn read(&self, span: Span) -> Result<Vec<u8>> {
        self.read(span)
    }
}

impl Twin<'_> {
    /// Compares samples of the bytes that are `here`. [`ErrorKind::Changed`] if one differs; any
    /// other failure says nothing of the file.
    pub(in crate::engine) async fn test(&self, here: &SpanSet, seed: u64) -> Result<()> {
        let samples = samples(here, TWIN_SAMPLES, seed);
        retrying(&self.local.context, async || self.compare_all(&samples).await).await
    }

    /// The first byte of samples that differs, if one does.
    pub(in crate::engine) async fn first_difference(
        &self,
        here: &SpanSet,
        seed: u64,
    ) -> Result<Option<u64>> {
        let samples = samples(here, TWIN_SAMPLES, seed);
        let compare_all = async || {
            let mut reach = Reach::default();
            for &sample in &samples {
                let found = self.difference(sample, &mut reach).await;
                let found = found.map_err(|error| error.within(self.endpoint.url()))?;
                if found.is_some() {
                    return Ok(found);
                }
            }
            Ok(None)
        };
        retrying(&self.local.context, compare_all).await
    }

    /// The same with `samples_max` samples, and no second try.
    pub(in crate::engine) async fn test_once(
        &self,
        here: &SpanSet,
        samples_max: u64,
        seed: u64,
    ) -> Result<(), Failure> {
        self.compare_all(&samples(here, samples_max, seed)).await
    }

    async fn compare_all(&self, samples: &[Span]) -> Result<(), Failure> {
        let mut reach = Reach::default();
        for &sample in samples {
            let compared = self.compare(sample, &mut reach).await;
            compared.map_err(|error| Failure::from(error.within(self.endpoint.url())))?;
        }
        Ok(())
    }

    /// The first byte of the sample that differs, if one does.
    async fn difference(&self, sample: Span, reach: &mut Reach) -> Result<Option<u64>> {
        let ours = self.output.read(sample)?;
        let theirs = self.fetch(sample, reach).await?;
        let index = ours.iter().zip(&theirs).position(|(ours, theirs)| ours != theirs);
        Ok(index.map(|index| sample.start() + index as u64))
    }

    async fn compare(&self, sample: Span, reach: &mut Reach) -> Result<()> {
        match self.difference(sample, reach).await? {
            None => Ok(()),
            Some(at) => {
                let what = format!("its byte {at} is not the one that is here: two files");
                Err(Error::new(ErrorKind::Changed, what))
            }
        }
    }

    /// The endpoint's bytes, which it may send in several answers (RFC 9110 section 15.3.7).
    async fn fetch(&self, sample: Span, reach: &mut Reach) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        while (bytes.len() as u64) < sample.len() {
            let rest = Span::new(sample.start() + bytes.len() as u64, sample.end());
            let mut opening = self.ask(rest, reach).await?;
            let endpoint = reach.renewed.as_ref().unwrap_or(self.endpoint);
            endpoint.hear(opening.head());
            if endpoint.learns(&opening) {
                endpoint.put_aside(opening, &self.local.shard).await;
                continue;
            }
            let context = &self.local.context;
            let part = match self.versions.check(context, &opening, rest) {
                Err(error) if self.has_expired(&error, reach) => {
                    opening = self.renew(rest, reach).await?;
                    self.versions.check(context, &opening, rest)?
                }
                judged => judged?,
            };
            let Part::Usable(body) = part else {
                // Asked again, on condition; then it is usable or an error.
                continue;
            };
            if body.len() < SPAN_ALIGN_BYTES.min(context.there(rest).len()) {
                let what = format!("the server sends no more than {} bytes at a time", body.len());
                return Err(Error::new(ErrorKind::RangeMismatch, what));
            }
            opening.exchange.expect_body(body.len());
            let received = body::receive(&mut opening, body.len()).await?;
            bytes.extend(received.ok_or_else(Exchange::excess_error)?);
            reach.connection = opening.reuse();
        }
        Ok(bytes)
    }

    /// Asks for `span` on the connection there is, which the server may have closed, or on a new
    /// one.
    async fn ask(&self, span: Span, reach: &mut Reach) -> Result<Opening> {
        let endpoint = reach.renewed.as_ref().unwrap_or(self.endpoint);
        let there = self.local.context.there(span);
        let request = endpoint.request()?.range(there).if_range(&self.versions.condition());
        if let Some(connection) = reach.connection.take() {
            match ask(connection, &request).await {
                Err(error) if error.kind() == ErrorKind::ConnectionLost => {}
                other => return other,
            }
        }
        if let Some(connection) = endpoint.idle(&self.local.shard) {
            match ask(connection, &request).await {
                Err(error) if error.kind() == ErrorKind::ConnectionLost => {}
                other => return other,
            }
        }
        let order: Vec<u32> = (0..endpoint.addresses()).collect();
        let permit = endpoint.permit(&self.local.beside_connection()).await;
        ask(endpoint.connect(&order, permit).await?, &request).await
    }

    /// Whether `error` may mean that the URL which is asked has expired.
    fn has_expired(&self, error: &Error, reach: &Reach) -> bool {
        let endpoint = reach.renewed.as_ref().unwrap_or(self.endpoint);
        endpoint.is_redirected && may_have_expired(error.kind())
    }

    /// The answer of a new URL, which is asked from then on.
    async fn renew(&self, span: Span, reach: &mut Reach) -> Result<Opening> {
        let condition = self.versions.condition();
        let Located { endpoint, opening, .. } =
            locate(&self.local.beside_connection(), self.url, Some(span), &condition).await?;
        reach.renewed = Some(endpoint);
        Ok(opening)
    }
}

/// How the endpoint is reached at the moment.
#[derive(Default)]
struct Reach {
    /// In the place of the endpoint, whose URL has expired.
    renewed: Option<Endpoint>,
    connection: Option<Connection>,
}

/// What is compared of the bytes that are `here`: their start, their end, and places between drawn
/// by `seed`, `samples_max` in all, at least 2; all of them if they are few.
fn samples(here: &SpanSet, samples_max: u64, seed: u64) -> Vec<Span> {
    let bytes = here.covered();
    if bytes <= samples_max * TWIN_SAMPLE_BYTES {
        return here.iter().flat_map(pieces).collect();
    }
    let mut rng = Rng::new(seed);
    let last = bytes - TWIN_SAMPLE_BYTES;
    let drawn = (2..samples_max).map(|_| rng.below(last) / SPAN_ALIGN_BYTES * SPAN_ALIGN_BYTES);
    let mut starts: Vec<u64> = drawn.chain([0, last]).collect();
    starts.sort_unstable();
    starts.dedup();
    starts.into_iter().flat_map(|start| within(here, start)).collect()
}

/// The bytes number `start` and following of those that are `here`, as many as a sample has.
fn within(here: &SpanSet, start: u64) -> Vec<Span> {
    let (mut skip, mut missing) = (start, TWIN_SAMPLE_BYTES);
    let mut parts = Vec::new();
    for span in here.iter() {
        let (_, open) = span.split_at(span.start().saturating_add(skip));
        skip = skip.saturating_sub(span.len());
        let (part, _) = open.split_at(open.start() + missing);
        missing -= part.len();
        if !part.is_empty() {
            parts.push(part);
        }
    }
    parts
}

/// `span` in samples.
fn pieces(span: Span) -> Vec<Span> {
    let (mut pieces, mut rest) = (Vec::new(), span);
    while !rest.is_empty() {
        let (piece, later) = rest.split_at(rest.start() + TWIN_SAMPLE_BYTES);
        pieces.push(piece);
        rest = later;
    }
    pieces
}

#[cfg(test)]
mod tests {
    use super::*;

    const KIB: u64 = 1 << 10;
    const MIB: u64 = 1 << 20;

    fn set(spans: &[(u64, u64)]) -> SpanSet {
        let mut set = SpanSet::new();
        spans.iter().for_each(|&(start, end)| _ = set.insert(Span::new(start, end)));
        set
    }

    #[test]
    fn few_bytes_are_compared_whole() {
        let here = set(&[(0, 4 * KIB), (100 * KIB, 300 * KIB), (MIB, MIB + 5)]);
        let mut compared = SpanSet::new();
        for sample in samples(&here, TWIN_SAMPLES, 1) {
            assert!(sample.len() <= TWIN_SAMPLE_BYTES);
            compared.insert(sample);
        }
        assert!(compared == here);
    }

    #[test]
    fn of_many_bytes_start_end_and_a_dozen_places_between() {
        let here = set(&[(MIB, 5 * MIB), (8 * MIB, 100 * MIB), (200 * MIB, 300 * MIB + 77)]);
        for seed in 0..50 {
            let samples = samples(&here, TWIN_SAMPLES, seed);
            let mut compared = SpanSet::new();
            for &sample in &samples {
                assert!(here.covers(sample) && sample.len() <= TWIN_SAMPLE_BYTES, "{sample}");
                compared.insert(sample);
            }
            // Two places may overlap; most do not.
            assert!(compared.covered() >= 10 * TWIN_SAMPLE_BYTES, "{}", compared.covered());
            assert!(compared.covers(Span::new(MIB, MIB + TWIN_SAMPLE_BYTES)));
            let end = 300 * MIB + 77;
            assert!(compared.covers(Span::new(end - TWIN_SAMPLE_BYTES, end)), "{samples:?}");
        }
        let samples = |seed| samples(&here, TWIN_SAMPLES, seed);
        assert_ne!(samples(1), samples(2), "a server cannot know them");
    }
}
