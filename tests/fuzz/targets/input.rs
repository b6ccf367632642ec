//! Reading a target's bytes: a few choices in front, then what is fed to the library.
//!
//! Owns how choices are drawn and how a stream is cut. A missing choice is 0, so that every input
//! is a valid one.

use ringhaul::internal::sim::Rng;

/// What is left of a target's bytes.
pub struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    /// All of them.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    /// One choice.
    pub fn byte(&mut self) -> u8 {
        let Some((&first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        first
    }

    /// A number of 16 bits.
    pub fn u16(&mut self) -> u16 {
        u16::from_be_bytes([self.byte(), self.byte()])
    }

    /// Whether nothing is left to choose from.
    pub fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Everything behind the choices.
    pub fn rest(self) -> &'a [u8] {
        self.bytes
    }
}

/// A good input: choices, then bytes.
pub fn with_choices(choices: &[u8], bytes: &[u8]) -> Vec<u8> {
    [choices, bytes].concat()
}

/// How a stream arrives.
#[derive(Debug, Clone)]
pub enum Cuts {
    /// In one piece.
    Whole,
    /// In pieces of 1 byte.
    Bytes,
    /// In pieces of 1 byte up to this number.
    Random(Rng, u32),
}

impl Cuts {
    /// The three ways to feed one stream that have to come to the same.
    pub fn all(seed: u8) -> [Self; 3] {
        let longest = [3, 20, 90, 1000][usize::from(seed) % 4];
        [Cuts::Whole, Cuts::Bytes, Cuts::Random(Rng::new(seed.into(), 0), longest)]
    }

    /// The length of the next piece, at least 1, of a stream with `left` bytes to come.
    pub fn next(&mut self, left: usize) -> usize {
        match self {
            Cuts::Whole => left,
            Cuts::Bytes => 1,
            Cuts::Random(rng, longest) => (rng.below(*longest) as usize + 1).min(left),
        }
    }
}
