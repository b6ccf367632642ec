//! Which sources the next attempt at a transfer asks, by what has come of those before it. Must not
//! know how they are asked.

use super::Transfer;
use super::attempt::Attempt;
use super::on_disk::OnDisk;
use crate::base::Url;
use crate::engine::context::Again;

/// The sources of a transfer.
pub(super) struct Choice {
    /// Where the file can be had, best first.
    urls: Vec<Url>,
    /// Where another file was had.
    banned: Vec<Url>,
    /// Those that are asked although others could be, until one of them is found to be wrong; none:
    /// all that can be.
    trial: Vec<Url>,
    /// No source beside `urls` is wanted.
    is_alone: bool,
}

impl Choice {
    /// All of them are asked.
    pub(super) fn new(urls: &[Url]) -> Self {
        Self { urls: urls.to_vec(), banned: Vec::new(), trial: Vec::new(), is_alone: false }
    }

    /// The attempt that asks them.
    pub(super) fn attempt<'a>(
        &'a self,
        transfer: &'a Transfer,
        is_ranged: bool,
        on_disk: OnDisk,
    ) -> Attempt<'a> {
        let is_trial = !self.trial.is_empty();
        let banned = (!self.is_alone && !is_trial).then_some(&self.banned[..]);
        let urls = self.asked();
        let may_be_left_out = urls.len() == 1 && self.usable().len() > 1;
        Attempt::new(transfer, &urls, banned, is_ranged, on_disk).on_trial(may_be_left_out)
    }

    /// Leaves the liar out, or does about bad pieces what `again` says; in words, what is done now.
    /// `None`: nobody is left to be asked.
    pub(super) fn revise(&mut self, liar: Option<Url>, again: Option<Again>) -> Option<String> {
        if let Some(liar) = liar {
            self.banned.push(liar);
            self.trial.clear();
            let what_now = "it is left out, and what it brought is fetched again";
            return (!self.usable().is_empty()).then(|| what_now.to_owned());
        }
        match again? {
            Again::Same => Some("fetching what is wrong again".to_owned()),
            Again::Without(suspects) => {
                let mut trial = self.asked();
                let first = trial.first()?.clone();
                trial.retain(|url| !suspects.contains(url));
                self.trial = if trial.is_empty() { vec![first] } else { trial };
                let suspects = names(&suspects);
                Some(format!("one of {suspects} is wrong; going on with {}", names(&self.trial)))
            }
        }
    }

    /// From now on only the best of those that can be asked is.
    pub(super) fn alone(&mut self) -> &Url {
        self.urls = self.usable();
        self.urls.truncate(1);
        self.is_alone = true;
        &self.urls[0]
    }

    /// Those that are asked now.
    fn asked(&self) -> Vec<Url> {
        if self.trial.is_empty() { self.usable() } else { self.trial.clone() }
    }

    /// Those that can be asked.
    fn usable(&self) -> Vec<Url> {
        self.urls.iter().filter(|url| !self.banned.contains(url)).cloned().collect()
    }
}

fn names(urls: &[Url]) -> String {
    urls.iter().map(Url::to_string).collect::<Vec<_>>().join(" and ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(names: &str) -> Vec<Url> {
        names.chars().map(|name| Url::parse(&format!("http://{name}/f")).unwrap()).collect()
    }

    fn without(names: &str) -> Option<Again> {
        Some(Again::Without(urls(names)))
    }

    #[test]
    fn who_is_suspect_waits_until_another_one_is_found_to_be_wrong() {
        let mut choice = Choice::new(&urls("abcd"));
        choice.revise(None, without("ab")).unwrap();
        assert_eq!(choice.asked(), urls("cd"));
        // Of these two as well: one alone.
        choice.revise(None, without("cd")).unwrap();
        assert_eq!(choice.asked(), urls("c"));
        choice.revise(Some(urls("c").remove(0)), None).unwrap();
        assert_eq!(choice.asked(), urls("abd"));
        choice.revise(None, Some(Again::Same)).unwrap();
        assert_eq!(choice.asked(), urls("abd"));
    }

    #[test]
    fn nobody_is_left_once_all_are_wrong() {
        let mut choice = Choice::new(&urls("ab"));
        let [a, b] = urls("ab").try_into().unwrap();
        assert!(choice.revise(Some(a), None).is_some());
        assert_eq!(choice.asked(), std::slice::from_ref(&b));
        assert_eq!(choice.revise(Some(b), None), None);
    }
}
