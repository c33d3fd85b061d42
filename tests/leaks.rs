//! A server that is embedded in another program's tests leaks nothing. This test is alone in its
//! process, as it counts the descriptors and threads of the process.

use std::net::TcpStream;
use std::time::{Duration, Instant};

use tungstenite::Message;
use wsecho::{Config, Listen, Server};

fn entries(folder: &str) -> usize {
    std::fs::read_dir(folder).unwrap().count()
}

/// Counts the descriptors and threads of this process.
fn descriptors_and_threads() -> (usize, usize) {
    (entries("/proc/self/fd"), entries("/proc/self/task"))
}

/// Whether there are more descriptors or more threads than `before`, which may have counted a thread
/// that had just been joined.
fn exceeds(now: (usize, usize), before: (usize, usize)) -> bool {
    now.0 > before.0 || now.1 > before.1
}

fn bind_run_stop() {
    let here = ([127, 0, 0, 1], 0);
    let config = Config::default().with(|config| {
        config.listen = vec![here.into(); 2];
        config.admin = Some(here.into());
    });
    let server = Server::bind(config).unwrap();
    let address = server.local_addrs()[1];
    let Some(Listen::Tcp(admin)) = server.admin_addr() else { panic!("no admin listener") };
    let stopper = server.stopper();
    let running = std::thread::spawn(|| server.run());
    let silent = TcpStream::connect(admin).unwrap();
    let stream = TcpStream::connect(address).unwrap();
    let (mut client, _) = tungstenite::client(format!("ws://{address}/ws"), stream).unwrap();
    client.send(Message::text("hello")).unwrap();
    assert!(client.read().unwrap().to_text().unwrap().starts_with("You sent: hello"));
    stopper.stop();
    assert!(client.read().unwrap().is_close());
    assert!(matches!(client.read(), Err(tungstenite::Error::ConnectionClosed)));
    running.join().unwrap().unwrap();
    drop(silent);
}

#[test]
fn two_hundred_servers_leak_no_thread_and_no_descriptor() {
    bind_run_stop(); // one-time allocations of the process are not counted
    let before = descriptors_and_threads();
    for round in 0..200 {
        bind_run_stop();
        // The kernel removes a joined thread from /proc with a short delay.
        let deadline = Instant::now() + Duration::from_secs(10);
        while exceeds(descriptors_and_threads(), before) {
            assert!(
                Instant::now() < deadline,
                "{before:?}, {:?} after round {round}",
                descriptors_and_threads()
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}
