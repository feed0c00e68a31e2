//! From a bucket's address and the vendor's own variables to the bucket.

use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use object_store::aws::{AmazonS3Builder, AmazonS3ConfigKey};
use object_store::azure::{AzureConfigKey, MicrosoftAzureBuilder};
use object_store::gcp::{GoogleCloudStorageBuilder, GoogleConfigKey};
use object_store::{ObjectStore, RetryConfig};
use percent_encoding::percent_decode_str;
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use url::Url;

use super::http::Connector;
use crate::net::backend::Backend;

/// A bucket, where its keys begin and where readers find it.
pub(super) struct Address {
    pub(super) store: Arc<dyn ObjectStore>,
    pub(super) prefix: String,
    pub(super) public_url: String,
}

/// Reads `s3://BUCKET[/PREFIX][?public_url=URL]`, and `gs://` and `az://` alike.
pub(super) fn open(
    address: &str,
    variables: &[(String, String)],
    backend: &Backend,
) -> Result<Address, Fault> {
    let url = Url::parse(address).map_err(|error| invalid(&format!("is no URL ({error})")))?;
    let bucket = url.host_str().filter(|host| !host.is_empty()).ok_or_else(|| invalid("names no bucket"))?;
    let (store, public_url) = match url.scheme() {
        "s3" => amazon(bucket, variables, backend)?,
        "gs" => google(bucket, variables, backend)?,
        "az" => azure(bucket, variables, backend)?,
        other => return Err(invalid(&format!("begins with '{other}', not s3, gs or az"))),
    };
    let mut public_url = public_url;
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "public_url" => public_url = value.trim_end_matches('/').to_owned(),
            other => return Err(invalid(&format!("has a setting '{other}'; only public_url is known"))),
        }
    }
    let path = percent_decode_str(url.path()).decode_utf8_lossy();
    let path = path.trim_matches('/');
    let prefix = if path.is_empty() { String::new() } else { format!("{path}/") };
    Ok(Address { store, prefix, public_url })
}

type Opened = Result<(Arc<dyn ObjectStore>, String), Fault>;

fn amazon(bucket: &str, variables: &[(String, String)], backend: &Backend) -> Opened {
    let builder =
        set::<_, AmazonS3ConfigKey>(AmazonS3Builder::new(), "AWS_", variables, AmazonS3Builder::with_config)
            .with_bucket_name(bucket)
            .with_retry(once())
            // Not every store that speaks like S3 knows how to delete many at a time.
            .with_disable_bulk_delete(true)
            .with_http_connector(Connector(backend.clone()));
    let told = |key| builder.get_config_value(&key).filter(|value| !value.is_empty());
    let endpoint = told(AmazonS3ConfigKey::S3Endpoint).or_else(|| told(AmazonS3ConfigKey::Endpoint));
    let of_bucket = told(AmazonS3ConfigKey::VirtualHostedStyleRequest).is_some_and(|value| value == "true");
    let region = told(AmazonS3ConfigKey::Region).unwrap_or_else(|| "us-east-1".to_owned());
    let public_url = match endpoint {
        Some(endpoint) if of_bucket => endpoint.trim_end_matches('/').to_owned(),
        Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
        // The certificate covers one label before the host.
        None if bucket.contains('.') => format!("https://s3.{region}.amazonaws.com/{bucket}"),
        None => format!("https://{bucket}.s3.{region}.amazonaws.com"),
    };
    Ok((Arc::new(builder.build().map_err(unusable)?), public_url))
}

fn google(bucket: &str, variables: &[(String, String)], backend: &Backend) -> Opened {
    let builder = GoogleCloudStorageBuilder::new();
    let builder =
        set::<_, GoogleConfigKey>(builder, "GOOGLE_", variables, GoogleCloudStorageBuilder::with_config)
            .with_bucket_name(bucket)
            .with_retry(once())
            .with_http_connector(Connector(backend.clone()));
    let endpoint = builder.get_config_value(&GoogleConfigKey::BaseUrl);
    let endpoint = endpoint.unwrap_or_else(|| "https://storage.googleapis.com".to_owned());
    let public_url = format!("{}/{bucket}", endpoint.trim_end_matches('/'));
    Ok((Arc::new(builder.build().map_err(unusable)?), public_url))
}

fn azure(container: &str, variables: &[(String, String)], backend: &Backend) -> Opened {
    let builder = MicrosoftAzureBuilder::new();
    let builder = set::<_, AzureConfigKey>(builder, "AZURE_", variables, MicrosoftAzureBuilder::with_config)
        .with_container_name(container)
        .with_retry(once())
        .with_http_connector(Connector(backend.clone()));
    let account = builder.get_config_value(&AzureConfigKey::AccountName).unwrap_or_default();
    let endpoint = builder.get_config_value(&AzureConfigKey::Endpoint);
    let endpoint = endpoint.unwrap_or_else(|| format!("https://{account}.blob.core.windows.net"));
    let public_url = format!("{}/{container}", endpoint.trim_end_matches('/'));
    Ok((Arc::new(builder.build().map_err(unusable)?), public_url))
}

/// Gives a builder the variables that begin with the vendor's letters and that it knows.
fn set<B, K: FromStr>(
    builder: B,
    vendor: &str,
    variables: &[(String, String)],
    with: impl Fn(B, K, String) -> B,
) -> B {
    let known = variables.iter().filter(|(name, value)| name.starts_with(vendor) && !value.is_empty());
    let known =
        known.filter_map(|(name, value)| Some((name.to_ascii_lowercase().parse().ok()?, value.clone())));
    known.fold(builder, |builder, (key, value)| with(builder, key, value))
}

/// Trying again is the engine's affair.
fn once() -> RetryConfig {
    RetryConfig { max_retries: 0, retry_timeout: Duration::ZERO, ..RetryConfig::default() }
}

fn invalid(what: &str) -> Fault {
    let message =
        format!("The storage address {what}; it should be s3://BUCKET/PREFIX, or gs:// or az:// alike");
    Fault::permanent(Code::ConfigInvalid, message)
}

fn unusable(error: object_store::Error) -> Fault {
    Fault::permanent(Code::ConfigInvalid, format!("The bucket can't be used as it is configured: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEYS: [(&str, &str); 5] = [
        ("AWS_ACCESS_KEY_ID", "id"),
        ("AWS_SECRET_ACCESS_KEY", "hush"),
        ("AZURE_STORAGE_ACCOUNT_NAME", "shop"),
        ("AZURE_STORAGE_ACCOUNT_KEY", "aHVzaA=="),
        (
            "GOOGLE_SERVICE_ACCOUNT_KEY",
            r#"{"private_key":"a","private_key_id":"b","client_email":"c","disable_oauth":true}"#,
        ),
    ];

    fn opened(address: &str, more: &[(&str, &str)]) -> Result<Address, Fault> {
        let variables =
            KEYS.iter().chain(more).map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        open(address, &variables.collect::<Vec<_>>(), &Backend::new(&Default::default()))
    }

    fn public_url(address: &str, more: &[(&str, &str)]) -> String {
        opened(address, more).unwrap().public_url
    }

    #[test]
    fn readers_are_shown_where_each_vendor_serves_a_bucket() {
        assert_eq!(public_url("s3://shop", &[]), "https://shop.s3.us-east-1.amazonaws.com");
        assert_eq!(
            public_url("s3://shop", &[("AWS_REGION", "eu-west-1")]),
            "https://shop.s3.eu-west-1.amazonaws.com"
        );
        assert_eq!(public_url("s3://a.shop/p", &[]), "https://s3.us-east-1.amazonaws.com/a.shop");
        let minio = [("AWS_ENDPOINT_URL", "http://minio:9000/")];
        assert_eq!(public_url("s3://shop", &minio), "http://minio:9000/shop");
        let own =
            [("AWS_ENDPOINT_URL_S3", "https://shop.example"), ("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "true")];
        assert_eq!(public_url("s3://shop", &own), "https://shop.example");
        assert_eq!(public_url("gs://shop", &[]), "https://storage.googleapis.com/shop");
        assert_eq!(public_url("az://pictures", &[]), "https://shop.blob.core.windows.net/pictures");
        let cdn = "s3://shop?public_url=https%3A%2F%2Fcdn.example%2F";
        assert_eq!(public_url(cdn, &[]), "https://cdn.example");
    }

    #[test]
    fn a_prefix_stands_before_every_key() {
        for (address, prefix) in [("s3://shop", ""), ("s3://shop/", ""), ("s3://shop/a%20b/c/", "a b/c/")] {
            assert_eq!(opened(address, &[]).unwrap().prefix, prefix, "{address}");
        }
    }

    #[test]
    fn what_is_wrong_is_told() {
        let complaint = |address: &str, more: &[(&str, &str)]| opened(address, more).err().unwrap();
        assert!(complaint("s3:///x", &[]).message.contains("no bucket"));
        assert!(complaint("ftp://x", &[]).message.contains("'ftp'"));
        assert!(complaint("s3://x?region=a", &[]).message.contains("'region'"));
        let odd = complaint("s3://x", &[("AWS_VIRTUAL_HOSTED_STYLE_REQUEST", "perhaps")]);
        assert_eq!(odd.code, Code::ConfigInvalid);
        assert!(!odd.message.contains("hush"), "{odd}");
    }
}
