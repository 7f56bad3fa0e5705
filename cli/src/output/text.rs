//! Text of others on a terminal.

/// In one line, without what would steer the terminal or turn the order of what is read.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if steers(c) { '\u{fffd}' } else { c }).collect()
}

/// The same, line by line.
pub(crate) fn printable_lines(text: &str) -> impl Iterator<Item = String> {
    text.lines().map(|line| printable(&line.replace('\t', "    ")))
}

fn steers(c: char) -> bool {
    // Control characters, the line and paragraph separators, and bidirectional marks.
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(
            printable("a\x1b]0;x\x07b\nc\u{9b}d\u{202e}e"),
            "a\u{fffd}]0;x\u{fffd}b\u{fffd}c\u{fffd}d\u{fffd}e"
        );
        assert_eq!(printable("héllo 👍🏽 日本"), "héllo 👍🏽 日本");
        let lines: Vec<_> = printable_lines("a\tb\nc\rd").collect();
        assert_eq!(lines, ["a    b", "c\u{fffd}d"]);
    }
}
