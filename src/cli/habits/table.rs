//! What each flag of curl, wget, aria2c and axel is here: taken, because it means the same, or
//! refused with the words that name ours. Only flags that are not ours are looked up. Must not
//! know how a command line is read.

use Deed::{As, Instead, NameOfUrl, Nothing, Place, Resume, Silence, Tries};

/// A flag of other tools.
pub(super) struct Habit {
    /// The ways to write it; a `*` at the end stands for any end.
    pub(super) flags: &'static [&'static str],
    /// Which tools have it, for the message.
    pub(super) tools: &'static str,
    /// Indicates whether a value follows it.
    pub(super) has_value: bool,
    pub(super) deed: Deed,
}

/// What is done with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Deed {
    /// Left out: that is what is always done.
    Nothing,
    /// This option of ours, with the same value.
    As(&'static str),
    /// `--retries`, which does not count the first try.
    Tries,
    /// `--quiet`, unless something is to be heard.
    Silence,
    /// Left out, unless it is wget's flag with a file behind it.
    NameOfUrl,
    /// Left out, if the offset is `-`, for automatic.
    Resume,
    /// Its value is a URL.
    Place,
    /// Refused; what to write.
    Instead(&'static str),
}

/// What is done with this flag, unless nothing is known of it. Flags in full come first.
pub(super) fn find(flag: &str) -> Option<&'static Habit> {
    let is_begin = |habit: &&Habit| {
        let mut begins = habit.flags.iter().filter_map(|written| written.strip_suffix('*'));
        begins.any(|begin| flag.starts_with(begin))
    };
    find_whole(flag).or_else(|| HABITS.iter().find(is_begin))
}

/// The same for what is written so and not otherwise: a flag with its value, or two letters.
pub(super) fn find_whole(word: &str) -> Option<&'static Habit> {
    HABITS.iter().find(|habit| habit.flags.contains(&word))
}

/// All that is known, for tests.
#[cfg(test)]
pub(super) fn all() -> &'static [Habit] {
    HABITS
}

type Flags = &'static [&'static str];

const fn bare(flags: Flags, tools: &'static str, deed: Deed) -> Habit {
    Habit { flags, tools, has_value: false, deed }
}

const fn with_value(flags: Flags, tools: &'static str, deed: Deed) -> Habit {
    Habit { flags, tools, has_value: true, deed }
}

const fn no(flags: Flags, tools: &'static str, advice: &'static str) -> Habit {
    Habit { flags, tools, has_value: false, deed: Instead(advice) }
}

const GET_ONLY: &str = "ringhaul only fetches, with GET: it sends no data and no other method";
const HTTP_ONLY: &str = "ringhaul speaks http:// and https://, nothing else";
const NO_PAGES: &str = "links in pages are not followed: name the files, or give a list with -i";
const NO_TORRENT: &str = "BitTorrent is not spoken: name http:// or https:// URLs of the file";
const NO_WARC: &str = "a file is stored as it is, not in an archive: leave it out";
const NO_DAEMON: &str =
    "there is no remote control; --json and --results tell programs how it goes";
const NO_HOOK: &str = "no command is run: use the exit code, or read --results";
const NO_TLS_CHOICE: &str =
    "TLS 1.2 and 1.3 with good ciphers are spoken, nothing older: leave it out";
const IN_URL: &str = "write user and password in the URL, https://USER:PASSWORD@HOST/";
const AUTO_SPLIT: &str =
    "requests are sized by what pays: leave it out, or fix it by --chunk-size SIZE";
const COUNT: &str = "write -c N, for N connections";
const AT_ONCE: &str = "write -j N, for N files at once";
const DISK: &str = "space is reserved and writing chosen by what the disk can: leave it out";
const FOLDERS: &str = "files go to --dir DIR; a list may name a folder below it (dir=)";
const JOURNAL: &str = "resuming needs no file of yours: --state FILE keeps what is done of a list";
const NAMES: &str = "names are those of the URLs, made safe; -o FILE chooses another";
const NO_STAMP: &str = "--if-exists check fetches only what has changed; -R sets the file's time";
const HEAD: &str = "--head asks without fetching; -v shows what the server answers";
const MESSAGES: &str =
    "errors and progress go to standard error; --log-file FILE keeps what happened";
const MIRRORS: &str = "further servers are named by --mirror URL or --metalink FILE";
const REDIRECTS: &str = "redirects are followed, up to a fixed number of them: leave it out";
const USED_ANEW: &str = "connections are kept and used again; leave it out";
const NAMES_ANEW: &str = "names are looked up by the system: leave it out";

/// Flags that more than one tool has stand where their most frequent tool is.
const HABITS: &[Habit] = &[
    // curl: what is always done, or what ours does.
    bare(&["-L", "--location"], "curl", Nothing),
    bare(&["-f", "--fail", "-S", "--show-error"], "curl", Nothing),
    bare(&["-g", "--globoff", "-#", "--progress-bar"], "curl", Nothing),
    bare(&["--http1.1", "--path-as-is", "--tcp-nodelay", "--no-buffer"], "curl", Nothing),
    bare(&["--remote-name-all", "--parallel-immediate", "--basic"], "curl", Nothing),
    bare(&["-O"], "curl", NameOfUrl),
    bare(&["-s", "--silent"], "curl", Silence),
    bare(&["--fail-early"], "curl", As("--fail-fast")),
    with_value(&["-C", "--continue-at"], "curl", Resume),
    with_value(&["-m"], "curl", As("--max-time")),
    with_value(&["--output-dir"], "curl", As("--dir")),
    with_value(&["--parallel-max"], "curl", As("--parallel")),
    with_value(&["--max-overall-download-limit"], "aria2c", As("--limit-rate")),
    // For each file; all files together take no more than that here.
    with_value(&["--max-download-limit"], "aria2c", As("--limit-rate")),
    with_value(&["--max-speed"], "axel", As("--limit-rate")),
    with_value(&["--retry"], "curl", As("--retries")),
    with_value(&["--retry-delay"], "curl", As("--retry-wait")),
    with_value(&["--url"], "curl", Place),
    // curl: what is something else here, or nothing.
    no(
        &["--compressed", "--tr-encoding", "--compression"],
        "curl and wget",
        "a compressed answer has no ranges of the file: it is asked for as it is",
    ),
    no(&["-X", "--request", "--data*", "--form*", "-F", "-G", "--get"], "curl", GET_ONLY),
    no(&["--post*", "--method", "--body-*", "--upload-file"], "curl and wget", GET_ONLY),
    no(&["--include", "-D", "--dump-header", "--etag-*", "-w", "--write-out"], "curl", HEAD),
    no(&["--start-pos"], "wget", "write --range N-, for all bytes from N on"),
    no(&["-T"], "curl and wget", "write --timeout N for a time limit; nothing is uploaded"),
    no(&["-U"], "curl and wget", "the client's name is -A NAME"),
    no(&["-Z"], "curl and aria2c", "several URLs are fetched together; -j 1: one after the other"),
    no(
        &["--location-trusted"],
        "curl",
        "credentials stay with the origin of the URL: leave it out, or name the other URL",
    ),
    no(&["--max-redirs", "--max-redirect", "--proto-redir"], "curl, wget and axel", REDIRECTS),
    no(
        &[
            "--retry-all-errors",
            "--retry-connrefused",
            "--retry-max-time",
            "--retry-on-http-error",
            "--retry-on-host-error",
        ],
        "curl and wget",
        "what may pass is retried, also refused connections: --retries N, --max-time N",
    ),
    no(
        &["--http1.0", "--http2*", "--http3*", "-0"],
        "curl",
        "HTTP/1.1 is spoken, over several connections: leave it out",
    ),
    no(
        &["--tls*", "--ssl*", "-1", "-2", "-3", "--ciphers", "--curves", "--secure-protocol"],
        "curl and wget",
        NO_TLS_CHOICE,
    ),
    no(
        &["--fail-with-body", "--content-on-error"],
        "curl and wget",
        "the body of an error is never stored under the file's name; -v shows the answer",
    ),
    no(
        &["--stderr", "--trace-*", "-a", "--append-output", "--log"],
        "curl, wget and aria2c",
        MESSAGES,
    ),
    no(&["-l"], "aria2c and wget", "write --log-file FILE; links in pages are not followed"),
    no(
        &["--time-cond", "-z", "--timestamping", "--conditional-get", "--no-if-modified-since"],
        "curl, wget and aria2c",
        NO_STAMP,
    ),
    no(
        &[
            "--proxy*",
            "--all-proxy*",
            "--http-proxy*",
            "--https-proxy*",
            "--ftp-proxy*",
            "--socks*",
            "--preproxy",
        ],
        "curl, wget and aria2c",
        "proxies: write -x URL",
    ),
    no(&["--no-proxy"], "curl, wget and axel", "to use no proxies, write --noproxy '*'"),
    no(
        &[
            "--netrc*",
            "--http-user",
            "--http-passwd",
            "--http-password",
            "--password",
            "--ask-password",
            "--use-askpass",
            "--anyauth",
            "--auth-no-challenge",
            "--http-auth-challenge",
        ],
        "curl, wget and aria2c",
        "write -u USER:PASSWORD, or use --netrc",
    ),
    no(&["--ntlm*", "--negotiate", "--krb", "--delegation", "--aws-sigv4"], "curl", IN_URL),
    no(
        &["--cookie*", "--keep-session-cookies", "--junk-session-cookies", "--no-cookies"],
        "curl, wget and aria2c",
        "read cookies with -b FILE, save them with --cookie-jar FILE",
    ),
    no(&["--content-disposition*"], "curl, wget and aria2c", "write --remote-name"),
    no(
        &["--cert*", "--key*", "--pass", "--private-key*"],
        "curl and wget",
        "client certificates: write --cert FILE and --key FILE, both PEM",
    ),
    no(
        &["--crlfile", "--crl-file", "--cert-status"],
        "curl and wget",
        "trust is by --ca-cert FILE or a digest, --checksum",
    ),
    no(
        &["--prefer-family", "--disable-ipv6"],
        "curl, wget and axel",
        "addresses of one family: write -4 or -6",
    ),
    no(
        &["--local-port", "--multiple-interface"],
        "curl, wget and aria2c",
        "the address to come from: write --interface NAME",
    ),
    no(
        &["--abstract-unix-socket"],
        "curl",
        "where to connect is said by the URL; another name is sent with -H 'Host: NAME'",
    ),
    no(
        &["--dns-*", "--doh-*", "--no-dns-cache", "--async-dns*", "--happy-eyeballs-*"],
        "curl, wget and aria2c",
        NAMES_ANEW,
    ),
    no(
        &[
            "--no-keepalive",
            "--keepalive-*",
            "--no-http-keep-alive",
            "--enable-http-keep-alive",
            "--enable-http-pipelining",
        ],
        "curl, wget and aria2c",
        USED_ANEW,
    ),
    no(
        &[
            "--no-progress-meter",
            "--progress",
            "--show-progress",
            "--summary-interval",
            "--alternate",
            "--percentage",
            "--report-speed",
        ],
        "curl, wget, aria2c and axel",
        "progress is shown as standard error can; -q shows errors only",
    ),
    no(
        &["--ignore-length", "--ignore-content-length"],
        "wget and curl",
        "a file that is shorter than the server says is not whole: that is always checked",
    ),
    no(
        &["--rate", "--wait", "--random-wait", "--waitretry"],
        "curl and wget",
        "retries wait by themselves, from --retry-wait on; -j 1 fetches one after the other",
    ),
    no(
        &["--max-filesize", "-Q", "--quota"],
        "curl and wget",
        "a size is not limited; the disk's free space is checked first",
    ),
    no(
        &["--ftp*", "--ftps-*", "--mail-*", "--tftp-*", "--telnet-*", "--quote"],
        "curl and wget",
        HTTP_ONLY,
    ),
    no(
        &[
            "--no-passive-ftp",
            "--no-remove-listing",
            "--preserve-permissions",
            "--retr-symlinks",
            "--no-glob",
        ],
        "wget",
        HTTP_ONLY,
    ),
    no(&["--manual"], "curl", "see ringhaul --help"),
    no(
        &["--remove-on-error", "--create-file-mode", "--unlink"],
        "curl and wget",
        "an unfinished file never stands under its name: leave it out",
    ),
    no(&["--xattr"], "curl and wget", "no extended attributes are written: leave it out"),
    // wget.
    with_value(&["--tries", "--max-tries"], "wget and aria2c", Tries),
    with_value(&["--ca-directory"], "wget", As("--ca-path")),
    with_value(&["--certificate"], "wget and aria2c", As("--cert")),
    with_value(&["--private-key"], "wget and aria2c", As("--key")),
    with_value(&["--load-cookies"], "wget and aria2c", As("--cookie")),
    with_value(&["--save-cookies"], "wget and aria2c", As("--cookie-jar")),
    with_value(&["--bind-address"], "wget", As("--interface")),
    with_value(&["--all-proxy"], "aria2c", As("--proxy")),
    bare(&["--inet4-only"], "wget", As("--ipv4")),
    bare(&["--inet6-only"], "wget", As("--ipv6")),
    no(&["--continue=false"], "aria2c", "resuming is automatic, unless --no-resume is given"),
    bare(&["--continue", "--continue=true"], "wget and aria2c", Nothing),
    with_value(&["--ca-certificate"], "wget and aria2c", As("--ca-cert")),
    bare(&["--no-check-certificate"], "wget", As("--insecure")),
    with_value(&["--read-timeout"], "wget", As("--timeout")),
    bare(&["--https-only", "--no-hsts", "--no-netrc"], "wget", Nothing),
    bare(&["--no-use-server-timestamps"], "wget", Nothing),
    bare(&["-nv", "--no-verbose"], "wget", As("--quiet")),
    no(&["-t"], "wget", "write -r N, for N retries"),
    no(&["--output-document"], "wget", "write -o FILE"),
    no(&["--output-file"], "wget", MESSAGES),
    no(&["-P", "--directory-prefix"], "wget", "write -d DIR"),
    no(&["-nc", "--no-clobber"], "wget and curl", "write --if-exists skip"),
    no(&["--server-response", "--spider"], "wget", HEAD),
    no(&["--background"], "wget", "let the shell put it there: ringhaul ... &"),
    no(&["--execute", "--rejected-log"], "wget", "see ringhaul --help for its options"),
    no(
        &["-B", "--base"],
        "wget",
        "--base-url URL is what the names in a list of checksums are relative to",
    ),
    no(
        &[
            "-nd",
            "-nH",
            "--no-directories",
            "--force-directories",
            "--no-host-directories",
            "--protocol-directories",
            "--cut-dirs",
        ],
        "wget",
        FOLDERS,
    ),
    no(
        &[
            "-np",
            "--force-html",
            "--recursive",
            "--level",
            "--delete-after",
            "--convert-*",
            "--backup*",
            "--page-requisites",
            "--strict-comments",
            "--accept*",
            "--reject*",
            "--regex-type",
            "--domains",
            "--exclude-*",
            "--follow-ftp",
            "--follow-tags",
            "--ignore-case",
            "--ignore-tags",
            "--span-hosts",
            "--relative",
            "--include-directories",
            "--no-parent",
        ],
        "wget",
        NO_PAGES,
    ),
    no(&["--warc-*", "--no-warc-*"], "wget", NO_WARC),
    no(&["--hsts*"], "wget and curl", "https stays https: a redirect to http is not followed"),
    no(
        &[
            "--restrict-file-names",
            "--default-page",
            "--adjust-extension",
            "--no-iri",
            "--local-encoding",
            "--remote-encoding",
            "--trust-server-names",
        ],
        "wget",
        NAMES,
    ),
    no(&["--no-cache"], "wget", "write -H 'Cache-Control: no-cache'"),
    no(&["--save-headers"], "wget", HEAD),
    no(&["--debug"], "wget", "write -vv"),
    no(&["-N"], "wget", NO_STAMP),
    // aria2c.
    with_value(&["--out"], "aria2c", As("--output")),
    with_value(&["--max-concurrent-downloads"], "aria2c", As("--parallel")),
    bare(&["--remote-time=true"], "aria2c", As("--remote-time")),
    bare(&["--auto-file-renaming=false", "--allow-overwrite=false"], "aria2c", Nothing),
    bare(&["--allow-overwrite=true"], "aria2c", As("--force")),
    bare(&["--check-certificate=true"], "aria2c", Nothing),
    bare(&["--check-certificate=false"], "aria2c", As("--insecure")),
    with_value(&["--lowest-speed-limit"], "aria2c", As("--speed-limit")),
    no(&["--split", "--max-connection-per-server", "--num-connections"], "aria2c and axel", COUNT),
    no(&["--min-split-size", "--piece-length", "--stream-piece-selector"], "aria2c", AUTO_SPLIT),
    no(&["--optimize-concurrent-downloads"], "aria2c", AT_ONCE),
    no(&["--force-sequential"], "aria2c", "write -j 1, for one file after the other"),
    no(
        &["--parameterized-uri"],
        "aria2c",
        "let the shell make them: URL{1..9}, or list them in -i",
    ),
    no(
        &["--file-allocation", "--disk-cache", "--no-file-allocation-limit", "--enable-mmap"],
        "aria2c",
        DISK,
    ),
    no(
        &["--check-integrity", "--realtime-chunk-checksum"],
        "aria2c",
        "write --checksum ALGO:HEX, or --repair FILE with --piece-hashes",
    ),
    no(&["--hash-check-only"], "aria2c", "write --repair FILE, or let sha256sum check it"),
    no(
        &["--auto-file-renaming", "--allow-overwrite", "--remove-control-file"],
        "aria2c",
        "write --force to replace a file, or choose a name with -o",
    ),
    no(&["--check-certificate"], "aria2c", "write -k to accept any certificate"),
    no(
        &[
            "--save-session*",
            "--auto-save-interval",
            "--deferred-input",
            "--always-resume",
            "--max-resume-failure-tries",
        ],
        "aria2c",
        JOURNAL,
    ),
    no(
        &[
            "--torrent-file",
            "--max-overall-upload-limit",
            "--max-upload-limit",
            "--bt-*",
            "--dht-*",
            "--enable-dht*",
            "--seed-*",
            "--listen-port",
            "--enable-peer-exchange",
            "--peer-*",
            "--follow-torrent",
            "--index-out",
            "--show-files",
            "--select-file",
            "--on-bt-*",
        ],
        "aria2c",
        NO_TORRENT,
    ),
    no(
        &["--metalink-file", "-M", "--follow-metalink", "--metalink-*"],
        "aria2c",
        "write --metalink FILE; --metalink off fetches the description itself",
    ),
    no(&["--enable-rpc*", "--rpc-*", "--daemon", "--pause*"], "aria2c", NO_DAEMON),
    no(&["--on-download-*", "--event-poll"], "aria2c", NO_HOOK),
    no(
        &["--uri-selector", "--server-stat-*", "--reuse-uri"],
        "aria2c",
        "write --mirror-policy all, best or failover",
    ),
    no(&["--conf-path"], "aria2c", "write --config FILE"),
    no(&["--no-conf"], "aria2c", "write --no-config"),
    no(&["-K", "--disable"], "curl and wget", "write --config FILE or --no-config"),
    no(&["--quiet=true"], "aria2c", "write -q"),
    // axel.
    no(&["--search*"], "axel", MIRRORS),
];
