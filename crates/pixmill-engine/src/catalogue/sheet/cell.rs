//! What a spreadsheet's cell holds as text. Formulas are never worked out: what they showed last counts, but for those that
//! say nothing but an address.

use std::borrow::Cow;

use super::super::cut::holds_address;
use super::super::looks::{Looks, has_picture_ending, looks};

/// A cell's text: what it shows, or what it links to where that is a picture's address and what it shows holds none.
pub(super) fn text<'t>(shown: &'t str, formula: &str, link: Option<&str>) -> Cow<'t, str> {
    if let Some(formula) = address_formula(formula) {
        return Cow::Owned(formula);
    }
    match link {
        Some(link) if may_be_picture(link) && !holds_address(shown) => {
            Cow::Owned(format!("=HYPERLINK(\"{link}\",\"{}\")", shown.replace('"', "\"\"")))
        }
        _ => Cow::Borrowed(shown),
    }
}

/// `HYPERLINK("address"…)` or `IMAGE("address"…)` as such a formula is written in a cell.
fn address_formula(formula: &str) -> Option<String> {
    let formula = formula.trim();
    let formula = formula.split_once(":=").map_or(formula, |(_, formula)| formula);
    let formula = formula.trim_start_matches('=').trim_start_matches("_xlfn.");
    let (name, rest) = formula.split_once('(')?;
    if !["HYPERLINK", "IMAGE"].iter().any(|known| name.trim().eq_ignore_ascii_case(known)) {
        return None;
    }
    let address = rest.trim_start().strip_prefix('"')?;
    let (_, after) = address.split_once('"')?;
    after.trim_start().starts_with([',', ';', ')']).then(|| format!("={formula}"))
}

fn may_be_picture(link: &str) -> bool {
    !link.contains('"')
        && (has_picture_ending(link)
            || (link.contains("://") && matches!(looks(link), Looks::Picture | Looks::Unknown)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn formulas_that_say_an_address_are_kept_and_others_are_what_they_showed() {
        for formula in ["HYPERLINK(\"http://a/1.png\",\"Cap\")", "of:=HYPERLINK(\"http://a/1.png\";\"Cap\")"]
        {
            assert!(text("Cap", formula, None).starts_with("=HYPERLINK(\"http://a/1.png\""), "{formula}");
        }
        assert_eq!(text("#VALUE!", "_xlfn.IMAGE(\"http://a/1.png\")", None), "=IMAGE(\"http://a/1.png\")");
        for formula in ["HYPERLINK(\"http://a/\"&A2)", "A2&\".png\"", "SUM(1)", "HYPERLINK(A1,\"x\")"] {
            assert_eq!(text("http://a/2.png", formula, None), "http://a/2.png");
        }
    }

    #[test]
    fn links_to_pictures_are_addresses_and_links_to_pages_are_not() {
        assert_eq!(text("view", "", Some("http://a/1.png")), "=HYPERLINK(\"http://a/1.png\",\"view\")");
        assert_eq!(text("http://a/2.png", "", Some("http://a/2.png")), "http://a/2.png");
        for link in ["https://shop.example/products/cap", "mailto:a@b.example", "https://shop.example/"] {
            assert_eq!(text("Cap", "", Some(link)), "Cap");
        }
    }
}
