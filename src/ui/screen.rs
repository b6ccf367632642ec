//! A few lines at the bottom of a terminal that are drawn anew in place, and lines above them that
//! stay. Makes the bytes for it and remembers what stands there; knows neither who writes them nor
//! what the lines mean.
//!
//! Where the window became narrower, most terminals wrap what is drawn: the way back to the first
//! line is counted in rows of the new width. The cursor waits at the begin of the last line, as
//! that is a place every terminal keeps.

use super::width;

/// Moves the cursor to the first column.
const HOME: &str = "\r";
/// Erases from the cursor to the end of its row, and to that of the screen.
const ERASE_ROW: &str = "\x1b[K";
const ERASE_BELOW: &str = "\x1b[J";

/// What is drawn at present.
#[derive(Debug, Default)]
pub(super) struct Screen {
    /// Columns of each line that stands there.
    drawn: Vec<usize>,
}

/// One line and how it is coloured.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Line {
    /// The line as it is read.
    pub(super) plain: String,
    /// The same with colours.
    pub(super) styled: String,
}

impl Line {
    /// Adds `text`; `style` is a sequence that colours it, or empty.
    pub(super) fn push(&mut self, text: &str, style: &str) {
        self.plain.push_str(text);
        if style.is_empty() {
            self.styled.push_str(text);
        } else {
            self.styled.push_str(&format!("{style}{text}\x1b[0m"));
        }
    }

    pub(super) fn columns(&self) -> usize {
        width::columns(&self.plain)
    }
}

impl Screen {
    /// The bytes that put `lines` in the place of what is drawn, on a terminal that has `columns`
    /// now. Each line must be narrower than that.
    pub(super) fn draw(&mut self, lines: &[Line], columns: usize) -> String {
        let mut bytes = self.back_to_first(columns);
        for (number, line) in lines.iter().enumerate() {
            bytes.push_str(if number == 0 { "" } else { "\n" });
            bytes.push_str(&line.styled);
            bytes.push_str(ERASE_ROW);
        }
        bytes.push_str(ERASE_BELOW);
        bytes.push_str(HOME);
        self.drawn = lines.iter().map(Line::columns).collect();
        bytes
    }

    /// The bytes that take off what is drawn and leave `text` as lines of their own in its place.
    pub(super) fn replace_by(&mut self, text: &str, columns: usize) -> String {
        let back = self.back_to_first(columns);
        self.drawn.clear();
        let end = if text.is_empty() { "" } else { "\n" };
        format!("{back}{ERASE_BELOW}{text}{end}")
    }

    fn back_to_first(&self, columns: usize) -> String {
        let above = self.drawn.iter().rev().skip(1);
        match above.map(|width| width.div_ceil(columns.max(1)).max(1)).sum::<usize>() {
            0 => HOME.to_owned(),
            rows => format!("{HOME}\x1b[{rows}A"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A terminal that knows the sequences sent here and wraps its rows when it becomes narrower.
    struct Terminal {
        rows: Vec<Vec<char>>,
        row: usize,
        column: usize,
        columns: usize,
    }

    impl Terminal {
        fn new(columns: usize) -> Self {
            Self { rows: vec![Vec::new()], row: 0, column: 0, columns }
        }

        fn write(&mut self, bytes: &str) {
            let mut rest = bytes.chars();
            while let Some(c) = rest.next() {
                match c {
                    '\r' => self.column = 0,
                    '\n' => self.down(),
                    '\x1b' => {
                        assert_eq!(rest.next(), Some('['));
                        let digits = rest.clone().take_while(|c| !c.is_alphabetic());
                        let digits: String = digits.collect();
                        let end = rest.nth(digits.len()).expect("a sequence has its end");
                        self.sequence(&digits, end);
                    }
                    c => self.put(c),
                }
            }
        }

        fn put(&mut self, c: char) {
            assert!(self.column < self.columns, "{c} does not fit: {:?}", self.shows());
            let row = &mut self.rows[self.row];
            row.resize(row.len().max(self.column + 1), ' ');
            row[self.column] = c;
            self.column += 1;
        }

        fn down(&mut self) {
            (self.row, self.column) = (self.row + 1, 0);
            if self.row == self.rows.len() {
                self.rows.push(Vec::new());
            }
        }

        fn sequence(&mut self, digits: &str, end: char) {
            match end {
                'A' => self.row -= digits.parse::<usize>().expect("a number of rows"),
                'K' => self.rows[self.row].truncate(self.column),
                'J' => {
                    self.rows[self.row].truncate(self.column);
                    self.rows.truncate(self.row + 1);
                }
                'm' => {}
                _ => panic!("unknown: {digits}{end}"),
            }
        }

        fn narrow(&mut self, columns: usize) {
            assert!(self.column == 0 && columns < self.columns);
            let (mut rows, mut at) = (Vec::new(), 0);
            for (number, row) in self.rows.iter().enumerate() {
                if number == self.row {
                    at = rows.len();
                }
                let wrapped = row.chunks(columns).map(<[char]>::to_vec);
                rows.extend(wrapped.chain(row.is_empty().then(Vec::new)));
            }
            (self.rows, self.row, self.columns) = (rows, at, columns);
        }

        fn shows(&self) -> Vec<String> {
            self.rows.iter().map(|row| row.iter().collect()).collect()
        }
    }

    fn lines(texts: &[&str]) -> Vec<Line> {
        let coloured = |text: &&str| {
            let mut line = Line::default();
            line.push(text, "\x1b[31m");
            line
        };
        texts.iter().map(coloured).collect()
    }

    #[test]
    fn lines_are_drawn_in_place() {
        let (mut screen, mut terminal) = (Screen::default(), Terminal::new(20));
        terminal.write("before\n");
        terminal.write(&screen.draw(&lines(&["one long", "two", "three"]), 20));
        terminal.write(&screen.draw(&lines(&["1", "2"]), 20));
        assert_eq!(terminal.shows(), ["before", "1", "2"]);
        terminal.write(&screen.draw(&lines(&["1", "2", "3"]), 20));
        terminal.write(&screen.replace_by("said", 20));
        terminal.write(&screen.draw(&lines(&["4"]), 20));
        assert_eq!(terminal.shows(), ["before", "said", "4"]);
        terminal.write(&screen.replace_by("", 20));
        assert_eq!(terminal.shows(), ["before", "said", ""]);
    }

    #[test]
    fn a_narrower_window_leaves_nothing_behind() {
        for columns in 3..20 {
            let (mut screen, mut terminal) = (Screen::default(), Terminal::new(20));
            terminal.write("before\n");
            let drawn = lines(&["twelve chars", "19 characters long.", "12 chars too"]);
            terminal.write(&screen.draw(&drawn, 20));
            terminal.narrow(columns);
            terminal.write(&screen.draw(&lines(&["1", "2"]), columns));
            let shown = terminal.shows();
            assert_eq!(shown[shown.len() - 2..], ["1", "2"]);
            assert_eq!(shown[..shown.len() - 2].concat(), "before", "{columns} columns");
        }
    }
}
