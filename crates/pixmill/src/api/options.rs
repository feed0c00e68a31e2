//! What is asked of a request, from whatever form it came in: fields, parameters of the query, or JSON.

use pixmill_engine::catalogue::{HINTS, Hints};
use pixmill_engine::code::Code;
use pixmill_engine::model::recipe::Recipe;
use pixmill_engine::model::request::Options;

use super::problem::{FieldError, Problem};
use crate::config::listen::web_address;
use crate::config::recipe;

/// Names of the webhook's address, as clients write them.
const WEBHOOK: [&str; 4] = ["webhookUrl", "webhook_url", "webhook", "callback_url"];

/// The longest address of a webhook, bytes.
const LONGEST_WEBHOOK: usize = 2048;

/// The name of what a field says of the catalogue, when it says something of it.
fn hint(name: &str) -> Option<&'static str> {
    let plain = |name: &str| name.replace(['-', '_'], "").to_lowercase();
    HINTS.into_iter().find(|hint| plain(hint) == plain(name))
}

/// What is said of the catalogue; it must be known before the catalogue is read.
///
/// # Errors
/// Each that holds something wrong.
pub(super) fn hints(pairs: &[(String, String)]) -> Result<Hints, Problem> {
    let (mut hints, mut errors) = (Hints::default(), Vec::new());
    for (name, value) in pairs {
        if let Some(hint) = hint(name)
            && let Err(allowed) = hints.set(hint, value)
        {
            errors.push(FieldError::of_field(Code::RecipeInvalid, name.clone(), allowed));
        }
    }
    match errors.is_empty() {
        true => Ok(hints),
        false => {
            Err(Problem::new(Code::RecipeInvalid, "an option holds a value that is not allowed")
                .because(errors))
        }
    }
}

/// Whether a field is an option.
pub(super) fn is_option(name: &str) -> bool {
    hint(name).is_some() || WEBHOOK.contains(&name) || recipe::is_option(name)
}

/// What is asked, over what is done unless asked otherwise. Names that are no options are passed over.
///
/// # Errors
/// Each option that holds something wrong.
pub(super) fn read(pairs: &[(String, String)], usual: Recipe) -> Result<Options, Problem> {
    let mut errors = Vec::new();
    let recipe = recipe::amended(usual, pairs).unwrap_or_else(|wrong| {
        let wrong = wrong.into_iter();
        errors.extend(wrong.map(|(name, message)| FieldError::of_field(Code::RecipeInvalid, name, message)));
        usual
    });
    let recipe_is_wrong = !errors.is_empty();
    let webhook = match webhook(pairs) {
        Ok(webhook) => webhook,
        Err((name, message)) => {
            errors.push(FieldError::of_field(Code::WebhookAddress, name, message));
            None
        }
    };
    if errors.is_empty() {
        return Ok(Options { recipe, webhook });
    }
    let about = if recipe_is_wrong { Code::RecipeInvalid } else { Code::WebhookAddress };
    Err(Problem::new(about, "an option holds a value that is not allowed").because(errors))
}

fn webhook(pairs: &[(String, String)]) -> Result<Option<String>, (String, String)> {
    let Some((name, value)) = pairs.iter().find(|(name, _)| WEBHOOK.contains(&name.as_str())) else {
        return Ok(None);
    };
    let wrong = |message: String| (name.clone(), message);
    if value.len() > LONGEST_WEBHOOK {
        return Err(wrong(format!("allowed are addresses of {LONGEST_WEBHOOK} bytes at most")));
    }
    let url = web_address(value.trim()).map_err(wrong)?;
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong("an address with a password would end up in lists and logs".to_owned()));
    }
    Ok(Some(url.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn options_are_known_in_every_spelling() {
        let usual = Recipe { quality: 40, ..Recipe::default() };
        for name in ["max-width", "max_width", "maxWidth"] {
            let options = read(&pairs(&[(name, "640"), ("elephant", "1")]), usual).unwrap();
            assert_eq!((options.recipe.max_width, options.recipe.quality), (Some(640), 40), "{name}");
        }
        for name in WEBHOOK {
            let options = read(&pairs(&[(name, "https://shop.example/hook?a=b")]), usual).unwrap();
            assert_eq!(options.webhook.as_deref(), Some("https://shop.example/hook?a=b"));
        }
        let empty = read(&pairs(&[("webhookUrl", ""), ("quality", "")]), usual).unwrap_err();
        assert_eq!(empty.fields(), ["quality", "webhookUrl"]);
    }

    #[test]
    fn what_is_said_of_a_catalogue_is_known_in_every_spelling() {
        let said = pairs(&[
            ("column", "Bild"),
            ("column", "2"),
            ("headerRow", "3"),
            ("base-url", "https://h/m"),
            ("name_column", "N"),
        ]);
        let hints = hints(&said).unwrap();
        assert_eq!(
            (hints.columns.len(), hints.header_row, hints.name_column.as_deref()),
            (2, Some(3), Some("N"))
        );
        let wrong = super::hints(&pairs(&[("header_row", "x"), ("delimiter", "ab")])).unwrap_err();
        assert_eq!(wrong.fields(), ["header_row", "delimiter"]);
    }

    #[test]
    fn each_wrong_option_is_named() {
        let wrong = pairs(&[("quality", "0"), ("format", "bmp"), ("webhookUrl", "ftp://h")]);
        let problem = read(&wrong, Recipe::default()).unwrap_err();
        assert_eq!(problem.code(), Code::RecipeInvalid);
        assert_eq!(problem.fields(), ["quality", "format", "webhookUrl"]);
        let secret = pairs(&[("webhookUrl", "https://user:secret@h/")]);
        let problem = read(&secret, Recipe::default()).unwrap_err();
        assert_eq!(problem.code(), Code::WebhookAddress);
        assert!(!format!("{problem:?}").contains("secret"));
    }
}
