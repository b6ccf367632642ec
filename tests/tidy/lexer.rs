//! Rust text to tokens and comments, as far as house rules need it: strings, characters, lifetimes
//! and comments are told apart, so that a brace or a `todo!` inside them counts for nothing.
//!
//! Knows no grammar, no files and no rules. Never fails: what it cannot read it hands on as marks.

use std::collections::BTreeMap;

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Identifier or keyword; raw identifiers without their `r#`.
    Word,
    /// Number literal.
    Number,
    /// String literal of any sort, with its quotes and prefix.
    Text,
    /// Character or byte literal.
    Char,
    /// Lifetime or loop label.
    Lifetime,
    /// Everything else: `::` as one token, other punctuation character by character.
    Mark,
}

/// One token and the line it starts on, counted from 1.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    pub(crate) line: usize,
}

impl Token {
    /// Whether this is the mark or word `text` (never a literal that happens to read like it).
    pub(crate) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Mark) && self.text == text
    }
}

/// The tokens of a file, and its comments by line.
#[derive(Debug, Default)]
pub(crate) struct Lexed {
    pub(crate) tokens: Vec<Token>,
    /// A block comment of several lines stands under each of them.
    pub(crate) comments: BTreeMap<usize, String>,
}

/// Splits `text` into tokens and comments.
pub(crate) fn lex(text: &str) -> Lexed {
    let mut lexer =
        Lexer { chars: text.chars().collect(), at: 0, line: 1, lexed: Lexed::default() };
    while let Some(next) = lexer.peek(0) {
        lexer.step(next);
    }
    lexer.lexed
}

struct Lexer {
    chars: Vec<char>,
    at: usize,
    line: usize,
    lexed: Lexed,
}

impl Lexer {
    fn step(&mut self, next: char) {
        let (start, line) = (self.at, self.line);
        let kind = match next {
            _ if next.is_whitespace() => return self.skip(1),
            '/' if self.peek(1) == Some('/') => return self.line_comment(),
            '/' if self.peek(1) == Some('*') => return self.block_comment(),
            '"' => self.string(),
            '\'' => self.quote(),
            _ if next.is_ascii_digit() => self.number(),
            _ if starts_word(next) => return self.word(),
            _ => {
                let double_colon = next == ':' && self.peek(1) == Some(':');
                self.skip(if double_colon { 2 } else { 1 });
                Kind::Mark
            }
        };
        self.push(kind, start, line);
    }

    fn peek(&self, ahead: usize) -> Option<char> {
        self.chars.get(self.at + ahead).copied()
    }

    fn skip(&mut self, count: usize) {
        let end = (self.at + count).min(self.chars.len());
        self.line += self.chars[self.at..end].iter().filter(|c| **c == '\n').count();
        self.at = end;
    }

    fn push(&mut self, kind: Kind, start: usize, line: usize) {
        let text = self.chars[start..self.at].iter().collect();
        self.lexed.tokens.push(Token { kind, text, line });
    }

    fn line_comment(&mut self) {
        let start = self.at;
        while self.peek(0).is_some_and(|c| c != '\n') {
            self.skip(1);
        }
        self.comment(start, self.line);
    }

    fn block_comment(&mut self) {
        let (start, line) = (self.at, self.line);
        let mut depth = 0;
        loop {
            match (self.peek(0), self.peek(1)) {
                (Some('/'), Some('*')) => {
                    depth += 1;
                    self.skip(2);
                }
                (Some('*'), Some('/')) => {
                    depth -= 1;
                    self.skip(2);
                }
                (Some(_), _) => self.skip(1),
                (None, _) => break,
            }
            if depth == 0 {
                break;
            }
        }
        self.comment(start, line);
    }

    fn comment(&mut self, start: usize, first_line: usize) {
        let text: String = self.chars[start..self.at].iter().collect();
        for (offset, part) in text.split('\n').enumerate() {
            self.lexed.comments.entry(first_line + offset).or_default().push_str(part);
        }
    }

    /// From the opening quote on, backslashes escape.
    fn string(&mut self) -> Kind {
        self.skip(1);
        while let Some(next) = self.peek(0) {
            self.skip(if next == '\\' { 2 } else { 1 });
            if next == '"' {
                break;
            }
        }
        Kind::Text
    }

    /// From the first `#` or the opening quote on, nothing escapes.
    fn raw_string(&mut self, hashes: usize) -> Kind {
        self.skip(hashes + 1);
        while let Some(next) = self.peek(0) {
            self.skip(1);
            if next == '"' && (0..hashes).all(|i| self.peek(i) == Some('#')) {
                self.skip(hashes);
                break;
            }
        }
        Kind::Text
    }

    /// `'a'` and `'\n'` are characters, `'a` is a lifetime.
    fn quote(&mut self) -> Kind {
        let escaped = self.peek(1) == Some('\\');
        if !escaped && self.peek(2) != Some('\'') {
            self.skip(1);
            self.skip_word();
            return Kind::Lifetime;
        }
        self.skip(if escaped { 3 } else { 2 });
        while self.peek(0).is_some_and(|c| c != '\'') {
            self.skip(1);
        }
        self.skip(1);
        Kind::Char
    }

    fn number(&mut self) -> Kind {
        self.skip_word();
        if self.peek(0) == Some('.') && self.peek(1).is_some_and(|c| c.is_ascii_digit()) {
            self.skip(1);
            self.skip_word();
        }
        Kind::Number
    }

    /// A word, or the literal that it is the prefix of.
    fn word(&mut self) {
        let (mut start, line) = (self.at, self.line);
        self.skip_word();
        let word: String = self.chars[start..self.at].iter().collect();
        let hashes = (0..).take_while(|i| self.peek(*i) == Some('#')).count();
        let quoted = self.peek(hashes) == Some('"');
        let kind = match word.as_str() {
            "r" | "br" | "cr" if quoted => self.raw_string(hashes),
            "b" | "c" if hashes == 0 && quoted => self.string(),
            "b" if self.peek(0) == Some('\'') => self.quote(),
            "r" if hashes == 1 && self.peek(1).is_some_and(starts_word) => {
                self.skip(1);
                start = self.at;
                self.skip_word();
                Kind::Word
            }
            _ => Kind::Word,
        };
        self.push(kind, start, line);
    }

    fn skip_word(&mut self) {
        while self.peek(0).is_some_and(|c| c == '_' || c.is_alphanumeric()) {
            self.skip(1);
        }
    }
}

fn starts_word(c: char) -> bool {
    c == '_' || c.is_alphabetic()
}
