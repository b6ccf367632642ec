//! The files that a Metalink describes, in the words of a download. Where the words of manifests
//! and those of the engine meet; must not know how the Metalink was read.

use super::options::{Algorithm, Checksum, PieceHashes, SourceHints};
use crate::base::{Result, Url};
use crate::manifest::{Entry, Metalink, MetalinkFile, Pieces};
use std::sync::Arc;

/// What a Metalink says, as far as it is of use.
#[derive(Debug)]
pub struct Described {
    /// Its files; an error for each that cannot be fetched.
    pub files: Vec<Result<Description>>,
    /// What is left out of it, for the user.
    pub notes: Vec<String>,
}

/// One file.
#[derive(Debug, Clone)]
pub struct Description {
    /// Where it goes: a relative path that leads nowhere else.
    pub name: String,
    /// Where it can be had, best first; at least one.
    pub urls: Vec<Url>,
    /// What is said of these, besides.
    pub hints: SourceHints,
    /// Its size.
    pub bytes: Option<u64>,
    /// The best of its digests.
    pub checksum: Option<Checksum>,
    /// The digests of its pieces.
    pub pieces: Option<Arc<PieceHashes>>,
}

/// Reads a Metalink. Of URLs with one priority those at one of these `locations`, country codes in
/// lower case, come first.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::base::ErrorKind::Usage) if it is none, or none of its files can be
/// fetched. The context leaves the Metalink's name to the caller.
pub fn described(text: &[u8], locations: &[String]) -> Result<Described> {
    let Metalink { files, refused, mut notes, .. } = Metalink::parse(text)?;
    let mut described: Vec<Result<Description>> = Vec::new();
    for file in files {
        described.push(describe(file, locations, &mut notes));
    }
    described.extend(refused.into_iter().map(|bad| Err(bad.error)));
    match described.iter().find_map(|file| file.as_ref().err()) {
        Some(error) if described.iter().all(Result::is_err) => Err(error.clone()),
        _ => Ok(Described { files: described, notes }),
    }
}

/// Whether this is the name of a Metalink.
pub fn is_metalink_name(name: &str) -> bool {
    crate::manifest::has_metalink_suffix(name)
}

/// Whether an answer of this type is a Metalink.
pub fn is_metalink_type(content_type: &str) -> bool {
    crate::manifest::is_metalink_type(content_type)
}

/// The digests of pieces, in the engine's words; the file's size is not known.
///
/// # Errors
/// [`ErrorKind::Usage`](crate::base::ErrorKind::Usage) if the digests are of no use.
pub fn piece_hashes(pieces: &Pieces) -> Result<PieceHashes> {
    PieceHashes::of_any_size(pieces.algorithm.parse()?, pieces.length_bytes, &pieces.hashes)
}

fn describe(
    mut file: MetalinkFile,
    locations: &[String],
    notes: &mut Vec<String>,
) -> Result<Description> {
    file.require_url()?;
    if !file.left_out.is_empty() {
        let kinds: Vec<&str> = file.left_out.iter().map(|(kind, _)| kind.as_str()).collect();
        notes.push(format!("{}: sources by {} are not used", file.name, kinds.join(", ")));
    }
    let checksum = best(&file.hashes)?;
    let mut hints = SourceHints { locations: locations.to_vec(), ..SourceHints::default() };
    file.urls.sort_by_key(|it| (it.priority, hints.rank(it.location.as_deref())));
    let of_all = file.connections_max;
    let limited = file
        .urls
        .iter()
        .filter_map(|mirror| Some((mirror.url.clone(), mirror.connections_max.or(of_all)?)));
    hints.connections = limited.collect();
    let urls = file.urls.into_iter().map(|mirror| mirror.url).collect();
    let pieces = file.pieces.as_ref().map(piece_hashes).transpose()?.map(Arc::new);
    Ok(Description { name: file.name, urls, hints, bytes: file.size_bytes, checksum, pieces })
}

/// The digest that proves most, of those that can be computed.
fn best(hashes: &[Entry]) -> Result<Option<Checksum>> {
    let known = hashes.iter().filter_map(|entry| {
        let algorithm: Algorithm = entry.algorithm.parse().ok()?;
        Some((algorithm, entry))
    });
    let known: Vec<(Algorithm, &Entry)> = known.collect();
    let algorithms: Vec<Algorithm> = known.iter().map(|(algorithm, _)| *algorithm).collect();
    let Some(best) = Algorithm::choose(&algorithms) else { return Ok(None) };
    let (_, entry) = known.iter().find(|(algorithm, _)| *algorithm == best).expect("it is known");
    format!("{}:{}", entry.algorithm, entry.digits).parse().map(Some)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::base::ErrorKind;

    fn metalink(files: &str) -> Vec<u8> {
        format!("<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\">{files}</metalink>").into()
    }

    #[test]
    fn a_file_has_its_mirrors_size_and_best_digest() {
        let text = metalink(&format!(
            "<file name=\"a/b.iso\"><size>7</size><hash type=\"md5\">{}</hash>\
             <hash type=\"sha-256\">{}</hash><url priority=\"2\">http://b/x</url>\
             <url priority=\"1\">http://c/x</url></file>",
            "0".repeat(32),
            "1".repeat(64)
        ));
        let described = described(&text, &[]).expect("a Metalink");
        let file = described.files[0].as_ref().expect("a usable file").clone();
        assert_eq!((file.name.as_str(), file.bytes), ("a/b.iso", Some(7)));
        assert_eq!(file.checksum.as_ref().expect("a digest").algorithm, Algorithm::Sha256);
        let urls: Vec<String> = file.urls.iter().map(Url::exposed).collect();
        assert_eq!(urls, ["http://c/x", "http://b/x"]);
    }

    #[test]
    fn a_file_that_cannot_be_fetched_does_not_end_the_others() {
        let bad = "<file name=\"x\"><url>ftp://h/x</url></file>";
        let good = "<file name=\"y\"><url>http://h/y</url></file>";
        let both = described(&metalink(&format!("{bad}{good}")), &[]).expect("one is good");
        assert_eq!(both.files.iter().filter(|file| file.is_ok()).count(), 1);
        let error = described(&metalink(bad), &[]).expect_err("nothing can be fetched");
        assert_eq!(error.kind(), ErrorKind::Usage);
        assert!(error.to_string().contains("ftp"), "{error}");
    }

    #[test]
    fn places_order_urls_of_one_priority_and_servers_say_what_they_take() {
        let url = |attributes: &str, host: &str| format!("<url {attributes}>http://{host}/</url>");
        let text = metalink(&format!(
            "<file name=\"x\">{}{}{}{}{}</file>",
            url("priority=\"2\" location=\"fr\"", "a"),
            url("priority=\"2\"", "b"),
            url("priority=\"2\" location=\"DE\"", "c"),
            url("priority=\"1\" location=\"us\" maxconnections=\"3\"", "d"),
            url("priority=\"2\" location=\"fr\"", "e"),
        ));
        let order = |locations: &[&str]| {
            let locations: Vec<String> = locations.iter().map(|it| (*it).to_owned()).collect();
            let file = described(&text, &locations).unwrap().files.remove(0).unwrap();
            let hosts = file.urls.iter().map(|url| url.exposed()[7..8].to_owned());
            (hosts.collect::<String>(), file.hints.connections)
        };
        let (hosts, connections) = order(&[]);
        assert_eq!(hosts, "dabce");
        assert_eq!(connections, [(Url::parse("http://d/").unwrap(), 3)]);
        assert_eq!(order(&["de", "fr"]).0, "dcaeb");
        let version_3 = "<metalink version=\"3.0\"><files><file name=\"x\">\
                         <resources maxconnections=\"2\"><url>http://a/</url>\
                         <url maxconnections=\"1\">http://b/</url></resources></file></files>\
                         </metalink>";
        let file = described(version_3.as_bytes(), &[]).unwrap().files.remove(0).unwrap();
        let counts: Vec<u32> = file.hints.connections.iter().map(|(_, count)| *count).collect();
        assert_eq!(counts, [2, 1]);
    }
}
