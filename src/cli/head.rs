//! `ringhaul --head URL`: what servers say of their files, one after the other, in words or as JSON
//! Lines. Downloads nothing.

use super::args::DownloadArgs;
use super::signals::Watch;
use super::{Failure, download, exit_codes, print, resolve};
use crate::base::size::{format_bytes, format_duration};
use crate::base::{Error, ErrorKind, Result, Url};
use crate::batch::naming;
use crate::engine::inspection::{Inspection, failure_line, inspect};
use crate::engine::options::Options;
use crate::engine::progress::Level;
use crate::engine::stop::StopHandle;
use crate::ui::{Ui, printable};
use std::sync::Arc;

/// Asks for each URL. One that fails does not keep the others from being asked.
pub(super) fn run(args: &DownloadArgs) -> Result<(), Failure> {
    let (watch, stop) = (Watch::start()?, StopHandle::new());
    watch.guard(stop.clone());
    let options = resolve::options(args)?;
    let urls = args.urls.iter().map(|url| Url::parse(url)).collect::<Result<Vec<_>>>()?;
    if urls.is_empty() {
        let what = "'--head' asks about URLs, and none is given";
        return Err(Error::new(ErrorKind::Usage, what).into());
    }
    let mut failures = Vec::new();
    for (index, url) in urls.iter().enumerate() {
        let ui = Arc::new(Ui::new(&naming::file_name(url), resolve::verbosity(args)));
        if index == 0 {
            args.notes.iter().for_each(|text| ui.say(Level::Note, text));
        }
        match ask(url, &options, &stop, &ui) {
            Ok(inspection) if args.batch.json => print::text(&inspection.json_line())?,
            Ok(inspection) => print::text(&words(&inspection, index > 0))?,
            Err(error) => {
                if args.batch.json {
                    print::text(&failure_line(url, &error))?;
                }
                let is_over = error.kind() == ErrorKind::Interrupted;
                failures.push(download::failure(error, &watch));
                if is_over {
                    break;
                }
            }
        }
    }
    conclude(failures, urls.len())
}

fn ask(url: &Url, options: &Options, stop: &StopHandle, ui: &Arc<Ui>) -> Result<Inspection> {
    let listener = ui.clone();
    inspect(url, options, stop, move |event| listener.on_event(event))
}

/// The failure of the only URL; of several each is told, and whether all failed alike.
fn conclude(mut failures: Vec<Failure>, urls: usize) -> Result<(), Failure> {
    let Some(last) = failures.pop() else { return Ok(()) };
    let codes = failures.iter().map(|failure| failure.exit_code);
    let is_alike = failures.len() + 1 == urls && codes.clone().all(|code| code == last.exit_code);
    let exit_code = if is_alike { last.exit_code } else { exit_codes::SOME_FAILED };
    failures.iter().for_each(Failure::print);
    Err(Failure { exit_code, ..last })
}

/// A paragraph: the URL, and a line for each thing that is known.
fn words(inspection: &Inspection, is_behind_another: bool) -> String {
    let gap = if is_behind_another { "\n" } else { "" };
    let mut text = format!("{gap}{}\n", printable(&inspection.asked.to_string()));
    let mut line = |name: &str, value: &str| {
        text += &format!("    {name:<14}{}\n", printable(value));
    };
    for (status, url) in &inspection.redirects {
        line("redirect", &format!("{status} to {url}"));
    }
    line("status", &inspection.status.to_string());
    let size = inspection.bytes.map_or("not told".to_owned(), |bytes| match bytes {
        0..1024 => format!("{bytes} bytes"),
        _ => format!("{bytes} bytes ({})", format_bytes(bytes)),
    });
    line("size", &size);
    line("ranges", if inspection.has_ranges { "yes" } else { "no: one stream" });
    let fields = [
        ("etag", &inspection.etag),
        ("last modified", &inspection.last_modified),
        ("type", &inspection.content_type),
        ("server", &inspection.server),
        ("proxy", &inspection.proxy),
    ];
    for (name, value) in fields {
        value.iter().for_each(|value| line(name, value));
    }
    let versions = match inspection.is_strong {
        true => "told apart: a download can be gone on with",
        false => "not told apart: a stopped download starts over",
    };
    line("versions", versions);
    line("name", &name(inspection));
    for (field, digest) in &inspection.digests {
        line("digest", &format!("{digest} ({field})"));
    }
    inspection.mirrors.iter().for_each(|url| line("mirror", &url.to_string()));
    inspection.description.iter().for_each(|url| line("described by", &url.to_string()));
    let of = match inspection.addresses {
        1 => String::new(),
        addresses => format!(", one of {addresses}"),
    };
    line("address", &format!("{}{of}", inspection.address));
    let tls = inspection.tls.as_ref().map(|(version, cipher)| format!(", {version} {cipher}"));
    line("protocol", &format!("{}{}", inspection.protocol, tls.unwrap_or_default()));
    line("connected in", &format_duration(inspection.connected_in));
    text
}

/// The name that a download would give it, or could.
fn name(inspection: &Inspection) -> String {
    let proposed = inspection.proposed_name.as_deref().and_then(naming::proposed_name);
    let own = naming::file_name(&inspection.asked);
    match proposed {
        Some(proposed) if proposed != own => format!("{own}; the server proposes {proposed} (-J)"),
        _ => own,
    }
}
