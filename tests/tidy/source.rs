//! One file of the crate as the rules see it: brackets that belong together, attributes, functions,
//! inline modules, and which of it is test code.
//!
//! Knows no rule. Test code is: every item under `#[cfg(test)]` or `#[test]`, every file whose
//! `mod` stands in test code, and every file of `tests/` and `benches/`.

use super::lexer::{Kind, Token, lex};
use std::collections::BTreeMap;
use std::ops::Range;

/// Every token there can be.
const WHOLE_FILE: Range<usize> = 0..usize::MAX;

/// A lexed file.
pub(crate) struct Source {
    /// Path from the package's folder, with slashes: `src/base/url.rs`.
    pub(crate) path: String,
    pub(crate) text: String,
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: BTreeMap<usize, String>,
    /// For each opening bracket the index of the closing one.
    closing: BTreeMap<usize, usize>,
    attributes: Vec<Range<usize>>,
    inline_modules: Vec<(Range<usize>, String)>,
    test_code: Vec<Range<usize>>,
}

/// A function with a body.
pub(crate) struct Function {
    pub(crate) name: String,
    /// Index of its `fn`.
    pub(crate) token: usize,
    pub(crate) line: usize,
    pub(crate) lines: usize,
}

/// `mod name;`
pub(crate) struct ModuleFile {
    /// Where its file may stand.
    pub(crate) candidates: [String; 2],
    /// Declared by test code.
    pub(crate) test_only: bool,
}

impl Source {
    /// Reads `text`; `test_only` says that all of it is test code.
    pub(crate) fn parse(path: &str, text: &str, test_only: bool) -> Self {
        let lexed = lex(text);
        let mut source = Self {
            path: path.to_owned(),
            text: text.to_owned(),
            closing: match_brackets(&lexed.tokens),
            tokens: lexed.tokens,
            comments: lexed.comments,
            attributes: Vec::new(),
            inline_modules: Vec::new(),
            test_code: Vec::new(),
        };
        source.attributes = source.find_attributes();
        source.inline_modules = source.find_inline_modules();
        source.test_code = if test_only { vec![WHOLE_FILE] } else { source.find_test_code() };
        source
    }

    /// Whether token `index` is test code.
    pub(crate) fn in_test(&self, index: usize) -> bool {
        self.test_code.iter().any(|range| range.contains(&index))
    }

    /// Whether token `index` exists and is the word or mark `text`.
    pub(crate) fn is(&self, index: usize, text: &str) -> bool {
        self.tokens.get(index).is_some_and(|token| token.is(text))
    }

    /// Whether the tokens from `index` on are these words and marks.
    pub(crate) fn reads(&self, index: usize, texts: &[&str]) -> bool {
        texts.iter().enumerate().all(|(offset, text)| self.is(index + offset, text))
    }

    /// The word at `index`.
    pub(crate) fn word(&self, index: usize) -> Option<&str> {
        let token = self.tokens.get(index)?;
        (token.kind == Kind::Word).then_some(token.text.as_str())
    }

    /// The index of the bracket that closes the one at `open`.
    pub(crate) fn closing(&self, open: usize) -> usize {
        self.closing.get(&open).copied().unwrap_or(self.tokens.len())
    }

    /// What stands between the brackets of each attribute, as token indices.
    pub(crate) fn attributes(&self) -> &[Range<usize>] {
        &self.attributes
    }

    /// The module path of the file: `src/io/uring/ops.rs` is io, uring, ops; a crate root is empty.
    pub(crate) fn module(&self) -> Vec<String> {
        let path = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let path = path.strip_suffix(".rs").unwrap_or(path);
        let mut module: Vec<String> = path.split('/').map(str::to_owned).collect();
        let last = module.last().map(String::as_str).unwrap_or_default();
        if last == "mod" || (module.len() == 1 && ["lib", "main"].contains(&last)) {
            module.pop();
        }
        module
    }

    /// The module path at token `index`: the file's, and the inline modules around the token.
    pub(crate) fn module_at(&self, index: usize) -> Vec<String> {
        let mut module = self.module();
        module.extend(self.inline_around(index));
        module
    }

    /// Every function that has a body, from `fn` to its closing brace.
    pub(crate) fn functions(&self) -> Vec<Function> {
        let mut functions = Vec::new();
        for index in 0..self.tokens.len() {
            let Some(name) = self.word(index + 1) else { continue };
            if !self.is(index, "fn") {
                continue;
            }
            let Some(open) = self.body_after(index) else { continue };
            let line = self.tokens[index].line;
            let last = self.tokens.get(self.closing(open)).map_or(line, |token| token.line);
            let (name, lines) = (name.to_owned(), last - line + 1);
            functions.push(Function { name, token: index, line, lines });
        }
        functions
    }

    /// Every `mod name;` with the places of its file.
    pub(crate) fn module_files(&self) -> Vec<ModuleFile> {
        let (folder, file) = self.path.rsplit_once('/').unwrap_or(("", &self.path));
        let stem = file.strip_suffix(".rs").unwrap_or(file);
        let below = match stem {
            "mod" | "lib" | "main" => folder.to_owned(),
            _ => format!("{folder}/{stem}"),
        };
        let mut files = Vec::new();
        for index in 0..self.tokens.len() {
            let Some(name) = self.word(index + 1) else { continue };
            if !self.is(index, "mod") || !self.is(index + 2, ";") {
                continue;
            }
            let mut parts = vec![below.clone()];
            parts.extend(self.inline_around(index));
            parts.push(name.to_owned());
            let base = parts.join("/");
            let candidates = [format!("{base}.rs"), format!("{base}/mod.rs")];
            files.push(ModuleFile { candidates, test_only: self.in_test(index) });
        }
        files
    }

    fn inline_around(&self, index: usize) -> impl Iterator<Item = String> {
        let around = self.inline_modules.iter().filter(move |(range, _)| range.contains(&index));
        around.map(|(_, name)| name.clone())
    }

    fn find_attributes(&self) -> Vec<Range<usize>> {
        let starts = (0..self.tokens.len()).filter(|index| self.is(*index, "#"));
        let opens = starts.map(|hash| hash + 1 + usize::from(self.is(hash + 1, "!")));
        opens.filter(|open| self.is(*open, "[")).map(|open| open + 1..self.closing(open)).collect()
    }

    fn find_inline_modules(&self) -> Vec<(Range<usize>, String)> {
        let mut modules = Vec::new();
        for index in 0..self.tokens.len() {
            let Some(name) = self.word(index + 1) else { continue };
            if self.is(index, "mod") && self.is(index + 2, "{") {
                modules.push((index + 3..self.closing(index + 2), name.to_owned()));
            }
        }
        modules
    }

    fn find_test_code(&self) -> Vec<Range<usize>> {
        let mut ranges = Vec::new();
        for attribute in self.attributes.iter().filter(|range| self.marks_test(range)) {
            let inner = attribute.start >= 2 && self.is(attribute.start - 2, "!");
            let range =
                if inner { WHOLE_FILE } else { attribute.start..self.item_end(attribute.end + 1) };
            ranges.push(range);
        }
        ranges
    }

    /// `test`, or a `cfg` that holds only in tests. What `any` or `not` widen is no test code.
    fn marks_test(&self, attribute: &Range<usize>) -> bool {
        let has = |text: &str| attribute.clone().any(|index| self.is(index, text));
        match self.word(attribute.start) {
            Some("test") => attribute.len() == 1,
            Some("cfg") => has("test") && !has("any") && !has("not"),
            _ => false,
        }
    }

    /// One past the last token of the item at `index`: its `;`, its braces, or the end of the block
    /// around it.
    fn item_end(&self, mut index: usize) -> usize {
        while let Some(token) = self.tokens.get(index) {
            match token.text.as_str() {
                _ if token.kind != Kind::Mark => index += 1,
                ";" => return index + 1,
                "{" => return self.closing(index) + 1,
                "}" | ")" | "]" => return index,
                "(" | "[" => index = self.closing(index) + 1,
                _ => index += 1,
            }
        }
        index
    }

    /// The brace that opens the body of the `fn` at `index`, unless it ends in a semicolon.
    fn body_after(&self, mut index: usize) -> Option<usize> {
        while let Some(token) = self.tokens.get(index) {
            match token.text.as_str() {
                _ if token.kind != Kind::Mark => index += 1,
                ";" | "}" => return None,
                "{" => return Some(index),
                "(" | "[" => index = self.closing(index) + 1,
                _ => index += 1,
            }
        }
        None
    }
}

fn match_brackets(tokens: &[Token]) -> BTreeMap<usize, usize> {
    let mut closing = BTreeMap::new();
    let mut open = Vec::new();
    for (index, token) in tokens.iter().enumerate().filter(|(_, t)| t.kind == Kind::Mark) {
        match token.text.as_str() {
            "(" | "[" | "{" => open.push(index),
            ")" | "]" | "}" => {
                if let Some(start) = open.pop() {
                    closing.insert(start, index);
                }
            }
            _ => {}
        }
    }
    closing
}
