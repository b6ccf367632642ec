//! A sheet to draw on. Owns the form of SVG: escaping, fonts, the order of coordinates. Coordinates
//! are pixels from the upper left corner.

use std::fmt::Write;

/// Colour of text and axes.
pub(super) const INK: &str = "#222222";
/// Colour of what stands behind.
pub(super) const FAINT: &str = "#d8d8d8";
/// Colour of what stands aside.
pub(super) const GREY: &str = "#777777";

/// Where a text is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Anchor {
    Start,
    Middle,
    End,
}

/// The mark of a point.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mark {
    Circle,
    Square,
    Diamond,
    Triangle,
    Bar,
}

/// A document that grows.
pub(super) struct Sheet {
    width: f64,
    height: f64,
    body: String,
}

impl Sheet {
    /// White, with `title` on top and the two lines of the subtitle below it: what was measured
    /// how, and what is drawn.
    pub(super) fn new(width: f64, height: f64, title: &str, subtitle: [&str; 2]) -> Self {
        let mut sheet = Self { width, height, body: String::new() };
        sheet.put(format_args!("<title>{}</title>\n", escaped(title)));
        sheet.rect(0.0, 0.0, width, height, "#ffffff");
        sheet.label(16.0, 28.0, Anchor::Start, 17.0, INK, title);
        sheet.label(16.0, 47.0, Anchor::Start, 12.0, GREY, subtitle[0]);
        sheet.label(16.0, 63.0, Anchor::Start, 12.0, GREY, subtitle[1]);
        sheet
    }

    /// A filled rectangle.
    pub(super) fn rect(&mut self, x: f64, y: f64, width: f64, height: f64, fill: &str) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.2}\" height=\"{height:.1}\" \
             fill=\"{fill}\"/>\n"
        ));
    }

    /// The outline of a rectangle.
    pub(super) fn frame(&mut self, x: f64, y: f64, width: f64, height: f64, stroke_width: f64) {
        self.put(format_args!(
            "<rect x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" height=\"{height:.1}\" \
             fill=\"none\" stroke=\"{INK}\" stroke-width=\"{stroke_width}\"/>\n"
        ));
    }

    /// A line of this colour, width and dash pattern; an empty pattern is a whole line.
    pub(super) fn line(&mut self, from: [f64; 2], to: [f64; 2], stroke: (&str, f64, &str)) {
        self.path(&[from, to], stroke);
    }

    /// A line through several points.
    pub(super) fn path(&mut self, points: &[[f64; 2]], (colour, width, dash): (&str, f64, &str)) {
        let points: Vec<String> = points.iter().map(|[x, y]| format!("{x:.1},{y:.1}")).collect();
        let dashes = match dash {
            "" => String::new(),
            pattern => format!(" stroke-dasharray=\"{pattern}\""),
        };
        self.put(format_args!(
            "<polyline points=\"{}\" fill=\"none\" stroke=\"{colour}\" \
             stroke-width=\"{width}\"{dashes}/>\n",
            points.join(" ")
        ));
    }

    /// A point.
    pub(super) fn mark(&mut self, [x, y]: [f64; 2], mark: Mark, size: f64, fill: &str) {
        let polygon = |points: &[[f64; 2]]| {
            let points = points.iter().map(|[dx, dy]| format!("{:.1},{:.1}", x + dx, y + dy));
            let points = points.collect::<Vec<_>>().join(" ");
            format!("<polygon points=\"{points}\" fill=\"{fill}\"/>\n")
        };
        let s = size;
        let text = match mark {
            Mark::Circle => {
                format!("<circle cx=\"{x:.1}\" cy=\"{y:.1}\" r=\"{s:.1}\" fill=\"{fill}\"/>\n")
            }
            Mark::Square => polygon(&[[-s, -s], [s, -s], [s, s], [-s, s]]),
            Mark::Diamond => {
                let far = s * 1.35;
                polygon(&[[0.0, -far], [far, 0.0], [0.0, far], [-far, 0.0]])
            }
            Mark::Triangle => polygon(&[[0.0, -s * 1.2], [s * 1.2, s], [-s * 1.2, s]]),
            Mark::Bar => {
                polygon(&[[-1.2, -s * 1.3], [1.2, -s * 1.3], [1.2, s * 1.3], [-1.2, s * 1.3]])
            }
        };
        self.body += &text;
    }

    /// Text, its baseline at `y`.
    pub(super) fn label(
        &mut self,
        x: f64,
        y: f64,
        anchor: Anchor,
        size: f64,
        fill: &str,
        text: &str,
    ) {
        let anchor = anchor_name(anchor);
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"{anchor}\" font-size=\"{size}\" \
             fill=\"{fill}\">{}</text>\n",
            escaped(text)
        ));
    }

    /// Text from bottom to top, its middle at `y`.
    pub(super) fn upright(&mut self, x: f64, y: f64, text: &str) {
        self.put(format_args!(
            "<text x=\"{x:.1}\" y=\"{y:.1}\" transform=\"rotate(-90 {x:.1} {y:.1})\" \
             text-anchor=\"middle\" font-size=\"12\" fill=\"{INK}\">{}</text>\n",
            escaped(text)
        ));
    }

    /// The document.
    pub(super) fn finish(self) -> String {
        let (width, height) = (self.width, self.height);
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height:.0}\" \
             viewBox=\"0 0 {width:.0} {height:.0}\" \
             font-family=\"DejaVu Sans, Helvetica, Arial, sans-serif\">\n{}</svg>\n",
            self.body
        )
    }

    fn put(&mut self, text: std::fmt::Arguments<'_>) {
        self.body.write_fmt(text).expect("a string takes everything");
    }
}

fn anchor_name(anchor: Anchor) -> &'static str {
    match anchor {
        Anchor::Start => "start",
        Anchor::Middle => "middle",
        Anchor::End => "end",
    }
}

/// What XML takes for its own, and control characters, which it refuses.
fn escaped(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => out += "&amp;",
            '<' => out += "&lt;",
            '>' => out += "&gt;",
            '"' => out += "&quot;",
            c if c.is_control() => out.push(' '),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_escaped() {
        assert_eq!(escaped("a<b>&\"c\"\u{1b}"), "a&lt;b&gt;&amp;&quot;c&quot; ");
        let mut sheet = Sheet::new(10.0, 10.0, "<t>", ["s", "u"]);
        sheet.label(1.0, 2.0, Anchor::End, 3.0, INK, "a&b");
        let svg = sheet.finish();
        assert!(svg.contains("&lt;t&gt;") && svg.contains(">a&amp;b</text>"), "{svg}");
    }
}
