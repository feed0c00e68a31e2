//! What can be asked of pixmill, and how each question ends.

mod adopt;
mod backup;
mod check;
mod completions;
mod doctor;
mod health;
mod image;
mod interrupt;
mod keys;
mod man;
pub(crate) mod migrate;
mod openapi;
mod operate;
mod remote;
mod restore;
pub(crate) mod run;
pub(crate) mod serve;
mod webhook;

use std::process::ExitCode;

use clap::{Parser, Subcommand};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::stack::table::Table;

use crate::config::{self, Layers, Misuse, Told};
use crate::display;

/// Bulk image processing in one binary: a CSV of image URLs in, compressed pictures and a results CSV out.
#[derive(Debug, Parser)]
#[command(
    name = "pixmill",
    version,
    arg_required_else_help = true,
    subcommand_required = true,
    disable_help_subcommand = true
)]
#[command(after_help = AFTER_HELP, max_term_width = 100)]
pub(crate) struct Cli {
    /// Read settings from this file
    #[arg(long, value_name = "FILE", global = true, hide = true)]
    config: Option<String>,

    #[command(subcommand)]
    command: Command,
}

const AFTER_HELP: &str = "\
Examples:
  pixmill run shop.csv                    compress every picture, into pixmill-out/
  pixmill check shop.csv                  look before: rows, origins, broken links, time, bytes
  pixmill image photo.png photo.jpg       one picture
  pixmill serve                           the HTTP API, until stopped
  pixmill doctor                          would it work as it is configured?
  pixmill health                          is the server on this machine ready?
  pixmill backup /var/backups/pixmill     the records of a server, beside it while it works

Every option --a-b is also PIXMILL_A_B in the environment and a_b in pixmill.toml of the working
folder. The command line wins over the environment, the environment over the file. A file that opens
something (addresses, folders, servers) is read when it is named: --config pixmill.toml.

Exit codes: 0 every image completed, 1 could not run, 2 bad usage or configuration,
3 finished but some images failed or rows could not be used, 130 interrupted.";

#[derive(Debug, Subcommand)]
enum Command {
    Run(Box<run::RunArgs>),
    Serve(Box<serve::ServeArgs>),
    Webhook(webhook::WebhookArgs),
    Submit(remote::SubmitArgs),
    Status(remote::StatusArgs),
    Watch(remote::WatchArgs),
    Retry(remote::RetryArgs),
    Failures(remote::FailuresArgs),
    Images(remote::ImagesArgs),
    Cancel(remote::CancelArgs),
    Results(remote::ResultsArgs),
    Keys(keys::KeysArgs),
    Hosts(operate::HostsArgs),
    Workers(operate::WorkersArgs),
    Audit(operate::AuditArgs),
    Openapi(openapi::OpenapiArgs),
    Check(Box<check::CheckArgs>),
    Image(image::ImageArgs),
    Doctor(Box<doctor::DoctorArgs>),
    Health(health::HealthArgs),
    Adopt(adopt::AdoptArgs),
    Backup(Box<backup::BackupArgs>),
    Restore(Box<restore::RestoreArgs>),
    Migrate(migrate::MigrateArgs),
    Completions(completions::CompletionsArgs),
    Man(man::ManArgs),
}

#[cfg(test)]
impl Cli {
    /// The recipe that `image` was told.
    pub(crate) fn image_recipe(&self) -> Option<pixmill_codec::Recipe> {
        match &self.command {
            Command::Image(args) => Some(args.recipe.recipe()),
            _ => None,
        }
    }

    /// The queue, the records and the storage that `serve` was told to stand on, as they are shown.
    pub(crate) fn serve_backends(self) -> Option<[String; 3]> {
        match self.command {
            Command::Serve(args) => args.resolve(Vec::new()).ok().map(|options| {
                [options.queue.to_string(), options.records.to_string(), options.storage.to_string()]
            }),
            _ => None,
        }
    }

    /// The ranges of addresses that `run` was told to open.
    pub(crate) fn run_allows(&self) -> Option<Vec<ipnet::IpNet>> {
        match &self.command {
            Command::Run(args) => Some(args.network.allow_address.clone()),
            _ => None,
        }
    }
}

/// How a command ended, other than by a fault. The graver the later.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum End {
    /// All is well.
    Done,
    /// It finished, but not all is well.
    Partly,
    /// It could not do its work, and has said why.
    Refused,
    /// It was told to stop.
    Interrupted,
}

/// Why a command did not begin or broke off.
#[derive(Debug)]
pub(crate) enum Stop {
    /// It was asked for something that makes no sense, said in a sentence.
    Usage(String),
    /// It could not go on.
    Fault(Fault),
}

impl From<Fault> for Stop {
    fn from(fault: Fault) -> Self {
        Stop::Fault(fault)
    }
}

/// Runs the command that this process was asked for.
pub(crate) fn run() -> ExitCode {
    #[cfg(feature = "failpoints")]
    {
        config::environment::kill_at().iter().for_each(|point| crate::failpoints::arm(point));
        config::environment::webhook_wait().iter().for_each(|wait| crate::failpoints::wait(wait));
    }
    match Layers::of_process().and_then(config::parse::<Cli>) {
        Ok(Told { cli, from_file, stacks, settings }) => {
            from_file.iter().for_each(|told| display::say(told));
            ExitCode::from(exit_code(dispatch(cli.command, stacks, settings)))
        }
        Err(misuse) => misused(&misuse),
    }
}

fn dispatch(command: Command, stacks: Vec<Table>, settings: Option<String>) -> Result<End, Stop> {
    match command {
        Command::Run(args) => run::run(*args),
        Command::Serve(args) => serve::run(*args, stacks),
        Command::Webhook(args) => webhook::run(args),
        Command::Submit(args) => remote::submit(&args),
        Command::Status(args) => remote::status(&args),
        Command::Watch(args) => remote::watch(&args),
        Command::Retry(args) => remote::retry(&args),
        Command::Failures(args) => remote::failures(&args),
        Command::Images(args) => remote::images(&args),
        Command::Cancel(args) => remote::cancel(&args),
        Command::Results(args) => remote::results(&args),
        Command::Keys(args) => keys::run(args),
        Command::Hosts(args) => operate::hosts(&args),
        Command::Workers(args) => operate::workers(&args),
        Command::Audit(args) => operate::audit(&args),
        Command::Openapi(args) => openapi::run(args),
        Command::Check(args) => check::run(&args),
        Command::Image(args) => image::run(&args),
        Command::Doctor(args) => doctor::run(*args),
        Command::Health(args) => health::run(args),
        Command::Adopt(args) => adopt::run(args),
        Command::Backup(args) => backup::run(*args, settings),
        Command::Restore(args) => restore::run(*args),
        Command::Migrate(args) => migrate::run(args),
        Command::Completions(args) => completions::run(args),
        Command::Man(args) => man::run(&args),
    }
}

/// What commands that wait for many things at once run on.
fn runtime() -> Result<tokio::runtime::Runtime, Fault> {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().map_err(|error| {
        Fault::permanent(Code::BackendUnavailable, format!("threads can't be started: {error}"))
    })
}

fn exit_code(ended: Result<End, Stop>) -> u8 {
    match ended {
        Ok(End::Done) => 0,
        Ok(End::Refused) => 1,
        Ok(End::Partly) => 3,
        Ok(End::Interrupted) => interrupt::EXIT_CODE,
        Err(Stop::Usage(message)) => {
            display::error(&message);
            2
        }
        Err(Stop::Fault(fault)) => {
            display::fault(&fault);
            if fault.code == Code::ConfigInvalid { 2 } else { 1 }
        }
    }
}

/// Says what was wrong with flags or settings; shows help that was asked for.
fn misused(misuse: &Misuse) -> ExitCode {
    match misuse {
        Misuse::Flags(error) => {
            let told = error.render().ansi().to_string();
            match error.use_stderr() {
                true => display::say(told.trim_end_matches('\n')),
                false => display::print(&told),
            }
            ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(2))
        }
        Misuse::Setting(message) => {
            display::fault(&Fault::permanent(Code::ConfigInvalid, message.clone()));
            ExitCode::from(2)
        }
    }
}
