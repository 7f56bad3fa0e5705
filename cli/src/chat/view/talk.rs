//! The conversation: messages as lines, the newest at the bottom.

use jiff::Timestamp;
use quicproquo_client::{DeliveryState, Message, TrustState};
use ratatui::Frame;
use ratatui::layout::Rect;
use ratatui::style::Style;
use ratatui::text::{Line, Span};
use ratatui::widgets::Paragraph;

use super::Look;
use crate::chat::model::{Model, short};
use crate::output::{printable, printable_lines};

/// Characters of a message that is quoted.
const QUOTED: usize = 40;

/// Draws what fits; answers how many lines it can be scrolled up.
pub(super) fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look) -> usize {
    let width = usize::from(area.width.saturating_sub(1)).max(8);
    let mut lines = Vec::new();
    let mut day = String::new();
    for message in model.messages() {
        let today = time(model, message.received_at_ms, "%A, %e %B %Y");
        if today != day {
            lines.push(Line::styled(format!("-- {today} --"), Look::quiet()));
            day = today;
        }
        show(&mut lines, model, message, width, look);
    }
    if let [first, others @ ..] = model.writing() {
        let are = if others.is_empty() { "is" } else { "are" };
        lines.push(Line::styled(
            format!("      {} {are} writing..", list(first, others)),
            Look::quiet(),
        ));
    }
    let height = usize::from(area.height);
    let most = lines.len().saturating_sub(height);
    let scroll = model.scroll.min(most);
    let end = lines.len() - scroll;
    let shown = lines[end.saturating_sub(height)..end].to_vec();
    let empty = area.height.saturating_sub(u16::try_from(shown.len()).unwrap_or(area.height));
    let area = Rect {
        x: area.x + 1,
        y: area.y + empty,
        width: area.width.saturating_sub(1),
        height: area.height - empty,
    };
    frame.render_widget(Paragraph::new(shown), area);
    most
}

fn time(model: &Model, at_ms: u64, form: &str) -> String {
    let at = i64::try_from(at_ms).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
    at.map_or_else(String::new, |at| at.to_zoned(model.zone.clone()).strftime(form).to_string())
}

fn show(
    lines: &mut Vec<Line<'static>>,
    model: &Model,
    message: &Message,
    width: usize,
    look: Look,
) {
    let own = model.is_me(&message.sender);
    let marked = model.marked.is_some_and(|m| m.id == message.id && m.sender == message.sender);
    if let Some(quote) = quote(model, message) {
        lines.push(Line::styled(format!("      | {quote}"), Look::quiet()));
    }
    let (trust, style) = match message.trust {
        _ if own => ("", Look::strong()),
        TrustState::Verified => ("+", look.good().patch(Look::strong())),
        TrustState::Tofu => ("", Look::strong()),
        TrustState::Changed => ("!", look.bad()),
    };
    let (text, quiet) = said(message);
    let name = printable(&sender(message));
    let clock = time(model, message.received_at_ms, "%H:%M");
    let head = format!("{clock} {name}{trust}: ");
    let after = after(message);
    let text = format!("{text}{after}");
    let style_of = |plain: Style| match (marked, quiet) {
        (true, _) => Look::marked(),
        (false, true) => Look::quiet(),
        (false, false) => plain,
    };
    let indent = " ".repeat(6);
    let mut first = true;
    for paragraph in printable_lines(&text) {
        // The head is part of what is broken, so that it has its place in the first line.
        let whole = if first { format!("{head}{paragraph}") } else { paragraph };
        let room = width.saturating_sub(if first { 0 } else { indent.len() }).max(4);
        let options = textwrap::Options::new(room).subsequent_indent(&indent);
        for (at, line) in textwrap::wrap(&whole, options).into_iter().enumerate() {
            let line = line.into_owned();
            if first && at == 0 && line.len() >= head.trim_end().len() {
                let cut = head.len().min(line.len());
                let (start, rest) = line.split_at(cut);
                let (clock, who) = start.split_at(clock.len().min(start.len()));
                lines.push(Line::from(vec![
                    Span::styled(clock.to_owned(), Look::quiet()),
                    Span::styled(who.to_owned(), style),
                    Span::styled(rest.to_owned(), style_of(Style::new())),
                ]));
            } else {
                let before = if first { "" } else { indent.as_str() };
                lines.push(Line::styled(format!("{before}{line}"), style_of(Style::new())));
            }
        }
        first = false;
    }
    if let DeliveryState::Failed { reason } = &message.delivery {
        lines.push(Line::styled(format!("      not sent: {}", printable(reason)), look.bad()));
    }
    if !message.reactions.is_empty() {
        let shown = message
            .reactions
            .iter()
            .map(|reaction| format!("{} {}", printable(&reaction.key), reaction.by.len()));
        let shown = shown.collect::<Vec<_>>().join("  ");
        lines.push(Line::styled(format!("      [{shown}]"), look.warning()));
    }
    if let [first, others @ ..] = model.readers(&message.id) {
        lines.push(Line::styled(format!("      read by {}", list(first, others)), Look::quiet()));
    }
}

/// Names, as many as a line takes.
fn list(first: &str, others: &[String]) -> String {
    let first = printable(first);
    match others {
        [] => first,
        [second] => format!("{first} and {}", printable(second)),
        [second, rest @ ..] => format!("{first}, {} and {} more", printable(second), rest.len()),
    }
}

fn sender(message: &Message) -> String {
    message.sender_name.clone().unwrap_or_else(|| short(&message.sender))
}

/// What a message says, and whether that is in the background.
fn said(message: &Message) -> (String, bool) {
    let text = |field: &str| message.body[field].as_str().unwrap_or_default().to_owned();
    match message.kind.as_str() {
        _ if message.deleted_at_ms.is_some() => ("deleted".to_owned(), true),
        "text" => (text("body"), false),
        "file" => {
            let size = message.body["size"].as_u64().unwrap_or_default();
            let size = bytesize::ByteSize(size).display().iec();
            let caption = text("caption");
            let line = if caption.is_empty() { String::new() } else { format!("\n{caption}") };
            (format!("[file {}, {size}: /save]{line}", text("name")), false)
        }
        other => (format!("[{other}]"), true),
    }
}

/// What follows the text.
fn after(message: &Message) -> String {
    let edited = if message.edited_at_ms.is_some() { " (edited)" } else { "" };
    let waits = if message.delivery == DeliveryState::Queued { " .." } else { "" };
    format!("{edited}{waits}")
}

/// The beginning of the message that this one answers.
fn quote(model: &Model, message: &Message) -> Option<String> {
    let relation = message.relates_to.as_ref().filter(|relation| relation.rel == "reply")?;
    let to = model.messages().iter().find(|other| other.id == relation.id)?;
    let text: String = said(to).0.chars().take(QUOTED).collect();
    Some(printable(&format!("{}: {}", sender(to), text.replace('\n', " "))))
}
