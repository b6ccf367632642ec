//! Where a schedule's chances come from: a small generator and the faults it draws.

use super::SEED_REPLACED;
use crate::common::status;
use ringhaul::internal::base::rng::Rng;
use ringhaul::internal::base::size::{KIB, MIB};
use ringhaul::server::{DigestField, EntityTag, Fault, Rule, When};
use std::time::Duration;

/// What it draws is a function of its seed alone.
pub(crate) struct Random(Rng);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(Rng::new(seed))
    }

    /// From 0 to `end - 1`.
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0.next_u64() % end
    }

    /// True once in `n`.
    pub(crate) fn one_in(&mut self, n: u64) -> bool {
        self.below(n) == 0
    }

    pub(crate) fn one_of<T: Clone>(&mut self, all: &[T]) -> T {
        let index = self.below(all.len() as u64);
        all[usize::try_from(index).expect("a small index")].clone()
    }

    fn bytes(&mut self) -> u64 {
        match self.below(8) {
            0..5 => self.one_of(&[0, 1, 4096, 65_536, 256 * KIB - 1]),
            _ => self.below(256 * KIB),
        }
    }

    pub(crate) fn when(&mut self) -> When {
        match self.below(4) {
            0 => When::Connection(1 + self.below(5)),
            1 => When::RangeStartFrom(self.below(6 * MIB)),
            _ => When::Request(1 + self.below(20)),
        }
    }

    /// A fault that passes, so that the download has to end well.
    pub(super) fn passing(&mut self) -> Rule {
        let what = match self.below(25) {
            0 | 1 => Fault::ResetAfter(self.bytes()),
            2 | 3 => Fault::CloseAfter { bytes: self.bytes(), close_notify: self.one_in(2) },
            4 => Fault::StallAfter(self.bytes()),
            5 => Fault::StallBeforeHead,
            6 => Fault::DelayHead(Duration::from_millis(self.below(60))),
            7 => Fault::Rate(MIB + self.below(4 * MIB)),
            8 => Fault::CloseAfterReply { announce: self.one_in(2) },
            9 => Fault::Interim(1 + u32::try_from(self.below(4)).expect("a small number")),
            10 => Fault::ShorterRange(4096 + self.below(256 * KIB)),
            11 => Fault::Chunked,
            12 => Fault::NoLength,
            13 => Fault::WrongRange { shift: 4096 },
            14 | 15 => self.busy(),
            16 => Fault::LongBody(1 + self.below(3)),
            17 => Fault::SlowHead(Duration::from_micros(200 + self.below(800))),
            18 => Fault::HugeHead(self.one_of(&[5000, 60_000, 100_000])),
            19 => self.mangled(),
            20 => Fault::NoHead,
            21 => Fault::Fields(odd_fields()),
            22 => {
                let fault = self.one_of(&[Fault::CloseOnAccept, Fault::ResetOnAccept]);
                return Rule::once(When::Connection(1 + self.below(5)), fault);
            }
            23 => {
                return Rule::once(When::Connection(1 + self.below(5)), Fault::StallOnAccept);
            }
            _ => Fault::Garbage(b"\x00garbage".to_vec()),
        };
        Rule::once(self.when(), what)
    }

    /// 429 or a server error, with and without a time to wait.
    fn busy(&mut self) -> Fault {
        let code = self.one_of(&[408, 429, 500, 502, 503, 504]);
        let wait = self.one_of(&[None, None, Some("0"), Some("1"), Some("soon")]);
        let field = wait.map(|wait| ("Retry-After".to_owned(), wait.to_owned()));
        Fault::Status { code, headers: field.into_iter().collect(), body: b"busy\n".to_vec() }
    }

    fn mangled(&mut self) -> Fault {
        let lines: [&[u8]; 6] =
            [b"zz\r\n", b"-5\r\n", b"\r\n", b"0x10\r\n", b"ffffffffffffffffff\r\n", b"10\n\r\n"];
        Fault::MangledChunk { after_bytes: self.bytes(), line: self.one_of(&lines).to_vec() }
    }

    /// A fault after which the download may end well or with a clean error.
    pub(super) fn fatal(&mut self, size_bytes: u64) -> Rule {
        let what = match self.below(12) {
            0 => Fault::ETag(self.one_of(&["\"another\"", "W/\"another\""]).into()),
            1 => Fault::ContentEncoding("gzip".into()),
            2 => self.refusal(),
            3 => Fault::NoRangeSupport,
            4 => Fault::IgnoreRange,
            5 => Fault::WrongTotal(self.one_of(&[MIB, size_bytes - 1, size_bytes + 1])),
            6 => Fault::NotSatisfiable { total: self.one_of(&[None, Some(size_bytes), Some(0)]) },
            7 => Fault::Redirect { status: 302, location: "/elsewhere".into() },
            8 | 9 => {
                let requests = 1 + u32::try_from(self.below(12)).expect("a small number");
                return Rule::new(When::PathPrefix("/file".into()), {
                    Fault::ExpiringRedirect { requests }
                });
            }
            _ => {
                let size_bytes = self.one_of(&[size_bytes, size_bytes, size_bytes + 4097, MIB]);
                let replaced = Fault::Replaced { seed: SEED_REPLACED, size_bytes };
                return Rule::new(When::FromRequest(2 + self.below(16)), replaced);
            }
        };
        // For good, those that are tried again would wait for longer than a test may.
        Rule { when: self.when(), what, times: Some(1 + u32::from(self.one_in(2))) }
    }

    fn refusal(&mut self) -> Fault {
        let code = self.one_of(&[401, 403, 404, 410, 412]);
        status(code, "")
    }

    /// The files' tag; weak ones and none at all do not prove anything.
    pub(super) fn etag(&mut self) -> EntityTag {
        match self.below(8) {
            0 => EntityTag::Absent,
            1 => EntityTag::Fixed("W/\"weak\"".into()),
            _ => EntityTag::FromContent,
        }
    }

    /// What the server says of its files, mostly nothing.
    pub(super) fn digests(&mut self) -> Vec<DigestField> {
        let all = [
            DigestField::ReprDigestSha256,
            DigestField::ContentDigestSha256,
            DigestField::DigestSha256,
            DigestField::XGoogCrc32c,
            DigestField::XAmzSha256FullObject,
        ];
        match self.below(4) {
            0 => vec![self.one_of(&all)],
            1 => all.into_iter().filter(|_| self.one_in(2)).collect(),
            _ => Vec::new(),
        }
    }
}

/// Fields that look like digests and are none that could count.
fn odd_fields() -> Vec<(String, String)> {
    [
        ("Repr-Digest", "sha-256=:AAAA:"),
        ("Content-Digest", "sha-256=:!:, x=1"),
        ("Digest", "SHA-256"),
        ("Content-MD5", "="),
        ("x-goog-hash", "crc32c="),
        ("x-amz-checksum-sha256", "AAAA-2"),
        ("Retry-After", "9"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()))
    .to_vec()
}
