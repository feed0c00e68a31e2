//! Reaching Redis: the URL, what is wrong when it can't be reached, and what is to be known of the server.

use std::fmt;
use std::time::Duration;

use bullmq::options::{RedisConnectionOptions, TlsCerts};
use pixmill_engine::code::Code;
use pixmill_engine::fault::{Blame, Fault};
use pixmill_engine::model::time::Timestamp;
use redis::{AsyncConnectionConfig, Client, ErrorKind, IntoConnectionInfo, RedisError, ServerErrorKind};

use super::Settings;

/// Within which a server must answer at the start.
const PATIENCE: Duration = Duration::from_secs(5);

/// What is to be known of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// `redis_version`.
    pub version: String,
    /// `maxmemory_policy`: everything but `noeviction` may throw jobs away.
    pub maxmemory_policy: String,
    /// What its clock says.
    pub time: Timestamp,
}

impl Server {
    /// Whether jobs stay until they are taken, however full the memory is.
    pub fn keeps_jobs(&self) -> bool {
        self.maxmemory_policy == "noeviction"
    }
}

/// Where Redis is, without what is secret.
#[derive(Debug, Clone)]
pub(super) struct Address(String);

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Address {
    /// Of the URLs, one or, for a cluster, many parted by commas.
    pub(super) fn of(settings: &Settings) -> Result<Self, Fault> {
        let addresses = nodes(&settings.url).map(|url| match url.into_connection_info() {
            Ok(info) => Ok(info.addr().to_string()),
            Err(error) => Err(wrong(format!(
                "the queue's URL can't be read ({error}): it looks like redis://:PASSWORD@HOST:6379/0"
            ))),
        });
        Ok(Address(addresses.collect::<Result<Vec<_>, _>>()?.join(", ")))
    }

    /// The fault that an error of Redis stands for.
    pub(super) fn fault(&self, error: &RedisError) -> Fault {
        let at = &self.0;
        let unavailable = |transient: bool, message: String| Fault {
            transient,
            blame: Blame::Backend,
            ..Fault::permanent(Code::BackendUnavailable, message)
        };
        let said = said(error);
        match error.kind() {
            ErrorKind::AuthenticationFailed => unavailable(
                false,
                format!(
                    "Redis at {at} refuses the user or password ({said}): correct them in the queue's URL"
                ),
            ),
            ErrorKind::Server(ServerErrorKind::NoPerm) => unavailable(
                false,
                format!("Redis at {at} forbids this user a command that the queue needs ({said})"),
            ),
            ErrorKind::InvalidClientConfig | ErrorKind::RESP3NotSupported => unavailable(
                false,
                format!("Redis at {at} can't be spoken to as the queue's URL says ({said})"),
            ),
            _ if matches!(error.code(), Some("NOAUTH" | "WRONGPASS")) => unavailable(
                false,
                format!("Redis at {at} asks for a password ({said}): add it to the queue's URL"),
            ),
            _ if said.contains("ertificate") => unavailable(
                false,
                format!(
                    "Redis at {at} shows a certificate that is not trusted ({said}): name whoever signed it by \
                     --queue-ca-file"
                ),
            ),
            _ if error.code() == Some("OOM") => {
                unavailable(true, format!("Redis at {at} has no memory left for the queue ({said})"))
            }
            _ => unavailable(true, format!("the queue in Redis at {at} can't be reached ({said})")),
        }
    }

    /// The fault that an error of the crate stands for.
    pub(super) fn fault_of(&self, error: &bullmq::Error) -> Fault {
        match error {
            bullmq::Error::Redis(error) => self.fault(error),
            bullmq::Error::InvalidConfig(message) => wrong(format!("the queue can't be used: {message}")),
            error => Fault::transient(
                Code::BackendUnavailable,
                format!("the queue in Redis at {} failed: {error}", self.0),
            )
            .of(Blame::Backend),
        }
    }
}

/// What an error says, without the URL.
fn said(error: &RedisError) -> String {
    match error.detail() {
        Some(detail) => detail.to_owned(),
        None => error.to_string(),
    }
}

fn wrong(message: String) -> Fault {
    Fault::permanent(Code::ConfigInvalid, message)
}

/// The URLs of a cluster's nodes, or the one.
fn nodes(url: &str) -> impl Iterator<Item = &str> {
    url.split(',').map(str::trim)
}

/// How the crate is told to connect.
///
/// # Errors
/// `config.invalid`: a cluster without a hash tag, whose keys would lie on many nodes.
pub(super) fn options(settings: &Settings) -> Result<RedisConnectionOptions, Fault> {
    let mut options = RedisConnectionOptions::new();
    // With certificates the crate speaks TLS whatever the URL says.
    if let (Some(root), true) = (&settings.root_certificates, speaks_tls(settings)) {
        options = options.tls_certs(TlsCerts {
            root_cert: Some(root.clone()),
            client_cert: None,
            client_key: None,
        });
    }
    if nodes(&settings.url).count() == 1 {
        return Ok(options.url(settings.url.trim()));
    }
    if !has_hash_tag(&settings.prefix) && !has_hash_tag(&settings.name) {
        return Err(wrong(format!(
            "on a Redis Cluster all keys of a queue must lie in one slot: set the queue's prefix to \
             {{{}}}, for whoever else uses the queue too",
            settings.prefix
        )));
    }
    let mut options = options.cluster_nodes(nodes(&settings.url));
    if let Some(info) = nodes(&settings.url).next().and_then(|url| url.into_connection_info().ok()) {
        options.username = info.redis_settings().username().map(str::to_owned);
        options.password = info.redis_settings().password().map(str::to_owned);
        options.tls = speaks_tls(settings);
    }
    Ok(options)
}

fn speaks_tls(settings: &Settings) -> bool {
    settings.url.trim_start().starts_with("rediss:")
}

fn has_hash_tag(text: &str) -> bool {
    text.split_once('{').and_then(|(_, rest)| rest.find('}')).is_some_and(|end| end > 0)
}

/// Asks the server, the first of a cluster, what is to be known of it.
///
/// # Errors
/// `config.invalid` for a wrong URL, `backend.unavailable` for a wrong password (permanent) or a server that can't be
/// reached (transient).
pub async fn inspect(settings: &Settings) -> Result<Server, Fault> {
    let address = Address::of(settings)?;
    let options = options(settings)?;
    let first = nodes(&settings.url).next().unwrap_or_default();
    let first = if options.is_cluster() { first.to_owned() } else { options.effective_url() };
    let client = match options.tls_certs {
        Some(certificates) => Client::build_with_tls(
            first.as_str(),
            redis::TlsCertificates { client_tls: None, root_cert: certificates.root_cert },
        ),
        None => Client::open(first.as_str()),
    };
    let config = AsyncConnectionConfig::new()
        .set_connection_timeout(Some(PATIENCE))
        .set_response_timeout(Some(PATIENCE));
    let asked = async {
        let mut connection = client?.get_multiplexed_async_connection_with_config(&config).await?;
        let info = redis::cmd("INFO").query_async::<String>(&mut connection).await?;
        Ok((info, redis::cmd("TIME").query_async::<(i64, i64)>(&mut connection).await?))
    };
    let (info, (seconds, microseconds)) = asked.await.map_err(|error: RedisError| address.fault(&error))?;
    let field = |name: &str| {
        let lines = info.lines().filter_map(|line| line.split_once(':'));
        lines.filter(|(field, _)| *field == name).map(|(_, value)| value.trim().to_owned()).next()
    };
    Ok(Server {
        version: field("redis_version").unwrap_or_default(),
        maxmemory_policy: field("maxmemory_policy").unwrap_or_default(),
        time: Timestamp(seconds * 1_000 + microseconds / 1_000),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str, prefix: &str) -> Settings {
        Settings { prefix: prefix.into(), ..Settings::new(url) }
    }

    #[test]
    fn an_address_holds_no_secret() {
        let address = Address::of(&settings("redis://me:secret@queue.example:6380/2", "bull")).unwrap();
        assert_eq!(address.0, "queue.example:6380");
        for url in ["", "http://queue.example", "redis://", "redis://h:port"] {
            let fault = Address::of(&settings(url, "bull")).unwrap_err();
            assert_eq!(fault.code, Code::ConfigInvalid, "{url}");
        }
    }

    #[test]
    fn certificates_are_for_servers_that_speak_tls() {
        let with_certificates =
            |url| Settings { root_certificates: Some(b"PEM".into()), ..settings(url, "bull") };
        assert!(options(&with_certificates("redis://h:6379")).unwrap().tls_certs.is_none());
        assert!(options(&with_certificates("rediss://h:6379")).unwrap().tls_certs.is_some());
    }

    #[test]
    fn a_cluster_needs_a_hash_tag() {
        let url = "redis://:secret@a:7000, redis://b:7001";
        let fault = options(&settings(url, "bull")).unwrap_err();
        assert!(fault.message.contains("{bull}"), "{fault}");
        for prefix in ["{}", "bull}", "{bull"] {
            assert!(options(&settings(url, prefix)).is_err(), "{prefix}");
        }
        let options = options(&settings(url, "{bull}")).unwrap();
        assert_eq!(options.cluster_nodes, ["redis://:secret@a:7000", "redis://b:7001"]);
        assert_eq!(options.password.as_deref(), Some("secret"));
    }
}
