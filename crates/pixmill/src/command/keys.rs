//! `pixmill keys`: who may call a server's API.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::key::{self, Made, Role};
use pixmill_engine::model::request::DEFAULT_TENANT;
use serde_json::json;

use super::{End, Stop, interrupt};
use crate::audit::{self, Line};
use crate::config::bounds::whole;
use crate::config::records::RecordsFlags;
use crate::config::state::StateFlags;
use crate::{display, wiring};

/// Make, list and revoke the keys of a server's API
#[derive(Debug, Args)]
#[command(after_help = AFTER_HELP, subcommand_required = true, arg_required_else_help = true)]
pub(super) struct KeysArgs {
    #[command(subcommand)]
    command: KeysCommand,
}

const AFTER_HELP: &str = "\
Keys live in the records, so name the same ones as the server does. A server that runs knows of a
change within a second.

Examples:
  pixmill keys create --tenant shop --name checkout
  pixmill keys revoke 01890a5d-ac96-774b-bcce-b302fffffffe";

#[derive(Debug, Subcommand)]
enum KeysCommand {
    Create(CreateArgs),
    List(ListArgs),
    Revoke(RevokeArgs),
}

/// Make a key and print it, once
#[derive(Debug, Args)]
struct CreateArgs {
    /// Tenant whose requests the key opens
    #[arg(long, value_name = "NAME", default_value = DEFAULT_TENANT, value_parser = tenant)]
    tenant: String,

    /// Name of the key's holder
    #[arg(long, value_name = "NAME", default_value = "", value_parser = name)]
    name: String,

    /// What it allows: read to look, submit to hand catalogues in and see to them, admin to make and revoke keys too
    #[arg(long, value_name = "ROLE", default_value = Role::default().as_str(), value_parser = roles())]
    role: Role,

    /// Calls a minute at most, at each process that answers calls [default: no limit]
    #[arg(long, value_name = "CALLS", value_parser = whole::<u32>(1, 1_000_000))]
    per_minute: Option<u32>,

    #[command(flatten)]
    place: PlaceFlags,
}

/// List keys, without their secrets, one JSON object a line
#[derive(Debug, Args)]
struct ListArgs {
    #[command(flatten)]
    place: PlaceFlags,
}

/// Revoke a key
#[derive(Debug, Args)]
struct RevokeArgs {
    /// The key's id, as list shows it
    id: String,

    #[command(flatten)]
    place: PlaceFlags,
}

/// Where keys live.
#[derive(Debug, Args)]
struct PlaceFlags {
    #[command(flatten)]
    state: StateFlags,

    #[command(flatten)]
    records: RecordsFlags,
}

impl PlaceFlags {
    async fn keys(&self) -> Result<wiring::KeyRing, Fault> {
        wiring::keys(&self.records.choice(&self.state.folder()), self.records.adopt_since).await
    }
}

fn tenant(text: &str) -> Result<String, String> {
    key::tenant_name(text).map(|()| text.to_owned())
}

fn name(text: &str) -> Result<String, String> {
    key::holder_name(text).map(|()| text.to_owned())
}

fn roles() -> impl TypedValueParser<Value = Role> {
    PossibleValuesParser::new(Role::ALL.map(Role::as_str)).map(|text| Role::parse(&text))
}

/// Runs what was asked for.
pub(super) fn run(args: KeysArgs) -> Result<End, Stop> {
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    runtime.block_on(async {
        match args.command {
            KeysCommand::Create(args) => create(args).await,
            KeysCommand::List(args) => list(args).await,
            KeysCommand::Revoke(args) => revoke(args).await,
        }
    })
}

async fn create(args: CreateArgs) -> Result<End, Stop> {
    let (keys, clock) = args.place.keys().await?;
    let now = clock.wall();
    let Made { key, secret } = Made::new(args.tenant, args.name, args.role, args.per_minute, now);
    let told = format!("key {} of tenant {}: it is shown this once", key.id, key.tenant);
    let line = Line::of_command_line(&key.tenant, "key.created", &key.id, key.told());
    keys.add_key(key).await?;
    audit::write(&*keys, line, now).await?;
    display::say(&told);
    display::print(&format!("{}\n", secret.reveal()));
    Ok(End::Done)
}

async fn list(args: ListArgs) -> Result<End, Stop> {
    let (keys, _) = args.place.keys().await?;
    for key in keys.keys().await? {
        display::print_json(&json!({
            "id": key.id,
            "tenant": key.tenant,
            "name": key.name,
            "role": key.role.as_str(),
            "per_minute": key.per_minute,
            "created": key.created.to_string(),
            "revoked": key.revoked.map(|at| at.to_string()),
        }));
    }
    Ok(End::Done)
}

async fn revoke(args: RevokeArgs) -> Result<End, Stop> {
    let (keys, clock) = args.place.keys().await?;
    let now = clock.wall();
    let known = keys.keys().await?.into_iter().find(|key| key.id == args.id);
    if keys.revoke_key(&args.id, now).await? {
        let (tenant, told) = known.map(|key| (key.tenant.clone(), key.told())).unwrap_or_default();
        audit::write(&*keys, Line::of_command_line(&tenant, "key.revoked", &args.id, told), now).await?;
        return Ok(End::Done);
    }
    Err(Fault::permanent(Code::AuthInvalid, format!("no key {} holds", args.id)).into())
}
