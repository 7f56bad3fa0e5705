//! What an event changes, and what is to be done about it.

use crossterm::event::{KeyCode, KeyEvent, KeyEventKind, KeyModifiers};
use quicproquo_client::{GroupId, LinkState, Message, Outgoing, RelatesTo};
use serde_json::{Value, json};

use super::model::{Effect, Event, Marked, Model, Notice, Overlay, PAGE, Room, RoomKind, Talk};
use super::parse::{Line, parse};

/// Lines that a page key scrolls.
const SCROLL: usize = 10;

/// Changes the model; answers what is to be done.
pub(super) fn update(model: &mut Model, event: Event) -> Vec<Effect> {
    match event {
        Event::Key(key) if key.kind != KeyEventKind::Release => return key_pressed(model, key),
        Event::Key(_) => {}
        Event::Paste(text) => {
            model.input.insert(&text);
            return writing(model);
        }
        Event::Named(me) => {
            model.naming = false;
            good(model, format!("You are {}. F1 shows keys and commands.", me.name));
            model.me = Some(me);
        }
        Event::NameRefused(reason) => {
            model.naming = false;
            bad(model, reason);
        }
        Event::Link(link) => {
            if let LinkState::Refused(reason) | LinkState::Displaced(reason) = &link {
                bad(model, reason.clone());
            }
            model.link = link;
        }
        Event::Rooms(rooms) => return rooms_came(model, rooms),
        Event::Talk { group, messages, readers, more } => {
            let talk = model.talks.entry(group).or_default();
            talk.messages = messages;
            talk.readers = readers;
            talk.more = more;
            return read(model);
        }
        Event::Writers(group, names) => {
            model.writers.insert(group, names);
        }
        Event::Known(known, number) => model.overlay = Some(Overlay::Known(known, number)),
        Event::Go(group) => return select(model, group),
        Event::Done(text) => good(model, text),
        Event::Failed(text) => bad(model, text),
    }
    Vec::new()
}

fn good(model: &mut Model, text: String) {
    model.notice = Some(Notice { text, bad: false });
}

fn bad(model: &mut Model, text: String) {
    model.notice = Some(Notice { text, bad: true });
}

fn rooms_came(model: &mut Model, rooms: Vec<Room>) -> Vec<Effect> {
    model.rooms = rooms;
    if model.room().is_some() {
        return load(model);
    }
    model.selected = None;
    let first = model.rooms.first().map(|room| room.id.clone());
    first.map_or_else(Vec::new, |first| select(model, first))
}

fn select(model: &mut Model, group: GroupId) -> Vec<Effect> {
    if model.selected.as_ref() != Some(&group) {
        model.selected = Some(group);
        model.scroll = 0;
        model.marked = None;
    }
    load(model)
}

/// Asks for the messages of the selected group.
fn load(model: &mut Model) -> Vec<Effect> {
    let Some(group) = model.group().map(|group| group.id.clone()) else { return Vec::new() };
    let talk = model
        .talks
        .entry(group.clone())
        .or_insert_with(|| Talk { wanted: PAGE, ..Talk::default() });
    vec![Effect::Load(group, talk.wanted)]
}

/// What is shown is read.
fn read(model: &mut Model) -> Vec<Effect> {
    let Some(selected) = model.selected.clone() else { return Vec::new() };
    let newest = model.messages().last().map(|message| message.received_at_ms);
    let room = model.rooms.iter_mut().find(|room| room.id == selected);
    let (Some(room), Some(newest)) = (room, newest) else { return Vec::new() };
    if std::mem::take(&mut room.unread) == 0 {
        return Vec::new();
    }
    let others = model.messages().iter().rev().find(|message| !model.is_me(&message.sender));
    let others = others.map(|message| message.id);
    vec![Effect::Read(selected, newest, others)]
}

/// What is typed may be a message, and not a command about something else.
fn writing(model: &Model) -> Vec<Effect> {
    let text = model.input.text();
    let says = |prefix| text.starts_with(prefix);
    let is_message = !says("/") || says("//") || says("/reply ") || says("/r ");
    match model.group() {
        Some(group) if is_message && group.state.is_active() => {
            vec![Effect::Writing(group.id.clone(), !model.input.is_empty())]
        }
        _ => Vec::new(),
    }
}

fn key_pressed(model: &mut Model, key: KeyEvent) -> Vec<Effect> {
    let control = key.modifiers.contains(KeyModifiers::CONTROL);
    let alt = key.modifiers.contains(KeyModifiers::ALT);
    if control && matches!(key.code, KeyCode::Char('c' | 'q')) {
        model.quit = true;
        return Vec::new();
    }
    if model.overlay.is_some() {
        over(model, key.code);
        return Vec::new();
    }
    match key.code {
        KeyCode::F(1) => model.overlay = Some(Overlay::Help),
        KeyCode::Enter if alt || key.modifiers.contains(KeyModifiers::SHIFT) => {
            model.input.break_line();
        }
        KeyCode::Char('j') if control => model.input.break_line(),
        KeyCode::Enter => return submit(model),
        KeyCode::Tab => return step(model, 1),
        KeyCode::BackTab => return step(model, -1),
        KeyCode::Char('n') if control => return step(model, 1),
        KeyCode::Char('p') if control => return step(model, -1),
        KeyCode::PageUp => return scroll_up(model),
        KeyCode::PageDown => model.scroll = model.scroll.saturating_sub(SCROLL),
        KeyCode::Up if alt => mark(model, true),
        KeyCode::Down if alt => mark(model, false),
        KeyCode::Esc => {
            model.marked = None;
            model.notice = None;
            model.scroll = 0;
        }
        _ => {
            if model.input.key(key) {
                return writing(model);
            }
        }
    }
    Vec::new()
}

/// A key for what is over the conversation.
fn over(model: &mut Model, key: KeyCode) {
    let (at, most) = (model.overlay_scroll, model.reach.overlay);
    model.overlay_scroll = match key {
        KeyCode::Down => (at + 1).min(most),
        KeyCode::PageDown | KeyCode::Char(' ') => (at + SCROLL).min(most),
        KeyCode::Up => at.saturating_sub(1),
        KeyCode::PageUp => at.saturating_sub(SCROLL),
        KeyCode::Esc | KeyCode::Enter | KeyCode::F(1) | KeyCode::Char('q') => {
            model.overlay = None;
            0
        }
        _ => at,
    };
}

/// The next or former line of the list.
fn step(model: &mut Model, by: isize) -> Vec<Effect> {
    let count = model.rooms.len();
    if count == 0 {
        return Vec::new();
    }
    let at =
        model.rooms.iter().position(|room| Some(&room.id) == model.selected.as_ref()).unwrap_or(0);
    let next = if by > 0 { (at + 1) % count } else { (at + count - 1) % count };
    let next = model.rooms[next].id.clone();
    select(model, next)
}

/// At the top, older messages are asked for.
fn scroll_up(model: &mut Model) -> Vec<Effect> {
    let at_top = model.scroll >= model.reach.talk;
    model.scroll = (model.scroll + SCROLL).min(model.reach.talk);
    if !at_top {
        return Vec::new();
    }
    let talk = model.selected.as_ref().and_then(|group| model.talks.get_mut(group));
    match talk {
        Some(talk) if talk.more => {
            talk.wanted += PAGE;
            load(model)
        }
        _ => Vec::new(),
    }
}

fn mark(model: &mut Model, older: bool) {
    let messages = model.messages();
    let at = messages.iter().position(|message| {
        model.marked.is_some_and(|m| m.id == message.id && m.sender == message.sender)
    });
    let next = match (at, older) {
        (None, true) => messages.len().checked_sub(1),
        (None, false) => None,
        (Some(at), true) => Some(at.saturating_sub(1)),
        (Some(at), false) => Some(at + 1).filter(|at| *at < messages.len()),
    };
    let next = next.map(|at| &messages[at]);
    model.marked = next.map(|message| Marked { id: message.id, sender: message.sender });
}

fn submit(model: &mut Model) -> Vec<Effect> {
    if model.input.is_empty() {
        return Vec::new();
    }
    let text = model.input.text();
    let text = text.trim_end();
    if model.me.is_none() {
        if model.naming {
            return Vec::new();
        }
        model.naming = true;
        model.notice = None;
        return vec![Effect::Register(model.input.take().trim().to_owned())];
    }
    let done = parse(text).and_then(|line| perform(model, line));
    match done {
        Ok(effects) => {
            model.input.take();
            model.notice = None;
            model.scroll = 0;
            effects
        }
        // What was typed stays, to be corrected.
        Err(reason) => {
            bad(model, reason);
            Vec::new()
        }
    }
}

fn perform(model: &mut Model, line: Line) -> Result<Vec<Effect>, String> {
    let mut none = Vec::new();
    match line {
        Line::Help => model.overlay = Some(Overlay::Help),
        Line::Quit => model.quit = true,
        Line::New(name, members) => none.push(Effect::Create { name, members }),
        Line::Verify(who, None) => none.push(Effect::Look(who)),
        Line::Verify(who, number) => none.push(Effect::Verify { who, number }),
        Line::Compared(who) => none.push(Effect::Verify { who, number: None }),
        Line::Unverify(who) => none.push(Effect::Unverify(who)),
        Line::Accept | Line::Decline => {
            let invited = model.room().filter(|room| matches!(room.kind, RoomKind::Invitation(_)));
            let id = invited.ok_or("select an invitation first (Tab)")?.id.clone();
            none.push(if line == Line::Accept { Effect::Accept(id) } else { Effect::Decline(id) });
        }
        line => return in_group(model, line),
    }
    Ok(none)
}

fn in_group(model: &mut Model, line: Line) -> Result<Vec<Effect>, String> {
    let group = model.group().ok_or("there is no group here: /new NAME makes one")?.id.clone();
    let message =
        |kind: &str, body: Value, relates_to| Outgoing { kind: kind.to_owned(), body, relates_to };
    let send = |kind: &str, body: Value, relates_to| {
        Effect::Send(group.clone(), message(kind, body, relates_to))
    };
    let about =
        |rel: &str, message: &Message| Some(RelatesTo { rel: rel.to_owned(), id: message.id });
    let any = |message: &Message| message.deleted_at_ms.is_none();
    let effect = match line {
        Line::Text(text) => send("text", json!({ "body": text }), None),
        Line::Reply(text) => {
            let to = model.target(any).ok_or("there is no message to answer")?;
            send("text", json!({ "body": text }), about("reply", to))
        }
        Line::React(key) => {
            let to = model.target(any).ok_or("there is no message to react to")?;
            send("reaction", json!({ "key": key }), about("reaction", to))
        }
        Line::Unreact(key) => {
            let to = model.target(any).ok_or("there is no message with a reaction")?;
            send("reaction", json!({ "key": key, "active": false }), about("reaction", to))
        }
        Line::Edit(text) => {
            let own = |m: &Message| model.is_me(&m.sender) && m.kind == "text";
            let own = model.target(own).ok_or("only your own texts can be edited")?;
            send("edit", json!({ "body": text }), about("edit", own))
        }
        Line::Delete => {
            let own = |m: &Message| model.is_me(&m.sender) && m.deleted_at_ms.is_none();
            let own = model.target(own).ok_or("only your own messages can be deleted")?;
            send("delete", json!({}), about("delete", own))
        }
        Line::File(path, caption) => Effect::Upload { group, path, caption },
        Line::Save(to) => {
            let file = |m: &Message| m.body["attachment_id"].is_string();
            let file = model.target(file).ok_or("there is no file to save")?;
            let text = |field: &str| file.body[field].as_str().unwrap_or_default().to_owned();
            Effect::Save { attachment: text("attachment_id"), name: text("name"), to }
        }
        Line::Invite(who) => Effect::Invite(group, who),
        Line::Remove(who) => Effect::Remove(group, who),
        Line::Leave => Effect::Leave(group),
        Line::Rename(name) => Effect::Rename(group, name),
        Line::Members => {
            model.overlay = Some(Overlay::Members(group));
            return Ok(Vec::new());
        }
        _ => return Err("that is not for a group".to_owned()),
    };
    model.marked = None;
    Ok(vec![effect])
}
