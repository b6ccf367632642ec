//! From words to a job: the options of the engine, the target file, the volume. Looks at the file
//! system (is this a folder?) and nowhere else; creates nothing.

use super::args::{Change, Direct, DownloadArgs, MetalinkWish, Policy};
use super::{reach, trust};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::engine::options::{Algorithm, DirectMode, MirrorPolicy, OnChange, Options, SourceHints};
use crate::ui::Verbosity;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The engine's settings for these arguments, and for what the environment says of trust.
pub(super) fn options(args: &DownloadArgs) -> Result<Options> {
    options_in(args, |name| std::env::var_os(name))
}

/// The same for another environment.
fn options_in(args: &DownloadArgs, variable: impl Fn(&str) -> Option<OsString>) -> Result<Options> {
    let mut options = Options {
        connections: args.connections.fixed(),
        max_connections: args.max_connections,
        threads: args.threads,
        chunk_bytes: args.chunk_size.fixed(),
        request_ahead: !args.no_request_ahead,
        retries: args.retries,
        direct: match args.direct {
            Direct::Auto => DirectMode::Auto,
            Direct::On => DirectMode::On,
            Direct::Off => DirectMode::Off,
        },
        engine: args.engine.into(),
        register_buffers: !args.no_register,
        force: args.force,
        remote_time: args.remote_time,
        headers: headers(args)?,
        login: args.settled_login.clone(),
        allow_downgrade: args.allow_downgrade,
        reach: Arc::new(reach::of(&args.reach)?),
        trace: args.trace.clone(),
        part: args.part.part(),
        checksum: args.checksum.clone(),
        mirrors: args.sources.mirror.iter().map(|url| Url::parse(url)).collect::<Result<_>>()?,
        mirror_policy: match args.sources.mirror_policy {
            Policy::All => MirrorPolicy::All,
            Policy::Best => MirrorPolicy::Best,
            Policy::Failover => MirrorPolicy::Failover,
        },
        links: args.sources.metalink != MetalinkWish::Off,
        hints: SourceHints {
            locations: args.sources.metalink_location.clone(),
            ..SourceHints::default()
        },
        verify: !args.no_verify,
        digests: distinct(&args.print_digest),
        // Without a journal nothing is known of what an earlier run has left.
        resume: !args.no_resume && !args.no_journal,
        journal: !args.no_journal,
        journal_interval: args.journal_interval,
        on_change: match args.on_change {
            Change::Restart => OnChange::Restart,
            Change::Fail => OnChange::Fail,
        },
        retry_wait: args.retry_wait,
        max_time: args.max_time,
        connect_timeout: args.connect_timeout,
        stall_timeout: args.timeout,
        speed_limit_bytes: args.speed_limit,
        speed_time: args.speed_time,
        memory_bytes: args.memory,
        rate: args.rate.limit(),
        ..Options::default()
    };
    trust::apply(&mut options, args, variable)?;
    options.validate()?;
    Ok(options)
}

/// Each algorithm once, in the order given.
fn distinct(algorithms: &[Algorithm]) -> Vec<Algorithm> {
    let mut kept = Vec::new();
    for &algorithm in algorithms {
        if !kept.contains(&algorithm) {
            kept.push(algorithm);
        }
    }
    kept
}

/// How much is said.
pub(super) fn verbosity(args: &DownloadArgs) -> Verbosity {
    match args.verbose {
        _ if args.quiet => Verbosity::Quiet,
        0 => Verbosity::Normal,
        1 => Verbosity::Detail,
        2.. => Verbosity::Trace,
    }
}

/// The file whose name means that the bytes are not kept.
pub(super) const NOWHERE: &str = "/dev/null";

/// The file to write: `--output` seen from `--dir`, or `name`. The folder must exist.
pub(super) fn target(args: &DownloadArgs, name: &str) -> Result<PathBuf> {
    if let Some(dir) = &args.dir {
        must_be_folder(dir)?;
    }
    let dir = args.dir.as_deref().unwrap_or(Path::new(""));
    let Some(output) = &args.output else {
        return Ok(dir.join(name));
    };
    let path = dir.join(output);
    must_be_file(&path)?;
    // As with cp and mv: a folder means "into it", and a slash at the end asks for one.
    if output.as_os_str().as_encoded_bytes().ends_with(b"/") || path.is_dir() {
        must_be_folder(&path)?;
        return Ok(path.join(name));
    }
    if let Some(parent) = path.parent().filter(|p| !p.as_os_str().is_empty()) {
        must_be_folder(parent)?;
    }
    Ok(path)
}

/// Only files and folders can be written to at any place, and the one device that keeps nothing.
pub(super) fn must_be_file(path: &Path) -> Result<()> {
    let Ok(kind) = path.metadata().map(|found| found.file_type()) else { return Ok(()) };
    let shown = path.display();
    if path == Path::new(NOWHERE) || kind.is_file() || kind.is_dir() {
        return Ok(());
    }
    let what = format!("'{shown}' is neither a file nor a folder");
    Err(Error::new(ErrorKind::TargetUnusable, what))
}

pub(super) fn must_be_folder(path: &Path) -> Result<()> {
    let shown = path.display();
    match path.metadata() {
        Ok(found) if found.is_dir() => Ok(()),
        Ok(_) => Err(Error::new(ErrorKind::TargetUnusable, format!("'{shown}' is not a folder"))),
        Err(cause) => {
            let error = Error::new(
                ErrorKind::TargetUnusable,
                format!("the output folder '{shown}' cannot be used"),
            );
            let missing = cause.kind() == std::io::ErrorKind::NotFound;
            let error = error.caused_by(cause);
            if missing {
                Err(error.advise(format!("create it: mkdir -p '{shown}'")))
            } else {
                Err(error)
            }
        }
    }
}

/// The header fields in the order given, the client's name last unless it is among them.
fn headers(args: &DownloadArgs) -> Result<Vec<(String, String)>> {
    let numbered = args.header.iter().enumerate();
    let mut fields: Vec<(String, String)> = numbered
        .map(|(index, text)| header_field(text).ok_or_else(|| not_a_header(index + 1)))
        .collect::<Result<_>>()?;
    if let Some(name) = &args.user_agent {
        let field = user_agent(name)?;
        if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case(&field.0)) {
            fields.push(field);
        }
    }
    fields.extend(referer::field(args.referer.as_deref(), &fields)?);
    Ok(fields)
}

pub(super) fn user_agent(name: &str) -> Result<(String, String)> {
    if name.contains(char::is_control) {
        return Err(Error::new(ErrorKind::Usage, "--user-agent has a control character"));
    }
    Ok(("User-Agent".to_owned(), name.to_owned()))
}

/// Splits `Name: value`. A line break in it would smuggle in a second field.
pub(super) fn header_field(text: &str) -> Option<(String, String)> {
    let (name, value) = text.split_once(':')?;
    let usable = !name.is_empty()
        && !name.contains(|c: char| c.is_whitespace() || c.is_control())
        && !value.contains(['\r', '\n', '\0']);
    usable.then(|| (name.to_owned(), value.trim().to_owned()))
}

/// Says which one, not what it is: headers carry tokens.
pub(super) fn not_a_header(number: usize) -> Error {
    Error::new(ErrorKind::Usage, format!("header {number} given with -H is no header field"))
        .advise("write it as 'Name: value', on one line")
}

pub(super) mod referer;
#[cfg(test)]
mod tests;
