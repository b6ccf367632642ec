//! Topics: what is worth knowing beyond single options, in one text each for the terminal and the
//! manual page. Each is a file beside this one: a title, paragraphs, items behind `- `, and
//! examples behind four blanks. Owns the list.

use crate::cli::exit_codes;

/// A mark in a text, and what stands in its place.
type Insert = (&'static str, fn() -> String);

/// What stands in texts for what is kept elsewhere.
const INSERTS: [Insert; 5] = [
    ("{codes}\n", || exit_codes::table(EXAMPLE)),
    ("{progress.py}\n", || example(include_str!("../../python/progress.py"))),
    ("{slurm}\n", || example(include_str!("../../../tests/clusters/slurm.sh"))),
    ("{job}\n", || example(include_str!("../../../tests/clusters/job.yaml"))),
    ("{ray}\n", || example(include_str!("../../../tests/clusters/slices_ray.py"))),
];
/// What stands before each line of an example.
const EXAMPLE: &str = "    ";

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
        (title, inserted(text.trim_start_matches('\n')))
    }

    /// As the terminal shows it.
    pub(super) fn for_terminal(&self) -> String {
        let (title, text) = self.parts();
        format!("{title}\n\n{text}")
    }
}

/// The text with all that is kept elsewhere.
fn inserted(text: &str) -> String {
    let mut text = text.to_owned();
    for (mark, insert) in INSERTS {
        if text.contains(mark) {
            text = text.replace(mark, &insert());
        }
    }
    text
}

fn example(lines: &str) -> String {
    lines.lines().map(|line| format!("{EXAMPLE}{line}").trim_end().to_owned() + "\n").collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::args;
    use crate::cli::habits::is_known;

    /// Options of Slurm that stand in its script.
    const OF_SLURM: [&str; 3] = ["array", "requeue", "open-mode"];

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
                    let is_slurms = topic.name == "clusters" && OF_SLURM.contains(&name);
                    let is_fine = is_there || is_habit || is_slurms || matches!(name, "" | "help");
                    assert!(is_fine, "{}: --{name}", topic.name);
                }
            }
        }
    }
}
