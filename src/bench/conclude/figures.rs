//! How figures are written in tables and plots.

/// `123.4`, or a dash for what there is not.
pub(in crate::bench) fn megabytes(rate: Option<f64>) -> String {
    number(rate.map(|rate| rate / 1e6))
}

/// Three digits are enough of what varies by percents.
pub(in crate::bench) fn number(value: Option<f64>) -> String {
    match value {
        None => dash(),
        Some(value) if value >= 100.0 => format!("{value:.0}"),
        Some(value) if value >= 10.0 => format!("{value:.1}"),
        Some(value) => format!("{value:.2}"),
    }
}

/// Stands for a figure that there is not.
pub(in crate::bench) fn dash() -> String {
    "-".to_owned()
}
