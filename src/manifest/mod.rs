//! Rank 1: files that speak of other files, or of who may have them. Text goes in, entries come
//! out. Must not know where the text came from, which algorithms can be computed, or what is done
//! about an entry.

mod armour;
mod checksums;
pub mod cookie_jar;
mod line;
mod list;
mod metalink;
pub mod netrc;
mod piece_list;
mod pieces;

pub use checksums::{Checksums, Entry, parse};
pub use list::{BadLine, ListItem, ListOptions, ListReader, OtherKey};
pub use metalink::{
    BadFile, METALINK_PRIORITY_LAST, Metalink, MetalinkFile, MetalinkVersion, MirrorUrl,
    has_metalink_suffix, is_metalink_type, looks_like_metalink,
};
pub use piece_list::piece_hashes;
pub use pieces::Pieces;
