//! A person types, and looks at the screen.

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use jiff::tz::TimeZone;
use quicproquo_client::{
    DeliveryState, GroupId, GroupInfo, GroupState, IdentityKey, Invitation, LinkState, MemberInfo,
    Message, MessageId, Profile, Reaction, RelatesTo, Role, Suite, TrustState,
};
use ratatui::Terminal;
use ratatui::backend::TestBackend;
use serde_json::json;

use super::model::{Effect, Event, Me, Model, Reach, Readers, Room, RoomKind};
use super::parse::COMMANDS;
use super::update::update;
use super::view::draw;

fn id(number: u8) -> GroupId {
    GroupId::from_slice(&[number; 32]).unwrap()
}

fn key(number: u8) -> IdentityKey {
    IdentityKey::new([number; 32])
}

fn member(number: u8, name: &str, trust: TrustState) -> MemberInfo {
    MemberInfo { identity: key(number), name: Some(name.into()), role: Role::Admin, trust }
}

fn group(number: u8, name: &str, unread: usize) -> Room {
    let info = GroupInfo {
        id: id(number),
        name: name.into(),
        topic: String::new(),
        epoch: 1,
        suite: Suite::Envelope,
        profile: Profile::Standard,
        state: GroupState::Active,
        members: vec![
            member(1, "ada", TrustState::Verified),
            member(2, "bot", TrustState::Changed),
        ],
    };
    Room { id: info.id.clone(), name: name.into(), kind: RoomKind::Group(info), unread }
}

fn invitation(number: u8) -> Room {
    let invitation = Invitation {
        id: id(number),
        inviter: key(2),
        inviter_name: Some("bot".into()),
        group_name: "secret".into(),
        member_count: 3,
        received_at_ms: 0,
        known_group: false,
    };
    let name = invitation.group_name.clone();
    Room { id: id(number), name, kind: RoomKind::Invitation(invitation), unread: 0 }
}

fn message(number: u8, sender: u8, text: &str) -> Message {
    Message {
        id: MessageId::new([number; 16]),
        group: id(1),
        sender: key(sender),
        sender_name: Some(if sender == 1 { "ada".into() } else { "bot".into() }),
        trust: TrustState::Tofu,
        kind: "text".into(),
        body: json!({ "body": text }),
        relates_to: None,
        sent_at_ms: 0,
        received_at_ms: 1_000 * u64::from(number),
        epoch: 1,
        suite: Suite::Envelope,
        delivery: DeliveryState::Sent,
        recipients: 1,
        edited_at_ms: None,
        deleted_at_ms: None,
        reactions: Vec::new(),
    }
}

fn talk(group: u8, messages: Vec<Message>) -> Event {
    Event::Talk { group: id(group), messages, readers: Readers::new(), more: false }
}

/// Ada with two groups and an invitation, the first group open.
fn ada() -> Model {
    let me = Me { identity: key(1), name: "ada".into() };
    let mut model = Model::new(Some(me), TimeZone::UTC);
    let rooms = vec![group(1, "tea", 2), group(2, "work", 5), invitation(3)];
    assert_eq!(update(&mut model, Event::Rooms(rooms)), [Effect::Load(id(1), 100)]);
    let messages = vec![message(1, 2, "hello"), message(2, 1, "hi"), message(3, 2, "how are you?")];
    let read = Effect::Read(id(1), 3_000, Some(MessageId::new([3; 16])));
    assert_eq!(update(&mut model, talk(1, messages)), [read]);
    model
}

fn press(model: &mut Model, code: KeyCode, modifiers: KeyModifiers) -> Vec<Effect> {
    update(model, Event::Key(KeyEvent::new(code, modifiers)))
}

fn enter(model: &mut Model, line: &str) -> Vec<Effect> {
    for c in line.chars() {
        let effects = press(model, KeyCode::Char(c), KeyModifiers::NONE);
        assert!(effects.iter().all(|e| matches!(e, Effect::Writing(..))), "{effects:?}");
    }
    press(model, KeyCode::Enter, KeyModifiers::NONE)
}

/// What is sent: kind, body, and what it is about.
fn sent(effects: &[Effect]) -> (String, serde_json::Value, Option<(String, MessageId)>) {
    let [Effect::Send(group, message)] = effects else { panic!("{effects:?}") };
    assert_eq!(*group, id(1));
    let about = message.relates_to.clone().map(|relation| (relation.rel, relation.id));
    (message.kind.clone(), message.body.clone(), about)
}

fn reach(model: &Model, width: u16, height: u16) -> Reach {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    let mut reach = Reach::default();
    terminal.draw(|frame| reach = draw(frame, model, false)).unwrap();
    reach
}

fn screen(model: &Model, width: u16, height: u16) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal
        .draw(|frame| {
            draw(frame, model, false);
        })
        .unwrap();
    terminal.backend().to_string()
}

#[test]
fn the_first_start_asks_for_a_name_until_one_is_taken() {
    let mut model = Model::new(None, TimeZone::UTC);
    assert!(screen(&model, 80, 12).contains("What do you want to be called?"));
    assert_eq!(enter(&mut model, "ada"), [Effect::Register("ada".into())]);
    // The answer is waited for.
    assert_eq!(enter(&mut model, "other"), []);
    update(&mut model, Event::NameRefused("the name is taken".into()));
    assert!(screen(&model, 80, 12).contains("the name is taken"));
    press(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    assert_eq!(enter(&mut model, "ada2"), [Effect::Register("ada2".into())]);
    update(&mut model, Event::Named(Me { identity: key(1), name: "ada2".into() }));
    assert!(screen(&model, 80, 12).contains("You are in no group"));
}

#[test]
fn texts_and_commands_become_messages_about_the_right_one() {
    let mut model = ada();
    assert_eq!(sent(&enter(&mut model, "fine")), ("text".into(), json!({ "body": "fine" }), None));
    let about = |rel: &str, number| Some((rel.to_owned(), MessageId::new([number; 16])));
    let reply = sent(&enter(&mut model, "/reply well"));
    assert_eq!(reply, ("text".into(), json!({ "body": "well" }), about("reply", 3)));
    let edit = sent(&enter(&mut model, "/edit hello!"));
    assert_eq!(edit, ("edit".into(), json!({ "body": "hello!" }), about("edit", 2)));
    // A marked message goes before the newest.
    for _ in 0..3 {
        press(&mut model, KeyCode::Up, KeyModifiers::ALT);
    }
    let react = sent(&enter(&mut model, "/react 👍"));
    assert_eq!(react, ("reaction".into(), json!({ "key": "👍" }), about("reaction", 1)));
    // Others' messages are theirs, and what was typed stays.
    for _ in 0..3 {
        press(&mut model, KeyCode::Up, KeyModifiers::ALT);
    }
    assert_eq!(enter(&mut model, "/delete"), []);
    assert!(model.notice.as_ref().is_some_and(|notice| notice.bad));
    assert_eq!(model.input.text(), "/delete");
    press(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    let delete = sent(&press(&mut model, KeyCode::Enter, KeyModifiers::NONE));
    assert_eq!(delete.2, about("delete", 2));
}

#[test]
fn groups_and_invitations_are_stepped_through() {
    let mut model = ada();
    assert_eq!(press(&mut model, KeyCode::Tab, KeyModifiers::NONE), [Effect::Load(id(2), 100)]);
    let messages = vec![message(8, 2, "x"), message(9, 1, "y")];
    let event = Event::Talk { group: id(2), messages, readers: Readers::new(), more: true };
    let read = Effect::Read(id(2), 9_000, Some(MessageId::new([8; 16])));
    assert_eq!(update(&mut model, event), [read]);
    assert_eq!(press(&mut model, KeyCode::PageUp, KeyModifiers::NONE), [Effect::Load(id(2), 200)]);
    press(&mut model, KeyCode::Tab, KeyModifiers::NONE);
    assert!(screen(&model, 80, 12).contains("bot invites you into"));
    assert_eq!(enter(&mut model, "hello?"), []);
    press(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    assert_eq!(enter(&mut model, "/accept"), [Effect::Accept(id(3))]);
    press(&mut model, KeyCode::BackTab, KeyModifiers::NONE);
    assert_eq!(model.selected, Some(id(2)));
    // A group that is gone is not looked at any more.
    update(&mut model, Event::Rooms(vec![group(1, "tea", 0)]));
    assert_eq!(model.selected, Some(id(1)));
    let invite = Effect::Invite(id(1), vec!["carol".into()]);
    assert_eq!(enter(&mut model, "/invite carol"), [invite]);
    assert!(press(&mut model, KeyCode::Char('c'), KeyModifiers::CONTROL).is_empty() && model.quit);
}

#[test]
fn the_screen_shows_what_there_is() {
    let mut model = ada();
    update(&mut model, Event::Link(LinkState::Up));
    let mut answer = message(4, 1, "fine, and \x1b[31myou?");
    answer.relates_to = Some(RelatesTo { rel: "reply".into(), id: MessageId::new([3; 16]) });
    answer.reactions = vec![Reaction { key: "+1".into(), by: vec![key(2)] }];
    answer.delivery = DeliveryState::Queued;
    answer.edited_at_ms = Some(1);
    let mut file = message(5, 2, "");
    file.kind = "file".into();
    file.trust = TrustState::Changed;
    file.body =
        json!({ "attachment_id": "ab", "name": "cat.png", "size": 2048, "caption": "my cat" });
    let messages = vec![message(3, 2, "how are you?"), answer, file];
    update(&mut model, talk(1, messages));
    let shown = screen(&model, 80, 16);
    for part in [
        "ada connected  tea  2 members",
        "* work (5)",
        "? secret",
        "00:00 bot: how are you?",
        "| bot: how are you?",
        "ada: fine, and \u{fffd}[31myou? (edited) ..",
        "[+1 1]",
        "bot!: [file cat.png, 2.0 KiB: /save]",
        "my cat",
    ] {
        assert!(shown.contains(part), "{part:?}:\n{shown}");
    }
    let save = Effect::Save { attachment: "ab".into(), name: "cat.png".into(), to: None };
    assert_eq!(enter(&mut model, "/save"), [save]);
    enter(&mut model, "/members");
    let shown = screen(&model, 80, 16);
    assert!(shown.contains("KEY CHANGED") && shown.contains("verified"), "{shown}");
    press(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    press(&mut model, KeyCode::F(1), KeyModifiers::NONE);
    assert!(screen(&model, 100, 40).contains("/verify WHO DIGITS"));
}

#[test]
fn help_is_read_to_its_end_on_a_small_screen() {
    let mut model = ada();
    press(&mut model, KeyCode::F(1), KeyModifiers::NONE);
    let (first, last) = ("Tab, Shift-Tab", COMMANDS.last().unwrap().0);
    let mut shown = screen(&model, 100, 24);
    assert!(shown.contains(first) && shown.contains("more") && !shown.contains(last), "{shown}");
    for _ in 0..10 {
        model.reach = reach(&model, 100, 24);
        press(&mut model, KeyCode::PageDown, KeyModifiers::NONE);
    }
    shown = screen(&model, 100, 24);
    assert!(shown.contains(last) && !shown.contains("more") && !shown.contains(first), "{shown}");
    press(&mut model, KeyCode::Up, KeyModifiers::NONE);
    assert!(screen(&model, 100, 24).contains("more"), "it goes up from its end at once");
    // Closed and opened again, it begins at the top; narrow, every line is reached all the same.
    press(&mut model, KeyCode::Esc, KeyModifiers::NONE);
    press(&mut model, KeyCode::F(1), KeyModifiers::NONE);
    assert!(screen(&model, 40, 12).contains("Tab,"));
    for _ in 0..100 {
        model.reach = reach(&model, 40, 12);
        press(&mut model, KeyCode::Down, KeyModifiers::NONE);
    }
    assert!(screen(&model, 40, 12).contains(last));
}

#[test]
fn no_size_is_too_small_and_the_newest_is_in_sight() {
    let mut model = ada();
    let long = "many words that need a place to be broken ".repeat(20);
    let mut messages: Vec<_> = (0..40).map(|number| message(number, 2, &long)).collect();
    messages.push(message(41, 2, "日本語の長い文章です".repeat(30).as_str()));
    messages.push(message(42, 1, "the last one"));
    update(&mut model, talk(1, messages));
    enter(&mut model, "/members");
    for (width, height) in [(1, 1), (2, 3), (5, 5), (10, 4), (40, 10), (200, 60)] {
        screen(&model, width, height);
    }
    model.overlay = None;
    for (width, height) in [(1, 1), (3, 4), (12, 6), (61, 10)] {
        screen(&model, width, height);
    }
    assert!(screen(&model, 60, 10).contains("ada: the last one"));
    model.scroll = usize::MAX;
    assert!(!screen(&model, 60, 10).contains("the last one"));
}

#[test]
fn a_text_has_several_lines() {
    let mut model = ada();
    update(&mut model, Event::Paste("first\r\nsecond\r".into()));
    press(&mut model, KeyCode::Enter, KeyModifiers::ALT);
    for key in [(KeyCode::Enter, KeyModifiers::SHIFT), (KeyCode::Char('j'), KeyModifiers::CONTROL)]
    {
        press(&mut model, KeyCode::Char('x'), KeyModifiers::NONE);
        assert_eq!(press(&mut model, key.0, key.1), []);
    }
    let shown = screen(&model, 80, 24);
    assert!(shown.contains("> first") && shown.contains("  second"), "{shown}");
    // Of more lines than there is room for, that with the cursor is in sight.
    let small = screen(&model, 30, 6);
    assert!(!small.contains("first"), "{small}");
    let (kind, body, _) = sent(&press(&mut model, KeyCode::Enter, KeyModifiers::NONE));
    assert_eq!((kind.as_str(), body), ("text", json!({ "body": "first\nsecond\nx\nx" })));
    let reply = sent(&enter_pasted(&mut model, "/reply\nall of\nthis"));
    assert_eq!(reply.1, json!({ "body": "all of\nthis" }));
}

fn enter_pasted(model: &mut Model, text: &str) -> Vec<Effect> {
    update(model, Event::Paste(text.into()));
    press(model, KeyCode::Enter, KeyModifiers::NONE)
}

#[test]
fn others_see_who_writes_and_who_has_read() {
    let mut model = ada();
    let writing = |active| [Effect::Writing(id(1), active)];
    assert_eq!(press(&mut model, KeyCode::Char('h'), KeyModifiers::NONE), writing(true));
    assert_eq!(press(&mut model, KeyCode::Backspace, KeyModifiers::NONE), writing(false));
    assert_eq!(update(&mut model, Event::Paste("/reply y".into())), writing(true));
    press(&mut model, KeyCode::Char('u'), KeyModifiers::CONTROL);
    // A command is nobody's business.
    assert_eq!(update(&mut model, Event::Paste("/leave".into())), []);

    update(&mut model, Event::Writers(id(2), vec!["eve".into()]));
    assert!(!screen(&model, 80, 24).contains("writing"));
    update(&mut model, Event::Writers(id(1), vec!["bot".into()]));
    assert!(screen(&model, 80, 24).contains("bot is writing.."));
    let names = ["bot", "eve", "kim", "lou"].map(str::to_owned).to_vec();
    let readers = Readers::from([(MessageId::new([2; 16]), names.clone())]);
    update(&mut model, Event::Writers(id(1), names));
    let messages = vec![message(2, 1, "hi"), message(3, 2, "how are you?")];
    update(&mut model, Event::Talk { group: id(1), messages, readers, more: false });
    let shown = screen(&model, 80, 24);
    assert!(shown.contains("bot, eve and 2 more are writing.."), "{shown}");
    assert!(shown.contains("read by bot, eve and 2 more"), "{shown}");
    update(&mut model, Event::Writers(id(1), Vec::new()));
    assert!(!screen(&model, 80, 24).contains("writing"));
}
