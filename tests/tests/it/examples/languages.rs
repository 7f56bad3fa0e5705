//! How examples of other languages are built and started.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use quicproquo_tests::{LONG, files, within};
use tokio::process::Command;

/// Where Debian's package has the sources of the one module that the example needs.
const WEBSOCKET: &str = "/usr/share/gocode/src/github.com/gorilla/websocket";

/// Lays the library of Debian's package into a copy of the Go example.
pub(super) fn vendor(source: &Path) {
    let vendor = source.join("vendor/github.com/gorilla");
    std::fs::create_dir_all(&vendor).expect("create a folder");
    files::copy_tree(Path::new(WEBSOCKET), &vendor.join("websocket"));
    let list = "# github.com/gorilla/websocket v1.5.0\n## explicit; go 1.12\n\
                github.com/gorilla/websocket\n";
    std::fs::write(source.join("vendor/modules.txt"), list).expect("write a file");
}

/// Builds the Go example with the library of Debian's package, which needs no network.
pub(super) async fn go(dir: &Path) -> PathBuf {
    let source = dir.join("echo");
    files::copy_tree(&files::checkout("examples/go/echo"), &source);
    vendor(&source);
    for args in [&["vet", "."][..], &["build", "-o", "../echo-go", "."]] {
        let run = Command::new("go")
            .args(args)
            .current_dir(&source)
            .env("GOPROXY", "off")
            .env("GOFLAGS", "-mod=vendor")
            .env("GOCACHE", files::target_dir().join("go-cache"))
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .output();
        let output = within("go", LONG, run).await.expect("run go");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }
    dir.join("echo-go")
}
