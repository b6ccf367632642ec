//! The line that is redrawn on a terminal: a bar when the size is known, a spinner when it is not.
//! The only place that names indicatif; knows nothing of what the numbers mean.

use super::text;
use crate::engine::progress::{Phase, Progress};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::sync::{Mutex, PoisonError};

/// Columns the file name may take: with 80 in all this leaves a bar worth looking at.
const NAME_COLUMNS_MAX: usize = 20;

#[derive(Debug)]
pub(super) struct Bar {
    bar: ProgressBar,
    form: Mutex<Form>,
    colours: bool,
}

/// What is drawn; changes when the server has said the size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    Spinner,
    Bar,
}

impl Bar {
    pub(super) fn new(name: &str, colours: bool) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        bar.set_style(style(Form::Spinner, colours));
        bar.set_prefix(text::short_name(name, NAME_COLUMNS_MAX));
        Self { bar, form: Mutex::new(Form::Spinner), colours }
    }

    pub(super) fn show(&self, progress: &Progress) {
        let form = match progress.bytes_total {
            Some(_) if progress.phase != Phase::Connecting => Form::Bar,
            _ => Form::Spinner,
        };
        let mut drawn = self.form.lock().unwrap_or_else(PoisonError::into_inner);
        if *drawn != form {
            self.bar.set_style(style(form, self.colours));
            *drawn = form;
        }
        if let Some(total) = progress.bytes_total {
            self.bar.set_length(total);
        }
        self.bar.set_message(text::bar_text(progress));
        self.bar.set_position(progress.bytes_done);
        // The spinner turns, and what the rate limiter held back is drawn.
        self.bar.tick();
    }

    /// A line above the bar.
    pub(super) fn say(&self, line: &str) {
        self.bar.println(line);
    }

    /// Takes the bar off the terminal; it does not come back.
    pub(super) fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(form: Form, colours: bool) -> ProgressStyle {
    let template = match (form, colours) {
        (Form::Bar, true) => "{prefix} {percent:>3} % {wide_bar:.cyan/dim} {msg}",
        (Form::Bar, false) => "{prefix} {percent:>3} % {wide_bar} {msg}",
        (Form::Spinner, true) => "{spinner:.cyan} {prefix}  {msg}",
        (Form::Spinner, false) => "{spinner} {prefix}  {msg}",
    };
    ProgressStyle::with_template(template).expect("a constant template").progress_chars("━╸─")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_template_parses() {
        for form in [Form::Spinner, Form::Bar] {
            style(form, true);
            style(form, false);
        }
    }
}
