//! A batch of an ordinary user, who is granted little locked memory and few descriptors.

use crate::common::scene::ended;
use crate::common::tools::shell;
use crate::common::{serve, skipped};
use crate::ground::{Ground, many, urls};
use std::fs;
use std::os::unix::fs::chown;
use std::os::unix::process::CommandExt;

const FILES: u64 = 1000;
/// Root becomes this user, whom nobody else is.
const USER: u32 = 64_901;

#[test]
fn an_ordinary_user_with_little_of_everything_gets_all_files() {
    let ground = Ground::new();
    let server = serve(many(FILES));
    ground.list(urls(&server.url("/"), FILES));
    // The build may be in somebody's private folder.
    let program = ground.scene.path().join("program");
    fs::copy(env!("CARGO_BIN_EXE_ringhaul"), &program).expect("space for the program");
    let command = ground.command(&[]);
    let mut limited = shell("ulimit -l 64 && ulimit -n 64");
    limited.arg(&program).args(command.get_args().skip(2)).env_clear();
    limited.current_dir(ground.scene.path());
    if rustix::process::geteuid().is_root() {
        for folder in [ground.scene.path(), ground.folder()] {
            if let Err(e) = chown(folder, Some(USER), Some(USER)) {
                return skipped(&format!("root may not give folders away: {e}"));
            }
        }
        limited.uid(USER).gid(USER);
        let mut probe = std::process::Command::new("true");
        if let Err(e) = probe.uid(USER).gid(USER).status() {
            return skipped(&format!("root may not become another user: {e}"));
        }
    }
    let ended = ended(limited);
    assert_eq!(ended.code, Some(0), "{ended:?}");
    assert_eq!(ground.standing(true).files, FILES);
}
