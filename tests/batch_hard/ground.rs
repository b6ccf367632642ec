//! A folder that gets the files of a list, and what stands in it.

use crate::common::{SEED, Scene};
use ringhaul::internal::base::size::KIB;
use ringhaul::server::{Config, Numbered, Paths, content};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Size of a small file.
pub(crate) const FILE_BYTES: u64 = 16 * KIB;
/// What the staging folders of a batch are called; a number may follow.
const STAGING: &str = ".ringhaul.staging";
const LIST: &str = "list";

/// A scene with a list, and a folder for its files.
pub(crate) struct Ground {
    pub(crate) scene: Scene,
    folder: PathBuf,
}

/// What stands under the names of a list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Standing {
    pub(crate) files: u64,
}

impl Ground {
    /// With a folder of its own.
    pub(crate) fn new() -> Self {
        let scene = Scene::new();
        let folder = scene.path().join("out");
        fs::create_dir(&folder).expect("a scratch folder");
        Self { scene, folder }
    }

    /// The files go to `folder`, which is empty.
    pub(crate) fn within(folder: PathBuf) -> Self {
        Self { scene: Scene::new(), folder }
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the list.
    pub(crate) fn list(&self, lines: impl Iterator<Item = String>) {
        let text: String = lines.map(|line| line + "\n").collect();
        fs::write(self.scene.path().join(LIST), text).expect("a scratch file");
    }

    /// The batch of this list, quiet.
    pub(crate) fn command(&self, more: &[&str]) -> Command {
        let mut command = self.scene.command(&["-q", "-i", LIST]);
        command.arg("-d").arg(&self.folder).args(more);
        command
    }

    /// The batch, started; what it says is of no interest.
    pub(crate) fn spawn(&self, more: &[&str]) -> Child {
        let mut command = self.command(more);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        command.spawn().expect("the binary runs")
    }

    /// Looks at everything in the folder: each file under a name of its own is whole, has the bytes
    /// of its path on the server, and nothing but staging folders is beside them.
    #[track_caller]
    pub(crate) fn standing(&self, is_over: bool) -> Standing {
        let mut standing = Standing::default();
        let mut folders = vec![(self.folder.clone(), String::new())];
        while let Some((folder, path)) = folders.pop() {
            for entry in fs::read_dir(folder).expect("the folder can be listed") {
                let entry = entry.expect("a folder's entry");
                let name = entry.file_name().into_string().expect("names are text");
                if name.starts_with(STAGING) {
                    assert!(!is_over, "{name} is left");
                    continue;
                }
                let path = format!("{path}/{name}");
                if entry.file_type().expect("it has a type").is_dir() {
                    folders.push((entry.path(), path));
                    continue;
                }
                assert_right(&entry.path(), &path);
                standing.files += 1;
            }
        }
        standing
    }
}

/// `count` files, each with bytes of its own.
pub(crate) fn many(count: u64) -> Config {
    Config { paths: Paths::Numbered(count), ..Config::new(SEED, FILE_BYTES) }
}

/// Their URLs below `root`, which ends in a slash.
pub(crate) fn urls(root: &str, count: u64) -> impl Iterator<Item = String> {
    Numbered::new(count).names().map(move |name| format!("{root}{name}"))
}

/// The value of an environment variable that is a number.
pub(crate) fn number(variable: &str) -> Option<u64> {
    let text = std::env::var(variable).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{variable} is a number")))
}

#[track_caller]
fn assert_right(file: &Path, path: &str) {
    let bytes = fs::read(file).expect("the file can be read");
    assert_eq!(bytes.len() as u64, FILE_BYTES, "length of {path}");
    let compared = content::verify(content::seed_at(SEED, path), 0, &bytes);
    assert_eq!(compared, Ok(()), "first wrong byte of {path}");
}
