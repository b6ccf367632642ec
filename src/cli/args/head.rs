//! What is asked without a download.

use clap::builder::BoolishValueParser;

/// Options of a question.
#[derive(Debug, clap::Args)]
pub(in crate::cli) struct HeadArgs {
    /// Fetch nothing: print what the servers of the URLs say of the files: size, ranges, digests,
    /// redirects, addresses and more; with --json a line of JSON for each.
    #[arg(short = 'I', long, env = "RINGHAUL_HEAD", help_heading = "Messages")]
    #[arg(value_parser = BoolishValueParser::new())]
    #[arg(conflicts_with_all = ["range", "repair", "input_file", "results"])]
    pub(in crate::cli) head: bool,
}
