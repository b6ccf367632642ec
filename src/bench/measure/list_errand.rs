//! How each program is told to fetch a list of files: ringhaul, and the other tools as their
//! documentation says it is fastest. Knows nothing of runs and results.

use super::file_list::Lists;
use super::peer::{Errand, Peer};
use std::ffi::{OsStr, OsString};
use std::path::Path;

/// Most files aria2c fetches at a time to any use: more of them take it longer (measured).
const ARIA2C_FILES_MAX: u32 = 16;

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

    /// Its row in a table of lists.
    pub(in crate::bench) fn list_label(self, parallel: u32) -> String {
        let name = self.name();
        match self {
            Peer::Curl => format!("{name} -Z --parallel-max {parallel}"),
            Peer::CurlNull => format!("curl -Z --parallel-max {parallel} -o /dev/null"),
            Peer::Aria2c => format!("{name} -j{}", parallel.min(ARIA2C_FILES_MAX)),
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
        let aria2c_files = parallel.min(ARIA2C_FILES_MAX);
        let line = match self {
            Peer::Curl | Peer::CurlNull => {
                format!("-q -sSfL --no-progress-meter -Z --parallel-max {parallel} -K")
            }
            Peer::Aria2c => format!(
                "--no-conf -q -j{aria2c_files} --file-allocation=none --allow-overwrite=true -d"
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
        assert!(line(Peer::Aria2c).contains(" -j16 "), "{}", line(Peer::Aria2c));
        let own = own_words(&lists.urls, errand.target).join(OsStr::new(" "));
        assert_eq!(own, "-i /l/urls.txt -d /t/files --if-exists replace");
    }
}
