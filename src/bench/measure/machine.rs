//! The machine a figure was measured on, as far as it can be asked without privileges. What cannot
//! be found out is said to be unknown, never guessed.

use crate::base::{Url, calendar};
use serde::Serialize;
use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::SystemTime;

/// What else moves a figure.
#[derive(Debug, Clone, Serialize)]
pub struct Machine {
    /// When it was looked at, UTC.
    #[serde(skip)]
    pub(in crate::bench) date: String,
    /// The version of ringhaul.
    pub ringhaul: String,
    /// The commit it was built from, where the program lies in its source tree.
    pub commit: Option<String>,
    /// Release of the kernel.
    pub kernel: String,
    /// Model of the processor.
    pub cpu: String,
    /// Processors that may be used.
    pub cores: usize,
    /// The interface towards the server.
    pub interface: String,
    /// Its MTU, bytes.
    pub mtu: String,
    /// TCP congestion control of this side.
    pub congestion_control: String,
    /// File system of the folder the files are written to.
    pub file_system: String,
}

impl Machine {
    /// Looks at the machine, the file system of `folder` and the way to `url`.
    pub(in crate::bench) fn observe(folder: &Path, url: &str) -> Self {
        let interface = interface(url);
        let device = format!("/sys/class/net/{interface}");
        let shown = match interface.as_str() {
            "lo" => "loopback".to_owned(),
            name => match fs::read_to_string(format!("{device}/speed")) {
                Ok(speed) if !speed.trim().starts_with('-') => {
                    format!("{name}, {} Mbit/s", speed.trim())
                }
                _ => name.to_owned(),
            },
        };
        Self {
            date: calendar::date_and_time(SystemTime::now()),
            ringhaul: env!("CARGO_PKG_VERSION").to_owned(),
            commit: commit(),
            kernel: format!("Linux {}", first_line("/proc/sys/kernel/osrelease")),
            cpu: cpu(),
            cores: std::thread::available_parallelism().map_or(1, usize::from),
            interface: shown,
            mtu: first_line(&format!("{device}/mtu")),
            congestion_control: first_line("/proc/sys/net/ipv4/tcp_congestion_control"),
            file_system: file_system(folder),
        }
    }

    #[cfg(test)]
    pub(in crate::bench) fn example() -> Self {
        Self {
            date: "2026-01-02 03:04 UTC".to_owned(),
            ringhaul: "0.1.0".to_owned(),
            commit: Some("abcdef".to_owned()),
            kernel: "Linux 6.18".to_owned(),
            cpu: "A Processor".to_owned(),
            cores: 2,
            interface: "loopback".to_owned(),
            mtu: "65536".to_owned(),
            congestion_control: "cubic".to_owned(),
            file_system: "ext4 on /dev/vda".to_owned(),
        }
    }
}

fn first_line(path: &str) -> String {
    let text = fs::read_to_string(path).unwrap_or_default();
    let line = text.lines().next().unwrap_or_default().trim().to_owned();
    if line.is_empty() { "unknown".to_owned() } else { line }
}

fn cpu() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = text.lines().find_map(|line| line.strip_prefix("model name"));
    let model = model.and_then(|line| line.split_once(':')).map(|(_, name)| name.trim().to_owned());
    model.unwrap_or_else(|| "unknown".to_owned())
}

/// `lo`, or the interface of the default route: which one another route would take is not looked
/// up.
fn interface(url: &str) -> String {
    let host = Url::parse(url).map(|url| url.origin().host).unwrap_or_default();
    let loopback = host == "localhost" || host.starts_with("127.") || host == "::1";
    if loopback {
        return "lo".to_owned();
    }
    let routes = fs::read_to_string("/proc/net/route").unwrap_or_default();
    let mut fields = routes.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let default = fields.find(|fields| fields.get(1) == Some(&"00000000"));
    default.map_or_else(|| "unknown".to_owned(), |fields| fields[0].to_owned())
}

/// The mount with the longest path that leads to `folder`.
pub(in crate::bench) fn file_system(folder: &Path) -> String {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_owned());
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let found = mounts.lines().filter_map(|line| {
        let mut fields = line.split(' ');
        let (device, place, kind) = (fields.next()?, fields.next()?, fields.next()?);
        folder.starts_with(place).then_some((place.len(), format!("{kind} on {device}")))
    });
    // Of two mounts on one place the later one counts.
    found.max_by_key(|(length, _)| *length).map_or_else(|| "unknown".to_owned(), |(_, fs)| fs)
}

/// The commit of the source tree the program lies in, with `-dirty` behind it if there are changes.
pub(in crate::bench) fn commit() -> Option<String> {
    let program = std::env::current_exe().ok()?;
    let places = [program.parent()?.to_owned(), std::env::current_dir().ok()?];
    places.iter().find_map(|place| {
        let root = git(place, &["rev-parse", "--show-toplevel"])?;
        let manifest = fs::read_to_string(Path::new(&root).join("Cargo.toml")).ok()?;
        if !manifest.contains("name = \"ringhaul\"") {
            return None;
        }
        git(place, &["describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"])
    })
}

fn git(folder: &Path, arguments: &[&str]) -> Option<String> {
    let mut command = Command::new("git");
    command.arg("-C").arg(folder).args(arguments).stdin(Stdio::null());
    let output = command.output().ok().filter(|output| output.status.success())?;
    let text = String::from_utf8(output.stdout).ok()?.trim().to_owned();
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_machine_is_described() {
        let machine = Machine::observe(Path::new("/tmp"), "http://127.0.0.1:1/x");
        assert_eq!(machine.interface, "loopback");
        assert!(machine.kernel.starts_with("Linux ") && machine.cores > 0, "{machine:?}");
        assert!(machine.file_system.contains(" on "), "{machine:?}");
        assert!(machine.mtu.parse::<u32>().is_ok(), "{machine:?}");
    }
}
