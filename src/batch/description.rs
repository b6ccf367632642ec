//! The files that a Metalink describes, as items of a batch. Must not know how the Metalink was
//! read.

use super::item::Item;
use super::result::Asked;
use crate::base::Url;
use crate::engine::description::Description;

impl From<Description> for Item {
    fn from(file: Description) -> Self {
        let urls = file.urls.iter().map(Url::exposed).collect();
        Item::of(Asked {
            urls,
            out: Some(file.name),
            checksum: file.checksum,
            size: file.bytes,
            size_required: file.bytes,
            pieces: file.pieces,
            hints: file.hints,
            ..Asked::default()
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::description::described;

    #[test]
    fn an_item_has_the_name_and_the_urls_of_the_file() {
        let text = "<metalink xmlns=\"urn:ietf:params:xml:ns:metalink\"><file name=\"a/b.iso\">\
                    <size>7</size><url priority=\"2\">http://b/x</url>\
                    <url priority=\"1\">http://c/x</url></file></metalink>";
        let mut files = described(text.as_bytes(), &[]).expect("a Metalink").files;
        let item = Item::from(files.remove(0).expect("a usable file"));
        assert_eq!(item.asked.urls, ["http://c/x", "http://b/x"]);
        assert_eq!((item.asked.out.as_deref(), item.asked.size), (Some("a/b.iso"), Some(7)));
    }
}
