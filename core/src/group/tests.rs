//! Tests of groups, by what happens in them.

mod conversation;
mod crash;
mod hostile;
mod joining;
mod membership;
mod races;
mod repair;
mod scale;
mod support;
mod windows;
