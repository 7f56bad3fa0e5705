//! Sizes of UDP datagrams.

use std::net::IpAddr;

use quinn::{MtuDiscoveryConfig, TransportConfig};

/// Bytes of a UDP payload on loopback. quinn hands the system up to ten datagrams at once, of which
/// it takes 65,507 bytes, and drops more without a word.
pub const LOOPBACK_PAYLOAD: u16 = 6_500;
/// Bytes that are worth another probe on loopback.
const LOOPBACK_STEP: u16 = 1_000;

/// Whether an address is of this machine, where datagrams are not cut to fit Ethernet.
pub fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

/// Lets datagrams on loopback become larger (RFC 8899), since packets cost more than their bytes.
pub fn enlarge_datagrams(transport: &mut TransportConfig) {
    let mut discovery = MtuDiscoveryConfig::default();
    discovery.upper_bound(LOOPBACK_PAYLOAD).minimum_change(LOOPBACK_STEP);
    transport.mtu_discovery_config(Some(discovery));
}
