//! Compiles `proto/schema` into Rust and a descriptor set, without a system `protoc`.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::{env, fs};

const FILES: [&str; 8] =
    ["agent_control", "authority", "common", "event", "mission", "mission_control", "swarm", "telemetry"];

fn main() -> Result<(), Box<dyn Error>> {
    let schema = Path::new(&env::var("CARGO_MANIFEST_DIR")?).join("../schema");
    println!("cargo::rerun-if-changed={}", schema.display());
    let out = PathBuf::from(env::var("OUT_DIR")?);

    let files: Vec<PathBuf> = FILES.iter().map(|name| schema.join(format!("skein/v1/{name}.proto"))).collect();
    let mut compiler = protox::Compiler::new([&schema])?;
    compiler.include_imports(true).include_source_info(true).open_files(&files)?;
    // Clients and servers are made from a channel or a stream that a shell opened: nothing here opens a socket.
    tonic_prost_build::configure().build_transport(false).compile_fds(compiler.file_descriptor_set())?;

    // Reflection needs no comments.
    compiler.include_source_info(false);
    fs::write(out.join("skein_v1.bin"), compiler.encode_file_descriptor_set())?;
    Ok(())
}
