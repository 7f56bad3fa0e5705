//! The text that is typed, of one line or several, and those that were.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Lines that are remembered.
const REMEMBERED: usize = 200;

/// A text with a cursor and a history.
#[derive(Debug, Default)]
pub(super) struct Input {
    text: Vec<char>,
    /// Characters before the cursor.
    cursor: usize,
    history: Vec<String>,
    /// Which former line is shown, and what was typed before that.
    recalled: Option<(usize, String)>,
}

impl Input {
    /// What is typed.
    pub(super) fn text(&self) -> String {
        self.text.iter().collect()
    }

    /// Replaces what is typed.
    pub(super) fn set(&mut self, text: &str) {
        self.text = text.chars().collect();
        self.cursor = self.text.len();
    }

    /// Whether nothing is typed.
    pub(super) fn is_empty(&self) -> bool {
        self.text.iter().all(|c| c.is_whitespace())
    }

    /// The line of the text in which the cursor is, counted from 0.
    pub(super) fn row(&self) -> usize {
        self.text[..self.cursor].iter().filter(|c| **c == '\n').count()
    }

    /// What is before the cursor in its line.
    pub(super) fn before_cursor(&self) -> String {
        self.text[self.line_start()..self.cursor].iter().collect()
    }

    /// Inserts at the cursor what may have several lines; control characters are spaces.
    pub(super) fn insert(&mut self, text: &str) {
        // Terminals paste the ends of lines as they would type them.
        let text = text.replace("\r\n", "\n").replace('\r', "\n");
        let clean = text.trim_end_matches('\n').chars();
        let clean: Vec<char> =
            clean.map(|c| if c.is_control() && c != '\n' { ' ' } else { c }).collect();
        let count = clean.len();
        self.text.splice(self.cursor..self.cursor, clean);
        self.cursor += count;
    }

    /// Begins a new line at the cursor.
    pub(super) fn break_line(&mut self) {
        self.text.insert(self.cursor, '\n');
        self.cursor += 1;
    }

    /// Takes the line, and remembers it.
    pub(super) fn take(&mut self) -> String {
        let text = self.text();
        if !text.trim().is_empty() && self.history.last() != Some(&text) {
            self.history.push(text.clone());
            let surplus = self.history.len().saturating_sub(REMEMBERED);
            self.history.drain(..surplus);
        }
        self.recalled = None;
        self.set("");
        text
    }

    /// Edits as shells do; answers whether the key meant something here.
    pub(super) fn key(&mut self, key: KeyEvent) -> bool {
        let control = key.modifiers.contains(KeyModifiers::CONTROL);
        match key.code {
            KeyCode::Char('a') if control => self.cursor = self.line_start(),
            KeyCode::Char('e') if control => self.cursor = self.line_end(),
            KeyCode::Char('u') if control => {
                let start = self.line_start();
                self.text.drain(start..self.cursor);
                self.cursor = start;
            }
            KeyCode::Char('k') if control => {
                let end = self.line_end();
                self.text.drain(self.cursor..end);
            }
            KeyCode::Char('w') if control => self.cut_word(),
            KeyCode::Char(c) if !control && !key.modifiers.contains(KeyModifiers::ALT) => {
                self.insert(&c.to_string());
            }
            KeyCode::Backspace if self.cursor > 0 => {
                self.cursor -= 1;
                self.text.remove(self.cursor);
            }
            KeyCode::Delete if self.cursor < self.text.len() => {
                self.text.remove(self.cursor);
            }
            KeyCode::Left => self.cursor = self.cursor.saturating_sub(1),
            KeyCode::Right => self.cursor = (self.cursor + 1).min(self.text.len()),
            KeyCode::Home => self.cursor = self.line_start(),
            KeyCode::End => self.cursor = self.line_end(),
            KeyCode::Up if self.line_start() > 0 => self.step(true),
            KeyCode::Up => self.recall(true),
            KeyCode::Down if self.line_end() < self.text.len() => self.step(false),
            KeyCode::Down => self.recall(false),
            _ => return false,
        }
        true
    }

    fn line_start(&self) -> usize {
        self.text[..self.cursor].iter().rposition(|c| *c == '\n').map_or(0, |at| at + 1)
    }

    fn line_end(&self) -> usize {
        let rest = &self.text[self.cursor..];
        self.cursor + rest.iter().position(|c| *c == '\n').unwrap_or(rest.len())
    }

    /// The same column of the line above or below, or its end.
    fn step(&mut self, up: bool) {
        let start = self.line_start();
        let column = self.cursor - start;
        self.cursor = if up { start - 1 } else { self.line_end() + 1 };
        self.cursor = (self.line_start() + column).min(self.line_end());
    }

    fn cut_word(&mut self) {
        let end = self.cursor;
        let start = self.line_start();
        while self.cursor > start && self.text[self.cursor - 1] == ' ' {
            self.cursor -= 1;
        }
        while self.cursor > start && self.text[self.cursor - 1] != ' ' {
            self.cursor -= 1;
        }
        self.text.drain(self.cursor..end);
    }

    fn recall(&mut self, older: bool) {
        let (at, typed) = match self.recalled.take() {
            None if older => (self.history.len(), self.text()),
            None => return,
            Some(recalled) => recalled,
        };
        let at = if older { at.saturating_sub(1) } else { at + 1 };
        match self.history.get(at).cloned() {
            Some(line) => {
                self.set(&line);
                self.recalled = Some((at, typed));
            }
            // Below the newest is what was typed.
            None => self.set(&typed),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn press(input: &mut Input, code: KeyCode, modifiers: KeyModifiers) {
        input.key(KeyEvent::new(code, modifiers));
    }

    #[test]
    fn a_line_is_edited_by_characters_not_bytes() {
        let mut input = Input::default();
        input.insert("größe 日本\n");
        press(&mut input, KeyCode::Left, KeyModifiers::NONE);
        press(&mut input, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!((input.text().as_str(), input.before_cursor().as_str()), ("größe 本", "größe "));
        press(&mut input, KeyCode::Char('w'), KeyModifiers::CONTROL);
        assert_eq!(input.text(), "本");
        input.insert("a\tb\x1b");
        assert_eq!(input.text(), "a b 本");
        for _ in 0..9 {
            press(&mut input, KeyCode::Delete, KeyModifiers::NONE);
            press(&mut input, KeyCode::Right, KeyModifiers::NONE);
        }
        press(&mut input, KeyCode::Char('u'), KeyModifiers::CONTROL);
        assert_eq!(input.text(), "");
    }

    #[test]
    fn a_text_of_several_lines_is_edited_line_by_line() {
        let mut input = Input::default();
        input.insert("one\r\ntwo and more\rthree\n");
        assert_eq!((input.text().as_str(), input.row()), ("one\ntwo and more\nthree", 2));
        input.break_line();
        press(&mut input, KeyCode::Char('4'), KeyModifiers::NONE);
        assert_eq!((input.row(), input.before_cursor().as_str()), (3, "4"));
        for _ in 0..2 {
            press(&mut input, KeyCode::Up, KeyModifiers::NONE);
        }
        assert_eq!((input.row(), input.before_cursor().as_str()), (1, "t"));
        press(&mut input, KeyCode::End, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('w'), KeyModifiers::CONTROL);
        press(&mut input, KeyCode::Char('u'), KeyModifiers::CONTROL);
        press(&mut input, KeyCode::Char('k'), KeyModifiers::CONTROL);
        assert_eq!(input.text(), "one\n\nthree\n4");
        press(&mut input, KeyCode::Up, KeyModifiers::NONE);
        press(&mut input, KeyCode::Char('e'), KeyModifiers::CONTROL);
        assert_eq!(input.before_cursor(), "one");
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        press(&mut input, KeyCode::Backspace, KeyModifiers::NONE);
        assert_eq!(input.text(), "one\nthree\n4");
        // At the first line Up recalls, and what was typed comes back as a whole.
        let typed = input.text();
        input.history.push("former".into());
        press(&mut input, KeyCode::Up, KeyModifiers::NONE);
        assert_eq!(input.text(), "former");
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        assert_eq!(input.text(), typed);
        assert!(!input.is_empty());
    }

    #[test]
    fn former_lines_come_back_and_what_was_typed_stays() {
        let mut input = Input::default();
        for line in ["one", "two"] {
            input.insert(line);
            input.take();
        }
        input.insert("new");
        let expected = ["two", "one", "one"];
        for line in expected {
            press(&mut input, KeyCode::Up, KeyModifiers::NONE);
            assert_eq!(input.text(), line);
        }
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        assert_eq!(input.text(), "two");
        press(&mut input, KeyCode::Down, KeyModifiers::NONE);
        assert_eq!(input.text(), "new");
    }
}
