//! The digest of a part at its place: once all of it is there, the bytes that were asked for are
//! read back in their order, and compared. Must not know how they came.

use super::Attempt;
use super::finish::Ending;
use crate::base::{Error, ErrorKind, Result, Span};
use crate::digest::Digest;
use crate::disk::read_back;
use crate::engine::progress::{Phase, Verified};
use crate::engine::transfer::expected_digest::{self, Wanted};
use crate::engine::transfer::task::Task;

/// Spans that a message names before it says how many more there are.
const SPANS_SHOWN_MAX: usize = 3;
/// The advice where the digest may be that of something else.
const DIGEST_ADVICE: &str =
    "compare the digest with its source: it is to be that of these ranges alone, in their order";

impl Attempt<'_> {
    /// Compares what is there with the digest that is expected of it.
    pub(super) async fn verify_part(
        &self,
        ending: &Ending,
        wanted: &Wanted,
    ) -> Result<Option<Verified>> {
        let context = self.context();
        let Some(expected) = &wanted.expected else { return Ok(None) };
        let part = context.options.part.as_ref().expect("the digest is that of a part");
        let spans = part.digested(ending.received.bytes)?;
        let bytes = spans.iter().map(|span| span.len()).sum();
        let (output, algorithm) = (ending.output.clone(), expected.checksum.algorithm);
        context.set_phase(Phase::Verifying);
        context.set_unchecked(bytes);
        let mut task = Task::start(context, move |on_step| {
            let mut hasher = algorithm.hasher();
            read_back::each_block(&output, &spans, |block| {
                hasher.update(block);
                on_step(block.len() as u64)
            })?;
            Ok(hasher.finish())
        })?;
        let read = task.outcome().await;
        context.set_unchecked(0);
        let digest: Digest = read?;
        expected_digest::compare(Some(expected), &[digest], bytes)
    }

    /// A digest that does not fit says where the bytes are that it was computed of.
    pub(super) fn part_mismatch(&self, error: Error, ending: &Ending) -> Error {
        if error.kind() != ErrorKind::ChecksumMismatch {
            return error;
        }
        let part = ending.output.part_path().display();
        if !ending.output.is_inside() {
            ending.output.keep_part();
            return error.advise(format!(
                "the bytes are kept in {part} until the next run, which fetches them anew; \
                 {DIGEST_ADVICE}"
            ));
        }
        let wanted = self.context().options.part.as_ref();
        let spans = wanted.and_then(|part| part.spans(ending.received.bytes).ok());
        let spans: Vec<Span> = spans.iter().flat_map(|spans| spans.iter()).collect();
        error.advise(format!(
            "they already stand in {part}, at its bytes {}, and cannot be taken back; the same \
             command fetches them anew; {DIGEST_ADVICE}",
            shown(&spans)
        ))
    }
}

/// Spans as a person counts bytes: `0-4095, 8192-9999 and 3 more`.
fn shown(spans: &[Span]) -> String {
    let first = spans.iter().take(SPANS_SHOWN_MAX).filter(|span| !span.is_empty());
    let first: Vec<_> = first.map(|span| format!("{}-{}", span.start(), span.end() - 1)).collect();
    let more = spans.len().saturating_sub(SPANS_SHOWN_MAX);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    format!("{}{more}", first.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_spans_the_first_ones_are_named() {
        let spans: Vec<Span> = (0..5).map(|at| Span::with_len(at * 8192, 4096)).collect();
        assert_eq!(shown(&spans[..1]), "0-4095");
        assert_eq!(shown(&spans[..3]), "0-4095, 8192-12287, 16384-20479");
        assert_eq!(shown(&spans), "0-4095, 8192-12287, 16384-20479 and 2 more");
    }
}
