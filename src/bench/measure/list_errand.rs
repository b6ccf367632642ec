//! How each program is told to fetch a list of files: ringhaul, and the other tools as their
//! documentation says it is fastest. Knows nothing of runs and results.

use super::file_list::Lists;
use super::peer::{Errand, Peer};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// curl's own choice with -Z.
const CURL_FILES: u32 = 50;
/// As many as aria2c opens connections to one server for one file. Its own choice of 5 takes 0.7 to
/// 0.9 of the time on loopback, but has a third of the requests under way elsewhere.
const ARIA2C_FILES: u32 = 16;
/// wget2's own choice. With 16 it takes 1.3 to 2.3 times as long, with 50 3.6 times (5,000 files of
/// 16 KiB from nginx, loopback).
const WGET2_FILES: u32 = 5;
/// With 4 to 50 of them rclone takes the same time (measured as wget2 was).
const RCLONE_FILES: u32 = 16;

/// ringhaul's words for the list of URLs in `urls`, besides those of every run.
pub(super) fn own_words(urls: &Path, folder: &Path) -> Vec<OsString> {
    let list: [&OsStr; 2] = ["-i".as_ref(), urls.as_ref()];
    let target: [&OsStr; 4] =
        ["-d".as_ref(), folder.as_ref(), "--if-exists".as_ref(), "replace".as_ref()];
    list.into_iter().chain(target).map(OsStr::to_owned).collect()
}

impl Peer {
    /// Indicates whether it fetches a list of files at all.
    pub(in crate::bench) fn takes_lists(self) -> bool {
        self != Peer::Axel
    }

    /// How many files it fetches at a time where that is left to it.
    pub(in crate::bench) fn files_at_a_time(self) -> u32 {
        match self {
            Peer::Curl | Peer::CurlNull => CURL_FILES,
            Peer::Aria2c => ARIA2C_FILES,
            Peer::Axel => 1,
            Peer::Wget2 => WGET2_FILES,
            Peer::Rclone => RCLONE_FILES,
        }
    }

    /// Its row in a table of lists.
    pub(in crate::bench) fn list_label(self, parallel: u32) -> String {
        let name = self.name();
        match self {
            Peer::Curl => format!("{name} -Z --parallel-max {parallel}"),
            Peer::CurlNull => format!("curl -Z --parallel-max {parallel} -o /dev/null"),
            Peer::Aria2c => format!("{name} -j{parallel}"),
            Peer::Axel => name.to_owned(),
            Peer::Wget2 => format!("{name} --max-threads={parallel}"),
            Peer::Rclone => format!("{name} --transfers={parallel}"),
        }
    }

    /// Its arguments for the files of `lists`, which are below the URL of `errand` and go into the
    /// folder that is its target. No user's configuration is read.
    pub(in crate::bench) fn list_arguments(
        self,
        errand: Errand<'_>,
        lists: &Lists,
        parallel: u32,
    ) -> Vec<OsString> {
        let line = match self {
            Peer::Curl | Peer::CurlNull => {
                format!("-q -sSfL --no-progress-meter -Z --parallel-max {parallel} -K")
            }
            Peer::Aria2c => format!(
                "--no-conf -q -j{parallel} --file-allocation=none --allow-overwrite=true -d"
            ),
            Peer::Axel => "-q".to_owned(),
            Peer::Wget2 => format!("--no-config -q --max-threads={parallel} -P"),
            // Without a question for each file before it is fetched.
            Peer::Rclone => format!(
                "copy --config= -q --no-traverse --http-no-head --transfers={parallel} \
                 --checkers={parallel} --http-url"
            ),
        };
        let mut words: Vec<OsString> = line.split(' ').map(Into::into).collect();
        let target = errand.target.as_os_str();
        let rest: Vec<&OsStr> = match self {
            Peer::Curl => vec![lists.curl.as_ref()],
            Peer::CurlNull => vec![lists.curl_null.as_ref()],
            Peer::Aria2c | Peer::Wget2 => vec![target, "-i".as_ref(), lists.urls.as_ref()],
            Peer::Axel => Vec::new(),
            Peer::Rclone => vec![
                errand.url.as_ref(),
                "--files-from-raw".as_ref(),
                lists.names.as_ref(),
                ":http:".as_ref(),
                target,
            ],
        };
        words.extend(rest.into_iter().map(OsStr::to_owned));
        words.extend(self.trust(errand));
        words
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_gets_list_folder_and_trust_in_its_own_words() {
        let errand = Errand {
            url: "https://h/d/",
            bytes: 10 << 20,
            target: Path::new("/t/files"),
            ca_cert: Some(Path::new("/ca.pem")),
            insecure: false,
        };
        let lists = Lists::of(Path::new("/l"));
        let line = |peer: Peer| {
            let words = peer.list_arguments(errand, &lists, 50);
            words.join(OsStr::new(" ")).into_string().unwrap()
        };
        for (peer, words) in [
            (Peer::Curl, "-Z --parallel-max 50 -K /l/curl.conf --cacert /ca.pem"),
            (Peer::CurlNull, "-Z --parallel-max 50 -K /l/curl-null.conf --cacert /ca.pem"),
            (Peer::Aria2c, "-d /t/files -i /l/urls.txt --ca-certificate=/ca.pem"),
            (Peer::Wget2, "--max-threads=50 -P /t/files -i /l/urls.txt --ca-certificate=/ca.pem"),
            (Peer::Rclone, "--http-url https://h/d/ --files-from-raw /l/names.txt :http: /t/files"),
        ] {
            assert!(line(peer).contains(words), "{words}\n{}", line(peer));
        }
        assert!(line(Peer::Aria2c).contains(" -j50 "), "{}", line(Peer::Aria2c));
        let own = own_words(&lists.urls, errand.target).join(OsStr::new(" "));
        assert_eq!(own, "-i /l/urls.txt -d /t/files --if-exists replace");
    }
}
