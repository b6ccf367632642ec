//! One part of work that several machines share, `i/n`: which one, and of how many. Must not know
//! how the work is divided, nor who says which part is whose.

use super::error::{Error, ErrorKind, Result};
use super::limits::SLICES_MAX;
use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;

/// A slice of the work: `3/8`, as it is typed. The first one is 1.
///
/// ```
/// use ringhaul::Slice;
///
/// let slice: Slice = "3/8".parse()?;
/// assert_eq!((slice.index(), slice.count()), (3, 8));
/// assert_eq!(format!("slice {slice}"), "slice 3 of 8");
/// assert!("9/8".parse::<Slice>().is_err());
/// # Ok::<(), ringhaul::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Slice {
    index: u32,
    count: NonZeroU32,
}

impl Slice {
    /// Slice `index` of `count`.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] unless `count` is within 1 to [`SLICES_MAX`] and `index` within 1 to
    /// `count`.
    pub fn new(index: u64, count: u64) -> Result<Self> {
        let wrong = |advice: String| {
            let error = Error::new(ErrorKind::Usage, format!("there is no slice {index}/{count}"));
            Err(error.advise(advice))
        };
        let within = u32::try_from(count).ok().filter(|count| *count <= SLICES_MAX);
        let Some(count) = within.and_then(NonZeroU32::new) else {
            return wrong(format!("the number behind the slash is within 1 to {SLICES_MAX}"));
        };
        match u32::try_from(index) {
            Ok(index) if (1..=count.get()).contains(&index) => Ok(Self { index, count }),
            _ if count.get() == 1 => wrong("the only one is 1/1".to_owned()),
            _ => wrong(format!("they are 1/{count} to {count}/{count}")),
        }
    }

    /// Which one it is, from 1 on.
    pub fn index(self) -> u32 {
        self.index
    }

    /// How many there are.
    pub fn count(self) -> u32 {
        self.count.get()
    }

    /// Indicates whether it is the first one.
    pub fn is_first(self) -> bool {
        self.index == 1
    }

    /// Indicates whether it is the one that a number falls to which is even over all of `u64`: that
    /// whose index is the remainder of its division by the count, and 1.
    pub fn has(self, number: u64) -> bool {
        number % u64::from(self.count.get()) == u64::from(self.index) - 1
    }
}

impl FromStr for Slice {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let numbers = text
            .split_once('/')
            .and_then(|(index, count)| Some((decimal(index)?, decimal(count)?)));
        let (index, count) = numbers.ok_or_else(|| {
            // What was written there may be anything, and is not repeated.
            Error::new(ErrorKind::Usage, "not a slice")
                .advise("write which one it is of how many, such as 3/8; the first one is 1")
        })?;
        Self::new(index, count)
    }
}

impl fmt::Display for Slice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} of {}", self.index, self.count)
    }
}

/// A number of digits alone: no sign, no blank. What is too large for any count is the largest.
pub fn decimal(text: &str) -> Option<u64> {
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    is_number.then(|| text.parse().unwrap_or(u64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_read_as_they_are_typed() {
        for (text, index, count) in [("1/1", 1, 1), ("3/8", 3, 8), ("8/8", 8, 8), ("03/08", 3, 8)] {
            let slice: Slice = text.parse().unwrap();
            assert_eq!((slice.index(), slice.count()), (index, count), "{text}");
        }
        let largest = format!("{SLICES_MAX}/{SLICES_MAX}");
        assert_eq!(largest.parse::<Slice>().unwrap().index(), SLICES_MAX);
    }

    #[test]
    fn what_is_no_slice_says_why() {
        for (text, why) in [
            ("9/8", "no slice 9/8; they are 1/8 to 8/8"),
            ("0/8", "no slice 0/8; they are 1/8 to 8/8"),
            ("2/1", "the only one is 1/1"),
            ("1/0", "behind the slash is within 1 to 100000"),
            ("1/100001", "behind the slash is within 1 to 100000"),
            ("1/99999999999999999999999", "behind the slash is within 1 to 100000"),
            ("99999999999999999999999/8", "they are 1/8 to 8/8"),
            ("a/b", "not a slice; write which one it is of how many, such as 3/8"),
            ("3", "not a slice"),
            ("", "not a slice"),
            ("/", "not a slice"),
            ("3/8/2", "not a slice"),
            ("-1/8", "not a slice"),
            ("+1/8", "not a slice"),
            (" 1/8", "not a slice"),
            ("1/8 ", "not a slice"),
            ("\u{663}/8", "not a slice"),
        ] {
            let error = text.parse::<Slice>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Usage, "{text}");
            let said = format!("{}; {}", error.context(), error.advice());
            assert!(said.contains(why), "{text:?}: {said}");
        }
    }

    #[test]
    fn each_number_falls_to_one_slice() {
        for count in [1, 2, 3, 8, 1000, u64::from(SLICES_MAX)] {
            for number in [0, 1, 7, 8, 999, u64::MAX - 1, u64::MAX] {
                let all = (1..=count).map(|index| Slice::new(index, count).unwrap());
                assert_eq!(all.filter(|slice| slice.has(number)).count(), 1, "{number} {count}");
            }
        }
    }
}
