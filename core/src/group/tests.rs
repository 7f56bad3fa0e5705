mod conversation;
mod hostile;
mod joining;
mod membership;
mod races;
mod support;
mod windows;
