//! What the documentation tells people to type works when it is typed, from the top of each page, in
//! an empty directory.

use std::fs;
use std::net::TcpListener;
use std::path::Path;
use std::process::Stdio;

use quicproquo_tests::shell::script;
use quicproquo_tests::{LONG, files, within};
use tempfile::TempDir;
use tokio::process::Command;

/// What runs beside the page ends with it.
const PRELUDE: &str = "trap 'kill -9 $(jobs -p) 2> /dev/null || true' EXIT\n";

/// A port that nobody has.
pub(crate) fn port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    listener.local_addr().expect("an address").port()
}

/// Types a page; ports are the test's own, so that pages run side by side.
async fn typed(dir: &Path, script: &str) -> std::process::Output {
    let (http, node) = (format!("127.0.0.1:{}", port()), format!("127.0.0.1:{}", port()));
    let script = script.replace("127.0.0.1:8080", &http).replace("127.0.0.1:7000", &node);
    let script = script.replace("127.0.0.1:8081", &format!("127.0.0.1:{}", port()));
    let qpq = files::qpq();
    let programs = qpq.parent().expect("it is in a folder").display();
    let script = format!("PATH={programs}:$PATH\n{PRELUDE}{script}");
    let mut bash = Command::new("bash");
    for (name, _) in std::env::vars_os() {
        if name.as_encoded_bytes().starts_with(b"QPQ_") {
            bash.env_remove(name);
        }
    }
    bash.args(["-euxo", "pipefail", "-c", &script])
        .current_dir(dir)
        .env("HOME", dir)
        .env("QPQ_HTTP_LISTEN", &http)
        .env("QPQ_NODE_LISTEN", &node)
        .stdin(Stdio::null())
        .kill_on_drop(true);
    within("the page", LONG * 2, bash.output()).await.expect("run bash")
}

async fn page(name: &str) {
    let dir = TempDir::new().expect("a folder");
    let page = fs::read_to_string(files::checkout(&format!("docs/{name}.md")));
    let script = script(&page.expect("a page"));
    assert!(!script.is_empty(), "{name} has nothing to type");
    let ended = typed(dir.path(), &script).await;
    let said = String::from_utf8_lossy(&ended.stdout);
    let traced = String::from_utf8_lossy(&ended.stderr);
    assert!(ended.status.success(), "{name}: {said}\n{traced}");
}

macro_rules! pages {
    ($($test:ident: $name:literal),* $(,)?) => {
        $(
            #[tokio::test]
            async fn $test() {
                page($name).await;
            }
        )*

        /// Their paths in the checkout.
        pub(crate) const TYPED: &[&str] = &[$(concat!("docs/", $name, ".md")),*];

        /// No page is forgotten.
        #[test]
        fn every_page_with_commands_is_typed() {
            let mut known = vec![$($name.to_owned()),*];
            let mut found = vec!["tutorial".to_owned()];
            for entry in fs::read_dir(files::checkout("docs/howto")).unwrap() {
                let name = entry.unwrap().file_name().into_string().unwrap();
                found.push(format!("howto/{}", name.trim_end_matches(".md")));
            }
            known.sort();
            found.sort();
            assert_eq!(known, found);
        }
    };
}

pages! {
    the_tutorial: "tutorial",
    restarting: "howto/restart",
    sharing_work: "howto/share-work",
    rotating_tokens: "howto/rotate-tokens",
    backing_up: "howto/backup",
    upgrading: "howto/upgrade",
    nginx: "howto/nginx",
    two_machines: "howto/two-machines",
}

/// The control: a page with a command that fails is noticed.
#[tokio::test]
async fn a_command_that_fails_is_noticed() {
    let dir = TempDir::new().unwrap();
    let script = script("```bash\nqpq bot create --no-such-option | cat\n```\n");
    assert!(!typed(dir.path(), &script).await.status.success());
}

/// Each page of the book is there, and each document is in the book.
#[test]
fn the_summary_is_complete() {
    let summary = fs::read_to_string(files::checkout("docs/SUMMARY.md")).unwrap();
    for folder in ["docs", "docs/howto", "docs/explain", "docs/decisions"] {
        for entry in fs::read_dir(files::checkout(folder)).unwrap() {
            let name = entry.unwrap().file_name().into_string().unwrap();
            let path = format!("{folder}/{name}");
            let path = path.trim_start_matches("docs/");
            if Path::new(path).extension().is_some_and(|end| end == "md") && path != "SUMMARY.md" {
                assert!(summary.contains(&format!("({path})")), "{path} is not in the summary");
            }
        }
    }
    for path in summary.split("](").skip(1).filter_map(|rest| rest.split_once(')')) {
        assert!(files::checkout("docs").join(path.0).exists(), "{}", path.0);
    }
}
