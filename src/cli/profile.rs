//! `--profile`: where the file of profiles is, how it is read and replaced, and how a download uses
//! what is in it. What the file says and what deserves to be in it is the bench's to know.

use super::args::DownloadArgs;
use super::settings_folder::settings_folder;
use crate::base::limits::PROFILES_BYTES_MAX;
use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::bench::{Finding, Profile, Profiles};
use crate::engine::options::Options;
use crate::io::whole;
use std::ffi::OsString;
use std::fs::{DirBuilder, File};
use std::io::{self, Read};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

/// Below the folder of the user's settings.
const DEFAULT_NAME: &str = "ringhaul/profiles.json";
/// The user's alone: it says what is downloaded from where.
const FOLDER_MODE: u32 = 0o700;
const FILE_MODE: u32 = 0o600;

/// The file of profiles that `--profile` means.
#[derive(Debug)]
pub(super) struct ProfileFile {
    path: PathBuf,
    /// It was named, and not just the place where one may be.
    is_named: bool,
}

/// Fills in what the command line and the variables leave open. Returns what there is to say about
/// it; nothing without `--profile`.
pub(super) fn apply(
    options: &mut Options,
    args: &DownloadArgs,
    url: &Url,
) -> Result<Option<String>> {
    let Some(wish) = &args.profile else { return Ok(None) };
    let file = ProfileFile::of(wish.as_deref(), &|name| std::env::var_os(name))?;
    let origin = url.origin();
    let shown = file.path.display();
    let Some(profile) = file.read()?.get(&origin).cloned() else {
        return Ok(Some(format!("no profile of {origin} in '{shown}'; settings are automatic")));
    };
    Ok(Some(format!("profile of {origin}: {}", use_for(options, args, &profile))))
}

/// Fills each field that the command line leaves open. Returns what the profile adds.
fn use_for(options: &mut Options, args: &DownloadArgs, profile: &Profile) -> String {
    let given = args.given;
    if !given.connections {
        let max = if given.max_connections { args.max_connections } else { u32::MAX };
        options.connections = Some(profile.connections.min(max));
    }
    if !given.chunk_size {
        options.chunk_bytes = profile.chunk_bytes;
    }
    if !given.threads {
        options.threads = profile.threads;
    }
    let options = [
        (given.connections, "-c"),
        (given.max_connections && !given.connections, "--max-connections"),
        (given.chunk_size, "--chunk-size"),
        (given.threads, "--threads"),
    ];
    let given: Vec<&str> = options.iter().filter(|(is, _)| *is).map(|(_, name)| *name).collect();
    let but = if given.is_empty() {
        String::new()
    } else {
        format!("; but {} as given", given.join(" and "))
    };
    format!("{} (saved {}){but}", profile.setting(), profile.saved)
}

impl ProfileFile {
    /// The file that was named, or that in the folder of the user's settings.
    pub(super) fn of(
        named: Option<&Path>,
        variable: &dyn Fn(&str) -> Option<OsString>,
    ) -> Result<Self> {
        if let Some(path) = named {
            return Ok(Self { path: path.to_owned(), is_named: true });
        }
        let settings = settings_folder(variable).ok_or_else(|| {
            let what = "neither XDG_CONFIG_HOME nor HOME says where profiles are";
            Error::new(ErrorKind::Usage, what).advise("name a file with --profile=FILE")
        })?;
        Ok(Self { path: settings.join(DEFAULT_NAME), is_named: false })
    }

    /// Checks, before anything is measured, that it can be read now and replaced later.
    pub(super) fn prepare(&self) -> Result<()> {
        if let Some(folder) = self.path.parent().filter(|_| !self.is_named) {
            let mut builder = DirBuilder::new();
            let made = builder.recursive(true).mode(FOLDER_MODE).create(folder);
            made.map_err(|cause| self.unwritable(cause))?;
        }
        self.read_or_none()?;
        let checked = whole::check_replaceable(&self.target(), FILE_MODE);
        checked.map_err(|cause| self.unwritable(cause))
    }

    /// Keeps what was found for `origin`; returns whether the file has changed. Other origins stay
    /// as they are, and the file is whole at any time.
    pub(super) fn save(&self, origin: &Origin, finding: Finding) -> Result<bool> {
        // Read again: another bench may have ended meanwhile.
        let mut profiles = self.read_or_none()?;
        if !profiles.learn(origin, finding) {
            return Ok(false);
        }
        let text = profiles.to_json()?;
        let replaced = whole::replace(&self.target(), FILE_MODE, text.as_bytes(), true);
        replaced.map_err(|cause| self.unwritable(cause))?;
        Ok(true)
    }

    /// For messages.
    pub(super) fn shown(&self) -> String {
        self.path.display().to_string()
    }

    /// A file that was named is there; in the usual place there need not be one.
    fn read(&self) -> Result<Profiles> {
        let text = self.bytes();
        match text {
            Ok(text) => self.parse(&text),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound && !self.is_named => {
                Ok(Profiles::default())
            }
            Err(cause) => Err(self.unreadable(cause)),
        }
    }

    fn read_or_none(&self) -> Result<Profiles> {
        match self.bytes() {
            Ok(text) => self.parse(&text),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(Profiles::default()),
            Err(cause) => Err(self.unreadable(cause)),
        }
    }

    /// One byte more than is allowed is enough to see that there are too many.
    fn bytes(&self) -> io::Result<Vec<u8>> {
        let mut text = Vec::new();
        File::open(&self.path)?.take(PROFILES_BYTES_MAX + 1).read_to_end(&mut text)?;
        Ok(text)
    }

    fn parse(&self, text: &[u8]) -> Result<Profiles> {
        Profiles::parse(text).map_err(|error| error.within(format!("'{}'", self.shown())))
    }

    /// Where a link leads, which stays one. It has been followed before, to read the file: so the
    /// kernel had no objection to whose it is.
    fn target(&self) -> PathBuf {
        self.path.canonicalize().unwrap_or_else(|_| self.path.clone())
    }

    fn unreadable(&self, cause: io::Error) -> Error {
        let what = format!("cannot read the profiles in '{}'", self.shown());
        let error = Error::new(ErrorKind::Usage, what).caused_by(cause);
        error.advise("'ringhaul bench --profile=FILE URL' makes such a file")
    }

    fn unwritable(&self, cause: io::Error) -> Error {
        let kind = match cause.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => ErrorKind::DiskFull,
            _ => ErrorKind::TargetUnusable,
        };
        let what = format!("cannot write the profiles to '{}'", self.shown());
        Error::new(kind, what).caused_by(cause).advise("choose another file with --profile=FILE")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    const EXAMPLE: &str = r#"{"schema": 1, "origins": {"https://h": {"connections": 8,
        "chunk_bytes": 4194304, "threads": 2, "saved": "2026-01-02 03:04 UTC", "bytes": 9,
        "goodput_bytes_per_second": 1e9, "command": "ringhaul bench"}}}"#;

    fn place(xdg: Option<&str>, home: Option<&str>) -> Result<PathBuf> {
        let variable = |name: &str| match name {
            "XDG_CONFIG_HOME" => xdg.map(OsString::from),
            "HOME" => home.map(OsString::from),
            other => panic!("{other}"),
        };
        ProfileFile::of(None, &variable).map(|file| file.path)
    }

    #[test]
    fn the_usual_place() {
        let of = |xdg, home| place(xdg, home).unwrap().display().to_string();
        assert_eq!(of(Some("/c"), Some("/h")), "/c/ringhaul/profiles.json");
        assert_eq!(of(None, Some("/h")), "/h/.config/ringhaul/profiles.json");
        assert_eq!(of(Some("relative"), Some("/h")), "/h/.config/ringhaul/profiles.json");
        assert_eq!(of(Some(""), Some("/h")), "/h/.config/ringhaul/profiles.json");
        assert_eq!(place(None, None).unwrap_err().kind(), ErrorKind::Usage);
    }

    #[test]
    fn what_is_given_wins_field_by_field() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("p");
        fs::write(&path, EXAMPLE).unwrap();
        let named = format!("--profile={}", path.display());
        let applied = |words: &[&str], url: &str| {
            let words = [&["ringhaul", &named], words, &[url]].concat();
            let args = args::parse(words.into_iter().map(OsString::from)).unwrap().download;
            let mut options = crate::cli::resolve::options(&args).unwrap();
            let said = apply(&mut options, &args, &Url::parse(url).unwrap()).unwrap().unwrap();
            ((options.connections, options.chunk_bytes, options.threads), said)
        };
        let (options, said) = applied(&[], "https://h/x");
        assert_eq!(options, (Some(8), Some(4 << 20), Some(2)));
        assert_eq!(
            said,
            "profile of https://h: 8 connections, requests of 4M, 2 threads (saved 2026-01-02 \
             03:04 UTC)"
        );
        let (options, said) = applied(&["-c3", "--threads=1"], "https://h/x");
        assert_eq!(options, (Some(3), Some(4 << 20), Some(1)));
        assert!(said.ends_with("UTC); but -c and --threads as given"), "{said}");
        let (options, _) = applied(&["-cauto", "--chunk-size=auto"], "https://h/x");
        assert_eq!(options, (None, None, Some(2)), "automatic is a wish as well");
        let (options, _) = applied(&["--max-connections=5"], "https://h/x");
        assert_eq!(options.0, Some(5));
        for url in ["http://h/x", "https://h:444/x", "https://other/x"] {
            let (options, said) = applied(&[], url);
            assert_eq!(options, (None, None, None));
            assert!(said.starts_with("no profile of http"), "{said}");
        }
    }

    #[test]
    fn a_link_stays_one_and_nothing_is_left_over() {
        let folder = tempfile::tempdir().unwrap();
        let (real, link) = (folder.path().join("real"), folder.path().join("link"));
        fs::write(&real, EXAMPLE).unwrap();
        symlink(&real, &link).unwrap();
        let file = ProfileFile { path: link.clone(), is_named: true };
        let origin = Url::parse("https://h").unwrap().origin();
        file.prepare().unwrap();
        assert!(!file.save(&origin, Finding::Open).unwrap());
        assert!(file.save(&origin, Finding::Automatic).unwrap());
        assert!(link.is_symlink());
        assert_eq!(file.read().unwrap(), Profiles::default());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
    }
    /// The new file had a name that anybody could foresee, and was opened through a link there.
    #[test]
    fn a_planted_link_is_not_followed_and_the_mode_stays() {
        let folder = tempfile::tempdir().unwrap();
        let (path, victim) = (folder.path().join("p"), folder.path().join("victim"));
        fs::write(&path, EXAMPLE).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o640)).unwrap();
        fs::write(&victim, "theirs").unwrap();
        let planted = folder.path().join(format!("p.{}.new", std::process::id()));
        symlink(&victim, &planted).unwrap();
        let file = ProfileFile { path: path.clone(), is_named: true };
        let origin = Url::parse("https://h").unwrap().origin();
        file.prepare().unwrap();
        assert!(file.save(&origin, Finding::Automatic).unwrap());
        assert_eq!(file.read().unwrap(), Profiles::default());
        assert_eq!(fs::read(&victim).unwrap(), b"theirs");
        assert!(planted.is_symlink());
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
    }
}
