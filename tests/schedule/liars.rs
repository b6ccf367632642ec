//! Servers that lie rather than fail: validators that come, go and change, digests of other bytes,
//! the whole file in the middle, short answers for good, drips in each phase.
//!
//! A liar takes the place of the faults that do not pass, so that each lie can be told by what the
//! server says. What it draws is a function of its own seed: the other schedules stay as they are.

use super::{Random, SEED_REPLACED};
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{Config, DigestField, EntityTag, Fault, Rule, When};
use std::ops::Range;
use std::time::Duration;

/// Added to a schedule's seed.
const SALT: u64 = 0x006c_6961_7273_0000;
const OLD: &str = "Mon, 01 Jan 2024 00:00:00 GMT";
const NEWER: &str = "Mon, 01 Jan 2024 00:00:09 GMT";
/// Long after both, so that they are strong beside it (RFC 9110 8.8.2.2).
const TODAY: &str = "Fri, 04 Jul 2025 00:00:00 GMT";

/// What the server lies about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Validators differ from some request on, mostly together with the bytes.
    Validators,
    /// There are none, then there are, then other ones, together with the bytes.
    LateValidators,
    /// The digest of a part is not that of its bytes, in answers shorter than asked for.
    DigestOfPart,
    /// The digest of the whole file comes, goes or changes.
    DigestOfWhole,
    /// The whole file where a part was asked for, some of it wrong.
    Whole,
    /// Less than was asked for, every time.
    Short,
    DripHead,
    DripBody,
    DripTrailer,
}

const KINDS: [Kind; 9] = [
    Kind::Validators,
    Kind::LateValidators,
    Kind::DigestOfPart,
    Kind::DigestOfWhole,
    Kind::Whole,
    Kind::Short,
    Kind::DripHead,
    Kind::DripBody,
    Kind::DripTrailer,
];

/// What a liar makes of its schedule, beside the server's settings.
#[derive(Debug)]
pub(super) struct Liar {
    pub(super) kind: Kind,
    /// The download has to end well all the same.
    pub(super) must_survive: bool,
    /// A byte of the file is wrong.
    pub(super) flip: Option<u64>,
    /// The caller names the right digest; `None` leaves that to the schedule.
    pub(super) is_checked: Option<bool>,
    /// Nobody stops the download in between.
    pub(super) is_one_run: bool,
    /// Only who has seen a whole answer to one of these requests can tell.
    pub(super) proof: Option<Range<u64>>,
}

impl Liar {
    /// The liar of every third schedule, beside the faults that pass.
    pub(super) fn of(seed: u64, config: &mut Config, passing: Vec<Rule>) -> Option<Self> {
        let mut random = Random::new(seed ^ SALT);
        if !random.one_in(3) {
            return None;
        }
        config.script = passing;
        // One stream without a length may be cut anywhere, and nobody can tell.
        config.script.retain(|rule| rule.what != Fault::NoLength);
        let mut liar = Self {
            kind: random.one_of(&KINDS),
            must_survive: false,
            flip: None,
            is_checked: None,
            is_one_run: false,
            proof: None,
        };
        match liar.kind {
            Kind::Validators => validators(&mut random, config),
            Kind::LateValidators => liar.late_validators(&mut random, config),
            Kind::DigestOfPart => liar.digest_of_part(&mut random, config),
            Kind::DigestOfWhole => digest_of_whole(&mut random, config),
            Kind::Whole => liar.whole(&mut random, config),
            Kind::Short => {
                liar.must_survive = true;
                let bytes = 16 * KIB + random.below(112 * KIB);
                config.script.push(Rule::new(When::All, Fault::ShorterRange(bytes)));
            }
            Kind::DripHead | Kind::DripBody | Kind::DripTrailer => {
                liar.must_survive = true;
                let (when, what) = (early(&mut random), drip(&mut random, liar.kind));
                // Several at a time, so that no other connection helps.
                let times = random.one_of(&[Some(1), Some(3), Some(6)]);
                config.script.push(Rule { when, what, times });
            }
        }
        Some(liar)
    }

    fn late_validators(&mut self, random: &mut Random, config: &mut Config) {
        (config.etag, config.last_modified) = (EntityTag::Absent, None);
        let begin = 2 + random.below(3);
        let end = begin + 3 + random.below(6);
        // Of two rules for one field the first one counts.
        config.script.extend([
            Rule::new(When::FromRequest(end), Fault::ETag("\"b\"".into())),
            Rule::new(When::FromRequest(begin), Fault::ETag("\"a\"".into())),
            Rule::new(When::FromRequest(end), replaced(config)),
        ]);
        (self.proof, self.is_one_run) = (Some(begin..end), true);
    }

    /// Every time, and nothing but this digest could find it: the download cannot end well. An
    /// answer that breaks off proves nothing, so none does.
    fn digest_of_part(&mut self, random: &mut Random, config: &mut Config) {
        let offset = random.below(config.size_bytes);
        config.digests = vec![DigestField::ContentDigestSha256];
        let bytes = 16 * KIB + random.below(112 * KIB);
        config.script = vec![
            Rule::new(When::All, Fault::ShorterRange(bytes)),
            Rule::new(When::All, Fault::FlipByte(offset)),
        ];
        (self.is_checked, self.is_one_run) = (Some(false), true);
    }

    /// Mostly with a wrong byte where other bytes have been before: they must stay as they were.
    fn whole(&mut self, random: &mut Random, config: &mut Config) {
        let when = When::FromRequest(2 + random.below(8));
        let times = random.one_of(&[None, None, None, Some(1), Some(4)]);
        config.script.push(Rule { when: when.clone(), what: Fault::IgnoreRange, times });
        if !random.one_in(4) {
            let offset = random.below(256 * KIB);
            config.script.push(Rule::new(when, Fault::FlipByte(offset)));
            (self.flip, self.is_checked) = (Some(offset), Some(!random.one_in(4)));
        }
    }
}

/// What the server says of the version it serves.
#[derive(Debug, Clone, Copy)]
struct Identity {
    etag: Option<&'static str>,
    last_modified: Option<&'static str>,
}

impl Identity {
    fn draw(random: &mut Random, etags: &[&'static str], dates: &[&'static str]) -> Self {
        let mut one_of = |all: &[&'static str]| (!random.one_in(3)).then(|| random.one_of(all));
        Self { etag: one_of(etags), last_modified: one_of(dates) }
    }

    /// Whether a client that compares all it is told has to find out. Nothing before and something
    /// later is no difference; the same entity tag, weak or not, tells nothing.
    fn differs(self, later: Self, has_date: bool) -> bool {
        let opaque = |tag: &'static str| tag.trim_start_matches("W/");
        let etag = match (self.etag, later.etag) {
            (Some(before), Some(later)) => opaque(before) != opaque(later),
            (Some(_), None) => true,
            (None, _) => false,
        };
        let date = match (self.last_modified, later.last_modified) {
            (Some(before), Some(later)) => before != later,
            // If-Range names it, and the server then sends all of what it has by now. A date that
            // nobody asked by may be missing from a part (RFC 9110 15.3.7).
            (Some(_), None) => has_date && self.etag.is_none(),
            (None, _) => false,
        };
        etag || date
    }
}

fn validators(random: &mut Random, config: &mut Config) {
    let has_date = random.one_in(2);
    let is_replaced = !random.one_in(4);
    let (before, later) = loop {
        let before = Identity::draw(random, &["\"a\"", "\"a\"", "W/\"a\"", "a"], &[OLD]);
        let later = ["\"a\"", "\"b\"", "W/\"a\"", "W/\"b\"", "b"];
        let later = Identity::draw(random, &later, &[OLD, NEWER]);
        if before.differs(later, has_date) || !is_replaced {
            break (before, later);
        }
    };
    let etag = |tag: &str| EntityTag::Fixed(tag.to_owned());
    config.etag = before.etag.map_or(EntityTag::Absent, etag);
    config.last_modified = before.last_modified.map(str::to_owned);
    let when = When::FromRequest(2 + random.below(16));
    let mut faults = vec![
        later.etag.map_or(Fault::NoETag, |tag| Fault::ETag(tag.into())),
        later.last_modified.map_or(Fault::NoLastModified, |date| Fault::LastModified(date.into())),
    ];
    if is_replaced {
        faults.push(replaced(config));
    }
    config.script.extend(faults.into_iter().map(|fault| Rule::new(when.clone(), fault)));
    if has_date {
        let date = Fault::Fields(vec![("Date".into(), TODAY.into())]);
        config.script.push(Rule::new(When::All, date));
    }
}

fn digest_of_whole(random: &mut Random, config: &mut Config) {
    config.digests = vec![DigestField::ReprDigestSha256];
    let begin = 2 + random.below(12);
    let first = u32::try_from(begin - 1).expect("a small number");
    let wrong_later = Rule::new(When::FromRequest(begin), Fault::WrongDigest);
    let rules = match random.below(4) {
        0 => vec![wrong_later],
        1 => {
            vec![Rule { times: Some(first), ..Rule::new(When::All, Fault::NoDigests) }, wrong_later]
        }
        2 => vec![Rule::new(When::FromRequest(begin), Fault::NoDigests)],
        _ => vec![Rule { times: Some(first), ..Rule::new(When::All, Fault::WrongDigest) }],
    };
    config.script.extend(rules);
}

fn replaced(config: &Config) -> Fault {
    Fault::Replaced { seed: SEED_REPLACED, size_bytes: config.size_bytes }
}

fn drip(random: &mut Random, kind: Kind) -> Fault {
    let pause_ms = 20 + random.below(180);
    let pause = Duration::from_millis(pause_ms);
    match kind {
        Kind::DripHead => Fault::SlowHead(pause),
        Kind::DripTrailer => Fault::DripTrailer(pause),
        // 1000 bytes per second at most: six of them together are below the 4 KiB per stall timeout
        // that a slow path, which is borne, has to bring.
        _ => Fault::DripBody { bytes: 1 + random.below(pause_ms), pause },
    }
}

/// Requests that every download comes to.
fn early(random: &mut Random) -> When {
    match random.below(4) {
        0 => When::RangeStartFrom(random.below(MIB)),
        _ => When::FromRequest(1 + random.below(4)),
    }
}
