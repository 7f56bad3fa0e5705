//! UDP sockets and datagrams.

use std::io;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::Arc;

use quinn::congestion::CubicConfig;
use quinn::{MtuDiscoveryConfig, TransportConfig};
use socket2::SockRef;

/// Bytes of a UDP payload on loopback. quinn hands the system up to ten datagrams at once, of which
/// it takes 65,507 bytes, and drops more without a word.
pub const LOOPBACK_PAYLOAD: u16 = 6_500;
/// Bytes that are worth another probe on loopback.
const LOOPBACK_STEP: u16 = 1_000;
/// Bytes of datagrams that wait while the thread of a socket is busy with others.
const WAITING: usize = 4 * 1024 * 1024;

/// Binds a UDP socket with room for the datagrams of many connections, or of few that send much, at
/// once: what finds none is lost, and sent again later. The system grants no more than its own
/// limit (`net.core.rmem_max`), which does as well.
///
/// # Errors
/// When the address cannot be bound.
pub fn bind(address: SocketAddr) -> io::Result<UdpSocket> {
    let socket = UdpSocket::bind(address)?;
    let options = SockRef::from(&socket);
    if options.recv_buffer_size().is_ok_and(|size| size < WAITING) {
        let _ = options.set_recv_buffer_size(WAITING);
    }
    Ok(socket)
}

/// Whether an address is of this machine, where datagrams are not cut to fit Ethernet.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Lets datagrams on loopback become larger (RFC 8899), since packets cost more than their bytes.
///
/// Ten of them may be on their way from the start, as RFC 9002, section 7.2 has it for those of
/// 1,472 bytes: in a window of two, the last of an odd number waits for an acknowledgement that the
/// receiver holds back for 25 ms.
pub fn enlarge_datagrams(transport: &mut TransportConfig) {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(LOOPBACK_PAYLOAD).minimum_change(LOOPBACK_STEP);
    transport.mtu_discovery_config(Some(discovery));
    let mut congestion = CubicConfig::default();
    congestion.initial_window(10 * u64::from(LOOPBACK_PAYLOAD));
    transport.congestion_controller_factory(Arc::new(congestion));
}

#[cfg(test)]
#[cfg(target_os = "linux")]
mod tests {
    use std::net::Ipv4Addr;

    use super::*;

    const HERE: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
    const PAYLOAD: usize = 1_000;

    /// How many of 1,000 datagrams a socket keeps that nobody reads meanwhile.
    fn kept(socket: &UdpSocket) -> usize {
        let sender = UdpSocket::bind(HERE).unwrap();
        let to = socket.local_addr().unwrap();
        for _ in 0..1_000 {
            sender.send_to(&[0; PAYLOAD], to).unwrap();
        }
        socket.set_nonblocking(true).unwrap();
        std::iter::from_fn(|| socket.recv(&mut [0; PAYLOAD]).ok()).count()
    }

    #[test]
    fn a_socket_keeps_what_the_system_lets_it_keep() {
        let most = std::fs::read_to_string("/proc/sys/net/core/rmem_max").unwrap();
        let most: usize = most.trim().parse().unwrap();
        let (large, small) = (bind(HERE).unwrap(), UdpSocket::bind(HERE).unwrap());
        let granted = SockRef::from(&large).recv_buffer_size().unwrap();
        // The system doubles what it is asked for, for what it needs itself.
        assert!(granted >= 2 * most.min(WAITING), "{granted} of {most}");
        if granted >= WAITING {
            assert_eq!(kept(&large), 1_000);
        }
        if SockRef::from(&small).recv_buffer_size().unwrap() <= 1_000 * PAYLOAD {
            assert!(kept(&small) < 1_000);
        }
    }
}
