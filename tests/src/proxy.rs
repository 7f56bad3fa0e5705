//! A bad network between one client and the node: a UDP proxy that loses, doubles, delays and
//! reorders datagrams, goes dark, and changes its own port. What it does follows from a seed and
//! the order of the datagrams.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::net::UdpSocket;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Largest UDP datagram.
const DATAGRAM: usize = 65_536;

/// What happens to each datagram, in both directions alike.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Weather {
    /// Per cent that are lost.
    pub loss: u8,
    /// Per cent that come twice.
    pub double: u8,
    /// Every one is late by so many milliseconds, ..
    pub delay: u64,
    /// .. and by up to so many more, each by its own, so that they overtake each other.
    pub jitter: u64,
    /// Nothing passes.
    pub dark: bool,
}

impl Weather {
    /// Everything passes at once.
    pub const GOOD: Self = Self { loss: 0, double: 0, delay: 0, jitter: 0, dark: false };
}

/// What was done so far.
#[derive(Debug, Default)]
pub struct Counts {
    /// Datagrams that came in.
    pub taken: AtomicU64,
    /// Of them, those that went nowhere.
    pub lost: AtomicU64,
    /// Second copies.
    pub doubled: AtomicU64,
    /// Datagrams that were overtaken by a later one.
    pub overtaken: AtomicU64,
    /// Changes of the port that the node sees.
    pub rebound: AtomicU64,
}

#[derive(Debug)]
struct Control {
    weather: Mutex<Weather>,
    counts: Counts,
    rebind: Notify,
    stop: CancellationToken,
}

/// A running proxy. Dropping it ends it.
#[derive(Debug)]
pub struct Proxy {
    address: SocketAddr,
    control: Arc<Control>,
    thread: Option<JoinHandle<()>>,
}

impl Proxy {
    /// Starts one in front of a node, in good weather.
    pub fn start(node: SocketAddr, rng: fastrand::Rng) -> Self {
        let front = std::net::UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).expect("a UDP socket");
        front.set_nonblocking(true).expect("a socket that does not block");
        let address = front.local_addr().expect("a bound socket");
        let control = Arc::new(Control {
            weather: Mutex::new(Weather::GOOD),
            counts: Counts::default(),
            rebind: Notify::new(),
            stop: CancellationToken::new(),
        });
        let shared = Arc::clone(&control);
        let run = move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.expect("a runtime").block_on(async {
                let front = UdpSocket::from_std(front).expect("a socket");
                let back = back(node).await.expect("a UDP socket");
                let wire = Wire {
                    front,
                    back,
                    node,
                    client: None,
                    late: BinaryHeap::new(),
                    number: 0,
                    newest: [0; 2],
                    rng,
                    control: &shared,
                };
                shared.stop.run_until_cancelled(wire.run()).await;
            });
        };
        let thread = std::thread::Builder::new().name("proxy".to_owned()).spawn(run);
        Self { address, control, thread: Some(thread.expect("a thread")) }
    }

    /// Where clients connect to.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Changes the weather.
    pub fn set(&self, weather: Weather) {
        *self.control.weather.lock().unwrap_or_else(PoisonError::into_inner) = weather;
    }

    /// From now on the node sees another port (RFC 9000 section 9): what a NAT does that forgets.
    pub fn rebind(&self) {
        self.control.rebind.notify_one();
    }

    /// What it has done.
    pub fn counts(&self) -> &Counts {
        &self.control.counts
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.control.stop.cancel();
        if let Some(thread) = self.thread.take() {
            // A panic there has been printed there.
            let _ = thread.join();
        }
    }
}

async fn back(node: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    socket.connect(node).await?;
    Ok(socket)
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    ToNode,
    ToClient,
}

/// A datagram that is not due yet: when, its number, which way, what.
type Late = Reverse<(Instant, u64, Way, Vec<u8>)>;

struct Wire<'a> {
    front: UdpSocket,
    back: UdpSocket,
    node: SocketAddr,
    client: Option<SocketAddr>,
    late: BinaryHeap<Late>,
    number: u64,
    /// Number of the newest that has left, for each way.
    newest: [u64; 2],
    rng: fastrand::Rng,
    control: &'a Control,
}

impl Wire<'_> {
    async fn run(mut self) {
        let (mut from_client, mut from_node) = (vec![0; DATAGRAM], vec![0; DATAGRAM]);
        loop {
            let due = self.late.peek().map(|Reverse((due, ..))| *due);
            tokio::select! {
                () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                    self.send_due().await;
                }
                got = self.front.recv_from(&mut from_client) => {
                    if let Ok((len, client)) = got {
                        self.client = Some(client);
                        self.take(Way::ToNode, &from_client[..len]);
                    }
                }
                got = self.back.recv(&mut from_node) => {
                    // An error is the ICMP answer of a node that is not there.
                    if let Ok(len) = got {
                        self.take(Way::ToClient, &from_node[..len]);
                    }
                }
                () = self.control.rebind.notified() => {
                    self.back = back(self.node).await.expect("a UDP socket");
                    self.control.counts.rebound.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
    }

    fn take(&mut self, way: Way, datagram: &[u8]) {
        let counts = &self.control.counts;
        counts.taken.fetch_add(1, Ordering::Relaxed);
        let weather = *self.control.weather.lock().unwrap_or_else(PoisonError::into_inner);
        if weather.dark || self.rng.u8(..100) < weather.loss {
            counts.lost.fetch_add(1, Ordering::Relaxed);
            return;
        }
        let copies = if self.rng.u8(..100) < weather.double { 2 } else { 1 };
        counts.doubled.fetch_add(copies - 1, Ordering::Relaxed);
        for _ in 0..copies {
            self.number += 1;
            let late = Duration::from_millis(weather.delay + self.rng.u64(..=weather.jitter));
            let due = Instant::now() + late;
            self.late.push(Reverse((due, self.number, way, datagram.to_vec())));
        }
    }

    async fn send_due(&mut self) {
        let now = Instant::now();
        while self.late.peek().is_some_and(|Reverse((due, ..))| *due <= now) {
            let Some(Reverse((_, number, way, datagram))) = self.late.pop() else {
                return;
            };
            let newest = &mut self.newest[way as usize];
            if number < *newest {
                self.control.counts.overtaken.fetch_add(1, Ordering::Relaxed);
            }
            *newest = number.max(*newest);
            // A full buffer or a node that is not there loses a datagram, as networks do.
            let _ = match (way, self.client) {
                (Way::ToNode, _) => self.back.send(&datagram).await,
                (Way::ToClient, Some(client)) => self.front.send_to(&datagram, client).await,
                (Way::ToClient, None) => Ok(0),
            };
        }
    }
}
