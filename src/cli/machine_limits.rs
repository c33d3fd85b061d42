//! Compares the machine's limits with what the configuration allows to be used at one time: a thread for
//! each connection, its descriptors, and a few memory mappings.

use std::fs;
use std::path::Path;

use crate::config::Config;

/// Threads of the process beside those of connections and listeners: main, log, signals, reload, watchdog,
/// rejector, admin listener.
const THREADS_BESIDE: u64 = 16;
/// Memory mappings of a thread: its stack and its signal stack, with a guard page each.
const MAPPINGS_PER_THREAD: u64 = 4;
/// Memory mappings of the process without its threads: program, libraries, heap.
const MAPPINGS_BESIDE: u64 = 256;
/// Descriptors of a chat member beside its connection: the eventfd that wakes its thread.
const DESCRIPTORS_PER_MEMBER: u64 = 1;
/// Descriptors with which a file of `--www` is opened: those of the folder and of the file.
const DESCRIPTORS_PER_FILE: u64 = 2;
/// Descriptors of the process without connections and listeners: standard streams, wakers, the connections
/// of the admin listener and the watchdog, and twice `REFUSED_HELD` refused connections.
const DESCRIPTORS_BESIDE: u64 = 96;

/// Raises the soft limit of open descriptors (`RLIMIT_NOFILE`) to the hard limit.
///
/// This changes the whole process, so it is for the `main` of a program and not for a library.
pub(super) fn raise_descriptor_limit() {
    // This fails if a sandbox forbids the call; the accept loop copes with any limit.
    let _ = rlimit::increase_nofile_limit(u64::MAX);
}

/// A sentence for each limit of the machine that is lower than what `config` needs. A limit that cannot be
/// read counts as none: a connection beyond it gets a 503, or waits to be accepted.
pub(super) fn shortages(config: &Config) -> impl Iterator<Item = String> {
    let descriptors = rlimit::getrlimit(rlimit::Resource::NOFILE).ok().map(|(soft, _)| soft);
    [
        ("descriptors", descriptors, descriptors_needed(config), "the limit is", "ulimit -n"),
        ("memory mappings", map_limit(), mappings_needed(config), "vm.max_map_count is", "sysctl"),
        ("threads", task_limit(), threads_needed(config), "pids.max is", "TasksMax=, --pids-limit"),
    ]
    .into_iter()
    .filter_map(|(what, limit, needed, is, how)| {
        let limit = limit.filter(|limit| *limit < needed)?;
        Some(format!(
            "--max-connections needs {needed} {what} and {is} {limit}; raise it ({how}) or lower --max-connections"
        ))
    })
}

fn threads_needed(config: &Config) -> u64 {
    connections(config).saturating_add(listeners(config)).saturating_add(THREADS_BESIDE)
}

fn mappings_needed(config: &Config) -> u64 {
    threads_needed(config).saturating_mul(MAPPINGS_PER_THREAD).saturating_add(MAPPINGS_BESIDE)
}

/// A connection has either a file or a session.
fn descriptors_needed(config: &Config) -> u64 {
    let for_files = if config.www.is_some() { DESCRIPTORS_PER_FILE } else { 0 };
    let for_session = for_files.max(DESCRIPTORS_PER_MEMBER);
    let sessions = (config.limits.max_connections as u64).saturating_mul(1 + for_session);
    let others = (config.limits.reserve as u64).saturating_mul(1 + for_files);
    sessions
        .saturating_add(others)
        .saturating_add(listeners(config))
        .saturating_add(DESCRIPTORS_BESIDE)
}

/// The most connections, and so threads for them, at one time.
fn connections(config: &Config) -> u64 {
    config.limits.max_connections.saturating_add(config.limits.reserve) as u64
}

fn listeners(config: &Config) -> u64 {
    (config.listen.len() + usize::from(config.admin.is_some())) as u64
}

/// The system's limit of memory mappings of a process.
fn map_limit() -> Option<u64> {
    fs::read_to_string("/proc/sys/vm/max_map_count").ok()?.trim().parse().ok()
}

/// The lowest limit of tasks among the control groups of this process, of both versions.
fn task_limit() -> Option<u64> {
    let groups = fs::read_to_string("/proc/self/cgroup").ok()?;
    groups.lines().filter_map(|line| task_limit_of(line, Path::new("/sys/fs/cgroup"))).min()
}

/// The same for a line of `/proc/self/cgroup` (cgroups(7)), and the control groups around it.
fn task_limit_of(line: &str, mounted: &Path) -> Option<u64> {
    let (controllers, group) = line.split_once(':')?.1.split_once(':')?;
    let hierarchy = match controllers {
        "" => mounted.to_owned(),
        "pids" => mounted.join("pids"),
        _ => return None,
    };
    let limit = |group: &Path| {
        let file = hierarchy.join(group.strip_prefix("/").ok()?).join("pids.max");
        fs::read_to_string(file).ok()?.trim().parse().ok()
    };
    Path::new(group).ancestors().filter_map(limit).min()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Limits;

    fn config(max_connections: usize) -> Config {
        Config::default()
            .with(|config| config.limits = Limits { max_connections, ..Limits::default() })
    }

    #[test]
    fn what_is_needed_grows_with_the_connections() {
        let default = Config::default();
        assert_eq!(threads_needed(&default), 1024 + 64 + 1 + 16);
        assert_eq!(descriptors_needed(&default), 2 * 1024 + 64 + 1 + 96);
        let files = Config::default().with(|config| config.www = Some("/www".into()));
        assert_eq!(descriptors_needed(&files), 3 * (1024 + 64) + 1 + 96);
        // The default of `vm.max_map_count` is 65,530.
        assert!(mappings_needed(&config(16_000)) < 65_530);
        assert!(mappings_needed(&config(17_000)) > 65_530);
        assert_eq!(descriptors_needed(&config(usize::MAX)), u64::MAX);
    }

    #[test]
    fn the_unit_allows_what_the_defaults_need() {
        let unit = include_str!("../../scripts/systemd/wsecho.service");
        let limit = |name: &str| {
            let value = unit.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
            value.unwrap().parse::<u64>().unwrap()
        };
        let config = Config::default().with(|config| {
            (config.www, config.admin) = (Some("/www".into()), Some(([127, 0, 0, 1], 1).into()));
        });
        assert!(threads_needed(&config) <= limit("TasksMax"));
        assert!(descriptors_needed(&config) <= limit("LimitNOFILE"));
    }

    #[test]
    fn the_lowest_limit_of_tasks_counts() {
        let mounted = tempfile::tempdir().unwrap();
        for (file, limit) in [
            ("pids.max", "900\n"),
            ("a/pids.max", "max\n"),
            ("a/b/pids.max", "1200\n"),
            ("pids/c/pids.max", "70\n"),
        ] {
            let file = mounted.path().join(file);
            fs::create_dir_all(file.parent().unwrap()).unwrap();
            fs::write(file, limit).unwrap();
        }
        for (line, expected) in [
            ("0::/a/b", Some(900)),
            ("0::/", Some(900)),
            ("8:pids:/c", Some(70)),
            ("8:pids:/", None),
            ("4:memory:/c", None),
            ("", None),
        ] {
            assert_eq!(task_limit_of(line, mounted.path()), expected, "{line}");
        }
    }
}
