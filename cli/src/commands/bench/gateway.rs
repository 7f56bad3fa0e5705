//! What the doors of a gateway cost: from a POST to the sockets of all other members.

mod broadcast;
mod circle;
mod crowd;
mod doors;
mod ear;
mod echo;
mod facade;

use std::net::SocketAddr;
use std::time::Duration;

use tempfile::TempDir;

use super::Sample;
use super::chat::floors::{self, Floors};
use super::host::{processor, scratch};
use super::report::{Report, Row};
use crate::args::{BenchGateway, GatewayPart};
use crate::commands::demo::{admin, in_directory};
use crate::config::Settings;
use crate::exit::Failure;
use crate::output::progress;
use crate::shutdown::Signals;
use crate::stack::Stack;
use broadcast::Broadcast;
use circle::{Bot, Circle, Load};
use doors::Hall;
use echo::Echo;
use facade::Facade;

/// Messages in flight.
const IN_FLIGHT: [usize; 3] = [1, 16, 256];
/// In groups of so many, messages are also sent by the clock.
const PACED_MEMBERS: usize = 20;
/// Key packages of each bot: each is in few groups.
const STOCK: u32 = 8;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Effort {
    rounds: usize,
    /// Messages of one load in a group of two.
    messages: usize,
    /// Seconds of one load by the clock.
    seconds: usize,
    /// Calls of one kind.
    calls: usize,
    /// Messages to all sockets.
    fan_outs: usize,
}

impl Effort {
    /// Each listener hears all of them.
    fn messages_among(self, members: usize) -> usize {
        (2 * self.messages / members).max(20)
    }
}

/// Measures and prints.
pub(super) async fn run(
    settings: Settings,
    args: &BenchGateway,
    quick: bool,
    json: bool,
) -> Result<(), Failure> {
    let effort = if quick {
        Effort { rounds: 2, messages: 300, seconds: 1, calls: 300, fan_outs: 5 }
    } else {
        Effort { rounds: 5, messages: 2000, seconds: 2, calls: 2000, fan_outs: 20 }
    };
    let members =
        args.members.clone().unwrap_or(if quick { vec![2, 20] } else { vec![2, 20, 100] });
    let mut signals = Signals::install()?;
    let dir = scratch(&settings.data_dir)?;
    let mut settings = in_directory(settings, &dir);
    settings.bots.key_package_stock = STOCK;
    let stack = Stack::up(&settings).await?;
    let parts = args.part.clone();
    let plan = Plan { members, paces: args.pace, sockets: args.sockets as usize, parts, effort };
    let measured = tokio::select! {
        measured = measure(&stack, &dir, &plan) => measured,
        () = signals.end() => Err(Failure::other("interrupted")),
    };
    let stopped = stack.stop().await;
    measured?.print(json)?;
    stopped
}

struct Plan {
    /// Members of the groups.
    members: Vec<u32>,
    /// Messages per second of those that are sent by the clock, in `envelope` and in `native`.
    paces: [usize; 2],
    sockets: usize,
    /// None: all.
    parts: Vec<GatewayPart>,
    effort: Effort,
}

impl Plan {
    fn has(&self, part: GatewayPart) -> bool {
        self.parts.is_empty() || self.parts.contains(&part)
    }

    /// Bots that are needed.
    fn bots(&self) -> usize {
        let largest = self.members.iter().max().filter(|_| self.has(GatewayPart::Groups));
        largest.map_or(2, |members| (*members).max(2) as usize)
    }
}

/// Rounds of floors and of our own measurements take turns, so that a slow minute of the machine
/// strikes both.
async fn measure(stack: &Stack, dir: &TempDir, plan: &Plan) -> Result<Report, Failure> {
    let gateway = stack.gateway_facts()?.address;
    let effort = plan.effort;
    progress(format_args!("{} bots get ready", plan.bots()));
    let bots = circle::bots(&admin(stack)?, plan.bots()).await?;
    let echo = Echo::start().await?;
    let place = Place { gateway, dir, bots: &bots, echo: &echo };
    let mut report = Report::default();
    for round in 1..=effort.rounds {
        if plan.has(GatewayPart::Groups) {
            for members in plan.members.iter().map(|members| *members as usize) {
                for (policy, pace) in ["envelope", "native"].into_iter().zip(plan.paces) {
                    progress(format_args!(
                        "round {round} of {}: {policy} group of {members}",
                        effort.rounds
                    ));
                    let group = (members, policy, pace);
                    place.groups(group, round, effort, &mut report).await?;
                }
            }
        }
        if plan.has(GatewayPart::Sockets) {
            progress(format_args!("round {round} of {}: {} sockets", effort.rounds, plan.sockets));
            place.tell_all(plan, &mut report).await?;
        }
        if plan.has(GatewayPart::Matrix) {
            progress(format_args!("round {round} of {}: Matrix", effort.rounds));
            let mut facade = Facade::gather(&bots[0], &bots[1]).await?;
            facade.measure(effort.messages, &mut report).await?;
            facade.wait_together(gateway, plan.sockets, &mut report).await?;
        }
    }
    Ok(report)
}

/// Where everything happens.
struct Place<'a> {
    gateway: SocketAddr,
    dir: &'a TempDir,
    bots: &'a [Bot],
    echo: &'a Echo,
}

impl Place<'_> {
    /// Floors, and a call of the bare server.
    async fn floors(&self, effort: Effort) -> Result<(Floors, Sample), Failure> {
        let floors = floors::measure(self.dir.path(), Duration::from_millis(100), 200).await?;
        Ok((floors, self.echo.calls(effort.calls / 4).await?))
    }

    /// One group of so many with this policy, and this pace where it is sent by the clock.
    async fn groups(
        &self,
        (members, policy, pace): (usize, &str, usize),
        round: usize,
        effort: Effort,
        report: &mut Report,
    ) -> Result<(), Failure> {
        let (floors, call) = self.floors(effort).await?;
        let mut circle = Circle::gather(self.gateway, &self.bots[..members], policy).await?;
        let name = format!("{policy} {members}");
        let floor = floors.message_nanos() + call.median();
        let messages = effort.messages_among(members);
        talk(&mut circle, &name, messages, (floor, &floors), report).await?;
        if members == PACED_MEMBERS {
            by_the_clock(&mut circle, &name, pace, effort, floor, report).await?;
        }
        if members == 2 && policy == "envelope" {
            stay_away(self.gateway, &mut circle, &self.bots[1], round, report).await?;
            read(&circle, self.echo, effort, report).await?;
        }
        report.add("floor: axum echo", Row::time(&call, None));
        for (name, sample) in floors.rows() {
            report.add(name, Row::time(&sample, None));
        }
        Ok(())
    }

    /// One message to many sockets. Its floor is that of a message alone and of a bare broadcast.
    async fn tell_all(&self, plan: &Plan, report: &mut Report) -> Result<(), Failure> {
        let last =
            |heard: &[Sample]| Sample::of(heard.iter().map(|one| one.quantile(100)).collect());
        let middle = |heard: &[Sample]| Sample::of(heard.iter().map(Sample::median).collect());
        let (floors, call) = self.floors(plan.effort).await?;
        let alone = floors.message_nanos() + call.median();
        let circle = Circle::gather(self.gateway, &self.bots[..2], "envelope").await?;
        let mut hall = Hall::fill(self.gateway, &self.bots[1], plan.sockets).await?;
        // A connection that was just opened has sent nothing yet.
        let frame = hall.frame(&circle).await?;
        let (before, said) = (processor(), plan.effort.fan_outs);
        let heard = hall.hear(&circle, said).await?;
        let ours = processor() - before;
        let kib_each = hall.kib_each;
        drop(hall);
        let mut broadcast = Broadcast::open(plan.sockets, &frame).await?;
        broadcast.hear(1).await?;
        let before = processor();
        let bare = broadcast.hear(said).await?;
        let theirs = processor() - before;
        let name = format!("one message to {} sockets", plan.sockets);
        for (what, ours, bare) in
            [("last", last(&heard), last(&bare)), ("median", middle(&heard), middle(&bare))]
        {
            let floor = alone + bare.median();
            report.add(&format!("{name}, {what}"), Row::time(&ours, Some(floor)));
            report.add(&format!("floor: bare broadcast, {what}"), Row::time(&bare, None));
        }
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let each = |micros: f64| Row::plain("us", micros / (said * plan.sockets) as f64);
        report.add(&format!("{name}, processor of each"), each(ours));
        report.add("floor: bare broadcast, processor of each", each(theirs));
        report.add("memory of an idle socket", Row::plain("KiB", kib_each));
        Ok(())
    }
}

/// A group in which one speaks.
async fn talk(
    circle: &mut Circle,
    name: &str,
    messages: usize,
    (floor, floors): (f64, &Floors),
    report: &mut Report,
) -> Result<(), Failure> {
    circle.speak(messages / 10 + 1, Load::InFlight(1)).await?;
    for in_flight in IN_FLIGHT {
        let spoken = circle.speak(messages, Load::InFlight(in_flight)).await?;
        let name = format!("{name}: {in_flight} in flight");
        report.add(&name, Row::rate(spoken.rate, floors.messages_per_second(in_flight)));
        let floor = Some(floor).filter(|_| in_flight == 1);
        report.add(&format!("{name}, last has it"), Row::time(&spoken.last, floor));
        report.add(&format!("{name}, processor"), Row::plain("us", spoken.processor));
    }
    Ok(())
}

/// A group in which one speaks at a pace that does not depend on the answers.
async fn by_the_clock(
    circle: &mut Circle,
    name: &str,
    pace: usize,
    effort: Effort,
    floor: f64,
    report: &mut Report,
) -> Result<(), Failure> {
    let spoken = circle.speak(pace * effort.seconds, Load::PerSecond(pace)).await?;
    let name = format!("{name}: {pace} per second");
    #[expect(clippy::cast_precision_loss, reason = "a few hundred")]
    report.add(&name, Row::rate(spoken.rate, pace as f64));
    report.add(&format!("{name}, last has it"), Row::time(&spoken.last, Some(floor)));
    report.add(&format!("{name}, processor"), Row::plain("us", spoken.processor));
    Ok(())
}

/// A receiver that comes back.
async fn stay_away(
    gateway: SocketAddr,
    circle: &mut Circle,
    listener: &Bot,
    round: usize,
    report: &mut Report,
) -> Result<(), Failure> {
    let consumer = format!("bench-{round}");
    let nanos = doors::come_back(gateway, circle, listener, &consumer).await?;
    let name = format!("{} messages after a return", doors::MISSED);
    report.add(&name, Row::time(&Sample::from(vec![nanos]), None));
    Ok(())
}

/// Reads of what is there.
async fn read(
    circle: &Circle,
    echo: &Echo,
    effort: Effort,
    report: &mut Report,
) -> Result<(), Failure> {
    let floor = echo.reads(effort.calls).await?;
    let history = format!("{}?limit=50", circle.messages());
    let group = circle.messages().trim_end_matches("/messages");
    for (name, path) in
        [("GET 50 messages", history.as_str()), ("GET a group", group), ("GET /v1/me", "/v1/me")]
    {
        let rate = doors::reads(circle.speaker(), path, effort.calls).await?;
        report.add(&format!("{name}, {} in flight", doors::READS), Row::rate(rate, floor));
    }
    Ok(())
}
