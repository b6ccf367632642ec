//! The exit codes as people read them: in `--help` and, by a test, in the README. The numbers come
//! from `ErrorKind::exit_code` and from the shell's convention for signals; a test compares them.

use crate::batch::failure::{Permanence, permanence_of_code};

/// The exit code of a batch of which some files failed, and all of these for good.
pub(super) const SOME_FAILED: u8 = 20;
/// That of a batch of which some files failed, and one of these may be fetched by another run.
pub(super) const SOME_MAY_PASS: u8 = 21;
/// That of a run that SIGTERM has ended, by the shell's convention.
const TERMINATED: u8 = 143;

/// Every code with its meaning, in order.
pub(super) const EXIT_CODES: [(u8, &str); 29] = [
    (0, "the file is complete under its name"),
    (1, "a bug in ringhaul"),
    (2, "an option, URL or header that cannot be used"),
    (3, "the host name has no address"),
    (4, "no connection: refused or unreachable"),
    (5, "the connection broke"),
    (6, "a time limit was reached"),
    (7, "the certificate is not trusted"),
    (8, "the server answered with an error status, such as 404"),
    (9, "the answer is not HTTP/1.1"),
    (10, "a range does not fit, or the file changed meanwhile"),
    (11, "the body ended too early"),
    (12, "a redirect that may not be followed"),
    (13, "the checksum does not match"),
    (14, "the target exists, or its folder cannot be used"),
    (15, "the disk is full"),
    (16, "reading or writing the file failed"),
    (17, "the kernel does not grant what the engine needs"),
    (18, "the proxy refuses, or wants other credentials"),
    (19, "another run has the file, or the journal of the batch"),
    (SOME_FAILED, "some files of a batch failed"),
    (SOME_MAY_PASS, "some files of a batch failed, and one of them may pass"),
    (22, "an error status that may pass: 408, 425, 429, 5xx"),
    (23, "TLS failed"),
    (24, "the content is encoded, against what was asked"),
    (25, "memory or descriptor limits do not suffice"),
    (26, "slices of the file are missing, damaged or in use"),
    (130, "stopped: SIGINT (Ctrl-C)"),
    (TERMINATED, "stopped: SIGTERM; SIGHUP gives 129"),
];

/// What another run of the same command comes to after a code: `try again` where it may succeed,
/// `permanent` where it fails in the same way; nothing after success.
pub(super) fn class(code: u8) -> &'static str {
    let permanence = match code {
        SOME_FAILED => Some(Permanence::Permanent),
        SOME_MAY_PASS | TERMINATED => Some(Permanence::MayPass),
        _ => permanence_of_code(code),
    };
    match permanence {
        Some(Permanence::MayPass) => "try again",
        Some(Permanence::Permanent) => "permanent",
        None => "",
    }
}

/// The table, with `indent` before each row.
pub(super) fn table(indent: &str) -> String {
    let row = |(code, meaning): &(u8, &str)| {
        format!("{indent}{code:>3}  {:<9}  {meaning}\n", class(*code))
    };
    EXIT_CODES.iter().map(row).collect()
}

/// The end of `--help`.
pub(super) fn after_help() -> String {
    let mut text = String::from(
        "Examples:\n  \
         ringhaul https://example.com/disk.iso\n  \
         ringhaul -c 8 -d /data --checksum sha256:HEX https://example.com/disk.iso\n\n\
         Topics:\n  \
         ringhaul help resume, lists, clusters, mirrors, proxies, login, names, parts,\n  \
         pipes, programs, config, habits, bench, server, codes\n\n\
         Environment:\n  \
         Every option is also a variable: --chunk-size is RINGHAUL_CHUNK_SIZE, and so on. The\n  \
         command line wins. Flags take 1, true, yes, 0, false or no there, RINGHAUL_VERBOSE a\n  \
         number, RINGHAUL_HEADER and RINGHAUL_CA_CERT one value per line. An empty variable\n  \
         counts as absent. NO_COLOR is respected.\n\n\
         Units:\n  \
         SIZE is bytes, or a number with K, M, G or T (powers of 1024); DURATION is seconds, or\n  \
         a number with ms, s, m or h.\n\n\
         Exit codes:\n",
    );
    text.push_str(&table("  "));
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;
    use crate::batch::failure::KINDS;

    #[test]
    fn the_table_has_every_kind_and_no_other_code() {
        let statuses = [404, 503].map(ErrorKind::Status);
        let kinds = KINDS.iter().copied().chain(statuses);
        let mut codes: Vec<u8> = kinds.map(ErrorKind::exit_code).collect();
        codes.extend([0, SOME_FAILED, SOME_MAY_PASS, TERMINATED]);
        codes.sort_unstable();
        codes.dedup();
        let table: Vec<u8> = EXIT_CODES.iter().map(|(code, _)| *code).collect();
        assert_eq!(table, codes, "sorted, complete, nothing invented");
    }

    #[test]
    fn the_readme_has_the_same_table() {
        let readme = include_str!("../../README.md");
        for (code, meaning) in EXIT_CODES {
            let row = format!("| {code} | {meaning} | {} |", class(code)).replace("|  |", "| |");
            assert!(readme.contains(&row), "README.md lacks the row\n{row}");
        }
    }
}
