//! `--remote-name`: the name of a file as its server has it. A server chooses names only where it
//! is asked to, and never that of a file which is there.

use super::args::{DownloadArgs, RemoteName};
use super::resolve;
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::naming;
use crate::engine::options::Options;
use crate::engine::remote_name::remote_name;
use crate::engine::stop::StopHandle;
use crate::ui::Ui;
use std::ffi::OsStr;
use std::path::PathBuf;

/// The file to write, if the server is to name it and does. It is not replaced if it exists, so
/// `options` do not force that any more.
pub(super) fn target(
    args: &DownloadArgs,
    url: &Url,
    options: &mut Options,
    stop: &StopHandle,
) -> Result<Option<PathBuf>> {
    let wish = args.names.remote_name;
    let is_wanted = match wish {
        RemoteName::Off => false,
        RemoteName::Auto => !naming::names_file(url),
        RemoteName::Always | RemoteName::Final => true,
    };
    if !is_wanted || names_output(args)? {
        return Ok(None);
    }
    let ui = Ui::new(&naming::file_name(url), resolve::verbosity(args));
    let asked = remote_name(url, options, stop, |progress| ui.on_progress(progress));
    ui.clear();
    let asked = asked.map_err(|error| error.within("the file's name"))?;
    let proposed = asked.proposed.as_deref().and_then(naming::proposed_name);
    let led_to = || (wish == RemoteName::Final).then(|| naming::file_name(&asked.url));
    let Some(name) = proposed.or_else(led_to) else { return Ok(None) };
    let target = resolve::target(args, &name)?;
    if std::fs::symlink_metadata(&target).is_ok() {
        let what = format!("{} exists, and the server chose that name", target.display());
        let advice = "choose another name with -o; --force replaces no file that a server names";
        return Err(Error::new(ErrorKind::TargetExists, what).advise(advice));
    }
    options.force = false;
    Ok(Some(target))
}

/// Whether the user has named the file: anything but a folder does.
fn names_output(args: &DownloadArgs) -> Result<bool> {
    if args.repair.is_some() {
        return Ok(true);
    }
    if args.output.is_none() {
        return Ok(false);
    }
    // No argument can have it, as it ends one.
    let name = "\0";
    let target = resolve::target(args, name)?;
    Ok(target.file_name() != Some(OsStr::new(name)))
}
