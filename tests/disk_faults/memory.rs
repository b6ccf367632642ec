//! A small file system in memory, mounted in a namespace of its own and reached from outside: for
//! who is not root too, where the kernel lets ordinary users have namespaces.

use crate::common::skipped;
use crate::common::tools::find_program;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;

/// A mounted tmpfs; gone when dropped.
pub(crate) struct Memory {
    /// Its namespace lives as long as this process.
    keeper: Child,
    mounted_at: TempDir,
}

impl Memory {
    /// Of `bytes` bytes; `None`, said loudly, where it is not permitted.
    pub(crate) fn mount(bytes: u64) -> Option<Self> {
        let mounted_at = tempfile::tempdir().expect("a scratch folder");
        let keeper = find_program("unshare").and_then(|unshare| {
            let script = format!("mount -t tmpfs -o size={bytes} none \"$0\" && echo ok && read x");
            let mut command = Command::new(unshare);
            command.args(["--user", "--map-root-user", "--mount", "sh", "-c", &script]);
            command.arg(mounted_at.path()).stdin(Stdio::piped()).stdout(Stdio::piped());
            command.stderr(Stdio::null()).spawn().ok()
        });
        let memory = keeper.map(|keeper| Self { keeper, mounted_at });
        let memory = memory.and_then(Self::once_mounted);
        if memory.is_none() {
            skipped("no mount namespace of our own here, so no small file system to fill");
        }
        memory
    }

    fn once_mounted(mut self) -> Option<Self> {
        let mut line = String::new();
        let output = self.keeper.stdout.take().expect("it is piped");
        let read = BufReader::new(output).read_line(&mut line);
        read.is_ok_and(|_| line == "ok\n").then_some(self)
    }

    /// Its root, as everybody sees it.
    pub(crate) fn path(&self) -> PathBuf {
        let inside = self.mounted_at.path().strip_prefix("/").expect("an absolute path");
        PathBuf::from(format!("/proc/{}/root", self.keeper.id())).join(inside)
    }

    /// Changes its options: its size, or whether it is read-only.
    pub(crate) fn remount(&self, options: &str) {
        let target = format!("--target={}", self.keeper.id());
        let mut command = Command::new("nsenter");
        command.args([&target, "--user", "--mount", "--preserve-credentials"]);
        // With a source it does not look for the old options, which ordinary users may not.
        command.args(["mount", "-o", &format!("remount,{options}"), "none"]);
        command.arg(self.mounted_at.path());
        assert!(command.status().expect("nsenter comes with unshare").success(), "{options}");
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.keeper.kill();
        let _ = self.keeper.wait();
    }
}
