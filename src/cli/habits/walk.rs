//! The walk through the words of a command line: each is an option of ours, a flag of another tool,
//! or a place. Other tools' flags are replaced by ours where they mean the same, and refused where
//! they do not. Must not know what any option does.

use super::grammar::{Grammar, added, takes_next, takes_value};
use super::table::{self, Deed, Habit};
use super::{refusal, values};
use crate::base::Result;
use clap::{Arg, Command};
use std::collections::VecDeque;
use std::ffi::OsString;

/// A command line in our words.
#[derive(Debug, Default)]
pub(in crate::cli) struct Words {
    /// All of it, program name first.
    pub(in crate::cli) all: Vec<OsString>,
    /// The options of ours in it, by their ids, with their values.
    pub(in crate::cli) given: Vec<(String, Option<OsString>)>,
    /// What is neither an option nor its value.
    pub(in crate::cli) places: Vec<OsString>,
    /// Another job than a download is asked for: nothing but `all` is known.
    pub(in crate::cli) is_job: bool,
}

/// Puts the words of a download in ours. Those of another job are left as they are.
pub(in crate::cli) fn translate(
    words: impl IntoIterator<Item = OsString>,
    command: &Command,
) -> Result<Words> {
    let grammar = Grammar::new(command);
    let ahead = words.into_iter().collect();
    let mut walk = Walk { grammar, ahead, done: Words::default(), wants_silence: false };
    walk.done.all.extend(walk.ahead.pop_front());
    let first = walk.ahead.front().and_then(|word| word.to_str());
    if first.is_some_and(|word| walk.grammar.is_job(word)) {
        walk.done.all.extend(walk.ahead);
        walk.done.is_job = true;
        return Ok(walk.done);
    }
    walk.go()
}

impl Words {
    /// The last value given to the option with this id.
    pub(in crate::cli) fn value(&self, id: &str) -> Option<&OsString> {
        let mut given = self.given.iter().rev();
        given.find(|(name, _)| name == id).and_then(|(_, value)| value.as_ref())
    }

    /// Indicates whether the option with this id is given.
    pub(in crate::cli) fn has(&self, id: &str) -> bool {
        self.given.iter().any(|(name, _)| name == id)
    }
}

struct Walk<'a> {
    grammar: Grammar<'a>,
    ahead: VecDeque<OsString>,
    done: Words,
    /// curl's `-s` was given.
    wants_silence: bool,
}

impl Walk<'_> {
    fn go(mut self) -> Result<Words> {
        while let Some(word) = self.ahead.pop_front() {
            match word.to_str() {
                Some("--") => {
                    self.done.all.push(word);
                    self.done.places.extend(self.ahead.iter().cloned());
                    self.done.all.extend(self.ahead.drain(..));
                }
                Some(text) if text.starts_with("--") => self.long(text.to_owned())?,
                Some(text) if text.len() > 1 && text.starts_with('-') => {
                    self.letters(text.to_owned())?;
                }
                _ => {
                    self.done.places.push(word.clone());
                    self.done.all.push(word);
                }
            }
        }
        self.settle_silence();
        Ok(self.done)
    }

    /// `--name` or `--name=value`.
    fn long(&mut self, word: String) -> Result<()> {
        let (flag, inline) = match word.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(OsString::from(value))),
            None => (word.clone(), None),
        };
        if let Some(arg) = self.grammar.long(&flag[2..]) {
            let is_inline = inline.is_some();
            let value = inline.or_else(|| self.value_of(arg, ""));
            self.keep(arg, &flag, value.as_ref())?;
            self.done.all.push(word.into());
            self.done.all.extend(value.filter(|_| !is_inline));
            return Ok(());
        }
        self.note_added(&flag);
        if let Some(habit) = table::find_whole(&word).filter(|_| inline.is_some()) {
            return self.carry_out(&flag, habit, None);
        }
        match table::find(&flag).filter(|_| !self.grammar.has(&flag)) {
            Some(habit) => self.carry_out(&flag, habit, inline),
            None => {
                self.done.all.push(word.into());
                Ok(())
            }
        }
    }

    /// `-a`, `-ab`, `-avalue`.
    fn letters(&mut self, word: String) -> Result<()> {
        let whole = table::find_whole(&word).filter(|_| word.chars().count() > 2);
        if let Some(habit) = whole {
            return self.carry_out(&word, habit, None);
        }
        let mut kept = String::from("-");
        let mut rest = word[1..].chars();
        while let Some(letter) = rest.next() {
            let flag = format!("-{letter}");
            let next = self.ahead.front().and_then(|next| next.to_str());
            if let Some(error) = values::number(letter, rest.as_str(), next) {
                return Err(error);
            }
            if let Some(arg) = self.grammar.short(letter) {
                kept.push(letter);
                let attached = if takes_value(arg) { rest.as_str() } else { "" };
                let value = self.value_of(arg, attached);
                self.keep(arg, &flag, value.as_ref())?;
                if takes_value(arg) {
                    kept.push_str(attached);
                    self.done.all.push(kept.into());
                    self.done.all.extend(value.filter(|_| attached.is_empty()));
                    return Ok(());
                }
                continue;
            }
            match table::find(&flag).filter(|_| !self.grammar.has(&flag)) {
                Some(habit) => {
                    let attached = rest.as_str();
                    let attached =
                        (habit.has_value && !attached.is_empty()).then(|| OsString::from(attached));
                    let is_end = attached.is_some();
                    self.carry_out(&flag, habit, attached)?;
                    if is_end {
                        break;
                    }
                }
                None => {
                    self.note_added(&flag);
                    kept.push(letter);
                }
            }
        }
        if kept.len() > 1 {
            self.done.all.push(kept.into());
        }
        Ok(())
    }

    /// The value of an option of ours, of which `attached` stands in the same word.
    fn value_of(&mut self, arg: &Arg, attached: &str) -> Option<OsString> {
        if !attached.is_empty() {
            return Some(attached.into());
        }
        if takes_next(arg) { self.ahead.pop_front() } else { None }
    }

    /// Notes an option of ours, unless its value shows that another tool's is meant.
    fn keep(&mut self, arg: &Arg, flag: &str, value: Option<&OsString>) -> Result<()> {
        let id = arg.get_id().as_str();
        let text = value.and_then(|value| value.to_str());
        if let Some(error) = text.and_then(|text| values::of_another_tool(id, flag, text)) {
            return Err(error);
        }
        self.done.given.push((id.to_owned(), value.cloned()));
        Ok(())
    }

    /// Notes an option that clap adds.
    fn note_added(&mut self, flag: &str) {
        let id = added(flag).map(|id| (id.to_owned(), None));
        self.done.given.extend(id);
    }

    fn carry_out(&mut self, flag: &str, habit: &Habit, inline: Option<OsString>) -> Result<()> {
        let next = if habit.has_value && inline.is_none() { self.ahead.pop_front() } else { None };
        let value = inline.or(next);
        match habit.deed {
            Deed::Nothing => {}
            Deed::Silence => self.wants_silence = true,
            Deed::NameOfUrl => self.name_of_url(flag)?,
            Deed::As(ours) => self.write(flag, ours, value)?,
            Deed::Tries => {
                self.write(flag, "--retries", value.map(|value| values::retries(&value)))?;
            }
            Deed::Place => value.into_iter().for_each(|place| self.ahead.push_front(place)),
            Deed::Resume => {
                if value.is_some_and(|value| value != "-") {
                    let instead = "resuming is automatic, behind what is proved to be there: \
                                   leave it out";
                    return Err(refusal(flag, habit.tools, instead));
                }
            }
            Deed::Instead(advice) => return Err(refusal(flag, habit.tools, advice)),
        }
        Ok(())
    }

    /// Writes an option of ours in the place of `flag`, which another tool has.
    fn write(&mut self, flag: &str, ours: &str, value: Option<OsString>) -> Result<()> {
        let arg = self.grammar.long(&ours[2..]).expect("the table names options that exist");
        self.keep(arg, flag, value.as_ref())?;
        self.done.all.push(ours.into());
        self.done.all.extend(value);
        Ok(())
    }

    /// curl's `-O` stands alone, wget's in front of a file.
    fn name_of_url(&self, flag: &str) -> Result<()> {
        let is_url = |word: &OsString| word.to_str().is_some_and(|word| word.contains("://"));
        let is_flag = |word: &OsString| word.to_str().is_some_and(|word| word.starts_with('-'));
        let mut ahead = self.ahead.iter();
        let is_name = ahead.next().is_some_and(|next| !is_url(next) && !is_flag(next));
        let has_url = ahead.any(is_url) || self.done.places.iter().any(is_url);
        let is_wgets = is_name && has_url;
        if is_wgets { Err(values::output_of_wget(flag)) } else { Ok(()) }
    }

    /// As curl has it, `-s` with `-v` is heard.
    fn settle_silence(&mut self) {
        let is_settled = self.done.has("verbose") || self.done.has("quiet");
        if self.wants_silence && !is_settled {
            self.done.given.push(("quiet".into(), None));
            self.done.all.insert(1, "--quiet".into());
        }
    }
}
