//! The table of several servers: time over the ideal split, and what that cost. Owns its text and
//! its CSV; must not know how anything is simulated.

use ringhaul::internal::sim::Split;
use std::fmt::Write as _;

/// The table, with its heading.
pub(crate) fn table(splits: &[Split], seeds: u64) -> String {
    let mut text = format!(
        "\n## Several servers of one file\n\n\
         Time over the ideal: what the servers together would take if each sent at its full rate \
         from the first moment on, to its last byte or to its end, and if it were known in advance \
         which of them fails when; no handshakes, no slow start. {seeds} seeds. The medians are \
         bound, the 95th percentiles are printed. The servers are 20 ms away, send 20 MB/s each \
         where nothing else is said, and the file has 400 MB, or 1 GB where some are far away; \
         `src/sim/table/mirrored.rs` has the rest. The laws were tuned with all of them in \
         sight.\n\n\
         | scenario | servers | median | p95 | target | met | worst (seed) | ideal s | auto s \
         | connections | opened | most opened | requests | push-backs | in vain |\n\
         |---|--:|--:|--:|--:|---|--:|--:|--:|--:|--:|--:|--:|--:|--:|\n"
    );
    for it in splits {
        let met = if it.is_met() { "yes" } else { "**no**" };
        let line = writeln!(
            text,
            "| {} | {} | {:.3} | {:.3} | {:.2} | {met} | {:.2} ({}) | {:.2} | {:.2} | {:.1} \
             | {:.1} | {} | {:.0} | {:.1} | {:.2} % |",
            it.name,
            it.sources,
            it.reached.median,
            it.reached.p95,
            it.target.median,
            it.worst.1,
            it.worst.0,
            it.ideal_s,
            it.auto_s,
            it.connections,
            it.opened,
            it.opened_max,
            it.requests,
            it.push_backs,
            100.0 * it.wasted_share,
        );
        line.expect("a string takes everything");
    }
    let met = splits.iter().filter(|it| it.is_met()).count();
    text + &format!("\n{met} of {} targets met.\n", splits.len())
}

/// The same as CSV.
pub(crate) fn csv(splits: &[Split]) -> String {
    let mut csv = "scenario,servers,median,p95,target_median,met,worst,worst_seed,ideal_s,auto_s,\
                   connections,opened,opened_max,requests,push_backs,wasted_share\n"
        .to_owned();
    for it in splits {
        let line = writeln!(
            csv,
            "{},{},{:.4},{:.4},{},{},{:.4},{},{:.3},{:.3},{:.2},{:.1},{},{:.1},{:.2},{:.5}",
            it.name,
            it.sources,
            it.reached.median,
            it.reached.p95,
            it.target.median,
            it.is_met(),
            it.worst.1,
            it.worst.0,
            it.ideal_s,
            it.auto_s,
            it.connections,
            it.opened,
            it.opened_max,
            it.requests,
            it.push_backs,
            it.wasted_share,
        );
        line.expect("a string takes everything");
    }
    csv
}
