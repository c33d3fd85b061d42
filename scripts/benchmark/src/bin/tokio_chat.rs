//! A chat room with tokio-tungstenite and a broadcast channel, on all processors. A message is
//! built once and shared; its frame header is written for each member, as the API shares no whole
//! frames.

use std::sync::{Arc, Mutex};

use futures_util::{SinkExt, StreamExt};
use serde_json::json;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::broadcast::{self, Sender};
use tokio_tungstenite::tungstenite::Message;

/// Messages that may be queued for a member.
const WAITING: usize = 256;

/// The number of the last message, under the lock that orders the messages, and their channel.
struct Room(Mutex<u64>, Sender<Message>);

impl Room {
    fn broadcast(&self, text: &str) {
        let mut seq = self.0.lock().expect("no thread panics");
        *seq += 1;
        let event =
            json!({ "type": "message", "from": "m0", "text": text, "at": "noon", "seq": *seq });
        // Fails if there are no members.
        let _ = self.1.send(Message::text(event.to_string()));
    }
}

async fn serve(stream: TcpStream, room: Arc<Room>) {
    stream.set_nodelay(true).ok();
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    let mut events = room.1.subscribe();
    loop {
        tokio::select! {
            message = socket.next() => match message {
                Some(Ok(Message::Text(text))) => room.broadcast(&text),
                Some(Ok(_)) => {}
                _ => return,
            },
            event = events.recv() => match event {
                Ok(event) => if socket.send(event).await.is_err() { return },
                Err(_) => return, // too slow
            },
        }
    }
}

fn main() -> std::io::Result<()> {
    rlimit::increase_nofile_limit(u64::MAX)?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        println!("listening on http://{}/", listener.local_addr()?);
        let room = Arc::new(Room(Mutex::new(0), broadcast::channel(WAITING).0));
        loop {
            let (stream, _) = listener.accept().await?;
            tokio::spawn(serve(stream, Arc::clone(&room)));
        }
    })
}
