//! Section traces: whether an OpenTelemetry collector is told of them. What else is to be said about that, OpenTelemetry's
//! own crates read from its variables.

use std::time::Duration;

/// Where the collector is: without it nothing is traced.
const ENDPOINT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];

/// How it is spoken to, and the one way that is known here.
const PROTOCOL: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "OTEL_EXPORTER_OTLP_PROTOCOL"];
const KNOWN_PROTOCOL: &str = "http/protobuf";

/// How long a call may take, in milliseconds.
const TIMEOUT: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_TIMEOUT", "OTEL_EXPORTER_OTLP_TIMEOUT"];
const USUAL_TIMEOUT: u64 = 10_000;

/// Who is told; and a switch over all.
const EXPORTER: &str = "OTEL_TRACES_EXPORTER";
const DISABLED: &str = "OTEL_SDK_DISABLED";

/// How long a call to the collector may take; none where there is none.
///
/// # Errors
/// A sentence on a variable that can't be used.
pub(crate) fn collector() -> Result<Option<Duration>, String> {
    read(|name| std::env::var(name).ok().filter(|value| !value.is_empty()))
}

fn read(said: impl Fn(&str) -> Option<String>) -> Result<Option<Duration>, String> {
    let first = |names: [&'static str; 2]| names.into_iter().find_map(|name| Some((name, said(name)?)));
    let disabled = said(DISABLED).is_some_and(|value| value.eq_ignore_ascii_case("true"));
    if first(ENDPOINT).is_none() || disabled {
        return Ok(None);
    }
    match said(EXPORTER).as_deref() {
        None | Some("otlp") => {}
        Some("none") => return Ok(None),
        Some(other) => return Err(wrong(EXPORTER, other, "otlp and none")),
    }
    if let Some((name, protocol)) = first(PROTOCOL).filter(|(_, protocol)| protocol != KNOWN_PROTOCOL) {
        return Err(wrong(name, &protocol, KNOWN_PROTOCOL));
    }
    let milliseconds = match first(TIMEOUT) {
        None => USUAL_TIMEOUT,
        Some((name, value)) => {
            value.parse().ok().filter(|time| *time > 0).ok_or_else(|| wrong(name, &value, "milliseconds"))?
        }
    };
    Ok(Some(Duration::from_millis(milliseconds)))
}

fn wrong(name: &str, value: &str, allowed: &str) -> String {
    format!("'{value}' is not a value for {name} in the environment: allowed are {allowed}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_from(variables: &[(&str, &str)]) -> Result<Option<Duration>, String> {
        let said = |name: &str| variables.iter().find(|(known, _)| *known == name);
        read(|name| said(name).map(|(_, value)| (*value).to_owned()))
    }

    const THERE: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4318");

    #[test]
    fn a_collector_is_told_where_one_is_named_and_nowhere_else() {
        assert_eq!(read_from(&[("OTEL_SERVICE_NAME", "shop"), ("OTEL_TRACES_EXPORTER", "otlp")]), Ok(None));
        assert_eq!(read_from(&[THERE]), Ok(Some(Duration::from_secs(10))));
        let alone = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "http://127.0.0.1:4318/v1/traces");
        let timeout = ("OTEL_EXPORTER_OTLP_TIMEOUT", "2500");
        assert_eq!(read_from(&[alone, timeout]), Ok(Some(Duration::from_millis(2500))));
        for off in [("OTEL_SDK_DISABLED", "true"), ("OTEL_TRACES_EXPORTER", "none")] {
            assert_eq!(read_from(&[THERE, off]), Ok(None));
        }
    }

    #[test]
    fn what_is_not_known_here_is_told() {
        for wrong in [
            ("OTEL_EXPORTER_OTLP_PROTOCOL", "grpc"),
            ("OTEL_EXPORTER_OTLP_TRACES_PROTOCOL", "http/json"),
            ("OTEL_TRACES_EXPORTER", "zipkin"),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "soon"),
        ] {
            let error = read_from(&[THERE, wrong]).unwrap_err();
            assert!(error.contains(wrong.0) && error.contains(wrong.1), "{error}");
        }
    }
}
