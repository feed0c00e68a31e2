//! The stand-in for Cloudinary as a process of its own: prints its address and serves until standard input closes.
#![allow(clippy::print_stdout, reason = "whoever starts it reads the address")]

use std::io::{self, Read};

use pixmill_testkit::storage::cloudinary::Cloudinary;

fn main() -> io::Result<()> {
    let service = Cloudinary::start()?;
    println!("{}", service.address());
    io::stdin().read_to_end(&mut Vec::new()).map(drop)
}
