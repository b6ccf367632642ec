//! A small file into memory, such as a checksum file: one request without a range, over the same
//! connections, redirects and retries as a download. Must not know what the file is for.

use super::client::Client;
use super::context::Context;
use super::failure::Failure;
use super::local::Local;
use super::options::Options;
use super::source::body;
use super::source::exchange::Opening;
use super::source::follow::{Located, locate};
use super::source::retry::retrying;
use super::stop::StopHandle;
use crate::base::size::{format_bytes, format_wait};
use crate::base::{Error, ErrorKind, Result, Span, Url};
use crate::http::{Discovery, Exchange, Validator, discover, status_error};
use std::rc::Rc;
use std::sync::mpsc;

/// A file that is wanted whole and in memory.
#[derive(Debug)]
pub struct Small<'a> {
    /// Where it is.
    pub url: &'a Url,
    /// What is to be downloaded besides. `Host`, header fields that give rights and credentials are
    /// meant for its origin and go to no other.
    pub beside: &'a Url,
    /// Most bytes it may have.
    pub bytes_max: u64,
}

impl Small<'_> {
    /// Fetches it; blocks until it is there whole, or until it is clear that it will not be. Of the
    /// options those count that concern connections, requests, trust, retries and time.
    ///
    /// # Errors
    /// As for [`Download::run`](super::Download::run), but for those of the output;
    /// [`ErrorKind::Usage`] if the file is too large.
    pub fn fetch(&self, options: &Options, stop: &StopHandle) -> Result<Vec<u8>> {
        options.validate()?;
        let client = Client::for_one(options)?;
        let context = Context::new(options.clone(), stop.clone(), None, client.shared());
        context.set_home(self.beside.origin());
        let wanted = InMemory { url: self.url.clone(), bytes_max: self.bytes_max };
        let (sender, receiver) = mpsc::channel();
        let work = async move |shard: Rc<_>| wanted.fetch(&Local::new(&context, &shard)).await;
        // Nobody has left: the caller waits below.
        client.shared().threads.spawn(0, work, move |outcome| _ = sender.send(outcome));
        receiver.recv().unwrap_or_else(|_| {
            Err(Error::new(ErrorKind::Internal, "the task of a small file panicked"))
        })
    }
}

/// What the task knows of the file.
pub(super) struct InMemory {
    pub(super) url: Url,
    /// Most bytes it may have.
    pub(super) bytes_max: u64,
}

impl InMemory {
    async fn fetch(&self, local: &Local) -> Result<Vec<u8>> {
        let context = &local.context;
        let fetching = retrying(context, async || self.attempt(local).await);
        let limited = async {
            let Some(time) = context.options.max_time else { return fetching.await };
            tokio::time::timeout(time, fetching).await.unwrap_or_else(|_| {
                let what = format!("{} did not come within {}", self.url, format_wait(time));
                Err(Error::new(ErrorKind::TimedOut, what)
                    .advise("try again, or allow more time with --max-time"))
            })
        };
        context.guard(limited).await
    }

    /// Asks for it once. The connection is left to whoever asks that server next.
    pub(super) async fn attempt(&self, local: &Local) -> Result<Vec<u8>, Failure> {
        let located = locate(local, &self.url, None, &Validator::None).await?;
        let Located { endpoint, mut opening, .. } = located;
        let received = match self.check(&opening) {
            Ok(()) => self.receive(&mut opening).await,
            Err(error) => Err(endpoint.identity.explain(error)),
        };
        let failed = |e: Error| Failure::of_answer(opening.head(), e.within(endpoint.url()));
        let body = received.map_err(failed)?;
        // A transfer on one connection would leave it idle to its end.
        let options = &local.context.options;
        let connections = options.connections.unwrap_or(options.max_connections);
        let is_alone = connections.min(local.context.connections_limit()) == 1;
        if let Some(connection) = opening.reuse().filter(|_| !is_alone) {
            endpoint.park(&local.shard, connection);
        }
        Ok(body)
    }

    /// Judges the head of the answer.
    fn check(&self, opening: &Opening) -> Result<()> {
        match discover(opening.head(), Span::new(0, 1))? {
            Discovery::Whole { total, .. } => self.check_size(total.unwrap_or(0)),
            // No range was asked for: to answer with one is as good as an error status.
            _ => Err(status_error(opening.head())),
        }
    }

    /// The body, which nothing may follow.
    async fn receive(&self, opening: &mut Opening) -> Result<Vec<u8>> {
        let body = body::receive(opening, self.bytes_max).await?;
        let body = body.ok_or_else(|| self.too_large())?;
        if opening.surplus.is_empty() { Ok(body) } else { Err(Exchange::excess_error()) }
    }

    fn check_size(&self, bytes: u64) -> Result<()> {
        if bytes <= self.bytes_max { Ok(()) } else { Err(self.too_large()) }
    }

    fn too_large(&self) -> Error {
        let bound = format_bytes(self.bytes_max);
        Error::new(ErrorKind::Usage, format!("the file has more than {bound}"))
            .advise("check its URL")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::{Config, Fault, Rule, Server, Shape, When, content};
    use std::thread;
    use std::time::{Duration, Instant};

    const SEED: u64 = 5;
    const SIZE_BYTES: u64 = 200_000;
    const BYTES_MAX: u64 = 300_000;

    fn serve(faults: &[Fault]) -> Server {
        let mut config = Config::new(SEED, SIZE_BYTES);
        config.script = faults.iter().map(|f| Rule::new(When::All, f.clone())).collect();
        Server::start(config).unwrap()
    }

    fn options() -> Options {
        Options { retries: 0, ..Options::default() }
    }

    fn fetch(server: &Server, options: &Options) -> Result<Vec<u8>> {
        let url = Url::parse(&server.url("/SHA256SUMS?token=secret")).unwrap();
        let small = Small { url: &url, beside: &url, bytes_max: BYTES_MAX };
        small.fetch(options, &StopHandle::new())
    }

    #[track_caller]
    fn assert_whole(fetched: Result<Vec<u8>>) {
        let bytes = fetched.unwrap();
        assert_eq!(bytes.len() as u64, SIZE_BYTES);
        assert_eq!(content::verify(SEED, 0, &bytes), Ok(()));
    }

    #[test]
    fn every_framing_gives_the_bytes() {
        for faults in [&[][..], &[Fault::Chunked], &[Fault::NoLength], &[Fault::Interim(2)]] {
            let server = serve(faults);
            assert_whole(fetch(&server, &options()));
            assert_eq!(server.stats().log[0].range, None, "no range is asked for");
        }
    }

    #[test]
    fn an_empty_file_is_empty() {
        for faults in [&[][..], &[Fault::Chunked], &[Fault::NoLength]] {
            let mut config = Config::new(SEED, 0);
            config.script = faults.iter().map(|f| Rule::new(When::All, f.clone())).collect();
            assert_eq!(fetch(&Server::start(config).unwrap(), &options()).unwrap(), b"");
        }
    }

    #[test]
    fn tls_needs_its_authority() {
        let server = Server::start(Config::new_tls(SEED, SIZE_BYTES)).unwrap();
        assert_eq!(fetch(&server, &options()).unwrap_err().kind(), ErrorKind::Certificate);
        let folder = tempfile::tempdir().unwrap();
        let authority = folder.path().join("ca.pem");
        std::fs::write(&authority, server.certificate_pem().unwrap()).unwrap();
        assert_whole(fetch(&server, &Options { ca_certs: vec![authority], ..options() }));
    }

    #[test]
    fn failures_have_their_kind_and_no_secrets() {
        let status = |code| Fault::Status { code, headers: Vec::new(), body: b"no".to_vec() };
        let close = Fault::CloseAfter { bytes: 1000, close_notify: true };
        for (faults, kind) in [
            (vec![status(404)], ErrorKind::Status(404)),
            (vec![status(206)], ErrorKind::RangeMismatch),
            (vec![status(416)], ErrorKind::Status(416)),
            (vec![close.clone()], ErrorKind::Truncated),
            (vec![Fault::Chunked, close], ErrorKind::Truncated),
            (vec![Fault::ResetAfter(1000)], ErrorKind::ConnectionLost),
            (vec![Fault::ContentEncoding("gzip".into())], ErrorKind::ContentEncoding),
            (vec![Fault::Garbage(b"garbage\r\n\r\n".to_vec())], ErrorKind::Protocol),
        ] {
            let error = fetch(&serve(&faults), &options()).unwrap_err();
            assert_eq!(error.kind(), kind, "{faults:?}: {error}");
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn too_large_a_file_is_refused_however_it_is_framed() {
        for faults in [&[][..], &[Fault::Chunked], &[Fault::NoLength]] {
            let mut config = Config::new(SEED, 50 << 20);
            config.script = faults.iter().map(|f| Rule::new(When::All, f.clone())).collect();
            let server = Server::start(config).unwrap();
            let error = fetch(&server, &options()).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{error}");
        }
        let body = vec![b'x'; usize::try_from(BYTES_MAX).unwrap()];
        let full = Fault::Status { code: 200, headers: Vec::new(), body: body.clone() };
        assert_eq!(fetch(&serve(&[full]), &options()).unwrap(), body);
    }

    #[test]
    fn a_passing_failure_is_retried_from_the_start() {
        let mut config = Config::new(SEED, SIZE_BYTES);
        config.script.push(Rule::once(When::All, Fault::ResetAfter(100_000)));
        let server = Server::start(config).unwrap();
        assert_whole(fetch(&server, &Options { retries: 1, ..options() }));
    }

    #[test]
    fn redirects_are_followed_and_secrets_stay_at_home() {
        let (home, away) = (serve(&[]), serve(&[]));
        let hop = Fault::Redirect { status: 302, location: away.url("/sums") };
        let hopping = serve(&[hop]);
        let headers = [
            ("Authorization", "Bearer secret"),
            ("Host", "secret.example"),
            ("X-Api-Key", "secret"),
        ];
        let headers = headers.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec();
        let options = Options { headers, ..options() };
        let fetch = |from: &Server, beside: &Server| {
            let (url, beside) = (from.url("/sums"), beside.url("/x"));
            let (url, beside) = (Url::parse(&url).unwrap(), Url::parse(&beside).unwrap());
            let small = Small { url: &url, beside: &beside, bytes_max: BYTES_MAX };
            small.fetch(&options, &StopHandle::new())
        };
        assert_whole(fetch(&home, &home));
        assert_whole(fetch(&hopping, &hopping));
        assert_whole(fetch(&away, &home));
        let told = |server: &Server| {
            let head = &server.stats().log[0].head;
            [
                "Authorization: Bearer secret\r\n",
                "Host: secret.example\r\n",
                "X-Api-Key: secret\r\n",
            ]
            .iter()
            .all(|line| head.contains(line))
        };
        assert!(told(&home) && told(&hopping));
        assert!(away.stats().log.iter().all(|request| !request.head.contains("secret")));
    }

    #[test]
    fn time_limits_and_stops_end_it() {
        let begin = Instant::now();
        let stalled = serve(&[Fault::StallAfter(1000)]);
        let brief = Duration::from_millis(50);
        let limits = [
            Options { stall_timeout: brief, ..options() },
            Options { max_time: Some(brief), ..options() },
        ];
        for options in limits {
            assert_eq!(fetch(&stalled, &options).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        let drip = Fault::DripBody { bytes: 1, pause: brief / 10 };
        for framing in [None, Some(Fault::Chunked), Some(Fault::NoLength)] {
            let dripping: Vec<Fault> = framing.into_iter().chain([drip.clone()]).collect();
            let max_time = Some(Duration::from_secs(8));
            let options = Options { stall_timeout: 10 * brief, max_time, ..options() };
            let error = fetch(&serve(&dripping), &options).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::TimedOut, "{dripping:?}: {error}");
            assert!(error.advice().contains("--timeout"), "not for want of time: {error}");
        }
        let shape = Shape { first_byte_delay: Duration::from_secs(20), ..Shape::default() };
        let slow = Server::start(Config { shape, ..Config::new(SEED, SIZE_BYTES) }).unwrap();
        let url = Url::parse(&slow.url("/x")).unwrap();
        let stop = StopHandle::new();
        let small = Small { url: &url, beside: &url, bytes_max: BYTES_MAX };
        let error = thread::scope(|scope| {
            scope.spawn(|| stop.stop());
            small.fetch(&options(), &stop).unwrap_err()
        });
        assert_eq!(error.kind(), ErrorKind::Interrupted);
        assert!(begin.elapsed() < Duration::from_secs(10), "no limit of its own was waited for");
    }
}
