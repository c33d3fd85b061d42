//! The program; all of it is in the library, see `cli`.

#![forbid(unsafe_code)]

fn main() -> std::process::ExitCode {
    wsecho::cli::main()
}
