//! What is measured, and against what.

use std::time::Duration;

use quicproquo_client::bench::{Call, Load, Measured, NodeBench, Packages};
use quicproquo_node::floor::Shape;

use super::floors::{Against, Bare};
use super::{Effort, Figure};
use crate::commands::bench::Sample;
use crate::exit::Failure;

/// Connections of every bench; a case uses some of them.
pub(super) const CONNECTIONS: usize = 8;
/// Calls that a node takes on one connection, unless its operator has raised it.
const CALLS_IN_FLIGHT: usize = 64;
/// Bytes of each recipient's own part of a sealed message: a content key sealed for it.
const SEALED_KEY: usize = 1169;
/// Packages of one publication.
const PACKAGES: usize = 20;
/// Bytes of a key package with a hybrid key, about.
const PACKAGE: usize = 1700;
/// Rows that a page of 1 KiB rows holds.
const PAGE: usize = 256;
/// Pace of an open loop, and of its floors.
pub(super) const PER_SECOND: u32 = 200;
/// Time from one call of an open loop to the next.
pub(super) const PACE: Duration = Duration::from_millis(1000 / PER_SECOND as u64);

const ONE: Shape = Shape { connections: 1, in_flight: 1 };
const SHAPES: [Shape; 6] = [
    ONE,
    Shape { connections: 1, in_flight: 32 },
    Shape { connections: 1, in_flight: 256 },
    Shape { connections: 8, in_flight: 8 },
    Shape { connections: 8, in_flight: 32 },
    Shape { connections: 8, in_flight: 256 },
];

/// One row of the table.
#[derive(Debug, Clone)]
pub(super) struct Case {
    pub(super) name: String,
    what: What,
}

#[derive(Debug, Clone, Copy)]
enum What {
    Load(Call, Shape),
    Push { multicast: bool },
    Publish { in_flight: usize },
    Claim { in_flight: usize },
    Pull { members: usize },
    Drain { members: usize },
}

/// All whose name contains one of the texts, or simply all. A node elsewhere has its own limits,
/// and what lies in its queues is not ours to take.
pub(super) fn all(filter: &[String], elsewhere: bool) -> Vec<Case> {
    let mut cases = Vec::new();
    let mut add = |name: String, what: What| cases.push(Case { name, what });
    for shape in SHAPES {
        add(format!("health, {}", named(shape)), What::Load(Call::Health, shape));
    }
    for bytes in [1024, 64 * 1024] {
        for shape in SHAPES {
            let name = format!("enqueue {}, {}", size(bytes), named(shape));
            add(name, What::Load(Call::Enqueue { bytes }, shape));
        }
        for shape in SHAPES {
            let name = format!("send {}, {}", size(bytes), named(shape));
            let call = Call::Send { recipients: 1, prefix: 0, body: bytes };
            add(name, What::Load(call, shape));
        }
    }
    for (prefix, kind) in [(0, "shared"), (SEALED_KEY, "sealed")] {
        for recipients in [2, 20, 200] {
            for shape in [ONE, Shape { connections: 8, in_flight: 32 }] {
                let name = format!("multicast to {recipients}, {kind}, {}", named(shape));
                add(name, What::Load(Call::Send { recipients, prefix, body: 1024 }, shape));
            }
        }
    }
    add(format!("push after enqueue, {PER_SECOND}/s"), What::Push { multicast: false });
    add(format!("push after send, {PER_SECOND}/s"), What::Push { multicast: true });
    for in_flight in [1, 8] {
        let name = format!("publish {PACKAGES} key packages, {in_flight} in flight");
        add(name, What::Publish { in_flight });
    }
    for in_flight in [1, 32, 256] {
        add(format!("claim a key package, {in_flight} in flight"), What::Claim { in_flight });
    }
    for members in [1, 8] {
        add(format!("fetch a backlog, {}", connections(members)), What::Pull { members });
        add(format!("push and ack a backlog, {}", connections(members)), What::Drain { members });
    }
    cases.retain(|case| {
        let asked = filter.is_empty() || filter.iter().any(|text| case.name.contains(text));
        asked && (!elsewhere || case.suits_any_node())
    });
    cases
}

impl Case {
    /// Whether it publishes or claims.
    pub(super) fn needs_packages(&self) -> bool {
        matches!(self.what, What::Publish { .. } | What::Claim { .. })
    }

    /// Whether it is measured at full speed, so that its rate means something.
    pub(super) fn has_rate(&self) -> bool {
        !matches!(self.what, What::Push { .. })
    }

    fn suits_any_node(&self) -> bool {
        match self.what {
            What::Load(_, shape) => shape.in_flight / shape.connections <= CALLS_IN_FLIGHT,
            What::Push { .. } => true,
            What::Publish { .. } | What::Claim { .. } | What::Pull { .. } | What::Drain { .. } => {
                false
            }
        }
    }

    /// What it is compared with.
    pub(super) fn against(&self) -> Against {
        let alone = |main| Against { main, sum: None, beside: [None; 4] };
        match self.what {
            What::Load(Call::Health, shape) => Against {
                beside: [Some(Bare::Echo(shape, 64)), None, None, None],
                ..alone(Bare::Ping(shape))
            },
            What::Load(Call::Enqueue { bytes }, shape) => {
                inserted(shape, shape.in_flight, bytes, bytes)
            }
            What::Load(Call::Send { recipients, prefix, body }, shape) => {
                let each = prefix + body / recipients;
                inserted(shape, shape.in_flight * recipients, each, prefix * recipients + body)
            }
            What::Push { .. } => Against {
                main: Bare::Overwrite,
                sum: Some([Bare::PacedAppend, Bare::PacedEcho]),
                beside: [Some(Bare::Append), Some(Bare::Echo(ONE, 1024)), None, None],
            },
            What::Publish { in_flight } => {
                alone(Bare::Insert { rows: PACKAGES * in_flight, bytes: PACKAGE })
            }
            What::Claim { in_flight } => alone(Bare::Delete { rows: in_flight, bytes: PACKAGE }),
            What::Pull { members } | What::Drain { members } => {
                alone(Bare::Delete { rows: PAGE * members, bytes: 1024 })
            }
        }
    }

    /// Cases of one kind may take turns on one node; none: the case needs a fresh one.
    pub(super) fn kind(&self) -> Option<&str> {
        matches!(self.what, What::Load(..)).then(|| self.name.split(',').next()).flatten()
    }

    /// Measures one round.
    pub(super) async fn measure(
        &self,
        bench: &NodeBench,
        packages: Option<&Packages>,
        effort: Effort,
    ) -> Result<Figure, Failure> {
        let packages = || packages.ok_or_else(|| Failure::other("no key packages"));
        let backlog = effort.count * 10;
        let figure = match self.what {
            What::Load(call, shape) => {
                let Shape { connections, in_flight } = shape;
                let time = effort.time;
                let load = bench.load(Load { call, connections, in_flight, time }).await;
                let recipients = match call {
                    Call::Send { recipients, .. } => recipients,
                    _ => 1,
                };
                load.map(|calls| by_call(calls, recipients))
            }
            What::Push { multicast } => {
                let pushed = bench.push(multicast, 1024, PER_SECOND, effort.count).await;
                pushed.map(|measured| Figure::new(None, None, &Sample::from(measured)))
            }
            What::Publish { in_flight } => bench
                .publish(packages()?, PACKAGES, in_flight)
                .await
                .map(|calls| by_call(calls, PACKAGES)),
            What::Claim { in_flight } => {
                bench.publish(packages()?, PACKAGES, CONNECTIONS).await.map_err(Failure::other)?;
                let total = (effort.count * CONNECTIONS / 2).max(in_flight);
                bench.claim(total, in_flight).await.map(|calls| by_call(calls, 1))
            }
            What::Pull { members } => {
                bench.fill(members, backlog, 1024).await.map_err(Failure::other)?;
                bench.pull(members, backlog).await.map(by_row)
            }
            What::Drain { members } => {
                bench.fill(members, backlog, 1024).await.map_err(Failure::other)?;
                bench.drain(members, backlog).await.map(by_row)
            }
        };
        figure.map_err(|error| Failure::other(format!("{}: {error}", self.name)))
    }
}

fn by_call(measured: Measured, rows: usize) -> Figure {
    let calls = measured.per_second();
    #[expect(clippy::cast_precision_loss, reason = "counts are small")]
    let per_second = calls * rows as f64;
    Figure::new(Some(calls), Some(per_second), &Sample::from(measured))
}

fn by_row(measured: Measured) -> Figure {
    Figure::new(None, Some(measured.per_second()), &Sample::from(measured))
}

/// Rows that are inserted: against a raw insert of as many; the time against a round trip with
/// the request and its transaction.
fn inserted(shape: Shape, rows: usize, bytes: usize, request: usize) -> Against {
    let insert = Bare::Insert { rows, bytes };
    let trip = Bare::Echo(ONE, request);
    let same = (shape != ONE).then_some(Bare::Echo(shape, request));
    Against {
        main: insert,
        sum: Some([insert, trip]),
        beside: [Some(Bare::Append), Some(Bare::Overwrite), same, Some(Bare::Log { rows, bytes })],
    }
}

fn named(shape: Shape) -> String {
    format!("{} in flight, {}", shape.in_flight, connections(shape.connections))
}

fn connections(count: usize) -> String {
    if count == 1 { "1 conn".to_owned() } else { format!("{count} conns") }
}

/// Bytes, for people.
pub(super) fn size(bytes: usize) -> String {
    if bytes.is_multiple_of(1024) { format!("{} KiB", bytes / 1024) } else { format!("{bytes} B") }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn names_are_unique_and_the_filter_takes_parts_of_them() {
        let cases = all(&[], false);
        let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
        assert_eq!(names.len(), cases.len());
        assert_eq!(all(&["health".to_owned()], false).len(), SHAPES.len());
        assert!(all(&["no such row".to_owned()], false).is_empty());
    }

    #[test]
    fn a_node_elsewhere_gets_no_more_calls_than_it_takes() {
        assert!(all(&["256 in flight, 1 conn".to_owned()], true).is_empty());
        assert!(!all(&["256 in flight, 8 conns".to_owned()], true).is_empty());
        assert!(all(&["backlog".to_owned()], true).is_empty());
    }
}
