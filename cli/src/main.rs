//! `qpq`: node, gateway and tools in one binary. Here everything is put together; nothing else
//! knows of both halves.

mod args;
mod chat;
mod clock;
mod commands;
mod config;
mod data_dir;
mod exit;
mod files;
mod hooks;
mod ops;
mod output;
mod rest;
mod shutdown;
mod stack;
mod systemd;
mod telemetry;

use std::process::ExitCode;
use std::time::Duration;

use args::{Cli, Command, Config, GatewayCommand, NodeCommand};
use config::{Layers, Settings};
use exit::Failure;

/// Many threads allocate what others free (`docs/decisions/0092-allocator.md`).
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// How long threads that are still busy may hold up the end of the process.
const LINGER: Duration = Duration::from_millis(200);

fn main() -> ExitCode {
    match args::check_environment()
        .and_then(|()| has_randomness())
        .and_then(|()| run(args::parse()))
    {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::complain(&failure);
            failure.exit.into()
        }
    }
}

/// Libraries would end the process without a word for people.
fn has_randomness() -> Result<(), Failure> {
    getrandom::fill(&mut [0; 1]).map_err(|error| {
        Failure::other(format!("no random numbers, which /dev/urandom gives: {error}"))
    })
}

fn run(cli: Cli) -> Result<(), Failure> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::other(format!("cannot start: {error}")))?;
    let result = runtime.block_on(dispatch(cli));
    runtime.shutdown_timeout(LINGER);
    telemetry::stop();
    result
}

async fn dispatch(cli: Cli) -> Result<(), Failure> {
    let common = cli.common;
    let logging = |settings: Settings| {
        telemetry::start(&settings)?;
        Ok::<_, Failure>(settings)
    };
    let load = |layers| logging(Settings::load(common.clone(), layers)?);
    let caller = || logging(Settings::of_caller(common.clone())?);
    match cli.command {
        Command::Up(up) => {
            let layers =
                Layers { http: up.http, node: up.node, bots: up.bots, ..Layers::default() };
            commands::up::run(&load(layers)?, up.json).await
        }
        Command::Node(node) => {
            let layers = Layers { node: node.layer, ..Layers::default() };
            let settings = load(layers)?;
            match node.command {
                None => commands::node::run(&settings, node.json).await,
                Some(NodeCommand::Token(token)) => {
                    commands::node::token::run(&settings, token).await
                }
                Some(NodeCommand::Backup { target, json }) => {
                    commands::node::backup::backup(&settings, &target, json).await
                }
                Some(NodeCommand::Restore { from, json }) => {
                    commands::node::backup::restore(&settings, &from, json).await
                }
                Some(NodeCommand::Identity(command)) => {
                    commands::node::operator::identity(&settings, command).await
                }
                Some(NodeCommand::Invite(command)) => {
                    commands::node::operator::invite(&settings, command).await
                }
                Some(NodeCommand::Name(command)) => {
                    commands::node::operator::name(&settings, command).await
                }
            }
        }
        Command::Gateway(gateway) => {
            let layers = Layers {
                http: gateway.http,
                link: gateway.link,
                bots: gateway.bots,
                ..Layers::default()
            };
            let settings = load(layers)?;
            match gateway.command {
                None => commands::gateway::run(&settings, gateway.json).await,
                Some(GatewayCommand::Rekey { to, json }) => {
                    commands::gateway::rekey(&settings, to.as_ref(), json).await
                }
            }
        }
        Command::Demo => commands::demo::run(load(Layers::default())?).await,
        Command::Bench(bench) => commands::bench::run(load(Layers::default())?, bench).await,
        Command::Health(health) => {
            let settings = caller()?;
            commands::health::run(&settings, health.url, health.json).await
        }
        Command::Chat(chat) => {
            let layers = Layers { link: chat.link, ..Layers::default() };
            // It has the whole terminal, and logs into a file.
            chat::run(&Settings::load(common, layers)?, chat.discreet).await
        }
        Command::Bot(bot) => commands::bot::run(&caller()?, bot).await,
        Command::Group(group) => commands::group::run(&caller()?, group).await,
        Command::Invitation(invitation) => commands::invitation::run(&caller()?, invitation).await,
        Command::Send(send) => commands::send::run(&caller()?, send).await,
        Command::Download(download) => commands::download::run(&caller()?, download).await,
        Command::Listen(listen) => commands::listen::run(&caller()?, listen).await,
        Command::Identity(identity) => commands::identity::run(&caller()?, identity).await,
        Command::Openapi { events } => commands::openapi::run(events),
        Command::Reference => commands::reference::run(),
        Command::Completions { shell } => commands::completions::completions(shell),
        Command::Man { dir } => commands::completions::man(dir.as_deref()),
        Command::Config(Config::Check(check)) => {
            let layers =
                Layers { http: check.http, node: check.node, link: check.link, bots: check.bots };
            commands::config::check(&load(layers)?)
        }
    }
}
