//! The download before the first run: it warms the server and says how large the file is. What it
//! cannot do, no run can.

use super::content::Content;
use super::file_list::{Contents, FileList};
use super::runner::{Runner, folder_of, interrupted};
use super::scratch::{Scratch, must_have_room};
use super::sink::Sink;
use crate::base::{Error, ErrorKind, Result};
use crate::bench::{CERTIFICATE, News, Settings, Upstream};
use crate::engine::Download;
use crate::engine::options::Options;
use crate::engine::progress::Progress;
use crate::engine::stop::StopHandle;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread;
use std::time::Instant;

/// What goes wrong before anything is measured, goes wrong there.
const FIRST: &str = "the first download";

/// The first download: it warms the server, says how large the file is, and of a URL it stays as
/// what every later file is compared with. It is not measured.
pub(in crate::bench) fn warm_up(
    settings: &Settings,
    scratch: Scratch,
    url: &str,
    stop: &StopHandle,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Runner> {
    let reference = scratch.path("reference");
    let certificate = match &settings.upstream {
        Upstream::BuiltIn { tls, .. } => tls.then(|| scratch.path(CERTIFICATE)),
        Upstream::Url(_) => None,
    };
    let ca_cert = certificate.or_else(|| settings.ca_cert.clone());
    let ca_cert = ca_cert.map(std::path::absolute).transpose().map_err(|cause| {
        Error::new(ErrorKind::Usage, "the path of the certificate is no path").caused_by(cause)
    })?;
    let options = Options {
        ca_certs: ca_cert.iter().cloned().collect(),
        insecure: settings.insecure,
        ..Options::default()
    };
    if let Some(files) = settings.files {
        let first = First { scratch: &scratch, url, options: &options };
        let contents = first.samples(files, &settings.upstream, stop, tell)?;
        let runner = Runner {
            bytes: files.bytes(),
            files: Some((files, contents)),
            ..runner(settings, scratch, url, ca_cert, stop)
        };
        must_have_room(&runner.scratch.path(""), runner.bytes)?;
        return Ok(runner);
    }
    let target = (settings.sink != Sink::Null).then_some(reference.as_path());
    let report = fetch(url, target, options, stop, tell)?;
    if !report.ranges && settings.against.is_empty() {
        return Err(Error::new(ErrorKind::Usage, "the server offers no ranges of this file")
            .advise(
                "nothing can be swept; another server or file, or --against to compare tools",
            ));
    }
    let content = match &settings.upstream {
        _ if settings.sink == Sink::Null => Content::Unknown,
        Upstream::Url(_) => Content::Reference(reference),
        Upstream::BuiltIn { content_seed, .. } => {
            // Its content is known; the space is not needed twice. Gone already is as good.
            let _ = std::fs::remove_file(&reference);
            Content::Seed(*content_seed)
        }
    };
    if settings.sink != Sink::Null {
        must_have_room(&scratch.path(""), report.bytes)?;
    }
    let bytes = report.bytes;
    Ok(Runner { bytes, content, ..runner(settings, scratch, url, ca_cert, stop) })
}

/// A runner that knows nothing yet of what it fetches.
fn runner(
    settings: &Settings,
    scratch: Scratch,
    url: &str,
    ca_cert: Option<PathBuf>,
    stop: &StopHandle,
) -> Runner {
    Runner {
        scratch,
        sink: settings.sink,
        settles: !settings.against.is_empty() && settings.sink.is_on_disk(),
        program: settings.program.clone(),
        url: url.to_owned(),
        renewed: None,
        bytes: 0,
        content: Content::Unknown,
        files: None,
        ca_cert,
        insecure: settings.insecure,
        threads: settings.threads,
        engine: settings.engines.first().copied(),
        stop: stop.clone(),
        started: Instant::now(),
        unreachable_runs: 0,
    }
}

/// The first downloads from a list of files.
struct First<'a> {
    scratch: &'a Scratch,
    /// Any URL in their folder.
    url: &'a str,
    options: &'a Options,
}

impl First<'_> {
    /// Fetches some of the files. Of a server that made no promise they stay.
    fn samples(
        &self,
        files: FileList,
        upstream: &Upstream,
        stop: &StopHandle,
        tell: &mut dyn FnMut(News<'_>),
    ) -> Result<Contents> {
        let content_seed = match upstream {
            Upstream::BuiltIn { content_seed, .. } => Some(*content_seed),
            Upstream::Url(_) => None,
        };
        // Of known files the first one shows that they are there.
        let count = if content_seed.is_some() { 1 } else { usize::MAX };
        let mut samples = Vec::new();
        for name in files.samples().into_iter().take(count) {
            let url = format!("{}{name}", folder_of(self.url));
            let path = self.scratch.path(&format!("reference-{name}"));
            let fetched = fetch(&url, Some(&path), self.options.clone(), stop, tell)?;
            let (bytes, size_bytes) = (fetched.bytes, files.size_bytes);
            if bytes != size_bytes {
                let what = format!("{name} has {bytes} bytes on the server, not {size_bytes}");
                return Err(Error::new(ErrorKind::Usage, what)
                    .advise("say the size of the server's files with --size"));
            }
            samples.push((name, path));
        }
        let Some(content_seed) = content_seed else { return Ok(Contents::Samples(samples)) };
        for (_, path) in samples {
            // Its content is known; the space is not needed twice. Gone already is as good.
            let _ = std::fs::remove_file(path);
        }
        Ok(Contents::Seed(content_seed))
    }
}

/// What the first download said.
struct Fetched {
    bytes: u64,
    ranges: bool,
}

fn fetch(
    url: &str,
    target: Option<&Path>,
    options: Options,
    stop: &StopHandle,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Fetched> {
    let download = Download::new(url)?;
    let own_stop = download.stop_handle();
    let asked = stop.clone();
    let (sender, receiver) = mpsc::channel::<Progress>();
    let download = match target {
        Some(path) => download.output(path),
        None => download.discard(),
    };
    let download = download.options(options).on_progress(move |progress| {
        if asked.is_stopped() {
            own_stop.stop();
        }
        // Nobody listens once the download has ended.
        let _ = sender.send(progress.clone());
    });
    let result = thread::scope(|scope| {
        let running = scope.spawn(|| download.run());
        for progress in receiver {
            tell(News::WarmUp(&progress));
        }
        running.join().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the thread of the first download panicked"))
        })
    });
    match result {
        Ok(report) => Ok(Fetched { bytes: report.bytes, ranges: report.ranges }),
        Err(error) if error.kind() == ErrorKind::Interrupted => Err(interrupted()),
        Err(error) if error.kind() == ErrorKind::DiskFull => {
            Err(error.within(FIRST).advise("choose another --dir or a smaller file"))
        }
        Err(error) => Err(error.within(FIRST)),
    }
}
