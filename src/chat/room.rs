//! Rooms and who is in them.
//!
//! What it is: one lock a room, under which messages get their number and go into every outbox.
//! Invariants: see `chat`. A member is in its room exactly as long as its [`Membership`] lives, or until
//! its outbox overflows.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::SystemTime;

use super::event::{EncodedFrame, Event, too_slow};
use super::join_request::JoinRequest;
use super::outbox::Outbox;
use crate::config::chat::HISTORY;
use crate::config::{ChatLimits, timestamp};

/// What a member who does not keep up is told.
pub(crate) const TOO_SLOW: &str = "too many messages are waiting for you";

/// All rooms of a server.
#[derive(Debug)]
pub(crate) struct Rooms {
    limits: ChatLimits,
    rooms: Mutex<HashMap<String, Arc<Room>>>,
}

#[derive(Debug)]
struct Room {
    name: String,
    state: Mutex<RoomState>,
}

#[derive(Debug, Default)]
struct RoomState {
    /// By the order in which they came.
    members: BTreeMap<u64, Participant>,
    next_id: u64,
    /// The number of the last message.
    seq: u64,
    history: VecDeque<EncodedFrame>,
}

#[derive(Debug)]
struct Participant {
    name: String,
    outbox: Arc<Outbox>,
}

/// Why there is no participant in a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinError {
    Rooms,
    Members,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::Rooms => "there are as many rooms as there may be",
            JoinError::Members => "this room is full",
        })
    }
}

/// A participant in a room, which is left when this is dropped.
#[derive(Debug)]
pub(crate) struct Membership {
    rooms: Arc<Rooms>,
    room: Arc<Room>,
    id: u64,
    outbox: Arc<Outbox>,
}

impl Rooms {
    pub(crate) fn new(limits: ChatLimits) -> Rooms {
        Rooms { limits, rooms: Mutex::default() }
    }

    pub(crate) fn limits(&self) -> &ChatLimits {
        &self.limits
    }

    /// Joins, and puts the greeting into `outbox`: who is there, what was said last.
    ///
    /// # Errors
    /// There is no participant.
    pub(crate) fn join(
        self: &Arc<Self>,
        join_request: JoinRequest,
        outbox: &Arc<Outbox>,
        now: SystemTime,
    ) -> Result<Membership, JoinError> {
        // Held until the participant is taken: an empty room may be about to vanish.
        let mut rooms = self.lock();
        let room = match rooms.get(&join_request.room) {
            Some(room) => Arc::clone(room),
            None if rooms.len() >= self.limits.rooms => return Err(JoinError::Rooms),
            None => {
                let room = Room { name: join_request.room.clone(), state: Mutex::default() };
                let room = Arc::new(room);
                rooms.insert(join_request.room, Arc::clone(&room));
                room
            }
        };
        let admitted = room.admit(join_request.name, outbox, self.limits.members, now);
        drop(rooms);
        let id = admitted.inspect_err(|_| self.tidy(&room.name))?;
        Ok(Membership { rooms: Arc::clone(self), room, id, outbox: Arc::clone(outbox) })
    }

    /// Forgets the room of this name if nobody is in it. By name, as the room that was left may be
    /// gone by now, and have a successor.
    fn tidy(&self, name: &str) {
        let mut rooms = self.lock();
        if rooms.get(name).is_some_and(|room| room.lock().members.is_empty()) {
            rooms.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Room>>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Room {
    fn admit(
        &self,
        name: Option<String>,
        outbox: &Arc<Outbox>,
        max_members: usize,
        now: SystemTime,
    ) -> Result<u64, JoinError> {
        let mut state = self.lock();
        if state.members.len() >= max_members {
            return Err(JoinError::Members);
        }
        state.next_id += 1;
        let id = state.next_id;
        let name = state.own_name(name.unwrap_or_else(|| format!("guest-{id}")));
        let members = state.members.values().map(|participant| participant.name.as_str()).collect();
        let welcome = Event::Welcome { room: &self.name, name: &name, members, seq: state.seq };
        for frame in std::iter::once(welcome.encode()).chain(state.history.iter().cloned()) {
            outbox.greet(frame);
        }
        let participant = Participant { name: name.clone(), outbox: Arc::clone(outbox) };
        state.members.insert(id, participant);
        state.tell_all(&Event::Join { name: &name, at: &timestamp(now) }.encode(), now);
        Ok(id)
    }

    fn lock(&self) -> MutexGuard<'_, RoomState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RoomState {
    /// `name`, or with a number where somebody has that.
    fn own_name(&self, name: String) -> String {
        let taken: HashSet<_> =
            self.members.values().map(|participant| participant.name.as_str()).collect();
        if !taken.contains(name.as_str()) {
            return name;
        }
        let numbered = (2_u64..).map(|number| format!("{name}-{number}"));
        numbered.skip_while(|name| taken.contains(name.as_str())).take(1).collect()
    }

    /// Puts an event into every outbox. Who does not keep up is out of the room, which the others
    /// are told, which may be too much for another.
    fn tell_all(&mut self, event: &EncodedFrame, now: SystemTime) {
        let mut events = VecDeque::from([Arc::clone(event)]);
        while let Some(event) = events.pop_front() {
            self.members.retain(|_, participant| {
                let keeps_up = participant.outbox.put(Arc::clone(&event)).is_ok();
                if !keeps_up {
                    participant.outbox.overflow(too_slow(TOO_SLOW));
                    let leave = Event::Leave { name: &participant.name, at: &timestamp(now) };
                    events.push_back(leave.encode());
                }
                keeps_up
            });
        }
    }
}

impl Membership {
    /// Says `text` to everybody in the room, the speaker included.
    pub(crate) fn say(&self, text: &str, now: SystemTime) {
        let mut state = self.room.lock();
        let Some(participant) = state.members.get(&self.id) else { return };
        let seq = state.seq + 1;
        let event =
            Event::Message { from: &participant.name, text, at: &timestamp(now), seq }.encode();
        state.seq = seq;
        state.history.push_back(Arc::clone(&event));
        if state.history.len() > HISTORY {
            state.history.pop_front();
        }
        state.tell_all(&event, now);
    }

    /// The room's name, and the member's in it; none when it is out already.
    pub(crate) fn names(&self) -> (&str, Option<String>) {
        let state = self.room.lock();
        let name = state.members.get(&self.id).map(|participant| participant.name.clone());
        (&self.room.name, name)
    }

    /// Through which the member is sent to.
    pub(crate) fn outbox(&self) -> &Arc<Outbox> {
        &self.outbox
    }

    pub(crate) fn limits(&self) -> &ChatLimits {
        self.rooms.limits()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.room.lock();
        if let Some(participant) = state.members.remove(&self.id) {
            let now = SystemTime::now();
            let leave = Event::Leave { name: &participant.name, at: &timestamp(now) }.encode();
            state.tell_all(&leave, now);
        }
        drop(state);
        self.rooms.tidy(&self.room.name);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::time::UNIX_EPOCH;

    const NOON: SystemTime = UNIX_EPOCH;

    fn rooms(limits: ChatLimits) -> Arc<Rooms> {
        Arc::new(Rooms::new(limits))
    }

    fn join(
        rooms: &Arc<Rooms>,
        room: &str,
        name: &str,
    ) -> Result<(Membership, Arc<Outbox>), JoinError> {
        join_with(rooms, room, name, rooms.limits.outbox)
    }

    /// With an outbox of another size than the rooms' limit.
    fn join_with(
        rooms: &Arc<Rooms>,
        room: &str,
        name: &str,
        limit: usize,
    ) -> Result<(Membership, Arc<Outbox>), JoinError> {
        let outbox = Arc::new(Outbox::new(limit));
        let join_request = JoinRequest { room: room.to_owned(), name: Some(name.to_owned()) };
        rooms.join(join_request, &outbox, NOON).map(|member| (member, outbox))
    }

    /// What is in an outbox, short: the type, and who or what.
    fn told(outbox: &Outbox) -> Vec<String> {
        let mut out = Vec::new();
        std::thread::scope(|scope| {
            scope.spawn(|| outbox.deliver(&mut out));
            outbox.finish();
        });
        let (mut rest, mut told) = (&out[..], Vec::new());
        while let [0x81, length, tail @ ..] = rest {
            assert!(*length < 126, "short events only");
            let (json, tail) = tail.split_at(usize::from(*length));
            let event: Value = serde_json::from_slice(json).unwrap();
            let what = ["text", "name"].iter().find_map(|key| event[key].as_str()).unwrap();
            told.push(format!("{} {what} {}", event["type"].as_str().unwrap(), event["seq"]));
            rest = tail;
        }
        assert!(rest.is_empty(), "{rest:?}");
        told
    }

    #[test]
    fn everybody_hears_the_same_from_the_moment_of_joining() {
        let rooms = rooms(ChatLimits::default());
        let (ann, to_ann) = join(&rooms, "r", "ann").unwrap();
        ann.say("1", NOON);
        let (bob, to_bob) = join(&rooms, "r", "bob").unwrap();
        bob.say("2", NOON);
        drop(ann);
        let ann_heard = told(&to_ann);
        assert_eq!(
            ann_heard,
            ["welcome ann 0", "join ann null", "message 1 1", "join bob null", "message 2 2"]
        );
        assert_eq!(
            told(&to_bob),
            ["welcome bob 1", "message 1 1", "join bob null", "message 2 2", "leave ann null"]
        );
    }

    #[test]
    fn rooms_are_apart_and_vanish_with_their_last_member() {
        let rooms = rooms(ChatLimits::default());
        let (ann, to_ann) = join(&rooms, "a", "ann").unwrap();
        let (bob, _to_bob) = join(&rooms, "b", "bob").unwrap();
        bob.say("not for ann", NOON);
        drop(bob);
        assert_eq!(rooms.lock().len(), 1);
        drop(ann);
        assert!(rooms.lock().is_empty());
        assert_eq!(told(&to_ann), ["welcome ann 0", "join ann null"]);
    }

    #[test]
    fn who_leaves_late_does_not_take_the_next_room_of_that_name_along() {
        let rooms = rooms(ChatLimits::default());
        let (ann, _to_ann) = join(&rooms, "r", "ann").unwrap();
        let left = Arc::clone(&ann.room);
        drop(ann);
        let (_bob, _to_bob) = join(&rooms, "r", "bob").unwrap();
        // Two left at once; the second to tidy comes only now.
        rooms.tidy(&left.name);
        let (_eve, to_eve) = join(&rooms, "r", "eve").unwrap();
        assert_eq!(rooms.lock()["r"].lock().members.len(), 2, "{:?}", told(&to_eve));
    }

    #[test]
    fn a_newcomer_hears_the_last_twenty_however_small_its_outbox() {
        let rooms = rooms(ChatLimits { outbox: 1, ..ChatLimits::default() });
        let state = || rooms.lock().get("r").map(|room| room.lock().members.len());
        let (ann, _to_ann) = join_with(&rooms, "r", "ann", 100).unwrap();
        (1..=20).for_each(|number| ann.say(&number.to_string(), NOON));
        let (_bob, to_bob) = join(&rooms, "r", "bob").unwrap();
        assert_eq!(state(), Some(2));
        assert_eq!(told(&to_bob).len(), 22);
    }

    #[test]
    fn a_newcomer_hears_the_last_twenty() {
        let rooms = rooms(ChatLimits::default());
        let (ann, _to_ann) = join(&rooms, "r", "ann").unwrap();
        (1..=25).for_each(|number| ann.say(&number.to_string(), NOON));
        let (_bob, to_bob) = join(&rooms, "r", "bob").unwrap();
        let told = told(&to_bob);
        assert_eq!((told[0].as_str(), told[1].as_str()), ("welcome bob 25", "message 6 6"));
        assert_eq!((told[20].as_str(), told.len()), ("message 25 25", 22));
    }

    #[test]
    fn a_name_is_given_once() {
        let rooms = rooms(ChatLimits::default());
        let memberships = [(); 3].map(|()| join(&rooms, "r", "ann").unwrap());
        let names = memberships.map(|(member, outbox)| (told(&outbox).remove(0), member));
        assert_eq!(
            names.map(|(name, _)| name),
            ["welcome ann 0", "welcome ann-2 0", "welcome ann-3 0"]
        );
    }

    #[test]
    fn limits_are_kept_and_places_come_back() {
        let rooms = rooms(ChatLimits { rooms: 1, members: 1, ..ChatLimits::default() });
        let ann = join(&rooms, "r", "ann").unwrap();
        assert_eq!(join(&rooms, "r", "bob").unwrap_err(), JoinError::Members);
        assert_eq!(join(&rooms, "s", "bob").unwrap_err(), JoinError::Rooms);
        drop(ann);
        assert!(join(&rooms, "s", "bob").is_ok());
    }

    #[test]
    fn who_does_not_keep_up_is_out_and_the_others_hear_it() {
        let rooms = rooms(ChatLimits { outbox: 4, ..ChatLimits::default() });
        let (slow, to_slow) = join(&rooms, "r", "slow").unwrap();
        let (ann, to_ann) = join_with(&rooms, "r", "ann", 100).unwrap();
        (1..=3).for_each(|number| ann.say(&number.to_string(), NOON));
        assert!(slow.outbox().overflowed() && !ann.outbox().overflowed());
        slow.say("not heard", NOON);
        let heard = told(&to_ann);
        assert!(heard.contains(&"leave slow null".to_owned()), "{heard:?}");
        assert_eq!(heard.iter().filter(|event| event.starts_with("message")).count(), 3);
        let mut out = Vec::new();
        to_slow.deliver(&mut out);
        assert_eq!(out[2..4], 1013_u16.to_be_bytes());
        assert_eq!(rooms.lock()["r"].lock().members.len(), 1);
    }
}
