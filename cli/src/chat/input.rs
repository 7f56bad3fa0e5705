//! The line that is typed, and those that were.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};

/// Lines that are remembered.
const REMEMBERED: usize = 200;

/// A line with a cursor and a history.
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

    /// What is before the cursor.
    pub(super) fn before_cursor(&self) -> String {
        self.text[..self.cursor].iter().collect()
    }

    /// Replaces what is typed.
    pub(super) fn set(&mut self, text: &str) {
        self.text = text.chars().collect();
        self.cursor = self.text.len();
    }

    /// Inserts at the cursor; control characters are spaces.
    pub(super) fn insert(&mut self, text: &str) {
        let clean = text.trim_end_matches(['\r', '\n']).chars();
        let clean: Vec<char> = clean.map(|c| if c.is_control() { ' ' } else { c }).collect();
        let count = clean.len();
        self.text.splice(self.cursor..self.cursor, clean);
        self.cursor += count;
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
            KeyCode::Char('a') if control => self.cursor = 0,
            KeyCode::Char('e') if control => self.cursor = self.text.len(),
            KeyCode::Char('u') if control => {
                self.text.drain(..self.cursor);
                self.cursor = 0;
            }
            KeyCode::Char('k') if control => self.text.truncate(self.cursor),
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
            KeyCode::Home => self.cursor = 0,
            KeyCode::End => self.cursor = self.text.len(),
            KeyCode::Up => self.recall(true),
            KeyCode::Down => self.recall(false),
            _ => return false,
        }
        true
    }

    fn cut_word(&mut self) {
        let end = self.cursor;
        while self.cursor > 0 && self.text[self.cursor - 1] == ' ' {
            self.cursor -= 1;
        }
        while self.cursor > 0 && self.text[self.cursor - 1] != ' ' {
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
