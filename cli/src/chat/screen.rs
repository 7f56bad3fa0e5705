//! The terminal, which is as it was when this is gone.

use std::io::{Stdout, stdout};

use crossterm::event::{
    DisableBracketedPaste, EnableBracketedPaste, KeyboardEnhancementFlags,
    PopKeyboardEnhancementFlags, PushKeyboardEnhancementFlags,
};
use crossterm::execute;
use crossterm::terminal::{
    EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use ratatui::Terminal;
use ratatui::backend::CrosstermBackend;

use super::model::{Model, Reach};
use super::view::draw;
use crate::output::wants_colour;

/// A full screen.
pub(super) struct Screen {
    terminal: Terminal<CrosstermBackend<Stdout>>,
    colours: bool,
}

impl Screen {
    /// Takes the terminal.
    pub(super) fn take() -> std::io::Result<Self> {
        enable_raw_mode()?;
        // Terminals that can then tell Shift-Enter from Enter; others pass it over.
        let keys =
            PushKeyboardEnhancementFlags(KeyboardEnhancementFlags::DISAMBIGUATE_ESCAPE_CODES);
        let taken = execute!(stdout(), EnterAlternateScreen, EnableBracketedPaste, keys)
            .and_then(|()| Terminal::new(CrosstermBackend::new(stdout())));
        match taken {
            Ok(terminal) => Ok(Self { terminal, colours: wants_colour() }),
            Err(error) => {
                give_back();
                Err(error)
            }
        }
    }

    /// Draws what is to be seen; answers how far it can be scrolled.
    pub(super) fn draw(&mut self, model: &Model) -> std::io::Result<Reach> {
        let mut reach = Reach::default();
        self.terminal.draw(|frame| reach = draw(frame, model, self.colours))?;
        Ok(reach)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        let _ = self.terminal.show_cursor();
        give_back();
    }
}

fn give_back() {
    let _ = execute!(
        stdout(),
        PopKeyboardEnhancementFlags,
        DisableBracketedPaste,
        LeaveAlternateScreen
    );
    let _ = disable_raw_mode();
}
