//! The names that settings may have, and what someone may have meant by another.

use std::collections::BTreeSet;

use clap::Command;

/// Every name that a setting may have, as `pixmill.toml` writes it.
pub(super) fn known(command: &Command) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    gather(command, &mut names);
    names
}

fn gather(command: &Command, names: &mut BTreeSet<String>) {
    for subcommand in command.get_subcommands() {
        names.extend(of(subcommand));
        gather(subcommand, names);
    }
}

/// The names of one command's options.
pub(super) fn of(command: &Command) -> impl Iterator<Item = String> {
    command.get_arguments().filter_map(|arg| arg.get_long()).map(|long| long.replace('-', "_"))
}

/// The name that is most like this one, when one is like it.
pub(super) fn nearest<'a>(name: &str, among: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    among
        .map(|known| (strsim::jaro_winkler(name, known), known))
        .filter(|(likeness, _)| *likeness > 0.8)
        .max_by(|one, other| one.0.total_cmp(&other.0))
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_told_from_another_name() {
        let known = ["quality", "per_origin", "max_width", "max_height"];
        assert_eq!(nearest("qualty", known.into_iter()), Some("quality"));
        assert_eq!(nearest("max_widht", known.into_iter()), Some("max_width"));
        assert_eq!(nearest("perorigin", known.into_iter()), Some("per_origin"));
        assert_eq!(nearest("elephant", known.into_iter()), None);
    }
}
