//! `qpq completions` and `qpq man`: made of the command line's own description.

use std::path::Path;

use clap_complete::Shell;

use crate::args::command;
use crate::exit::Failure;
use crate::output::print_bytes;

/// Prints the completions of a shell.
pub(crate) fn completions(shell: Shell) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut command(), "qpq", &mut script);
    print_bytes(&script)
}

/// Prints the manual page of `qpq`, or writes the pages of all commands.
pub(crate) fn man(dir: Option<&Path>) -> Result<(), Failure> {
    let Some(dir) = dir else {
        let mut page = Vec::new();
        clap_mangen::Man::new(command()).render(&mut page).map_err(Failure::other)?;
        return print_bytes(&page);
    };
    let failed = |error| Failure::other(format!("{}: {error}", dir.display()));
    std::fs::create_dir_all(dir).map_err(failed)?;
    clap_mangen::generate_to(command(), dir).map_err(failed)
}
