//! `ringhaul bench --profile`: what came out best is kept for later downloads, or there is nothing
//! to keep. Every way ends in a line that says which.

use crate::base::url::Origin;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::bench::{Finding, Results, Sink};
use crate::cli::args::BenchArgs;
use crate::cli::profile::ProfileFile;

/// Where the profile goes, and what it is of.
pub(super) struct Keeping {
    file: ProfileFile,
    origin: Origin,
}

impl Keeping {
    /// `None` without `--profile`. What would fail at the end fails here, before hours of
    /// measurement.
    pub(super) fn new(args: &BenchArgs) -> Result<Option<Self>> {
        let Some(named) = &args.profile else { return Ok(None) };
        let senseless = |what: &str, advice: &str| {
            Error::new(ErrorKind::Usage, format!("--profile has nothing to save {what}"))
                .advise(advice)
        };
        let Some(url) = args.url.as_deref() else {
            return Err(senseless(
                "of the built-in server",
                "bench the URL that is downloaded from",
            ));
        };
        if !args.against.is_empty() {
            return Err(senseless("where tools are compared", "leave out --against"));
        }
        if matches!(args.sink, Sink::Null | Sink::Memory) {
            return Err(senseless(
                "of downloads that reach no disk",
                "leave out --sink, or name the one that downloads have",
            ));
        }
        let origin = Url::parse(url)?.origin();
        let file = ProfileFile::of(named.as_deref(), &|name| std::env::var_os(name))?;
        file.prepare()?;
        Ok(Some(Self { file, origin }))
    }

    /// Saves it; returns the line to print.
    pub(super) fn keep(&self, results: &Results, threads: Option<u32>) -> Result<String> {
        let finding = results.finding(threads);
        let setting = match &finding {
            Finding::Setting(profile) => Some(profile.setting()),
            Finding::Automatic | Finding::Open => None,
        };
        let is_automatic = finding == Finding::Automatic;
        let is_changed = self.file.save(&self.origin, finding)?;
        let origin = &self.origin;
        let file = self.file.shown();
        Ok(match setting {
            Some(setting) => format!("profile of {origin} saved in '{file}': {setting}"),
            None if is_automatic && is_changed => {
                format!("auto is as good: the profile of {origin} is taken out of '{file}'")
            }
            None if is_automatic => "auto is as good: no profile is saved".to_owned(),
            None => "no profile is saved: no setting is known to be the best".to_owned(),
        })
    }
}
