//! The manual page, in roff: what clap knows of the options, and the topics. Must not know their
//! texts.

use super::topics::TOPICS;
use crate::cli::exit_codes;
use clap::Command;
use clap_mangen::Man;
use std::io;

/// What an example of a topic, or a line of a table, begins with.
const INDENT: &str = "    ";
/// What the sections of the help's end are indented by.
const SECTION_INDENT: &str = "  ";
/// The topic that the help's end has already.
const TOLD: &str = "codes";

/// The page of the program, which must be built: its options, its commands and the topics.
pub(super) fn whole(command: Command) -> String {
    let man = Man::new(command);
    let mut page = rendered(|to| {
        man.render_title(to)?;
        man.render_name_section(to)?;
        man.render_synopsis_section(to)?;
        man.render_description_section(to)?;
        man.render_options_section(to)?;
        man.render_subcommands_section(to)
    });
    for topic in TOPICS.iter().filter(|topic| topic.name != TOLD) {
        let (title, text) = topic.parts();
        page.push_str(&format!(".SH {}\n{}", escaped(&title.to_uppercase()), roff(&text)));
    }
    page.push_str(&sections(&exit_codes::after_help()));
    page.push_str(&rendered(|to| man.render_version_section(to)));
    page
}

/// The page of one command.
pub(super) fn of_command(command: Command) -> String {
    let man = Man::new(command);
    rendered(|to| man.render(to))
}

fn rendered(render: impl FnOnce(&mut dyn io::Write) -> io::Result<()>) -> String {
    let mut page = Vec::new();
    render(&mut page).expect("memory takes every write");
    String::from_utf8_lossy(&page).into_owned()
}

/// The end of the help: lines that end in a colon are titles of what is indented below them.
fn sections(text: &str) -> String {
    let mut page = String::new();
    for section in text.trim_end().split("\n\n") {
        let (title, lines) = section.split_once('\n').unwrap_or((section, ""));
        let title = title.trim_end_matches(':').to_uppercase();
        page.push_str(&format!(".SH {}\n.nf\n", escaped(&title)));
        for line in lines.lines() {
            let line = line.strip_prefix(SECTION_INDENT).unwrap_or(line);
            page.push_str(&format!("{}\n", escaped(line)));
        }
        page.push_str(".fi\n");
    }
    page
}

/// The text of a topic: paragraphs are filled, examples are not.
fn roff(text: &str) -> String {
    let mut page = String::new();
    let mut is_example = false;
    for line in text.lines() {
        let example = line.strip_prefix(INDENT);
        if example.is_some() != is_example && !line.is_empty() {
            is_example = example.is_some();
            page.push_str(if is_example { ".RS 4\n.nf\n" } else { ".fi\n.RE\n" });
        }
        match (example, line.strip_prefix("- ")) {
            (Some(example), _) => page.push_str(&format!("{}\n", escaped(example))),
            (None, Some(item)) => page.push_str(&format!(".IP \\(bu 2\n{}\n", escaped(item))),
            (None, None) if line.is_empty() && is_example => page.push('\n'),
            (None, None) if line.is_empty() => page.push_str(".PP\n"),
            (None, None) => page.push_str(&format!("{}\n", escaped(line.trim_start()))),
        }
    }
    if is_example {
        page.push_str(".fi\n.RE\n");
    }
    page
}

/// A line that roff shows as it is.
fn escaped(line: &str) -> String {
    let line = line.replace('\\', "\\e").replace('-', "\\-");
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_that_look_like_requests_are_text() {
        assert_eq!(escaped(".part is 'it', \\n -o"), "\\&.part is 'it', \\en \\-o");
        let text = "One\n.two\n\n    ringhaul -i\n\n    again\n\n- an item\n  of two\n";
        let page = "One\n\\&.two\n.PP\n.RS 4\n.nf\nringhaul \\-i\n\nagain\n\n.fi\n.RE\n\
                    .IP \\(bu 2\nan item\nof two\n";
        assert_eq!(roff(text), page);
        assert_eq!(
            sections("Units:\n  SIZE is\n\nExit codes:\n  0\n"),
            ".SH UNITS\n.nf\nSIZE is\n.fi\n.SH EXIT CODES\n.nf\n0\n.fi\n"
        );
    }
}
