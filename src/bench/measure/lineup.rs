//! Who is measured: the grid, other engines, other tools. What is asked for and cannot be is said.

use super::entry::{Entry, grid};
use crate::base::size::format_bytes;
use crate::base::{Error, ErrorKind, Result};
use crate::bench::{News, Settings};

/// The entries for a file of `bytes`.
pub(in crate::bench) fn lineup(
    settings: &Settings,
    bytes: u64,
    tell: &mut dyn FnMut(News<'_>),
) -> Result<Vec<Entry>> {
    if settings.files.is_some() {
        Ok(lists(settings, tell))
    } else if settings.against.is_empty() {
        sweep(settings, bytes, tell)
    } else {
        Ok(against(settings, tell))
    }
}

/// The grid, and with several engines what can be compared between them.
fn sweep(settings: &Settings, bytes: u64, tell: &mut dyn FnMut(News<'_>)) -> Result<Vec<Entry>> {
    let (mut entries, too_large) = grid(&settings.chunks, &settings.connections, bytes);
    let names = too_large.iter().map(Entry::to_string).collect::<Vec<_>>().join(", ");
    let size = format_bytes(bytes);
    if entries.is_empty() {
        let what = format!("a file of {size} is too small for the grid: {names}");
        return Err(Error::new(ErrorKind::Usage, what)
            .advise("take a larger file, or smaller --chunks and fewer --connections"));
    }
    if !too_large.is_empty() {
        let what = "too small a file to give every connection a request";
        tell(News::Note(&format!("left out, {size} is {what}: {names}")));
    }
    if settings.engines.len() > 1 {
        // The cells have a request size of their own; the other engines' rows do not.
        entries.extend(settings.connections.iter().copied().map(Entry::Connections));
    }
    entries.extend(other_engines(settings));
    Ok(entries)
}

/// ringhaul and the tools that are installed.
fn against(settings: &Settings, tell: &mut dyn FnMut(News<'_>)) -> Vec<Entry> {
    let mut entries = vec![Entry::Auto];
    entries.extend(settings.connections.iter().copied().map(Entry::Connections));
    entries.extend(other_engines(settings));
    for &peer in &settings.against {
        if peer.find().is_none() {
            tell(News::Note(&format!("{} is not installed and left out", peer.name())));
            continue;
        }
        if !settings.sink.suits(peer) {
            let name = peer.name();
            tell(News::Note(&format!("{name} cannot throw its bytes away and is left out")));
            continue;
        }
        let counts = if peer.is_one_stream() { &[1][..] } else { &settings.connections };
        entries.extend(counts.iter().map(|&count| Entry::Peer(peer, count)));
    }
    entries
}

/// ringhaul, and the tools that are installed and take lists.
fn lists(settings: &Settings, tell: &mut dyn FnMut(News<'_>)) -> Vec<Entry> {
    let mut entries = vec![Entry::Auto];
    let others = settings.engines.iter().skip(1);
    entries.extend(others.map(|&engine| Entry::On { engine, connections: None }));
    for &peer in &settings.against {
        let reason = match peer.find() {
            None => "is not installed",
            Some(_) if !peer.takes_lists() => "takes no list of files",
            Some(_) => {
                let own = [peer.files_at_a_time()];
                let asked = settings.connections.as_slice();
                let counts = if asked.is_empty() { &own[..] } else { asked };
                entries.extend(counts.iter().map(|&count| Entry::PeerList(peer, count)));
                continue;
            }
        };
        tell(News::Note(&format!("{} {reason} and is left out", peer.name())));
    }
    entries
}

/// The rows of every engine but the first.
fn other_engines(settings: &Settings) -> Vec<Entry> {
    let counts = || settings.connections.iter().copied().map(Some);
    let rows = settings.engines.iter().skip(1).flat_map(|&engine| {
        let all = std::iter::once(None).chain(counts());
        all.map(move |connections| Entry::On { engine, connections })
    });
    rows.collect()
}
