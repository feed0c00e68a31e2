//! Section `recipe`: what to do to each picture.

use clap::builder::{PossibleValuesParser, TypedValueParser};
use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, FromArgMatches};
use pixmill_codec::{Background, Format, KeepMetadata, Recipe, Score};

use super::bounds::{colour, whole};
use super::setting::{Place, Setting};

/// Recipe options, the same everywhere.
#[derive(Debug, Clone, clap::Args)]
#[command(next_help_heading = "Recipe")]
pub(crate) struct RecipeFlags {
    /// Format of the outputs; keep: what the source is, but PNG for GIF, BMP and TIFF
    #[arg(long, value_name = "FORMAT", default_value = "jpeg", value_parser = formats())]
    format: Format,

    /// Quality, 1 to 100; PNG stays lossless
    #[arg(long, value_name = "1..100", default_value_t = Recipe::default().quality, value_parser = whole::<u8>(1, 100))]
    quality: u8,

    /// Use the lowest quality that reaches this SSIMULACRA2 score instead: 90 looks the same, 70 looks good
    #[arg(long, value_name = "SCORE", value_parser = score)]
    target_ssimulacra2: Option<Score>,

    /// Fit inside this width, in pixels; never enlarges
    #[arg(long, value_name = "PIXELS", value_parser = whole::<u32>(1, LONGEST_SIDE))]
    max_width: Option<u32>,

    /// Fit inside this height, in pixels; never enlarges
    #[arg(long, value_name = "PIXELS", value_parser = whole::<u32>(1, LONGEST_SIDE))]
    max_height: Option<u32>,

    /// Colour below transparent pictures that become JPEG
    #[arg(long, value_name = "#RRGGBB", default_value = "#ffffff", value_parser = |text: &str| colour(text).map(Background))]
    background: Background,

    /// Write progressive JPEG
    #[arg(long)]
    progressive: bool,

    /// Metadata that outputs keep; icc: an sRGB profile, all: EXIF and XMP too, camera positions included
    #[arg(long, value_name = "WHICH", default_value = "none", value_parser = metadata())]
    keep_metadata: KeepMetadata,
}

/// Formats of outputs, by name.
pub(crate) const FORMATS: [&str; 5] = ["jpeg", "webp", "avif", "png", "keep"];

/// The longest side that a JPEG can have, pixels (ITU-T T.81 B.2.2).
const LONGEST_SIDE: u64 = 65_535;

/// An option's name without marks and case, so that `max-width`, `max_width` and `maxWidth` are one.
fn plain(name: &str) -> String {
    name.chars().filter(|letter| !matches!(letter, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// The options as a command of their own.
fn command() -> Command {
    RecipeFlags::augment_args(Command::new("recipe").no_binary_name(true).disable_help_flag(true))
}

fn find<'a>(command: &'a Command, name: &str) -> Option<&'a Arg> {
    let name = plain(name);
    command.get_arguments().find(|arg| arg.get_long().is_some_and(|long| plain(long) == name))
}

/// Whether somebody who says this means an option of a recipe.
pub(crate) fn is_option(name: &str) -> bool {
    find(&command(), name).is_some()
}

/// A recipe with some of its options replaced, as the command line would read them. Other names are passed over.
///
/// # Errors
/// Each option that holds something wrong, with what is allowed.
pub(crate) fn amended(recipe: Recipe, options: &[(String, String)]) -> Result<Recipe, Vec<(String, String)>> {
    let command = command();
    let (mut arguments, mut wrong) = (Vec::new(), Vec::new());
    for (name, value) in options {
        let Some(arg) = find(&command, name) else { continue };
        let setting = Setting { values: vec![value.clone()], place: Place::Field(name.clone()) };
        match setting.as_arguments(arg) {
            Ok(said) => arguments.extend(said),
            Err(message) => wrong.push((name.clone(), message)),
        }
    }
    if !wrong.is_empty() {
        return Err(wrong);
    }
    let all = |error: clap::Error| vec![("recipe".to_owned(), error.to_string())];
    let matches = command.args_override_self(true).try_get_matches_from(arguments).map_err(all)?;
    let asked = RecipeFlags::from_arg_matches(&matches).map_err(all)?.recipe();
    let says = |id: &str| matches.value_source(id) == Some(ValueSource::CommandLine);
    Ok(Recipe {
        format: if says("format") { asked.format } else { recipe.format },
        quality: if says("quality") { asked.quality } else { recipe.quality },
        target_ssimulacra2: asked.target_ssimulacra2.or(recipe.target_ssimulacra2),
        max_width: asked.max_width.or(recipe.max_width),
        max_height: asked.max_height.or(recipe.max_height),
        background: if says("background") { asked.background } else { recipe.background },
        progressive: if options.iter().any(|(name, _)| plain(name) == "progressive") {
            asked.progressive
        } else {
            recipe.progressive
        },
        keep_metadata: if says("keep_metadata") { asked.keep_metadata } else { recipe.keep_metadata },
    })
}

impl RecipeFlags {
    /// The recipe.
    pub(crate) fn recipe(&self) -> Recipe {
        Recipe {
            format: self.format,
            quality: self.quality,
            target_ssimulacra2: self.target_ssimulacra2,
            max_width: self.max_width,
            max_height: self.max_height,
            background: self.background,
            progressive: self.progressive,
            keep_metadata: self.keep_metadata,
        }
    }
}

/// Recipe options for a server, which knows what to do where nothing is said: those alone that were said, as text.
#[derive(Debug, Clone)]
pub(crate) struct RecipeSaid(pub(crate) Vec<(String, String)>);

impl Args for RecipeSaid {
    fn augment_args(onto: Command) -> Command {
        let options = command();
        let ids = options.get_arguments().map(|option| option.get_id().clone());
        let shown = |arg: Arg| match arg.get_action().takes_values() {
            true => arg.hide_default_value(true),
            false => arg,
        };
        ids.fold(RecipeFlags::augment_args(onto), |command, id| command.mut_arg(id, shown))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RecipeSaid {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let options = command();
        let said = options.get_arguments().filter_map(|option| {
            let id = option.get_id().as_str();
            let is_said = matches.value_source(id) == Some(ValueSource::CommandLine);
            let value = matches.get_raw(id).filter(|_| is_said)?.next()?;
            Some((id.to_owned(), value.to_string_lossy().into_owned()))
        });
        Ok(RecipeSaid(said.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

fn score(text: &str) -> Result<Score, String> {
    let score: f64 = text.parse().map_err(|_| format!("`{text}` is not a number"))?;
    Score::try_from(score).map_err(str::to_owned)
}

fn formats() -> impl TypedValueParser<Value = Format> {
    PossibleValuesParser::new(FORMATS).try_map(|name| match name.as_str() {
        "webp" => Ok(Format::Webp),
        "avif" if cfg!(feature = "avif") => Ok(Format::Avif),
        "avif" => Err("this build of pixmill does without AVIF: take one with the feature `avif`"),
        "png" => Ok(Format::Png),
        "keep" => Ok(Format::Keep),
        _ => Ok(Format::Jpeg),
    })
}

fn metadata() -> impl TypedValueParser<Value = KeepMetadata> {
    PossibleValuesParser::new(["none", "icc", "all"]).map(|name| match name.as_str() {
        "icc" => KeepMetadata::Icc,
        "all" => KeepMetadata::All,
        _ => KeepMetadata::None,
    })
}
