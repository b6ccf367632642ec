//! Names with addresses of our choice: a hosts file of a child's own.

use super::{find_program, skipped};
use std::path::Path;
use std::process::Command;

/// The shell that puts `hosts` over /etc/hosts for what it starts, where the kernel lets us.
pub(crate) fn with_own_hosts(hosts: &Path) -> Option<String> {
    let unshare = find_program("unshare");
    let wrapper = |command: &str| {
        let mount = format!("mount --bind '{}' /etc/hosts", hosts.display());
        let inner = format!("{mount} && exec \"$@\"");
        format!("exec {command} --map-root-user --mount sh -c '{}' sh \"$@\"", quoted(&inner))
    };
    let wrapper = unshare.map(|path| wrapper(&path.display().to_string()));
    let works = wrapper.as_ref().is_some_and(|wrapper| {
        let mut probe = Command::new("sh");
        probe.args(["-c", wrapper, "sh", "true"]);
        probe.status().is_ok_and(|status| status.success())
    });
    if !works {
        skipped("no mount namespace of our own here, so no name with many addresses");
    }
    wrapper.filter(|_| works)
}

/// For use between single quotes.
fn quoted(text: &str) -> String {
    text.replace('\'', r"'\''")
}
