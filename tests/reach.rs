//! How sockets get to servers: from which interface, to which address, through what. Each option
//! shows its effect in a relay before the server, or in what the server hears.

mod common;
#[allow(dead_code, reason = "the proxies' tests use more of it")]
#[path = "proxies/scripted.rs"]
mod scripted;

use common::{Ended, Place, SEED, Scene, Site, assert_content, skipped, wait_for_end};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::Config;
use rustix::net::{AddressFamily, SocketFlags, SocketType, ipproto};
use scripted::{End, Scripted};
use std::collections::BTreeSet;
use std::fs;
use std::io::copy;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};

const SIZE: u64 = 4 * MIB + 11;

/// Carries connections to a server, and remembers where they come from. Dropping it ends it.
struct Relay {
    place: Listens,
    callers: Arc<Mutex<BTreeSet<IpAddr>>>,
    is_over: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

/// Where a relay listens.
#[derive(Clone)]
enum Listens {
    Ip(SocketAddr),
    Unix(PathBuf),
}

impl Relay {
    fn tcp(listener: TcpListener, to: u16) -> Self {
        let place = Listens::Ip(listener.local_addr().expect("a bound socket has an address"));
        Self::start(place, to, move || {
            let (stream, from) = listener.accept().ok()?;
            Some((OwnedFd::from(stream), Some(from.ip())))
        })
    }

    fn unix(path: &Path, to: u16) -> Self {
        let listener = UnixListener::bind(path).expect("a scratch path");
        Self::start(Listens::Unix(path.to_owned()), to, move || {
            Some((OwnedFd::from(listener.accept().ok()?.0), None))
        })
    }

    fn start(
        place: Listens,
        to: u16,
        accept: impl Fn() -> Option<(OwnedFd, Option<IpAddr>)> + Send + 'static,
    ) -> Self {
        let callers = Arc::<Mutex<BTreeSet<IpAddr>>>::default();
        let is_over = Arc::<AtomicBool>::default();
        let (own_callers, own_is_over) = (callers.clone(), is_over.clone());
        let thread = thread::spawn(move || {
            while let Some((stream, from)) = accept() {
                if own_is_over.load(Ordering::Relaxed) {
                    break;
                }
                own_callers.lock().unwrap_or_else(PoisonError::into_inner).extend(from);
                // Whatever family it has, bytes go the same ways.
                carry(TcpStream::from(stream), to);
            }
        });
        Self { place, callers, is_over, thread: Some(thread) }
    }

    fn port(&self) -> u16 {
        let Listens::Ip(address) = &self.place else { panic!("it listens on a path") };
        address.port()
    }

    fn callers(&self) -> Vec<IpAddr> {
        let callers = self.callers.lock().unwrap_or_else(PoisonError::into_inner);
        callers.iter().copied().collect()
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        // Wakes it; if it has ended, there is nothing to wake.
        match &self.place {
            Listens::Ip(address) => drop(TcpStream::connect(address)),
            Listens::Unix(path) => drop(UnixStream::connect(path)),
        }
        if let Some(thread) = self.thread.take() {
            wait_for_end(thread);
        }
    }
}

/// Copies both ways until either end closes.
fn carry(near: TcpStream, to: u16) {
    let far = TcpStream::connect((Ipv4Addr::LOCALHOST, to)).expect("the server listens");
    let ways = [(near.try_clone(), far.try_clone()), (Ok(far), Ok(near))];
    for (from, to) in ways {
        let (mut from, mut to) = (from.expect("a descriptor"), to.expect("a descriptor"));
        thread::spawn(move || {
            // A connection that breaks ends like one that is closed.
            let _ = copy(&mut from, &mut to);
            let _ = (from.shutdown(Shutdown::Both), to.shutdown(Shutdown::Both));
        });
    }
}

fn on_loopback() -> TcpListener {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port")
}

/// Runs the binary, which is to bring the file.
#[track_caller]
fn brings(arguments: &[&str], environment: &[(&str, &str)]) -> Ended {
    let scene = Scene::new();
    let arguments = [arguments, &["-o", "file.bin", "--retries=0"]].concat();
    let ended = scene.run_with(&arguments, environment);
    ended.success();
    assert_content(&scene.target(), SEED, SIZE);
    ended
}

#[track_caller]
fn fails(arguments: &[&str], code: i32, words: &str) {
    let ended = Scene::new().run(&[arguments, &["--retries=0"]].concat());
    let line = ended.one_error_line(code);
    assert!(line.contains(words), "no '{words}' in: {line}");
}

#[test]
fn connections_are_spread_over_interfaces() {
    let site = Site::start(Config::new(SEED, SIZE));
    let relay = Relay::tcp(on_loopback(), site.port());
    let url = format!("http://127.0.0.1:{}/file.bin", relay.port());
    let spread = ["--interface", "127.0.0.2", "--interface=127.0.0.3", "-c4", "--chunk-size=512K"];
    brings(&[&spread[..], &[&url]].concat(), &[]);
    let expected = [2, 3].map(|last| IpAddr::from([127, 0, 0, last]));
    assert_eq!(relay.callers(), expected);
    brings(&["--interface", "lo", &url], &[]);
    brings(&[&url], &[("RINGHAUL_INTERFACE", "127.0.0.9")]);
    assert!(relay.callers().contains(&IpAddr::from([127, 0, 0, 9])));
    fails(&["--interface", "no-such-dev", &url], 2, "the interface 'no-such-dev' cannot be used");
    fails(&["--interface", "192.0.2.1", &url], 2, "the interface '192.0.2.1' cannot be used");
    fails(&["--interface", "::1", &url], 2, "no address of the family");
    fails(&["--interface", "a/b", &url], 2, "--interface: neither");
}

#[test]
fn names_have_the_addresses_that_are_given() {
    let site = Site::start(Config::new(SEED, SIZE));
    let port = site.port();
    let url = format!("http://host.invalid:{port}/file.bin");
    let given = format!("host.invalid:{port}:127.0.0.1");
    brings(&["--resolve", &given, &url], &[]);
    let host = format!("\r\nHost: host.invalid:{port}\r\n");
    assert!(site.heads().iter().all(|head| head.contains(&host)), "{:?}", site.heads());
    let any = format!("other.invalid:1:192.0.2.1\n*:{port}:127.0.0.1");
    brings(&[&url], &[("RINGHAUL_RESOLVE", &any)]);
    fails(&["--resolve", "host.invalid:80", &url], 2, "--resolve: not in the form");
}

#[test]
fn other_hosts_are_called_in_the_place_of_the_urls() {
    for config in [Config::new(SEED, SIZE), Config::new_tls(SEED, SIZE)] {
        let site = Site::start(config);
        let authority = site.home.path().join("authority.pem");
        let trust = format!("--ca-cert={}", authority.display());
        // The certificate is for the name of the URL, wherever the connection leads.
        let url = site.url("/file.bin").replace(&format!("127.0.0.1:{}", site.port()), "localhost");
        let rule = format!("localhost::127.0.0.1:{}", site.port());
        let mut arguments = vec!["--connect-to", &rule, &url];
        if authority.is_file() {
            arguments.push(&trust);
        }
        brings(&arguments, &[]);
        let is_named = |head: &String| head.contains("\r\nHost: localhost\r\n");
        assert!(site.heads().iter().all(is_named), "{:?}", site.heads());
    }
    let proxy = Scripted::start(&[b"HTTP/1.1 403 no\r\n\r\n"], End::Close);
    let (to, through) = ("a.invalid:443:b.invalid:444", proxy.url("http://"));
    fails(&["--connect-to", to, "-x", &through, "https://a.invalid/f"], 18, "b.invalid:444");
    fails(&["--connect-to", "a", "http://a/"], 2, "--connect-to: not in the form");
}

#[test]
fn families_are_kept_to() {
    let site = Site::start(Config::new(SEED, SIZE));
    let port = site.port();
    let url = format!("http://host.invalid:{port}/file.bin");
    let both = format!("host.invalid:{port}:[::1],127.0.0.1");
    brings(&["-4", "--resolve", &both, &url], &[]);
    fails(&["-6", &site.url("/file.bin")], 2, "no address of the family");
    fails(&["-4", "-6", &url], 2, "cannot be used with");
    let Ok(listener) = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)) else {
        return skipped("there is no IPv6 here, so nothing is reached by it");
    };
    let relay = Relay::tcp(listener, port);
    let url = format!("http://host.invalid:{}/file.bin", relay.port());
    let both = format!("host.invalid:{}:127.0.0.1,[::1]", relay.port());
    brings(&["-6", "--resolve", &both, &url], &[]);
    assert_eq!(relay.callers(), [IpAddr::V6(Ipv6Addr::LOCALHOST)]);
}

#[test]
fn a_socket_of_the_file_system_stands_for_all_hosts() {
    for config in [Config::new(SEED, SIZE), Config::new_tls(SEED, SIZE)] {
        let site = Site::start(config);
        let path = site.home.path().join("socket");
        let relay = Relay::unix(&path, site.port());
        let authority = site.home.path().join("authority.pem");
        let trust = format!("--ca-cert={}", authority.display());
        let url = site.url("/file.bin").replace("127.0.0.1", "localhost");
        let shown = path.display().to_string();
        let mut arguments = vec!["-v", "-c2", "--unix-socket", &shown, &url];
        if authority.is_file() {
            arguments.push(&trust);
        }
        for engine in ["--engine=io_uring", "--engine=epoll"] {
            let arguments = [&arguments[..], &[engine]].concat();
            // The variable's proxy is not asked.
            let ended = brings(&arguments, &[("all_proxy", "http://proxy.invalid")]);
            assert!(ended.stderr.contains(&format!("connected to {shown}")), "{ended:?}");
        }
        drop(relay);
    }
    fails(&["--unix-socket", "/no/such/socket", "http://h/f"], 4, "/no/such/socket");
    let together = ["--unix-socket", "s", "-x", "http://p", "http://h/f"];
    fails(&together, 2, "cannot be used together");
}

#[test]
fn small_files_come_through_a_socket_of_the_file_system() {
    let site = Site::start(Config::new(SEED, 3000));
    let path = site.home.path().join("socket");
    let relay = Relay::unix(&path, site.port());
    let scene = Scene::new();
    let urls: String = (0..20).map(|nth| format!("http://h.invalid/{nth}.bin\n")).collect();
    fs::write(scene.path().join("list"), urls).expect("a scratch file");
    let socket = path.display().to_string();
    let ended = scene.run(&["-i", "list", "--unix-socket", &socket]);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    for nth in 0..20 {
        assert_content(&scene.path().join(format!("{nth}.bin")), SEED, 3000);
    }
    drop(relay);
}

#[test]
fn multipath_tcp_is_used_where_both_ends_have_it() {
    let site = Site::start(Config::new(SEED, SIZE));
    let ended = brings(&["--mptcp", "-v", &site.url("/file.bin")], &[]);
    assert!(ended.stderr.contains("plain TCP, as Multipath TCP is not to be had"), "{ended:?}");
    let socket = rustix::net::socket_with(
        AddressFamily::INET,
        SocketType::STREAM,
        SocketFlags::CLOEXEC,
        Some(ipproto::MPTCP),
    );
    let Ok(socket) = socket else {
        return skipped("the kernel has no Multipath TCP, so none is spoken");
    };
    let any = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    rustix::net::bind(&socket, &any).expect("a free port");
    rustix::net::listen(&socket, 16).expect("it listens");
    let relay = Relay::tcp(TcpListener::from(socket), site.port());
    let url = format!("http://127.0.0.1:{}/file.bin", relay.port());
    let ended = brings(&["--mptcp", "-v", "-c2", &url], &[]);
    assert!(ended.stderr.contains(", Multipath TCP"), "{ended:?}");
    assert!(!ended.stderr.contains("plain TCP"), "{ended:?}");
}
