//! Topics: what is worth knowing beyond single options, in one text each for the terminal and the
//! manual page. Each is a file beside this one: a title, paragraphs, items behind `- `, and
//! examples behind four blanks. Owns the list.

use crate::cli::exit_codes::EXIT_CODES;

/// Stands in a text for the table of exit codes.
const CODES: &str = "{codes}\n";
/// Stands in a text for a program in Python, and that program.
const PROGRAM: &str = "{progress.py}\n";
const PROGRAM_TEXT: &str = include_str!("../../python/progress.py");

/// One of them.
pub(super) struct Topic {
    pub(super) name: &'static str,
    text: &'static str,
}

pub(super) const TOPICS: [Topic; 15] = [
    Topic { name: "resume", text: include_str!("topics/resume.md") },
    Topic { name: "lists", text: include_str!("topics/lists.md") },
    Topic { name: "clusters", text: include_str!("topics/clusters.md") },
    Topic { name: "mirrors", text: include_str!("topics/mirrors.md") },
    Topic { name: "proxies", text: include_str!("topics/proxies.md") },
    Topic { name: "login", text: include_str!("topics/login.md") },
    Topic { name: "names", text: include_str!("topics/names.md") },
    Topic { name: "parts", text: include_str!("topics/parts.md") },
    Topic { name: "pipes", text: include_str!("topics/pipes.md") },
    Topic { name: "programs", text: include_str!("topics/programs.md") },
    Topic { name: "config", text: include_str!("topics/config.md") },
    Topic { name: "habits", text: include_str!("topics/habits.md") },
    Topic { name: "bench", text: include_str!("topics/bench.md") },
    Topic { name: "server", text: include_str!("topics/server.md") },
    Topic { name: "codes", text: include_str!("topics/codes.md") },
];

/// The names of all.
pub(super) fn names() -> Vec<&'static str> {
    TOPICS.iter().map(|topic| topic.name).collect()
}

impl Topic {
    /// The topic of that name. Those that are commands as well are asked for by these.
    pub(super) fn of(name: &str) -> Option<&'static Self> {
        TOPICS.iter().find(|topic| topic.name == name)
    }

    /// Its title, and its text with blank lines between paragraphs.
    pub(super) fn parts(&self) -> (&'static str, String) {
        let (title, text) = self.text.split_once('\n').unwrap_or((self.text, ""));
        let title = title.trim_start_matches("# ");
        (title, text.trim_start_matches('\n').replace(CODES, &codes()).replace(PROGRAM, &program()))
    }

    /// As the terminal shows it.
    pub(super) fn for_terminal(&self) -> String {
        let (title, text) = self.parts();
        format!("{title}\n\n{text}")
    }
}

fn codes() -> String {
    let rows = EXIT_CODES.iter().map(|(code, meaning)| format!("    {code:>3}  {meaning}\n"));
    rows.collect()
}

/// The program as an example: indented.
fn program() -> String {
    let lines = PROGRAM_TEXT.lines();
    lines.map(|line| if line.is_empty() { "\n".into() } else { format!("    {line}\n") }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;
    use crate::cli::habits::is_known;

    /// Columns of the narrowest terminal that is thought of.
    const COLUMNS: usize = 80;

    #[test]
    fn texts_fit_on_a_terminal_and_name_what_is_there() {
        let command = args::command();
        let jobs: Vec<_> = command.get_subcommands().collect();
        let args = || {
            let of_jobs = jobs.iter().flat_map(|job| job.get_arguments());
            command.get_arguments().chain(of_jobs)
        };
        for topic in &TOPICS {
            let text = topic.for_terminal();
            assert!(topic.text.starts_with("# ") && text.ends_with('\n'), "{}", topic.name);
            for line in text.lines() {
                assert!(line.chars().count() <= COLUMNS, "{}: {line}", topic.name);
                let words = line.split(|c: char| !(c.is_alphanumeric() || c == '-'));
                for name in words.filter_map(|word| word.strip_prefix("--")) {
                    let is_there = args().any(|arg| {
                        let is_alias = |aliases: Vec<&str>| aliases.contains(&name);
                        arg.get_long() == Some(name) || arg.get_all_aliases().is_some_and(is_alias)
                    });
                    let is_habit = topic.name == "habits" && is_known(&format!("--{name}"));
                    let is_fine = is_there || is_habit || matches!(name, "" | "help");
                    assert!(is_fine, "{}: --{name}", topic.name);
                }
            }
        }
    }
}
