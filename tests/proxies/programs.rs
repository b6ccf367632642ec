//! The proxies of Debian, each with a configuration of its own in a scratch folder, on free ports
//! of 127.0.0.1. As root some of them become other users, to whom the folder is open.

use super::common::tools::find_or_skip;
use super::launch::{Certificate, Ports, RealServer};
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use tempfile::TempDir;

/// What [`squid`] and [`microsocks`] want of who has to say who it is: `me` and this.
pub(crate) const PASSWORD: &str = "open-sesame";

/// A running proxy. Dropping it ends it.
pub(crate) struct Program {
    server: RealServer,
    /// Its certificate, where it listens for TLS.
    pub(crate) certificate: Certificate,
    _home: TempDir,
}

impl Program {
    /// Runs the program `name`, if there is one, with what `prepare` makes of it, its folder, its
    /// ports and its certificate.
    fn start(
        name: &str,
        prepare: impl Fn(&Path, &Path, &Ports, &Certificate) -> Command,
    ) -> Option<Self> {
        let program = find_or_skip(name, false, "nothing goes through it")?;
        let home = tempfile::tempdir().expect("a scratch folder");
        fs::set_permissions(home.path(), Permissions::from_mode(0o777)).expect("our own folder");
        let certificate = Certificate::make(home.path());
        let start = |ports: &Ports| prepare(&program, home.path(), ports, &certificate);
        let server = RealServer::start(home.path(), start);
        Some(Self { server, certificate, _home: home })
    }

    /// Its URL with this in front of its address: `http://`, or `http://user:password@`.
    pub(crate) fn url(&self, front: &str) -> String {
        self.server.http("").replacen("http://", front, 1)
    }

    /// The same for the port where it listens for TLS.
    pub(crate) fn url_tls(&self, front: &str) -> String {
        self.server.https("").replacen("https://", front, 1)
    }

    /// The port of [`Self::url`].
    pub(crate) fn port(&self) -> u16 {
        let url = self.url("");
        let port = url.rsplit(':').next().and_then(|port| port.parse().ok());
        port.expect("the URL ends with its port")
    }
}

/// Squid, which listens for TLS too, and wants credentials if it `asks`.
pub(crate) fn squid(asks: bool) -> Option<Program> {
    Program::start("squid", |program, home, ports, certificate| {
        let helper = home.join("auth.sh");
        let script = format!(
            "while read -r user password; do\n\
             if [ \"$user $password\" = \"me {PASSWORD}\" ]; then echo OK; else echo ERR; fi\n\
             done\n"
        );
        fs::write(&helper, script).expect("a scratch file");
        let shown = home.display();
        let access = if asks {
            format!(
                "auth_param basic program /bin/sh {shown}/auth.sh\n\
                 auth_param basic children 1 startup=1 idle=1\n\
                 acl known proxy_auth REQUIRED\n\
                 http_access allow known\nhttp_access deny all\n"
            )
        } else {
            "acl blocked dstdomain blocked.invalid\n\
             http_access deny blocked\nhttp_access allow all\n"
                .to_owned()
        };
        let config = format!(
            "http_port 127.0.0.1:{}\n\
             https_port 127.0.0.1:{} tls-cert={} tls-key={}\n\
             pid_filename {shown}/squid.pid\ncache_log {shown}/log\ncoredump_dir {shown}\n\
             access_log none\nnetdb_filename none\npinger_enable off\n\
             cache deny all\ncache_mem 8 MB\nshutdown_lifetime 0 seconds\n\
             visible_hostname proxy.test\n{access}",
            ports.http,
            ports.https,
            certificate.chain.display(),
            certificate.key.display(),
        );
        let path = home.join("squid.conf");
        fs::write(&path, config).expect("a scratch file");
        let mut command = Command::new(program);
        command.args(["-N", "-f"]).arg(path);
        command
    })
}

pub(crate) fn tinyproxy() -> Option<Program> {
    Program::start("tinyproxy", |program, home, ports, _| {
        let log = home.join("log");
        let config = format!(
            "Port {}\nListen 127.0.0.1\nTimeout 60\nMaxClients 100\nLogLevel Error\n\
             LogFile \"{}\"\n",
            ports.http,
            log.display(),
        );
        let path = home.join("tinyproxy.conf");
        fs::write(&path, config).expect("a scratch file");
        let mut command = Command::new(program);
        command.args(["-d", "-c"]).arg(path);
        command
    })
}

/// Microsocks, which wants credentials if it `asks`.
pub(crate) fn microsocks(asks: bool) -> Option<Program> {
    Program::start("microsocks", |program, _, ports, _| {
        let mut command = Command::new(program);
        command.args(["-i", "127.0.0.1", "-p", &ports.http.to_string()]);
        if asks {
            command.args(["-u", "me", "-P", PASSWORD]);
        }
        command
    })
}

pub(crate) fn dante() -> Option<Program> {
    Program::start("danted", |program, home, ports, _| {
        let config = format!(
            "logoutput: {}/log\ninternal: 127.0.0.1 port = {}\nexternal: 127.0.0.1\n\
             clientmethod: none\nsocksmethod: none\n\
             client pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n\
             socks block {{ from: 0.0.0.0/0 to: 127.0.0.2/32 }}\n\
             socks pass {{ from: 0.0.0.0/0 to: 0.0.0.0/0 }}\n",
            home.display(),
            ports.http,
        );
        let path = home.join("danted.conf");
        fs::write(&path, config).expect("a scratch file");
        let mut command = Command::new(program);
        command.arg("-f").arg(path).arg("-p").arg(home.join("danted.pid"));
        command
    })
}
