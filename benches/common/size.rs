//! How large a bench makes its work: in full, or as small as it can be where the run only has to
//! show that it works.

/// `full`, or `smallest` under `-- --test`, which runs everything once.
pub(crate) fn sized<T>(full: T, smallest: T) -> T {
    if std::env::args().any(|argument| argument == "--test") { smallest } else { full }
}
