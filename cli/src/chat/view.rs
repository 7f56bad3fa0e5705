//! The screen: list on the left, conversation on the right, a notice and the input below.

mod overlay;
mod talk;

use quicproquo_client::LinkState;
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Block, Borders, Clear, Paragraph, Wrap};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

use super::model::{Model, Reach, Room, RoomKind, short};
use crate::output::printable;

/// Columns of the list, where there is room for one.
const LIST: u16 = 24;
/// Columns below which there is none.
const NARROW: u16 = 60;
/// Lines of what is typed that are in sight, where the screen is high enough.
const INPUT_ROWS: usize = 8;

/// Draws everything; answers how far it can be scrolled.
pub(super) fn draw(frame: &mut Frame<'_>, model: &Model, colours: bool) -> Reach {
    let look = Look { colours };
    let lines = model.input.text().split('\n').count();
    let most = usize::from(frame.area().height / 3).clamp(1, INPUT_ROWS);
    let rows = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(1),
        Constraint::Length(1),
        Constraint::Length(u16::try_from(lines.min(most)).unwrap_or(1)),
    ]);
    let [title, main, notice, input] = rows.areas(frame.area());
    frame.render_widget(Paragraph::new(title_line(model, look)), title);
    let talk = if model.me.is_none() {
        welcome(frame, main);
        0
    } else {
        body(frame, main, model, look)
    };
    let mut reach = Reach { talk, overlay: 0 };
    if let Some(said) = &model.notice {
        let style = if said.bad { look.bad() } else { look.good() };
        frame.render_widget(Paragraph::new(Span::styled(printable(&said.text), style)), notice);
    }
    input_lines(frame, input, model, look);
    if let Some(over) = &model.overlay {
        let text = overlay::text(over, model);
        let area = centred(main, &text);
        let (width, height) = (area.width.saturating_sub(2), area.height.saturating_sub(2));
        let wraps = text.iter().any(|line| line.width() > usize::from(width));
        // Lines that are broken may need any room, so each can be brought to the top.
        let room = if wraps { 1 } else { usize::from(height) };
        reach.overlay = text.len().saturating_sub(room);
        let above = model.overlay_scroll.min(reach.overlay);
        let block = Block::bordered().title(overlay::title(over));
        let block = if above < reach.overlay { block.title_bottom(" Down: more ") } else { block };
        let text: Vec<_> = text.into_iter().skip(above).collect();
        frame.render_widget(Clear, area);
        frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }).block(block), area);
    }
    reach
}

/// Styles, with or without colours.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    colours: bool,
}

impl Look {
    fn colour(self, colour: Color) -> Style {
        if self.colours { Style::new().fg(colour) } else { Style::new() }
    }

    fn bad(self) -> Style {
        self.colour(Color::Red).add_modifier(Modifier::BOLD)
    }

    fn good(self) -> Style {
        self.colour(Color::Green)
    }

    fn warning(self) -> Style {
        self.colour(Color::Yellow)
    }

    fn quiet() -> Style {
        Style::new().add_modifier(Modifier::DIM)
    }

    fn strong() -> Style {
        Style::new().add_modifier(Modifier::BOLD)
    }

    fn marked() -> Style {
        Style::new().add_modifier(Modifier::REVERSED)
    }
}

fn title_line(model: &Model, look: Look) -> Line<'static> {
    let (link, style) = match &model.link {
        LinkState::Up => ("connected", look.good()),
        LinkState::Connecting => ("connecting..", look.warning()),
        LinkState::Refused(_) => ("refused by the node", look.bad()),
        LinkState::Displaced(_) => ("runs somewhere else", look.bad()),
        LinkState::Exported => ("exported", look.bad()),
    };
    let who = model.me.as_ref().map_or("nobody yet".to_owned(), |me| me.name.clone());
    let mut line = vec![
        Span::styled(" quicproquo ", Look::marked()),
        Span::raw(format!(" {} ", printable(&who))),
        Span::styled(link, style),
    ];
    if let Some(room) = model.room() {
        line.push(Span::raw("  "));
        line.push(Span::styled(printable(&room.name), Look::strong()));
        if let Some(group) = model.group() {
            let count = members(group.members.len());
            let count = format!("  {count}  {}", printable(&group.topic));
            line.push(Span::styled(count, Look::quiet()));
        }
    }
    Line::from(line)
}

fn members(count: usize) -> String {
    if count == 1 { "1 member".to_owned() } else { format!("{count} members") }
}

fn welcome(frame: &mut Frame<'_>, area: Rect) {
    let text = vec![
        Line::default(),
        Line::styled("Welcome to quicproquo.", Look::strong()),
        Line::default(),
        Line::from("What do you want to be called? 1 to 63 of a-z, 0-9, '.', '_' and '-'."),
        Line::from("Others invite you by this name. Enter claims it, Ctrl-C ends."),
    ];
    frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
}

fn body(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) -> usize {
    let area = if area.width >= NARROW {
        let [list, rest] =
            Layout::horizontal([Constraint::Length(LIST), Constraint::Min(1)]).areas(area);
        rooms(frame, list, model, look);
        rest
    } else {
        area
    };
    match model.room() {
        None => {
            let text = "You are in no group. /new NAME makes one; others can invite you.";
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
            0
        }
        Some(Room { kind: RoomKind::Invitation(invitation), .. }) => {
            let name = invitation.inviter_name.clone();
            let from = name.unwrap_or_else(|| short(&invitation.inviter));
            let text = vec![
                Line::styled(invitation.inviter.to_string(), Look::quiet()),
                Line::from(format!("{} invites you into", printable(&from))),
                Line::styled(printable(&invitation.group_name), Look::strong()),
                Line::from(format!("with {}.", members(invitation.member_count as usize))),
                Line::default(),
                Line::from("/accept or /decline"),
            ];
            frame.render_widget(Paragraph::new(text).wrap(Wrap { trim: false }), area);
            0
        }
        Some(_) => talk::draw(frame, area, model, look),
    }
}

fn rooms(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    let line = |room: &Room| {
        let (mark, style) = match &room.kind {
            RoomKind::Invitation(_) => ("? ".to_owned(), look.warning()),
            RoomKind::Group(group) if !group.state.is_active() => ("- ".to_owned(), Look::quiet()),
            RoomKind::Group(_) if room.unread > 0 => ("* ".to_owned(), Look::strong()),
            RoomKind::Group(_) => ("  ".to_owned(), Style::new()),
        };
        let count = if room.unread > 0 { format!(" ({})", room.unread) } else { String::new() };
        let width = usize::from(LIST).saturating_sub(4 + count.width());
        let name = textwrap::wrap(&printable(&room.name), width.max(1))
            .first()
            .map_or_else(String::new, ToString::to_string);
        let style = if Some(&room.id) == model.selected.as_ref() { Look::marked() } else { style };
        Line::styled(format!("{mark}{name}{count}"), style)
    };
    // The selected one is always in sight.
    let at =
        model.rooms.iter().position(|room| Some(&room.id) == model.selected.as_ref()).unwrap_or(0);
    let skip = (at + 1).saturating_sub(usize::from(area.height));
    let lines: Vec<_> = model.rooms.iter().skip(skip).map(line).collect();
    let block = Block::new().borders(Borders::RIGHT);
    frame.render_widget(Paragraph::new(lines).block(block), area);
}

fn input_lines(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) {
    if model.naming {
        frame.render_widget(Paragraph::new(Span::styled("asking the node..", Look::quiet())), area);
        return;
    }
    let prompt = if model.me.is_none() { "name> " } else { "> " };
    let prompt_width = u16::try_from(prompt.len()).unwrap_or(2);
    let room = usize::from(area.width.saturating_sub(prompt_width + 1));
    let row = model.input.row();
    let column = printable(&model.input.before_cursor()).width();
    // The line with the cursor is in sight, and in it what is before the cursor.
    let above = (row + 1).saturating_sub(usize::from(area.height.max(1)));
    let text = model.input.text();
    let lines = text.split('\n').enumerate().skip(above).map(|(at, line)| {
        let begins = if at == 0 { prompt.to_owned() } else { " ".repeat(prompt.len()) };
        let cut = if at == row { column.saturating_sub(room) } else { 0 };
        Line::from(vec![
            Span::styled(begins, look.good()),
            Span::raw(without(&printable(line), cut)),
        ])
    });
    frame.render_widget(Paragraph::new(lines.collect::<Vec<_>>()), area);
    let column = u16::try_from(column.min(room)).unwrap_or(u16::MAX);
    let x = area.x.saturating_add(prompt_width).saturating_add(column);
    let y = area.y.saturating_add(u16::try_from(row - above).unwrap_or_default());
    frame.set_cursor_position((x.min(area.right().saturating_sub(1)), y));
}

/// A text without its first columns.
fn without(text: &str, columns: usize) -> String {
    let mut left = columns;
    let rest = text.chars().skip_while(|c| {
        let cut = left > 0;
        left = left.saturating_sub(UnicodeWidthChar::width(*c).unwrap_or(0));
        cut
    });
    rest.collect()
}

/// An area in the middle that holds a text with a frame around it.
fn centred(area: Rect, text: &[Line<'_>]) -> Rect {
    let longest = text.iter().map(Line::width).max().unwrap_or(0);
    let size = |wanted: usize, limit: u16| u16::try_from(wanted + 2).unwrap_or(limit).min(limit);
    let (width, height) = (size(longest, area.width), size(text.len(), area.height));
    Rect {
        x: area.x + (area.width - width) / 2,
        y: area.y + (area.height - height) / 2,
        width,
        height,
    }
}
