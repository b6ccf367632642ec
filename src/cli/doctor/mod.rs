//! `ringhaul doctor [DIR]`: what this machine grants, with cause and remedy for what is missing,
//! and then the proof (see `proof`). Owns the report on standard output; what is examined and how
//! is the engine's.

mod proof;

use super::Failure;
use super::args::DoctorArgs;
use super::resolve::must_be_folder;
use super::signals::Watch;
use crate::base::{Error, ErrorKind, Result};
use crate::io::probe;
use crate::io::probe::{Finding, FindingState};
use crate::ui::printable;
use proof::Proof;
use std::io::Write;

/// Prints the findings, runs the proof over HTTP and HTTPS, prints its figures.
pub(super) fn run(args: &DoctorArgs) -> Result<(), Failure> {
    let watch = Watch::start()?;
    let mut out = std::io::stdout().lock();
    must_be_folder(&args.dir)?;
    let version = env!("CARGO_PKG_VERSION");
    let dir = printable(&args.dir.display().to_string());
    say(&mut out, &format!("ringhaul {version}, output folder {dir}"))?;
    let findings = probe::findings(&args.dir);
    let width = findings.iter().map(|finding| finding.name.chars().count()).max().unwrap_or(0);
    for finding in &findings {
        say(&mut out, &finding_text(finding, width))?;
    }
    let proof = Proof::prepare(&args.dir, args.size)?;
    say(&mut out, &format!("\nproof: {} from the built-in server, twice", proof.size()))?;
    say(&mut out, &proof.over_http(&watch)?.to_string())?;
    say(&mut out, &proof.over_https(&watch)?.to_string())?;
    say(&mut out, "the proof holds: both files had the right SHA-256, were read back from the")?;
    say(&mut out, "disk, compared byte by byte and removed")?;
    Ok(())
}

fn say(out: &mut impl Write, text: &str) -> Result<()> {
    writeln!(out, "{text}").and_then(|()| out.flush()).map_err(|cause| {
        Error::new(ErrorKind::DiskIo, "cannot write to standard output").caused_by(cause)
    })
}

/// One aligned line, and two more where something is not as it should be.
fn finding_text(finding: &Finding, name_columns: usize) -> String {
    let state = match finding.state {
        FindingState::Good => "good",
        FindingState::Degraded => "degraded",
        FindingState::Missing => "missing",
    };
    let (name, value) = (printable(&finding.name), printable(&finding.value));
    let mut text = format!("  {state:<8}  {name:<name_columns$}  {value}");
    if finding.state != FindingState::Good {
        for (label, words) in [("cause: ", &finding.cause), ("remedy:", &finding.remedy)] {
            if !words.is_empty() {
                text.push_str(&format!("\n{:12}{label} {}", "", printable(words)));
            }
        }
    }
    text.trim_end().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_are_aligned_and_explained() {
        let finding = |state| Finding {
            name: "memlock".into(),
            state,
            value: "64 KiB".into(),
            cause: "too small".into(),
            remedy: "ulimit -l".into(),
        };
        assert_eq!(
            finding_text(&finding(FindingState::Good), 10),
            "  good      memlock     64 KiB"
        );
        assert_eq!(
            finding_text(&finding(FindingState::Missing), 7),
            "  missing   memlock  64 KiB\n            cause:  too small\n            \
             remedy: ulimit -l"
        );
    }
}
