//! karoctl, all but its `main`: one file for each command, and what they share.
//!
//! Nothing here touches the store or the spool by itself: it asks the daemon. Only `doctor`, `service`, `setup` and
//! `uninstall` look at places on the disk, and only these, `shell` and `man` write files that a person did not name.
//!
//! | module | holds |
//! | --- | --- |
//! | [`cli`] | the command line |
//! | [`exit`] | exit codes, and what ends a command early |
//! | [`scene`] | what a command works with: places, output, terminal, person |
//! | [`filter`], [`when`] | from options to what the protocol asks |
//! | [`passphrase`], [`owned_file`] | what is asked for without an echo, and files for their owner alone |
//! | [`whole_file`] | files that are named, and files that are found |
//! | [`lasting`] | where programs will be found when their package has a newer version |
//! | [`whose`] | what is another user's, and is left alone |
//! | [`shown`], [`table`], [`grid`], [`bars`], [`days`], [`json`], [`csv`], [`record`], [`base64`] | from answers to text |
//! | the others | a command each, by its name |

pub mod anomalies;
pub mod audit;
pub mod bars;
pub mod base64;
pub mod cli;
pub mod config;
pub mod csv;
pub mod days;
pub mod delete;
pub mod doctor;
pub mod exit;
pub mod explain;
pub mod export;
pub mod filter;
pub mod grid;
pub mod group;
pub mod identity;
pub mod import;
pub mod json;
pub mod lasting;
pub mod logs;
pub mod man;
pub mod mesh;
pub mod owned_file;
pub mod passphrase;
pub mod peers;
pub mod policy;
pub mod progress;
pub mod query;
pub mod reclassify;
pub mod record;
pub mod rules;
pub mod scene;
pub mod service;
pub mod setup;
pub mod shell;
pub mod shown;
pub mod status;
pub mod store;
pub mod summary;
pub mod table;
pub mod uninstall;
pub mod version;
pub mod when;
pub mod whole_file;
pub mod whose;

#[cfg(test)]
mod samples;

use std::io::Write as _;
use std::process::ExitCode;

use cli::Command;
use exit::{Exit, Trouble};
use scene::Scene;

/// Reads the command line and does what it says.
pub fn main() -> ExitCode {
    end_bugs_with_their_code();
    let cli = match cli::parse() {
        Ok(cli) => cli,
        Err(error) => {
            // Where neither output can be written to, nobody is there to be told.
            drop(error.print());
            return ExitCode::from(if error.use_stderr() { Exit::Usage } else { Exit::Done } as u8);
        }
    };
    let mut scene = Scene::real(cli.json);
    let done = run(&mut scene, &cli.command);
    let done = done.and_then(|exit| scene.out.flush().map(|()| exit).map_err(Trouble::from));
    let exit = done.unwrap_or_else(|trouble| {
        if !trouble.message.is_empty() {
            // What was answered before comes first; whoever does not read that may still read the reason.
            scene.out.flush().ok();
            scene.note(&trouble.message);
        }
        trouble.exit
    });
    ExitCode::from(exit as u8)
}

fn run(scene: &mut Scene, command: &Command) -> Result<Exit, Trouble> {
    match command {
        Command::Setup(args) => setup::run(scene, args),
        Command::Uninstall(args) => uninstall::run(scene, *args),
        Command::Status => status::run(scene),
        Command::Query(args) => query::run(scene, args),
        Command::Delete(args) => delete::run(scene, args),
        Command::Export(args) => export::run(scene, args),
        Command::Import(args) => import::run(scene, args),
        Command::Config(command) => config::run(scene, command),
        Command::Store(command) => store::run(scene, *command),
        Command::Version => version::run(scene),
        Command::Explain(args) => explain::run(scene, args),
        Command::Rules(command) => rules::run(scene, command),
        Command::Reclassify(args) => reclassify::run(scene, *args),
        Command::Identity(command) => identity::run(scene, command),
        Command::Peers(args) => peers::run(scene, args),
        Command::Audit(args) => audit::run(scene, args),
        Command::Summary(args) => summary::run(scene, args),
        Command::Policy(args) => policy::run(scene, args),
        Command::Group(args) => group::run(scene, args),
        Command::Anomalies(args) => anomalies::run(scene, args),
        Command::Shell(command) => shell::run(scene, command),
        Command::Service(command) => service::run(scene, command),
        Command::Logs(args) => logs::run(scene, args),
        Command::Doctor => doctor::run(scene),
        Command::Completions { shell } => man::completions(scene, *shell),
        Command::Man { directory } => man::run(scene, directory.as_deref()),
    }
}

/// Makes a panic say that it is a bug, and end with the code that says so.
fn end_bugs_with_their_code() {
    std::panic::set_hook(Box::new(|panic| {
        eprintln!("karoctl: this is a bug, please report it: {panic}");
        std::process::exit(i32::from(Exit::Bug as u8));
    }));
}
