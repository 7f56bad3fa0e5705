//! A name that leads somewhere else at each look-up.

use std::future::ready;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;

use super::*;

/// Has an entry; the other one has none.
const OPEN: Ipv4Addr = Ipv4Addr::LOCALHOST;
const CLOSED: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 2);

/// Two listeners at one port, of which nobody may meet the second.
struct Two {
    open: TcpListener,
    closed: TcpListener,
    port: u16,
}

impl Two {
    fn listen() -> Self {
        let open = TcpListener::bind((OPEN, 0)).unwrap();
        let port = open.local_addr().unwrap().port();
        let closed = TcpListener::bind((CLOSED, port)).unwrap();
        closed.set_nonblocking(true).unwrap();
        Self { open, closed, port }
    }

    fn sender(&self, look_up: LookUp) -> Sender {
        let entries = ["http://hooks.example".to_owned(), format!("http://{OPEN}")];
        let targets = WebhookTargets::parse(&entries).unwrap();
        Sender::with(&format!("http://hooks.example:{}/", self.port), &targets, look_up).unwrap()
    }

    /// Takes so many requests and answers each with these bytes.
    fn answer(&self, count: usize, with: &'static [u8]) -> JoinHandle<()> {
        let open = self.open.try_clone().unwrap();
        std::thread::spawn(move || {
            for _ in 0..count {
                let (mut socket, _) = open.accept().unwrap();
                // Closed with something unread, it would be reset.
                let (mut read, mut part) = (Vec::new(), [0; 4096]);
                while !read.ends_with(b"{}") {
                    let length = socket.read(&mut part).unwrap();
                    read.extend_from_slice(&part[..length]);
                }
                socket.write_all(with).unwrap();
            }
        })
    }

    fn nobody_was_at_the_other(&self) {
        let met = self.closed.accept();
        assert!(met.is_err_and(|error| error.kind() == io::ErrorKind::WouldBlock));
    }
}

async fn attempt(sender: &Sender) -> Result<Option<Value>, Failure> {
    sender.attempt(&Keys::random(), "msg_1", b"{}".to_vec()).await.result
}

const DONE: &[u8] = b"HTTP/1.1 204 X\r\nconnection: close\r\n\r\n";

#[tokio::test]
async fn a_name_is_looked_up_once_and_where_it_leads_later_is_checked_anew() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let two = Two::listen();
    let sender = two.sender(|name, port| {
        assert_eq!(name, "hooks.example");
        let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
        let address = if first { OPEN } else { CLOSED };
        Box::pin(ready(Ok(vec![(address, port).into()])))
    });
    let answering = two.answer(1, DONE);
    assert_eq!(attempt(&sender).await, Ok(None));
    answering.join().unwrap();
    // What was checked is what was connected to: nobody has asked again in between.
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    // The next delivery asks, and does not follow.
    assert_eq!(attempt(&sender).await, Err(Failure::Refused));
    assert_eq!(ASKED.load(Ordering::SeqCst), 2);
    two.nobody_was_at_the_other();
}

#[tokio::test]
async fn a_target_that_hangs_up_does_not_make_its_name_be_looked_up_again() {
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let two = Two::listen();
    let sender = two.sender(|_, port| {
        let first = ASKED.fetch_add(1, Ordering::SeqCst) == 0;
        let address = if first { OPEN } else { CLOSED };
        Box::pin(ready(Ok(vec![(address, port).into()])))
    });
    let answering = two.answer(1, b"");
    assert_eq!(attempt(&sender).await, Err(Failure::Unreachable));
    answering.join().unwrap();
    assert_eq!(ASKED.load(Ordering::SeqCst), 1);
    two.nobody_was_at_the_other();
}

#[tokio::test]
async fn one_address_that_may_not_be_met_spoils_the_name() {
    let two = Two::listen();
    let sender = two.sender(|_, port| {
        let both = [OPEN, CLOSED].map(|address| (address, port).into());
        Box::pin(ready(Ok(both.to_vec())))
    });
    assert_eq!(attempt(&sender).await, Err(Failure::Refused));
    two.open.set_nonblocking(true).unwrap();
    assert!(two.open.accept().is_err(), "not even the good one");
    two.nobody_was_at_the_other();
}
