//! The supervisor's process.

fn main() -> std::process::ExitCode {
    skein_cloud::cli::main()
}
