//! `qpq chat`: a person in the terminal, straight over QUIC, with a session of their own.
//!
//! `model` is what is known, `update` changes it and says what to do, `view` shows it; `backend`
//! does it, and `feed` says what comes. Only `screen` and this file know a terminal.

mod backend;
mod feed;
mod input;
mod model;
mod parse;
mod presence;
mod screen;
mod state;
#[cfg(test)]
mod tests;
mod update;
mod view;

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use crossterm::event::{Event as TerminalEvent, EventStream};
use futures::StreamExt;
use jiff::tz::TimeZone;
use quicproquo_client::{Client, ClientConfig};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::commands::gateway::node_address;
use crate::config::Settings;
use crate::exit::Failure;
use crate::stack::own_directory;
use crate::telemetry;
use backend::Backend;
use model::{Effect, Event, Model};
use screen::Screen;
use state::State;
use update::update;

/// Events on their way to the screen.
const EVENTS: usize = 64;
/// How long the end may take.
const END: Duration = Duration::from_secs(5);

/// Runs until the person ends it, or a signal does.
pub(crate) async fn run(settings: &Settings, discreet: bool) -> Result<(), Failure> {
    if !std::io::stdin().is_terminal() || !std::io::stdout().is_terminal() {
        return Err(Failure::usage(
            "qpq chat needs a terminal; `qpq send` and `listen` are for pipes",
        ));
    }
    let dir = settings.data_dir.join("chat");
    own_directory(&settings.data_dir)?;
    own_directory(&dir)?;
    let log = dir.join("chat.log");
    telemetry::start_in(settings, &log)?;
    // Whatever fails, the screen shows the conversation and the log says what it was.
    std::panic::set_hook(Box::new(|panic| tracing::error!("{panic}")));

    let mut link = settings.link.clone();
    link.node = Some(link.node.unwrap_or(settings.node.listen));
    let mut config = ClientConfig::new(&dir, node_address(&link, &dir)?);
    config.key_package_stock = settings.bots.key_package_stock;
    config.invite.clone_from(&link.invite);
    let state = Arc::new(State::open(&dir.join("chat.json"))?);
    let client = Client::open(config).await?;

    let tasks = TaskTracker::new();
    let (to_screen, events) = mpsc::channel(EVENTS);
    let (effects, to_do) = mpsc::unbounded_channel();
    let backend = Backend {
        client: client.clone(),
        state,
        events: to_screen,
        tasks: tasks.clone(),
        told: Arc::default(),
        discreet,
    };
    let model = Model::new(backend.me(), TimeZone::system());
    tasks.spawn(backend.run(to_do));
    let shown = tasks.spawn(show(model, events, effects)).await;
    let _ = timeout(END, client.shutdown()).await;
    shown.unwrap_or_else(|_| {
        let log = log.display();
        Err(Failure::other(format!("the chat has failed; nothing is lost, and {log} says why")))
    })
}

/// Shows and listens until the end. The terminal is given back however this ends.
async fn show(
    mut model: Model,
    mut events: mpsc::Receiver<Event>,
    effects: mpsc::UnboundedSender<Effect>,
) -> Result<(), Failure> {
    let failed = |error: std::io::Error| Failure::other(format!("the terminal: {error}"));
    let signal = |kind| signal(kind).map_err(failed);
    let mut terminate = signal(SignalKind::terminate())?;
    let mut hangup = signal(SignalKind::hangup())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let mut screen = Screen::take().map_err(failed)?;
    let mut keys = EventStream::new();
    while !model.quit {
        model.reach = screen.draw(&model).map_err(failed)?;
        model.scroll = model.scroll.min(model.reach.talk);
        let event = tokio::select! {
            key = keys.next() => match key {
                Some(Ok(TerminalEvent::Key(key))) => Some(Event::Key(key)),
                Some(Ok(TerminalEvent::Paste(text))) => Some(Event::Paste(text)),
                // Another size is drawn by the next round.
                Some(Ok(_)) => None,
                Some(Err(error)) => return Err(failed(error)),
                None => break,
            },
            event = events.recv() => match event {
                Some(event) => Some(event),
                None => return Err(Failure::other("the session has ended")),
            },
            _ = terminate.recv() => break,
            _ = hangup.recv() => break,
            _ = interrupt.recv() => break,
        };
        for effect in event.map(|event| update(&mut model, event)).unwrap_or_default() {
            let _ = effects.send(effect);
        }
    }
    Ok(())
}
