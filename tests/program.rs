//! The binary: its output, and failures at startup.

use std::fs::OpenOptions;
use std::net::{Ipv6Addr, TcpListener};
use std::time::SystemTime;

use nix::sys::signal::Signal;
use tungstenite::Message;
use wsecho::{Clock, LONG_TIME};

use crate::support::client::{Client, FIN_CLOSE, FIN_TEXT, Raw, frame, handshake};
use crate::support::port::own_port;
use crate::support::program::{Program, command};

/// Starts the binary, which fails. Returns exit code and stderr.
fn failed(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String) {
    let output = command(arguments).envs(variables.iter().copied()).output().unwrap();
    assert!(output.stdout.is_empty(), "it printed {:?}", String::from_utf8_lossy(&output.stdout));
    (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
}

#[test]
fn each_listener_is_printed_on_one_line_and_served() {
    let mut two = command(&["--listen", "127.0.0.1:0", "--listen", "localhost:0"]);
    let program = Program::spawn(&mut two, 2);
    for address in &program.addresses {
        assert_eq!(Client::open(*address, "/echo").ask("hello"), Message::text("hello"));
    }
}

#[test]
fn options_take_precedence_over_environment_variables() {
    let mut variables = command(&["--reply", "option"]);
    variables.env("WSECHO_LISTEN", "127.0.0.1:0,127.0.0.1:0").env("WSECHO_REPLY", "variable");
    let program = Program::spawn(&mut variables, 2);
    assert_eq!(Client::open(program.addresses[1], "/ws").ask("x"), Message::text("option"));
    let mut variable = command(&["--listen", "127.0.0.1:0"]);
    let program = Program::spawn(variable.env("WSECHO_REPLY", "variable"), 1);
    assert_eq!(Client::open(program.address(), "/ws").ask("x"), Message::text("variable"));
}

#[test]
fn limits_beyond_the_machine_are_warned_about_at_startup() {
    let program = Program::start(&["--max-connections", "1000000000"]);
    program.signal(Signal::SIGTERM);
    let (_, log) = program.wait();
    assert!(log.contains("needs 2000000161 descriptors"), "{log}");
    assert!(log.contains("needs 4000000580 memory mappings and vm.max_map_count is"), "{log}");
}

#[test]
fn port_variable_listens_on_every_interface() {
    let program = Program::spawn(command(&[]).env("PORT", "0"), 1);
    assert!(program.address().ip().is_unspecified());
    let (code, stderr) = failed(&[], &[("PORT", "http")]);
    assert!(code == 2 && stderr.contains("PORT"), "{code} {stderr}");
}

#[test]
fn the_time_is_local_and_follows_tz() {
    let mut kathmandu = command(&[
        "--listen",
        "127.0.0.1:0",
        "--time-format",
        "[hour]:[minute] [offset_hour sign:mandatory]:[offset_minute]",
    ]);
    let program = Program::spawn(kathmandu.env("TZ", "NPT-5:45"), 1);
    let reply = Client::open(program.address(), "/ws").ask("x").into_text().unwrap();
    assert!(reply.ends_with(" +05:45"), "{reply}");
}

#[test]
fn a_time_zone_that_is_not_known_is_a_warning() {
    let errors = |zone: &str, options: &[&str]| {
        let mut command = command(&["--listen", "127.0.0.1:0"]);
        let program = Program::spawn(command.args(options).env("TZ", zone), 1);
        program.signal(Signal::SIGTERM);
        program.wait().1
    };
    let warning = "WARN  the time zone TZ=Nowhere/Land is not known on this machine";
    assert!(errors("Nowhere/Land", &[]).contains(warning));
    for (zone, options) in [("Nowhere/Land", &["--utc"][..]), ("NPT-5:45", &[])] {
        assert!(!errors(zone, options).contains("time zone"), "{zone} {options:?}");
    }
}

#[test]
fn utc_takes_precedence_over_tz() {
    let mut utc = command(&["--listen", "127.0.0.1:0", "--utc"]);
    let program = Program::spawn(utc.env("TZ", "NPT-5:45"), 1);
    let clock = Clock::utc(LONG_TIME).unwrap();
    let before = clock.text_at(SystemTime::now());
    let reply = Client::open(program.address(), "/ws").ask("x").into_text().unwrap();
    let after = clock.text_at(SystemTime::now());
    let expected = [before, after].map(|time| format!("You sent: x at {time}"));
    assert!(
        expected.iter().any(|expected| *expected == reply.as_str()),
        "{reply} is not in {expected:?}"
    );
}

#[test]
fn startup_errors_exit_with_1_and_name_the_cause() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let (code, stderr) = failed(&["--listen", &address], &[]);
    assert_eq!(code, 1);
    assert_eq!(stderr.lines().count(), 1, "{stderr}");
    assert!(stderr.contains(&address) && stderr.contains("--listen"), "{stderr}");

    let (code, stderr) = failed(&["--listen", "127.0.0.1:0", "--www", "/nonexistent"], &[]);
    assert!(code == 1 && stderr.contains("/nonexistent"), "{code} {stderr}");
}

#[test]
#[cfg(not(feature = "tls"))]
fn a_build_without_tls_says_so() {
    let (code, stderr) = failed(&["--tls-cert", "chain.pem"], &[("WSECHO_TLS_KEY", "key.pem")]);
    assert!(code == 1 && stderr.contains("cannot speak TLS: this build has no TLS"), "{stderr}");
    let (code, stderr) = failed(&["check", "wss://example.com/"], &[]);
    assert!(code == 2 && stderr.contains("this build has no TLS"), "{stderr}");
    let help = String::from_utf8(command(&["--help"]).output().unwrap().stdout).unwrap();
    assert!(!help.contains("--tls-"), "{help}");
}

#[test]
fn addresses_are_taken_in_the_forms_of_other_servers() {
    let port = own_port();
    for (arguments, expected) in [
        (&["--port", "0"][..], "127.0.0.1"),
        (&["--host", "127.0.0.2", "-p", "0"], "127.0.0.2"),
        (&["127.0.0.3:0"], "127.0.0.3"),
        (&["--bind", "127.0.0.4:0"], "127.0.0.4"),
        (&[&format!(":{port}")], "127.0.0.1"),
    ] {
        let program = Program::spawn(&mut command(arguments), 1);
        assert_eq!(program.address().ip().to_string(), expected, "{arguments:?}");
    }
}

#[test]
fn an_unknown_variable_is_a_warning_that_names_the_known_one() {
    let mut command = command(&["--listen", "127.0.0.1:0"]);
    let mut program = Program::spawn(command.env("WSECHO_LISTN", "8080"), 1);
    let line = program.log_line("WSECHO_LISTN");
    assert!(line.contains("WARN") && line.contains("is WSECHO_LISTEN meant?"), "{line}");
}

#[test]
fn the_short_help_fits_a_terminal() {
    let help = String::from_utf8(command(&["-h"]).output().unwrap().stdout).unwrap();
    assert!(help.lines().count() < 24, "{help}");
    for expected in ["--listen", "--tls-cert", "check ", "--help"] {
        assert!(help.contains(expected), "{help}");
    }
}

#[test]
fn bad_usage_exits_with_2_and_names_the_argument() {
    for (arguments, expected) in [
        (&["--listen", "example.com:80"][..], "an IP address and a port"),
        (&["serve"], "nor the subcommand check"),
        (&["--host", "example.com"], "--host example.com: it takes an IP address"),
        (&["--listn", "8080"], "'--listen'"),
        (&["--time-format", "%H:%M"], "write '[hour]:[minute]'"),
        (&["--listen", "unix:@name"], "abstract sockets are not supported; write a path"),
        (&["--reply", "{massage}"], "{massage}"),
        (&["--time-format", "[hour]:[minuet]"], "byte index 8"),
        (&["--max-message-size", "1 parsec"], "--max-message-size"),
        (&["--max-message-size", "2GiB"], "1.0 GiB at most"),
        (&["--ping-timeout", "0s"], "--ping-timeout"),
        (&["--ping-interval", "580000000000y"], "--ping-interval <TIME>': a duration is 10years"),
        (&["--grace-period", "11y"], "--grace-period <TIME>': a duration is 10years at most"),
        (&["check", "--timeout", "2h", "ws://h"], "--timeout <TIME>': a duration is 1h at most"),
        (&["--trusted-proxy", "10.0.0.0/33"], "10.0.0.0/8"),
        (&["--nonsense"], "--nonsense"),
    ] {
        let (code, stderr) = failed(arguments, &[]);
        assert!(code == 2 && stderr.contains(expected), "{arguments:?}: {code} {stderr}");
    }
}

#[test]
fn the_log_names_the_client_forwarded_by_a_trusted_proxy() {
    for (trusted, expected) in [
        ("10.0.0.0/8,127.0.0.1", " 203.0.113.9 via 127.0.0.1:"),
        ("10.0.0.0/8", "session 1 127.0.0.1:"),
    ] {
        let mut behind = command(&["--listen", "127.0.0.1:0"]);
        let program = Program::spawn(behind.env("WSECHO_TRUSTED_PROXY", trusted), 1);
        let mut client = Raw::connect(program.address());
        let request =
            handshake("/echo").replace("Host: h", "Host: h\r\nForwarded: for=203.0.113.9");
        assert_eq!(client.send(request).response_to_head().status, 101);
        assert_eq!(client.send(frame(FIN_CLOSE, b"")).close_code(), 1005);
        program.signal(Signal::SIGTERM);
        let log = program.wait().1;
        assert!(log.contains(expected) && log.contains(" /echo: closed by"), "{log}");
    }
}

#[test]
fn a_refused_handshake_has_one_line_in_the_log() {
    let program = Program::start(&[]);
    for (path, field, status) in [
        ("/echo", "Origin: http://evil.example", 403),
        ("/no\u{9b}where", "X: y", 404),
        ("/echo?status=503", "X: y", 503),
    ] {
        let request = handshake(path).replace("Host: h", &format!("Host: h\r\n{field}"));
        assert_eq!(Raw::connect(program.address()).send(request).response().status, status);
    }
    assert_eq!(Raw::connect(program.address()).get("/nowhere").status, 404);
    program.signal(Signal::SIGTERM);
    let log = program.wait().1;
    let lines = log.lines().filter_map(|line| line.split_once(" INFO  refused 127.0.0.1:"));
    let lines: Vec<_> = lines.map(|(_, line)| line.split_once(' ').unwrap().1).collect();
    assert_eq!(
        lines,
        [
            "/echo, Origin http://evil.example: 403 Pages of this origin may not open a WebSocket on this server.",
            r"/no\u{9b}where, no Origin: 404 No WebSocket is served at /no\u{9b}where.",
            "/echo, no Origin: 503 Refused with 503, as the query asks.",
        ],
        "{log}"
    );
}

#[test]
fn an_invalid_close_is_logged_as_it_was_sent_and_answered() {
    let mut program = Program::start(&["--log-format", "json"]);
    for offer in ["X: y", "Sec-WebSocket-Extensions: permessage-deflate"] {
        for (code, answer) in [999, 1005, 1006, 1015, 1016, 5000]
            .map(|code| (code, 1002))
            .into_iter()
            .chain([(1014, 1014)])
        {
            let request = handshake("/echo").replace("Host: h", &format!("Host: h\r\n{offer}"));
            let mut client = Raw::connect(program.address());
            assert_eq!(client.send(request).response_to_head().status, 101);
            let payload = [&u16::to_be_bytes(code)[..], b"None"].concat();
            let message = frame(FIN_TEXT, b"in the same packet");
            client.send([message, frame(FIN_CLOSE, &payload)].concat());
            assert_eq!(client.close_code(), answer);
            assert_eq!(client.rest(), b"");
            let line = program.log_line("\"session\"");
            let line: serde_json::Value = serde_json::from_str(&line).unwrap();
            let sent = format!("the client sent a Close with {code}, which must not be sent");
            let (by, reason) = if answer == 1002 { ("server", &*sent) } else { ("client", "None") };
            assert_eq!(line["by"], by, "{line}");
            assert_eq!(line["code"], answer, "{line}");
            assert_eq!(line["reason"], reason, "{line}");
        }
    }
}

#[test]
fn a_full_stderr_holds_up_neither_clients_nor_the_stop() {
    let program = Program::start(&["-v"]); // nobody reads its stderr until `wait`
    for _ in 0..8 {
        let mut client = Raw::connect(program.address());
        for _ in 0..400 {
            assert_eq!(client.get("/healthz").status, 200);
        }
    }
    let mut client = Client::open(program.address(), "/echo");
    assert_eq!(client.ask("still here"), Message::text("still here"));
    program.signal(Signal::SIGTERM);
    assert_eq!(client.close_code(), 1001);
    client.assert_closed();
    let (status, log) = program.wait();
    assert!(status.success(), "{status}");
    assert!(log.contains(" log lines were lost, because stderr was full"), "{log}");
}

#[test]
fn an_idle_session_logs_nothing_before_its_end() {
    let program = Program::start(&["--ping-interval", "10ms"]);
    let mut client = Client::open(program.address(), "/ws");
    let mut pings = 0;
    while pings < 50 {
        pings += i32::from(client.0.read().unwrap().is_ping());
    }
    program.signal(Signal::SIGTERM);
    assert_eq!(client.close_code(), 1001);
    client.assert_closed();
    let log = program.wait().1;
    let lines: Vec<_> = log.lines().collect();
    let [stopping, session, stopped] = lines[..] else { panic!("{log}") };
    assert!(stopping.contains("stopping;") && stopped.ends_with("has ended"), "{log}");
    assert!(session.contains(" /ws: closed by the server: 1001"), "{log}");
}

#[test]
fn the_longest_duration_of_every_option_works() {
    let mut options = vec!["--max-duration", "10y", "--idle-timeout", "10y"];
    options.extend(["--ping-interval", "10y", "--ping-timeout", "10y", "--write-timeout", "10y"]);
    options.extend(["--handshake-timeout", "10y", "--keep-alive-timeout", "10y"]);
    options.extend(["--close-timeout", "10y", "--grace-period", "10y", "--pool-idle", "10y"]);
    let mut longest = command(&["--listen", "127.0.0.1:0"]);
    let program = Program::spawn(longest.args(options).env_remove("WSECHO_POOL_IDLE"), 1);
    let mut client = Client::open(program.address(), "/echo");
    assert_eq!(client.ask("hello"), Message::text("hello"));
    program.signal(Signal::SIGTERM);
    assert_eq!(client.close_code(), 1001);
    client.assert_closed();
    let (status, log) = program.wait();
    assert!(status.success() && !log.contains("panic"), "{log}");
}

#[test]
fn flags_in_the_environment_take_yes_and_no() {
    for (value, offset) in [
        ("1", "+00:00"),
        ("yes", "+00:00"),
        ("on", "+00:00"),
        ("TRUE", "+00:00"),
        ("0", "+05:45"),
        ("no", "+05:45"),
        ("off", "+05:45"),
        ("false", "+05:45"),
        ("", "+05:45"),
    ] {
        let mut server = command(&[
            "--listen",
            "127.0.0.1:0",
            "--time-format",
            "[offset_hour sign:mandatory]:[offset_minute]",
        ]);
        server.env("TZ", "NPT-5:45").env("WSECHO_UTC", value);
        let program =
            Program::spawn(server.env("WSECHO_QUIET", "no").env("WSECHO_VERBOSE", "yes"), 1);
        let reply = Client::open(program.address(), "/ws").ask("x").into_text().unwrap();
        assert!(reply.ends_with(offset), "{value:?}: {reply}");
    }
}

#[test]
fn an_empty_variable_is_like_none() {
    let mut server = command(&["--listen", "127.0.0.1:0"]);
    for name in ["ADMIN", "REPLY", "WWW", "ALLOW_ORIGIN", "TRUSTED_PROXY", "QUIET", "VERBOSE"] {
        server.env(format!("WSECHO_{name}"), "");
    }
    for name in ["TLS_CERT", "TLS_KEY", "LOG_PAYLOAD", "COMPRESSION", "PING_INTERVAL"] {
        server.env(format!("WSECHO_{name}"), "");
    }
    let program = Program::spawn(&mut server, 1);
    let reply = Client::open(program.address(), "/ws").ask("x").into_text().unwrap();
    assert!(reply.starts_with("You sent: x at "), "{reply}");
}

#[test]
fn an_error_names_the_variable_with_the_wrong_value() {
    for (name, value, expected) in [
        ("WSECHO_UTC", "maybe", "'--utc', set by 'WSECHO_UTC': write 1 or 0"),
        ("WSECHO_VERBOSE", "much", "'--verbose...', set by 'WSECHO_VERBOSE': "),
        ("WSECHO_PING_TIMEOUT", "5", "'--ping-timeout <TIME>', set by 'WSECHO_PING_TIMEOUT': "),
        ("WSECHO_COMPRESSION", "perhaps", "'--compression <SWITCH>', set by 'WSECHO_COMPRESSION'"),
        ("WSECHO_TIME_FORMAT", "[minuet]", "set by 'WSECHO_TIME_FORMAT': "),
        (
            "WSECHO_MAX_MESSAGE_SIZE",
            "2GiB",
            "set by 'WSECHO_MAX_MESSAGE_SIZE': a message is 1.0 GiB",
        ),
        ("WSECHO_TRUSTED_PROXY", "10.0.0.1,x", "set by 'WSECHO_TRUSTED_PROXY': "),
    ] {
        let (code, stderr) = failed(&[], &[(name, value)]);
        assert!(code == 2 && stderr.contains(expected), "{name}: {code} {stderr}");
    }
    // The option precedes the variable.
    let (_, stderr) = failed(&["--ping-timeout", "6"], &[("WSECHO_PING_TIMEOUT", "5")]);
    assert!(!stderr.contains("WSECHO"), "{stderr}");
}

#[test]
fn localhost_is_both_loopback_addresses() {
    let has_ipv6 = TcpListener::bind((Ipv6Addr::LOCALHOST, 0)).is_ok();
    for asked in [own_port(), 0] {
        let listen = format!("localhost:{asked}");
        let listeners = 1 + usize::from(has_ipv6);
        let program = Program::spawn(&mut command(&["--listen", &listen]), listeners);
        let port = program.address().port();
        assert!(asked == 0 || asked == port);
        for address in &program.addresses {
            assert_eq!(address.port(), port);
            assert_eq!(Client::open(*address, "/echo").ask("hello"), Message::text("hello"));
        }
        assert!(program.addresses[0].is_ipv4());
        assert!(!has_ipv6 || program.addresses[1].is_ipv6());
    }
}

#[test]
fn a_startup_error_that_cannot_be_written_exits_with_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let full = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let status = command(&["--listen", &address]).stderr(full).status().unwrap();
    assert_eq!(status.code(), Some(1));
}
