//! The documentation as a site, by mdBook, of which a version of its own is kept below `target`.

use anyhow::{Result, bail};

use crate::shell;

/// What `mdbook --version` says of the version that the gate uses.
const VERSION: &str = "0.5.4";
const FOLDER: &str = "target/mdbook";

/// Builds the site into `target/book`. What mdBook warns of is an error.
///
/// # Errors
/// mdBook cannot be installed, or finds fault with a page.
pub(crate) fn run() -> Result<()> {
    let program = format!("{FOLDER}/bin/mdbook");
    let program = crate::workspace_root().join(program).display().to_string();
    let present = shell::succeeds(&program, &["--version"])
        && shell::capture(&program, &["--version"])?.contains(VERSION);
    if !present {
        // Without optimisation: it is built faster than it would be used.
        let install = ["install", "mdbook", "--quiet", "--locked", "--debug", "--force"];
        let which = ["--no-default-features", "--version", VERSION, "--root", FOLDER];
        shell::run("cargo", &[&install[..], &which].concat())?;
    }
    let mut complaints = 0;
    let built = shell::follow(&format!("{program} build"), |line| {
        complaints += u32::from(line.contains("WARN") || line.contains("ERROR"));
    })?;
    if !built || complaints > 0 {
        bail!("mdbook has {complaints} complaints");
    }
    Ok(())
}
