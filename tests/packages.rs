//! The release artifacts: the static binary, the Debian package, and the image of
//! `scripts/Containerfile`, each in an empty root.

use std::path::Path;
use std::process::Command;

use crate::support::port::own_port;
use crate::support::program::{Program, script};

const DIST: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/target/dist");

/// Extracts the files in target/dist that a script reports.
fn artifacts(text: &str) -> Vec<&str> {
    let lines = text.lines().filter_map(|line| line.strip_prefix("target/dist/"));
    lines.map(|line| line.split(':').next().unwrap()).collect()
}

fn succeeds(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {stderr}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
#[ignore = "needs root for chroot, and cargo-deb; scripts/test runs it"]
fn binary_package_and_image_serve_in_an_empty_root() {
    let output = script("package", &[]);
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(text.matches("an echo in an empty root").count(), 3, "{text}");
    let [binary, package] = artifacts(&text)[..] else { panic!("{text}") };
    let digest = format!("{binary}.sha256");
    succeeds(Command::new("sha256sum").args(["--check", &digest]).current_dir(DIST));
    assert_package_installs(&Path::new(DIST).join(package));
    assert_image_serves(&Path::new(DIST).join(binary));
}

fn path() -> String {
    std::env::var("PATH").unwrap()
}

/// Installs the package in an empty root, and runs its binary there.
fn assert_package_installs(package: &Path) {
    let root = tempfile::tempdir().unwrap();
    let database = root.path().join("var/lib/dpkg");
    for folder in ["info", "updates"] {
        std::fs::create_dir_all(database.join(folder)).unwrap();
    }
    std::fs::write(database.join("status"), "").unwrap();
    let mut dpkg = Command::new("dpkg");
    // dpkg requires ldconfig and start-stop-daemon, whose folders are not in every PATH.
    dpkg.env("PATH", format!("{}:/usr/sbin:/sbin", path()));
    // The root has no shell: the package's scripts run outside, and change only what is below DPKG_ROOT.
    dpkg.args(["--force-script-chrootless", "--force-depends"]);
    succeeds(dpkg.arg("--root").arg(root.path()).arg("--install").arg(package));
    for file in [
        "bash-completion/completions/wsecho",
        "doc/wsecho/README.md",
        "doc/wsecho/copyright",
        "doc/wsecho/read-only-root/tmp.mount",
        "fish/vendor_completions.d/wsecho.fish",
        "man/man1/wsecho-check.1.gz",
        "man/man1/wsecho-doctor.1.gz",
        "man/man1/wsecho.1.gz",
        "zsh/vendor-completions/_wsecho",
    ] {
        assert!(root.path().join("usr/share").join(file).is_file(), "{file}");
    }
    let unit = root.path().join("usr/lib/systemd/system/wsecho.service");
    let unit = std::fs::read_to_string(unit).unwrap();
    assert!(unit.contains("\nExecStart=/usr/bin/wsecho\n"), "{unit}");
    let version = succeeds(Command::new("chroot").arg(root.path()).args(["/usr/bin/wsecho", "-V"]));
    assert_eq!(version, concat!("wsecho ", env!("CARGO_PKG_VERSION"), "\n"));
}

/// Returns the argument of an instruction in the Containerfile.
fn instruction(name: &str) -> &'static str {
    let lines = include_str!("../scripts/Containerfile").lines();
    let mut found = lines.filter_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    found.next().unwrap()
}

/// Parses a command in exec form, a JSON array.
fn exec(text: &str) -> Vec<String> {
    serde_json::from_str(&text[text.find('[').unwrap()..]).unwrap()
}

/// Lays out the image as a folder, and runs it as a container engine would: with its user, its
/// entry point and health check, on the port of a platform.
fn assert_image_serves(binary: &Path) {
    let image = tempfile::tempdir().unwrap();
    std::fs::copy(binary, image.path().join("wsecho")).unwrap();
    std::fs::set_permissions(image.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))
        .unwrap();
    assert_eq!(instruction("ENV"), "PORT=8080");
    let port = own_port().to_string();
    let inside = |arguments: &[String]| {
        let mut command = Command::new("chroot");
        command.arg(format!("--userspec={}", instruction("USER"))).arg(image.path());
        command.args(arguments).env_clear().env("PORT", &port);
        command.env("PATH", path());
        command
    };
    let program = Program::spawn(&mut inside(&exec(instruction("ENTRYPOINT"))), 1);
    assert_eq!(program.address().to_string(), format!("0.0.0.0:{port}"));
    let report = succeeds(&mut inside(&exec(instruction("HEALTHCHECK"))));
    assert!(report.contains("ok     close"), "{report}");
}
