//! Addresses of backends that the environment has in parts: a host, a port, a password.

use url::Url;

/// Every name that is read.
#[cfg(test)]
pub(super) const NAMES: [&str; 16] = [
    "REDIS_HOST",
    "REDIS_PORT",
    "REDIS_USERNAME",
    "REDIS_USER",
    "REDIS_PASSWORD",
    "REDIS_DB",
    "REDIS_TLS",
    "MONGO_HOST",
    "MONGO_PORT",
    "MONGO_USERNAME",
    "MONGO_USER",
    "MONGO_PASSWORD",
    "MONGO_DATABASE",
    "MONGO_AUTH_SOURCE",
    "MONGO_DB",
    "MONGO_DB_NAME",
];

/// An address put together.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Composed {
    /// The setting that it is for.
    pub(super) setting: &'static str,
    /// The variable that names the host.
    pub(super) variable: &'static str,
    pub(super) address: String,
}

/// Addresses of those backends whose host is named; `value` gives what a variable holds, unless it is empty.
///
/// # Errors
/// What `value` says.
pub(super) fn composed(
    value: impl Fn(&str) -> Result<Option<String>, String>,
) -> Result<Vec<Composed>, String> {
    let mut composed = Vec::new();
    if let Some(host) = value("REDIS_HOST")? {
        let user = value("REDIS_USERNAME")?.or(value("REDIS_USER")?);
        let scheme = if value("REDIS_TLS")?.is_some_and(|said| is_yes(&said)) { "rediss" } else { "redis" };
        let place = place(&host, value("REDIS_PORT")?);
        let userinfo = userinfo(user.as_deref(), value("REDIS_PASSWORD")?.as_deref());
        let number = value("REDIS_DB")?.map(|number| format!("/{number}")).unwrap_or_default();
        composed.push(Composed {
            setting: "queue",
            variable: "REDIS_HOST",
            address: whole(&host, format!("{scheme}://{userinfo}{place}{number}")),
        });
    }
    if let Some(host) = value("MONGO_HOST")? {
        let user = value("MONGO_USERNAME")?.or(value("MONGO_USER")?);
        let place = place(&host, value("MONGO_PORT")?);
        let userinfo = match user {
            Some(user) => userinfo(Some(&user), value("MONGO_PASSWORD")?.as_deref()),
            None => String::new(),
        };
        let name = value("MONGO_DATABASE")?.or(value("MONGO_DB")?).or(value("MONGO_DB_NAME")?);
        let name = name.unwrap_or_default();
        let source = value("MONGO_AUTH_SOURCE")?.map(|source| format!("?authSource={}", encoded(&source)));
        let source = source.unwrap_or_default();
        composed.push(Composed {
            setting: "database",
            variable: "MONGO_HOST",
            address: whole(&host, format!("mongodb://{userinfo}{place}/{name}{source}")),
        });
    }
    Ok(composed)
}

/// A host that is an address already is taken as one.
fn whole(host: &str, address: String) -> String {
    if host.contains("://") { host.to_owned() } else { address }
}

/// A host with its port. Kubernetes sets the port of a service as `tcp://10.0.0.1:6379`.
fn place(host: &str, port: Option<String>) -> String {
    let port = port.map(|port| port.rsplit(':').next().unwrap_or_default().to_owned());
    match port {
        Some(port) if !host.contains(':') => format!("{host}:{port}"),
        _ => host.to_owned(),
    }
}

fn userinfo(user: Option<&str>, password: Option<&str>) -> String {
    let user = user.map(encoded).unwrap_or_default();
    match password {
        Some(password) => format!("{user}:{}@", encoded(password)),
        None if user.is_empty() => user,
        None => format!("{user}@"),
    }
}

/// As it must stand in an address.
fn encoded(text: &str) -> String {
    let mut url = Url::parse("redis://host").expect("it is an address");
    let _ = url.set_password(Some(text));
    url.password().unwrap_or_default().to_owned()
}

fn is_yes(text: &str) -> bool {
    matches!(text.to_ascii_lowercase().as_str(), "true" | "1" | "yes" | "on")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(variables: &[(&str, &str)]) -> Vec<String> {
        let value = |name: &str| {
            let found = variables.iter().find(|(variable, _)| *variable == name);
            Ok(found.map(|(_, value)| (*value).to_owned()))
        };
        composed(value).unwrap().into_iter().map(|one| one.address).collect()
    }

    #[test]
    fn an_address_is_put_together_from_what_is_there() {
        assert!(addresses(&[("REDIS_PORT", "6379"), ("MONGO_PASSWORD", "p")]).is_empty(), "no host");
        assert_eq!(addresses(&[("REDIS_HOST", "cache")]), ["redis://cache"]);
        let all = [
            ("REDIS_HOST", "cache"),
            ("REDIS_PORT", "6380"),
            ("REDIS_PASSWORD", "p@ss/wörd:1"),
            ("REDIS_DB", "2"),
            ("REDIS_TLS", "true"),
        ];
        assert_eq!(addresses(&all), ["rediss://:p%40ss%2Fw%C3%B6rd%3A1@cache:6380/2"]);
        assert_eq!(
            addresses(&[
                ("MONGO_HOST", "db"),
                ("MONGO_PORT", "27018"),
                ("MONGO_USERNAME", "shop"),
                ("MONGO_PASSWORD", "p"),
                ("MONGO_DATABASE", "shop"),
                ("MONGO_AUTH_SOURCE", "admin"),
            ]),
            ["mongodb://shop:p@db:27018/shop?authSource=admin"]
        );
    }

    #[test]
    fn hosts_and_ports_come_as_others_write_them() {
        let kubernetes = [("REDIS_HOST", "cache"), ("REDIS_PORT", "tcp://10.0.0.1:6379")];
        assert_eq!(addresses(&kubernetes), ["redis://cache:6379"]);
        assert_eq!(
            addresses(&[("REDIS_HOST", "cache:7000"), ("REDIS_PORT", "6379")]),
            ["redis://cache:7000"]
        );
        assert_eq!(addresses(&[("REDIS_HOST", "redis://cache/1")]), ["redis://cache/1"]);
    }
}
