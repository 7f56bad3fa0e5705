//! Fault tests: what the node has promised holds when it is killed, cut off, filled up and damaged.
//!
//! Each test has a short form, which the gate runs, and a long one (`cargo xtask long`).

mod bad_network;
mod damage;
mod disk_full;
mod gateway_damage;
mod gateway_disk;
mod gateway_kill;
mod gateway_power;
mod gateway_synced;
mod multicast;
mod node_kill;
mod power_loss;
mod restarts;
mod synced;
mod transfers;
