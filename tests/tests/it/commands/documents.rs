//! What the documents tell people to type.

use quicproquo_tests::shell::script;
use quicproquo_tests::{LONG, Launch, Shell, files, within};
use tempfile::TempDir;

/// The pages that are typed here.
pub(crate) const TYPED: &[&str] = &["docs/cli.md"];

#[tokio::test]
async fn the_page_of_the_command_line_can_be_typed() {
    let dir = TempDir::new().unwrap();
    let up = Launch::up(&dir.path().join("up")).start().await;
    let page = std::fs::read_to_string(files::checkout(TYPED[0])).unwrap();
    let script = script(&page);
    assert!(script.lines().count() > 15, "{script}");
    let empty = dir.path().join("empty");
    std::fs::create_dir(&empty).unwrap();
    let mut bash = Shell::at(&up).program("bash");
    let bash = bash.args(["-euo", "pipefail", "-xc", &script]).current_dir(&empty);
    let ended = within("the page", LONG, bash.stdin(std::process::Stdio::null()).output()).await;
    let ended = ended.unwrap();
    let (said, traced) =
        (String::from_utf8(ended.stdout).unwrap(), String::from_utf8(ended.stderr).unwrap());
    assert!(ended.status.success(), "{said}\n{traced}");
    for word in ["the kettle is on", "tea alice: from a script", "alice\nbob\n"] {
        assert!(said.contains(word), "{word:?}:\n{said}\n{traced}");
    }
}
