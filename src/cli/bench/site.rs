//! The server of a bench without a URL: `ringhaul serve`, told what the bench was told.

use crate::base::size::GIB;
use crate::bench::Upstream;
use crate::cli::args::SiteArgs;
use std::ffi::OsString;

/// The seed of its content and of its random choices; any would do.
const SEED: u64 = 0x62_65_6e_63_68;
/// Bytes of its file unless told otherwise: every cell of the default grid has work in it.
const SIZE_BYTES: u64 = GIB;

impl SiteArgs {
    /// Indicates whether any option of the built-in server was given; the size is also that of
    /// another server's files where there is a list of them.
    pub(super) fn is_used(&self, is_list: bool) -> bool {
        let size = self.size.filter(|_| is_list);
        *self != Self { size, ..Self::default() }
    }

    /// The server that these options describe, with one file at every path or with `files` of them.
    pub(super) fn upstream(&self, files: Option<u64>) -> Upstream {
        Upstream::BuiltIn {
            arguments: self.arguments(files),
            content_seed: SEED,
            tls: self.tls,
            remembers: self.shape.remembers(),
        }
    }

    /// The command that serves it.
    fn arguments(&self, files: Option<u64>) -> Vec<OsString> {
        let size_bytes = self.size.unwrap_or(SIZE_BYTES);
        let words = ["serve", "--quiet", "--until-eof", "--listen=127.0.0.1:0"];
        let mut words: Vec<OsString> = words.map(OsString::from).into();
        words.push(format!("--size={size_bytes}").into());
        words.push(format!("--seed={SEED}").into());
        words.extend(files.map(|count| format!("--files={count}").into()));
        words.extend(self.tls.then(|| "--tls".into()));
        words.extend(self.shape.words());
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args::{Command, parse};

    fn bench(words: &[&str]) -> SiteArgs {
        let words = ["ringhaul", "bench"].iter().chain(words);
        match parse(words.map(OsString::from)).unwrap().command {
            Some(Command::Bench(args)) => args.site,
            other => panic!("{other:?}"),
        }
    }

    fn remembers(words: &[&str]) -> bool {
        match bench(words).upstream(None) {
            Upstream::BuiltIn { remembers, .. } => remembers,
            Upstream::Url(url) => panic!("{url}"),
        }
    }

    #[test]
    fn the_server_hears_what_the_bench_was_told() {
        let words = [
            "--size=8M",
            "--tls",
            "--rate=2M/s",
            "--rate-per-connection=1M",
            "--first-byte=50ms",
            "--jitter=1.5",
            "--lose-connections=3",
            "--refuse-beyond=4",
            "--refuse-status=403",
            "--throttle-after=250ms",
            "--throttle-rate=64K",
            "--slow-every=8",
            "--slow-rate=1K",
        ];
        let site = bench(&words);
        assert!(site.is_used(false) && !bench(&[]).is_used(false));
        let words = [OsString::from("ringhaul")].into_iter().chain(site.arguments(Some(7)));
        match parse(words).unwrap().command {
            Some(Command::Serve(args)) => {
                assert_eq!((args.shape, args.files), (site.shape.clone(), Some(7)));
            }
            other => panic!("{other:?}"),
        }
        assert_eq!(site.shape.words().len(), 11, "every one of them");
        let site = bench(&["--throttle-after=1M", "--throttle-rate=1K"]);
        assert_eq!(site.shape.words(), ["--throttle-after=1048576", "--throttle-rate=1000"]);
    }

    #[test]
    fn each_run_gets_a_fresh_server_where_one_remembers() {
        for words in [&["--rate=1M"][..], &["--jitter=1s", "--first-byte=1s"], &["--tls"]] {
            assert!(!remembers(words), "{words:?}");
        }
        for words in [
            &["--lose-connections=2"][..],
            &["--slow-every=2", "--slow-rate=1K"],
            &["--throttle-after=1s", "--throttle-rate=1K"],
            &["--refuse-beyond=2"],
        ] {
            assert!(remembers(words), "{words:?}");
        }
    }
}
