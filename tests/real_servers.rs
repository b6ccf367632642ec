//! Downloads from servers that other people wrote: each with a configuration of its own in a
//! scratch folder, on free loopback ports, without root.
//!
//! A server that is not installed is skipped loudly. With `RINGHAUL_REQUIRE_SERVERS=1` nginx, caddy
//! and python3 have to be there; lighttpd and Apache are welcome but never required.

mod common;
#[path = "real_servers/launch.rs"]
mod launch;

use common::tools::find_or_skip;
use common::{Run, SEED, checksum, fetch, scratch, skipped};
use launch::{Certificate, Ports, RealServer};
use ringhaul::internal::base::size::MIB;
use ringhaul::{Credentials, ErrorKind, Login, Report};
use ringhaul::{DirectMode, Options};
use std::path::Path;
use std::process::Command;

const SIZE: u64 = 20 * MIB + 17;

/// The file in parts, direct and buffered, hashed: what all servers with ranges have in common.
fn expect_ranges(url: &str, options: &Options) {
    for direct in [DirectMode::On, DirectMode::Off] {
        let run = download(url, Options { direct, chunk_bytes: Some(MIB), ..options.clone() });
        let report = expect_whole(&run);
        assert!(report.ranges, "{url}: {report:?}");
        assert_eq!(report.retries, 0, "{url}: {:#?}", run.texts());
        assert!((2..=4).contains(&report.connections), "{url}: {report:?}");
        assert_eq!(report.direct, direct == DirectMode::On, "{url}: {report:?}");
    }
}

fn download(url: &str, options: Options) -> Run {
    fetch(url, Options { connections: Some(4), checksum: Some(checksum(SEED, SIZE)), ..options })
}

fn expect_whole(run: &Run) -> &Report {
    let report = run.expect_file(SEED, SIZE);
    assert!(report.verified.is_some(), "{report:?}");
    report
}

fn trusting(certificate: &Certificate) -> Options {
    Options { ca_certs: vec![certificate.authority.clone()], ..Options::default() }
}

/// Runs the test with the program `name`, if there is one.
fn with(name: &str, is_required: bool, test: impl FnOnce(&Path, &Path)) {
    let Some(program) = find_or_skip(name, is_required, "nothing is downloaded from it") else {
        return;
    };
    let home = scratch();
    launch::write_served_file(home.path(), SEED, SIZE);
    test(&program, home.path());
}

#[test]
fn nginx() {
    with("nginx", true, |program, home| {
        let certificate = Certificate::make(home);
        let server = RealServer::start(home, |ports: &Ports| {
            // One process in the foreground, which is the one we end.
            let config = format!(
                "daemon off; master_process off; pid {home}/nginx.pid; error_log {home}/log;\n\
                 events {{}}\n\
                 http {{\n\
                   access_log off; keepalive_requests 7;\n\
                   client_body_temp_path {home}/body; proxy_temp_path {home}/proxy;\n\
                   fastcgi_temp_path {home}/fastcgi; uwsgi_temp_path {home}/uwsgi;\n\
                   scgi_temp_path {home}/scgi;\n\
                   server {{\n\
                     listen 127.0.0.1:{}; listen 127.0.0.1:{} ssl; root {home}/served;\n\
                     location /private/ {{\n\
                       alias {home}/served/; auth_basic files; auth_basic_user_file {home}/users;\n\
                     }}\n\
                     ssl_certificate {}; ssl_certificate_key {};\n\
                   }}\n\
                 }}\n",
                ports.http,
                ports.https,
                certificate.chain.display(),
                certificate.key.display(),
                home = home.display(),
            );
            std::fs::write(home.join("nginx.conf"), config).expect("a scratch file");
            std::fs::write(home.join("users"), "me:{PLAIN}sesame\n").expect("a scratch file");
            let mut command = Command::new(program);
            command.arg("-p").arg(home).arg("-c").arg(home.join("nginx.conf"));
            command.arg("-e").arg(home.join("log"));
            command
        });
        expect_ranges(&server.http("/file"), &Options::default());
        expect_ranges(&server.https("/file"), &trusting(&certificate));
        let user = Credentials { user: b"me".to_vec(), password: b"sesame".to_vec() };
        let login = Login { user: Some(user), ..Login::default() };
        let options = Options { login, ..Options::default() };
        expect_ranges(&server.http("/private/file"), &options);
        let run = download(&server.http("/private/file"), Options::default());
        let error = run.expect_error(ErrorKind::Status(401)).to_string();
        assert!(error.contains("Basic authentication for 'files'"), "{error}");
    });
}

#[test]
fn caddy() {
    with("caddy", true, |program, home| {
        let certificate = Certificate::make(home);
        let server = RealServer::start(home, |ports: &Ports| {
            let config = format!(
                "{{\n admin off\n auto_https off\n}}\n\
                 http://127.0.0.1:{} {{\n root * {home}/served\n file_server\n}}\n\
                 https://127.0.0.1:{} {{\n tls {} {}\n root * {home}/served\n file_server\n}}\n",
                ports.http,
                ports.https,
                certificate.chain.display(),
                certificate.key.display(),
                home = home.display(),
            );
            std::fs::write(home.join("Caddyfile"), config).expect("a scratch file");
            let mut command = Command::new(program);
            command.args(["run", "--adapter", "caddyfile", "--config"]).arg(home.join("Caddyfile"));
            // Where it would keep state between runs.
            for variable in ["HOME", "XDG_DATA_HOME", "XDG_CONFIG_HOME"] {
                command.env(variable, home);
            }
            command
        });
        expect_ranges(&server.http("/file"), &Options::default());
        expect_ranges(&server.https("/file"), &trusting(&certificate));
    });
}

#[test]
fn python_has_no_ranges() {
    with("python3", true, |program, home| {
        let server = RealServer::start(home, |ports: &Ports| {
            let mut command = Command::new(program);
            command.args(["-m", "http.server", "--bind", "127.0.0.1", "--directory"]);
            command.arg(home.join("served")).arg(ports.http.to_string());
            command
        });
        for direct in [DirectMode::On, DirectMode::Off] {
            let run = download(&server.http("/file"), Options { direct, ..Options::default() });
            let report = expect_whole(&run);
            assert!(!report.ranges && report.connections == 1, "{report:?}");
            assert_eq!(report.retries, 0, "{:#?}", run.texts());
            assert_eq!(report.direct, direct == DirectMode::On, "{report:?}");
        }
    });
}

#[test]
fn lighttpd() {
    with("lighttpd", false, |program, home| {
        let server = RealServer::start(home, |ports: &Ports| {
            let config = format!(
                "server.modules = ()\nserver.bind = \"127.0.0.1\"\nserver.port = {}\n\
                 server.document-root = \"{}/served\"\nserver.max-keep-alive-requests = 5\n",
                ports.http,
                home.display(),
            );
            std::fs::write(home.join("lighttpd.conf"), config).expect("a scratch file");
            let mut command = Command::new(program);
            command.arg("-D").arg("-f").arg(home.join("lighttpd.conf"));
            command
        });
        expect_ranges(&server.http("/file"), &Options::default());
    });
}

#[test]
fn apache() {
    const MODULES: &str = "/usr/lib/apache2/modules";
    if !Path::new(MODULES).join("mod_mpm_event.so").is_file() {
        skipped("no modules of Apache where Debian has them");
        return;
    }
    with("apache2", false, |program, home| {
        let server = RealServer::start(home, |ports: &Ports| {
            let config = format!(
                "ServerName localhost\nServerRoot {home}\nListen 127.0.0.1:{}\n\
                 DefaultRuntimeDir {home}\nPidFile {home}/apache.pid\nErrorLog {home}/log\n\
                 LoadModule mpm_event_module {MODULES}/mod_mpm_event.so\n\
                 LoadModule authz_core_module {MODULES}/mod_authz_core.so\n\
                 DocumentRoot {home}/served\nMaxKeepAliveRequests 5\n",
                ports.http,
                home = home.display(),
            );
            std::fs::write(home.join("apache.conf"), config).expect("a scratch file");
            let mut command = Command::new(program);
            // One process in the foreground, which is the one we end.
            command.arg("-X").arg("-f").arg(home.join("apache.conf"));
            command
        });
        expect_ranges(&server.http("/file"), &Options::default());
    });
}
