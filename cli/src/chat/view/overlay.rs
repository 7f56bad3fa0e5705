//! Help, members and safety numbers, over the conversation.

use quicproquo_client::{Role, TrustState};
use ratatui::text::Line;

use super::Look;
use crate::chat::model::{Model, Overlay, RoomKind, called, short};
use crate::chat::parse::COMMANDS;
use crate::output::printable;

const KEYS: [(&str, &str); 9] = [
    ("Tab, Shift-Tab", "next and former group (Ctrl-N, Ctrl-P)"),
    ("PageUp, PageDown", "scroll"),
    ("Alt-Up, Alt-Down", "mark a message, for the commands about one"),
    ("Alt-Enter, Ctrl-J", "begin another line; Shift-Enter too, where the terminal tells it"),
    ("Up, Down", "move by lines; from the first, what was typed before"),
    ("Ctrl-A E K U W", "edit, as in a shell"),
    ("Esc", "unmark, and back to the newest"),
    ("F1", "this"),
    ("Ctrl-C", "end"),
];

/// Blocks of digits in a line of a safety number.
const BLOCKS: usize = 4;

/// What stands in the frame.
pub(super) fn title(overlay: &Overlay) -> &'static str {
    match overlay {
        Overlay::Help => " Keys and commands ",
        Overlay::Members(_) => " Members ",
        Overlay::Known(..) => " Safety number ",
    }
}

/// The lines of an overlay.
pub(super) fn text(overlay: &Overlay, model: &Model) -> Vec<Line<'static>> {
    match overlay {
        Overlay::Help => {
            let lines = KEYS.iter().chain(&COMMANDS);
            lines.map(|(what, does)| Line::from(format!("{what:<20} {does}"))).collect()
        }
        Overlay::Members(id) => {
            let room = model.rooms.iter().find(|room| room.id == *id);
            let Some(RoomKind::Group(group)) = room.map(|room| &room.kind) else {
                return Vec::new();
            };
            let members = group.members.iter().map(|member| {
                let role = if member.role == Role::Admin { "admin" } else { "" };
                let name = printable(&called(member));
                Line::from(format!("{name:<24} {:<14} {role}", trust(member.trust)))
            });
            members
                .chain([Line::default(), Line::from("/verify WHO shows a safety number")])
                .collect()
        }
        Overlay::Known(known, number) => {
            let name = known.names.first().cloned().unwrap_or_else(|| short(&known.identity));
            let blocks: Vec<&str> = number.split(' ').collect();
            let mut lines = vec![
                Line::styled(printable(&name), Look::strong()),
                Line::from(known.identity.to_string()),
                Line::from(trust(known.trust)),
                Line::default(),
            ];
            lines.extend(blocks.chunks(BLOCKS).map(|blocks| Line::from(blocks.join("  "))));
            lines.push(Line::default());
            lines.push(Line::from(
                "Both sides show the same digits. Compare them by another way, then",
            ));
            lines.push(Line::from(format!("/compared {}", printable(&name))));
            lines
        }
    }
}

fn trust(trust: TrustState) -> &'static str {
    match trust {
        TrustState::Verified => "verified",
        TrustState::Tofu => "on first use",
        TrustState::Changed => "KEY CHANGED",
    }
}
