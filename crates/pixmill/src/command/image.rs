//! `pixmill image`: one picture.

mod target;

use std::fs::File;
use std::io::{self, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::Instant;

use bytes::Bytes;
use pixmill_codec::{OutputFormat, Recompressed};
use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::port::sandbox::Unbounded;
use serde_json::{Value, json};

use super::{End, Stop, interrupt};
use crate::config::limits::{LimitFlags, TimeFlags};
use crate::config::recipe::RecipeFlags;
use crate::config::talk::TalkFlags;
use crate::display::units::{Bytes as Size, saved_percent};
use crate::{display, summary, wiring};
use target::Target;

/// Recompress one picture
#[derive(Debug, clap::Args)]
#[command(after_help = "\
The recipe decides the format, never OUT's name. A picture that fails leaves no OUT.

Examples:
  pixmill image photo.png photo.jpg
  pixmill image photo.jpg small.webp --format webp --max-width 800
  curl -s https://example.com/a.png | pixmill image - - > a.jpg
  pixmill image photo.jpg photo.jpg --json | jq .image.saved_percent

Exit codes: 0 done, 1 a picture that can't be recompressed or written, 2 bad usage.")]
pub(super) struct ImageArgs {
    /// The picture, '-' for standard input
    #[arg(value_name = "IN")]
    input: PathBuf,

    /// Where the recompressed picture goes, '-' for standard output
    #[arg(value_name = "OUT")]
    out: PathBuf,

    #[command(flatten)]
    pub(super) recipe: RecipeFlags,

    #[command(flatten)]
    limits: LimitFlags,

    #[command(flatten)]
    time: TimeFlags,

    #[command(flatten)]
    talk: TalkFlags,
}

/// Standard input or output.
const DASH: &str = "-";

/// What became of the picture.
struct Done {
    output: Recompressed,
    bytes_before: u64,
    seconds: f64,
}

/// Recompresses one picture.
pub(super) fn run(args: &ImageArgs) -> Result<End, Stop> {
    let to_stdout = args.out == Path::new(DASH);
    if to_stdout && args.talk.json {
        return Err(Stop::Usage(
            "--json and the picture can't both go to standard output: name an OUT".to_owned(),
        ));
    }
    if to_stdout && io::stdout().is_terminal() {
        return Err(Stop::Usage(
            "a picture would clutter the terminal: redirect standard output or name an OUT".to_owned(),
        ));
    }
    match recompress(args) {
        Ok(done) => {
            report(args, &done);
            Ok(End::Done)
        }
        Err(fault) => {
            if args.talk.json {
                display::print_json(&failed(args, &fault));
            }
            Err(fault.into())
        }
    }
}

fn recompress(args: &ImageArgs) -> Result<Done, Fault> {
    let began = Instant::now();
    // Its process starts while the picture is read.
    let sandbox = wiring::sandbox(1, args.time.picture_time())?;
    let source = read(&args.input, args.limits.max_bytes)?;
    let bytes_before = source.len() as u64;
    let runtime = super::runtime()?;
    interrupt::end_at_once(&runtime);
    let (recipe, limits) = (args.recipe.recipe(), args.limits.limits());
    let recompressed = runtime.block_on(sandbox.recompress(source, recipe, limits, &Unbounded));
    runtime.shutdown_background();
    let output = recompressed?;
    if args.out == Path::new(DASH) {
        let mut out = io::stdout().lock();
        let written = out.write_all(&output.bytes).and_then(|()| out.flush());
        written.map_err(|error| {
            Fault::permanent(Code::StoreRejected, format!("standard output can't be written to: {error}"))
        })?;
    } else {
        Target::beside(&args.out)?.write(&output.bytes)?;
    }
    Ok(Done { output, bytes_before, seconds: began.elapsed().as_secs_f64() })
}

/// The source, unless it is larger than allowed.
fn read(input: &Path, max_bytes: u64) -> Result<Bytes, Fault> {
    let name =
        if input == Path::new(DASH) { "standard input".to_owned() } else { input.display().to_string() };
    let mut reader: Box<dyn Read> = match name.as_str() {
        _ if input == Path::new(DASH) => Box::new(io::stdin().lock()),
        _ => Box::new(File::open(input).map_err(|error| unreadable(&name, &error))?),
    };
    let mut bytes = Vec::new();
    reader.by_ref().take(max_bytes + 1).read_to_end(&mut bytes).map_err(|error| unreadable(&name, &error))?;
    if bytes.len() as u64 > max_bytes {
        return Err(Fault::permanent(
            Code::FetchTooLarge,
            format!("{name} has more than the allowed {max_bytes} bytes"),
        ));
    }
    Ok(bytes.into())
}

fn unreadable(name: &str, error: &io::Error) -> Fault {
    Fault::permanent(Code::FileMissing, format!("{name} can't be read: {error}"))
}

fn report(args: &ImageArgs, done: &Done) {
    if args.talk.json {
        return display::print_json(&completed(args, done));
    }
    if args.talk.quiet {
        return;
    }
    let (before, output) = (done.bytes_before, &done.output);
    let after = output.bytes.len() as u64;
    display::say(&format!(
        "{}: {} × {} {}, {} → {}, saved {:.1} %",
        args.out.display(),
        output.width,
        output.height,
        output.format.extension(),
        Size(before),
        Size(after),
        saved_percent(before, after)
    ));
    if output.frames > 1 {
        display::say(&format!(
            "note: of {} pictures that it shows one after the other, the first",
            output.frames
        ));
    }
    if let Some(named) = misnamed(&args.out, output.format) {
        display::say(&format!(
            "note: this is a .{}, whatever '.{named}' says: see --format",
            output.format.extension()
        ));
    }
}

/// The name's extension, when it tells of another format.
fn misnamed(out: &Path, format: OutputFormat) -> Option<String> {
    let extension = out.extension()?.to_str()?.to_ascii_lowercase();
    let canonical = if matches!(extension.as_str(), "jpeg" | "jpe" | "jfif") { "jpg" } else { &extension };
    (canonical != format.extension()).then_some(extension.clone())
}

fn completed(args: &ImageArgs, done: &Done) -> Value {
    let after = done.output.bytes.len() as u64;
    json!({"image": {
        "input": args.input,
        "output": args.out,
        "status": "completed",
        "format": done.output.format,
        "width": done.output.width,
        "height": done.output.height,
        "frames": done.output.frames,
        "bytes_before": done.bytes_before,
        "bytes_after": after,
        "saved_percent": saved_percent(done.bytes_before, after),
        "kept_source": done.output.kept_source,
        "seconds": (done.seconds * 1e3).round() / 1e3,
    }})
}

fn failed(args: &ImageArgs, fault: &Fault) -> Value {
    let mut image = summary::error(fault);
    image["input"] = json!(args.input);
    image["status"] = json!("failed");
    json!({ "image": image })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_name_that_tells_of_another_format_is_noted() {
        assert_eq!(misnamed(Path::new("a.JPEG"), OutputFormat::Jpeg), None);
        assert_eq!(misnamed(Path::new("a"), OutputFormat::Jpeg), None);
        assert_eq!(misnamed(Path::new("a.png"), OutputFormat::Jpeg), Some("png".to_owned()));
        assert_eq!(misnamed(Path::new("a.jpg"), OutputFormat::Webp), Some("jpg".to_owned()));
    }

    #[test]
    fn a_source_is_read_up_to_its_bound_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a");
        std::fs::write(&path, [7; 100]).unwrap();
        assert_eq!(read(&path, 100).unwrap().len(), 100);
        assert_eq!(read(&path, 99).unwrap_err().code, Code::FetchTooLarge);
        assert_eq!(read(&folder.path().join("b"), 99).unwrap_err().code, Code::FileMissing);
    }
}
