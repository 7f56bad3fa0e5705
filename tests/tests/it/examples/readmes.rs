//! The READMEs of the examples, typed as they stand, from the top of a checkout, until the bot that
//! each starts says that it listens.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use quicproquo_tests::shell::{blocks, script};
use quicproquo_tests::{Bot, Launch, bots, files};
use tempfile::TempDir;
use tokio::process::Command;

use super::languages;
use super::program::Program;
use crate::book::port;

/// The pages that are typed here and beside.
pub(crate) const TYPED: &[&str] = &[
    "README.md",
    "examples/README.md",
    "examples/go/echo/README.md",
    "examples/python/alerts/README.md",
    "examples/python/bridge/README.md",
    "examples/python/echo/README.md",
    "examples/python/files/README.md",
    "examples/python/oncall/README.md",
    "examples/python/reminder/README.md",
    "examples/python/stdlib/README.md",
    "examples/python/webhook/README.md",
    "examples/shell/echo/README.md",
];

/// A page of `TYPED`, and what it says the bot says.
const ALONE: [(&str, &str); 2] =
    [("examples/python/stdlib", "listening"), ("examples/shell/echo", "listening")];

const WITH_THE_SDK: [(&str, &str); 7] = [
    ("examples/python/echo", "listening"),
    ("examples/python/alerts", "alerts at"),
    ("examples/python/bridge", "listening"),
    ("examples/python/files", "listening"),
    ("examples/python/oncall", "listening"),
    ("examples/python/reminder", "listening"),
    ("examples/python/webhook", "listening"),
];

/// What somebody has in front of them.
struct Reader {
    dir: TempDir,
    /// A bot, whose token it is.
    bot: Bot,
    group: String,
    /// Where the webhook bot listens.
    door: String,
}

impl Reader {
    /// A copy of the checkout, without what was installed into it.
    fn copy(&self) -> PathBuf {
        let copy = self.dir.path().join("checkout");
        std::fs::create_dir(&copy).expect("prepare files");
        let script = "tar --exclude=venv --exclude=node_modules --exclude=dist --exclude=__pycache__ \
                      -cf - examples sdk/python | tar -xf - -C \"$1\"";
        let mut bash = std::process::Command::new("bash");
        bash.args(["-euo", "pipefail", "-c", script, "bash"]).arg(&copy);
        assert!(bash.current_dir(files::checkout("")).status().expect("run bash").success());
        copy
    }

    /// The commands of a page, with the reader's own in place of what stands for it.
    fn script(&self, page: &str) -> String {
        let page = files::checkout(page).join("README.md");
        let script = script(&std::fs::read_to_string(page).expect("a page"));
        let own = |path: &str| self.dir.path().join(path).display().to_string();
        script
            .replace("qpq_...", self.bot.api.token())
            .replace("ALERT_GROUP=...", &format!("ALERT_GROUP={}", self.group))
            .replace("GROUP,OTHER_GROUP", &format!("{0},{0}x", self.group))
            .replace("/srv/", &own(""))
    }

    /// Types a page in a copy of the checkout, until its bot says something.
    async fn types(&self, page: &str, says: &str, copy: &Path, more: &[(&str, &str)]) {
        let mut bash = Command::new("bash");
        bash.args(["-euxo", "pipefail", "-c", &self.script(page)])
            .current_dir(copy)
            .env("HOME", self.dir.path())
            .envs(more.iter().copied())
            .env("ALERT_LISTEN", format!("127.0.0.1:{}", port()))
            .env("WEBHOOK_LISTEN", &self.door)
            .stdin(Stdio::null());
        let log = self.dir.path().join(page.replace('/', "-"));
        let mut program = Program::start_all(bash, &self.bot, &log);
        program.says(says, 1).await;
    }
}

async fn reader() -> (Reader, quicproquo_tests::Running) {
    let dir = TempDir::new().expect("a directory");
    let door = format!("127.0.0.1:{}", port());
    let launch = Launch::up(&dir.path().join("up"));
    let up = launch.arg("--webhook-target", &format!("http://{door}")).start().await;
    let [alice, bot] = bots(&up, ["alice", "bot"]).await;
    let group = alice.create_group("tea", &[&bot]).await;
    bot.accept(&group).await;
    (Reader { dir, bot, group, door }, up)
}

#[tokio::test]
async fn the_pages_of_bots_without_packages_are_typed() {
    let (reader, up) = reader().await;
    let copy = reader.copy();
    for (page, says) in ALONE {
        reader.types(page, says, &copy, &[]).await;
    }
    // The proxy of modules is replaced by what Debian has.
    languages::vendor(&copy.join("examples/go/echo"));
    let cache = files::target_dir().join("go-cache");
    let cache = cache.to_str().expect("text");
    let go = [("GOPROXY", "off"), ("GOFLAGS", "-mod=vendor"), ("GOCACHE", cache)];
    reader.types("examples/go/echo", "listening", &copy, &go).await;
    up.stop().await;
}

#[tokio::test]
async fn the_pages_of_bots_with_the_sdk_for_python_are_typed() {
    let (reader, up) = reader().await;
    let copy = reader.copy();
    // pip finds the packages where the gate has them, and builds the SDK with what is there.
    let python = "import site; print(site.getsitepackages()[0])";
    let python = std::process::Command::new(files::sdk_python()).args(["-c", python]).output();
    let packages = String::from_utf8(python.expect("run python").stdout).expect("text");
    let pip = [
        ("PYTHONPATH", packages.trim()),
        ("PIP_NO_INDEX", "1"),
        // In pip's settings this one says whether there is an isolation.
        ("PIP_NO_BUILD_ISOLATION", "0"),
    ];
    for (page, says) in WITH_THE_SDK {
        reader.types(page, says, &copy, &pip).await;
    }
    up.stop().await;
}

/// No page is forgotten.
#[test]
fn every_page_of_an_example_is_typed() {
    let here = ALONE.iter().chain(&WITH_THE_SDK).map(|(page, _)| format!("{page}/README.md"));
    let mut here: Vec<String> = here.collect();
    here.extend(
        ["README.md", "examples/README.md", "examples/go/echo/README.md"].map(String::from),
    );
    here.sort();
    assert_eq!(here, TYPED);
}

/// What the page on Rust has people write into `Cargo.toml` is what the program needs, in the versions
/// of this checkout.
#[test]
fn the_page_on_rust_lists_what_its_program_needs() {
    let read = |path: &str| std::fs::read_to_string(files::checkout(path)).expect("a file");
    let page = blocks(&read("examples/rust/echo/README.md"));
    let list = page.iter().find(|block| block.info == "toml").expect("a list");
    let version = |text: &str, name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(&format!("{name} = ")))?;
        line.split('"').nth(1).map(str::to_owned)
    };
    let (workspace, program) = (read("Cargo.toml"), read("client/examples/echo.rs"));
    for name in ["hex", "serde_json", "sha2", "tokio"] {
        assert!(program.contains(&format!("{name}::")), "{name} is not needed");
        let ours = version(&workspace, name).expect("a dependency of the workspace");
        let listed = version(&list.text, name).expect("it is listed");
        assert!(ours.starts_with(&listed), "{name}: {listed}, not {ours}");
    }
    let used = program.lines().filter_map(|line| line.strip_prefix("use ")?.split("::").next());
    for name in used.filter(|name| *name != "std") {
        let listed = format!("{} = ", name.replace('_', "-").replace("serde-json", "serde_json"));
        assert!(list.text.contains(&listed), "{name} is not listed");
    }
}
