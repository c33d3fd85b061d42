//! Rooms and their members.
//!
//! One lock a room: under it a message gets its number and goes into every outbox.
//!
//! **Invariant:** a member is in its room as long as its [`Membership`] lives, or until its outbox
//! overflows.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque};
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime};

use super::event::{EncodedFrame, Event};
use super::join_request::JoinRequest;
use super::outbox::Outbox;
use crate::config::chat::HISTORY;
use crate::config::{ChatLimits, timestamp};
use crate::lock::unpoisoned;
use crate::message_memory::{MessageMemory, NO_MEMORY};
use crate::token_bucket::TokenBucket;

/// All rooms of a server.
#[derive(Debug)]
pub(crate) struct Rooms {
    limits: ChatLimits,
    memory: Arc<MessageMemory>,
    by_name: Mutex<HashMap<String, Arc<Room>>>,
}

#[derive(Debug)]
struct Room {
    name: String,
    memory: Arc<MessageMemory>,
    state: Mutex<RoomState>,
}

#[derive(Debug)]
struct RoomState {
    /// In the order in which they joined.
    members: BTreeMap<u64, Participant>,
    next_id: u64,
    /// The number of the last message.
    seq: u64,
    history: VecDeque<EncodedFrame>,
    /// The time of the last event.
    latest: SystemTime,
    /// How many members have left and were not replaced.
    vacancies: usize,
    /// The rate of joins while there are vacancies, because each join and leave is announced to all members.
    /// A room that only grows is limited by the number of its members.
    replacements: TokenBucket,
}

#[derive(Debug)]
struct Participant {
    name: String,
    outbox: Arc<Outbox>,
}

/// Why a session could not join a room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum JoinError {
    TooManyRooms,
    RoomFull,
    TooManyJoins,
    NoMemory,
    NoDescriptor,
}

impl fmt::Display for JoinError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            JoinError::TooManyRooms => "there are as many rooms as allowed",
            JoinError::RoomFull => "this room is full",
            JoinError::TooManyJoins => "too many members come and go in this room; try again later",
            JoinError::NoMemory => NO_MEMORY,
            JoinError::NoDescriptor => "no descriptor is left",
        })
    }
}

impl JoinError {
    /// The option that sets the limit; empty if it is the machine's.
    pub(crate) fn option(self) -> &'static str {
        match self {
            JoinError::TooManyRooms => "--chat-rooms",
            JoinError::RoomFull => "--chat-members",
            JoinError::TooManyJoins => "--chat-rate",
            JoinError::NoMemory => "--message-memory",
            JoinError::NoDescriptor => "",
        }
    }
}

/// A member's slot in a room; dropping it leaves the room.
#[derive(Debug)]
pub(super) struct Membership {
    rooms: Arc<Rooms>,
    room: Arc<Room>,
    id: u64,
    outbox: Arc<Outbox>,
}

impl Rooms {
    pub(crate) fn new(limits: ChatLimits, memory: Arc<MessageMemory>) -> Rooms {
        Rooms { limits, memory, by_name: Mutex::default() }
    }

    pub(super) fn limits(&self) -> &ChatLimits {
        &self.limits
    }

    /// Joins the room, which is made if it does not exist. The outbox begins with the greeting: the
    /// members, and the last messages.
    ///
    /// # Errors
    /// See [`JoinError`].
    pub(super) fn join(
        self: &Arc<Self>,
        request: JoinRequest,
        now: SystemTime,
    ) -> Result<Membership, JoinError> {
        let outbox = Outbox::new(self.limits.outbox).map_err(|_| JoinError::NoDescriptor)?;
        self.join_with(request, outbox, now)
    }

    fn join_with(
        self: &Arc<Self>,
        request: JoinRequest,
        outbox: Outbox,
        now: SystemTime,
    ) -> Result<Membership, JoinError> {
        let outbox = Arc::new(outbox);
        // Locked until the member is in: an empty room may be about to be removed.
        let mut rooms = self.lock();
        let room = match rooms.get(&request.room) {
            Some(room) => Arc::clone(room),
            None if rooms.len() >= self.limits.rooms => return Err(JoinError::TooManyRooms),
            None => {
                let room = Arc::new(Room {
                    name: request.room.clone(),
                    memory: Arc::clone(&self.memory),
                    state: Mutex::new(RoomState::new(self.limits.rate)),
                });
                rooms.insert(request.room, Arc::clone(&room));
                room
            }
        };
        let admitted = room.admit(request.name, &outbox, self.limits.members, now);
        drop(rooms);
        let id = admitted.inspect_err(|_| self.remove_if_empty(&room.name))?;
        Ok(Membership { rooms: Arc::clone(self), room, id, outbox })
    }

    /// Removes the room of this name if it has no members. By name, because the room that was left
    /// may have been removed already, and made anew.
    fn remove_if_empty(&self, name: &str) {
        let mut rooms = self.lock();
        if rooms.get(name).is_some_and(|room| room.lock().members.is_empty()) {
            rooms.remove(name);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Room>>> {
        unpoisoned(self.by_name.lock())
    }
}

impl Room {
    /// Adds a member. Returns its id.
    fn admit(
        &self,
        name: Option<String>,
        outbox: &Arc<Outbox>,
        max_members: usize,
        now: SystemTime,
    ) -> Result<u64, JoinError> {
        let mut state = self.lock();
        if state.members.len() >= max_members {
            return Err(JoinError::RoomFull);
        }
        state.take_vacancy(Instant::now())?;
        state.next_id += 1;
        let id = state.next_id;
        let name = state.unique_name(name.unwrap_or_else(|| format!("guest-{id}")));
        let members = state.members.values().map(|participant| participant.name.as_str()).collect();
        let welcome = Event::Welcome { room: &self.name, name: &name, members, seq: state.seq };
        let welcome = welcome.encode(&self.memory);
        // It has the names of all members, and may be large.
        if !welcome.is_charged() {
            return Err(JoinError::NoMemory);
        }
        for frame in std::iter::once(welcome).chain(state.history.iter().cloned()) {
            outbox.greet(frame);
        }
        let participant = Participant { name: name.clone(), outbox: Arc::clone(outbox) };
        state.members.insert(id, participant);
        let now = state.not_before_latest(now);
        let join = Event::Join { name: &name, at: &timestamp(now) }.encode(&self.memory);
        self.broadcast(&mut state, &join, now);
        Ok(id)
    }

    /// Puts an event into every outbox. Removes members whose outbox is full. Their `leave` events
    /// may overflow further outboxes, hence the loop.
    fn broadcast(&self, state: &mut RoomState, frame: &EncodedFrame, now: SystemTime) {
        let RoomState { members, vacancies, .. } = state;
        let mut frames = VecDeque::from([Arc::clone(frame)]);
        while let Some(frame) = frames.pop_front() {
            members.retain(|_, participant| {
                let keeps_up = participant.outbox.put(Arc::clone(&frame)).is_ok();
                if !keeps_up {
                    *vacancies += 1;
                    let leave = Event::Leave { name: &participant.name, at: &timestamp(now) };
                    frames.push_back(leave.encode(&self.memory));
                }
                keeps_up
            });
        }
    }

    fn lock(&self) -> MutexGuard<'_, RoomState> {
        unpoisoned(self.state.lock())
    }
}

impl RoomState {
    fn new(rate: u32) -> RoomState {
        RoomState {
            members: BTreeMap::new(),
            next_id: 0,
            seq: 0,
            history: VecDeque::new(),
            latest: SystemTime::UNIX_EPOCH,
            vacancies: 0,
            replacements: TokenBucket::per_second(rate, Instant::now()),
        }
    }

    /// Returns `now`, but no earlier time than that of the last event: members take the time before they wait
    /// for the room, and the clock may be set back.
    fn not_before_latest(&mut self, now: SystemTime) -> SystemTime {
        self.latest = self.latest.max(now);
        self.latest
    }

    /// Lets another client join, in place of a member that left if there is one.
    fn take_vacancy(&mut self, now: Instant) -> Result<(), JoinError> {
        if self.vacancies > 0 {
            self.replacements.take(now).ok_or(JoinError::TooManyJoins)?;
            self.vacancies -= 1;
        }
        Ok(())
    }

    /// `name`, with a number behind it if a member has one that looks the same.
    fn unique_name(&self, name: String) -> String {
        let taken: HashSet<_> =
            self.members.values().map(|participant| folded(&participant.name)).collect();
        if !taken.contains(&folded(&name)) {
            return name;
        }
        let numbered = (2_u64..).map(|number| format!("{name}-{number}"));
        numbered.skip_while(|name| taken.contains(&folded(name))).take(1).collect()
    }
}

impl Membership {
    /// Sends `text` to all members, this one included. Does nothing if it was removed.
    pub(super) fn send(&self, text: &str, now: SystemTime) {
        let mut state = self.room.lock();
        let now = state.not_before_latest(now);
        let Some(participant) = state.members.get(&self.id) else { return };
        let seq = state.seq + 1;
        let event = Event::Message { from: &participant.name, text, at: &timestamp(now), seq };
        let event = event.encode(&self.room.memory);
        state.seq = seq;
        if event.is_charged() {
            state.history.push_back(Arc::clone(&event));
        }
        if state.history.len() > HISTORY {
            state.history.pop_front();
        }
        self.room.broadcast(&mut state, &event, now);
    }

    /// The room's name, and the member's name in it; `None` if the member was removed.
    pub(super) fn names(&self) -> (&str, Option<String>) {
        let state = self.room.lock();
        let name = state.members.get(&self.id).map(|participant| participant.name.clone());
        (&self.room.name, name)
    }

    pub(super) fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    pub(super) fn limits(&self) -> &ChatLimits {
        self.rooms.limits()
    }
}

impl Drop for Membership {
    fn drop(&mut self) {
        let mut state = self.room.lock();
        if let Some(participant) = state.members.remove(&self.id) {
            state.vacancies += 1;
            let now = state.not_before_latest(SystemTime::now());
            let leave = Event::Leave { name: &participant.name, at: &timestamp(now) };
            let leave = leave.encode(&self.room.memory);
            self.room.broadcast(&mut state, &leave, now);
        }
        drop(state);
        self.rooms.remove_if_empty(&self.room.name);
    }
}

/// The name without differences of case, and without variation selectors, which are not seen.
fn folded(name: &str) -> String {
    let seen = name.chars().filter(|c| !('\u{fe00}'..='\u{fe0f}').contains(c));
    seen.flat_map(char::to_uppercase).flat_map(char::to_lowercase).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::Value;
    use std::time::UNIX_EPOCH;

    const NOON: SystemTime = UNIX_EPOCH;

    fn rooms(limits: ChatLimits) -> Arc<Rooms> {
        Arc::new(Rooms::new(limits, MessageMemory::new(usize::MAX)))
    }

    fn join(rooms: &Arc<Rooms>, room: &str, name: &str) -> Result<Membership, JoinError> {
        join_with(rooms, room, name, rooms.limits.outbox)
    }

    /// With an outbox of another size than the rooms' limit.
    fn join_with(
        rooms: &Arc<Rooms>,
        room: &str,
        name: &str,
        max_events: usize,
    ) -> Result<Membership, JoinError> {
        let request = JoinRequest { room: room.to_owned(), name: Some(name.to_owned()) };
        rooms.join_with(request, Outbox::new(max_events).unwrap(), NOON)
    }

    /// The events that wait for a member, in short: type, text or name, number.
    fn received(outbox: &Outbox) -> Vec<String> {
        let short = |frame: &EncodedFrame| {
            let (_, json) = crate::frame::split(frame);
            let event: Value = serde_json::from_slice(json).unwrap();
            let what = ["text", "name"].iter().find_map(|key| event[key].as_str()).unwrap();
            format!("{} {what} {}", event["type"].as_str().unwrap(), event["seq"])
        };
        outbox.take().unwrap().iter().map(short).collect()
    }

    #[test]
    fn no_event_is_older_than_the_one_before() {
        let rooms = rooms(ChatLimits::default());
        let ann = join(&rooms, "r", "ann").unwrap();
        let second = std::time::Duration::from_secs(1);
        for time in [NOON + 2 * second, NOON + second, NOON + 3 * second] {
            ann.send("x", time);
        }
        let frames = ann.outbox().take().unwrap();
        let time = |frame: &EncodedFrame| {
            let (_, json) = crate::frame::split(frame);
            serde_json::from_slice::<Value>(json).unwrap()["at"].as_str().map(str::to_owned)
        };
        let times: Vec<_> = frames.iter().filter_map(time).collect();
        assert_eq!(times.len(), 4, "{times:?}");
        assert!(times.is_sorted() && times[1] == times[2], "{times:?}");
    }

    #[test]
    fn all_members_get_the_same_events_from_the_moment_they_join() {
        let rooms = rooms(ChatLimits::default());
        let ann = join(&rooms, "r", "ann").unwrap();
        ann.send("1", NOON);
        let bob = join(&rooms, "r", "bob").unwrap();
        bob.send("2", NOON);
        assert_eq!(
            received(ann.outbox()),
            ["welcome ann 0", "join ann null", "message 1 1", "join bob null", "message 2 2"]
        );
        drop(ann);
        assert_eq!(
            received(bob.outbox()),
            ["welcome bob 1", "message 1 1", "join bob null", "message 2 2", "leave ann null"]
        );
    }

    #[test]
    fn rooms_are_separate_and_removed_with_their_last_member() {
        let rooms = rooms(ChatLimits::default());
        let ann = join(&rooms, "a", "ann").unwrap();
        let bob = join(&rooms, "b", "bob").unwrap();
        bob.send("not for ann", NOON);
        drop(bob);
        assert_eq!(rooms.lock().len(), 1);
        assert_eq!(received(ann.outbox()), ["welcome ann 0", "join ann null"]);
        drop(ann);
        assert!(rooms.lock().is_empty());
    }

    #[test]
    fn a_late_leave_keeps_a_recreated_room() {
        let rooms = rooms(ChatLimits::default());
        let ann = join(&rooms, "r", "ann").unwrap();
        let left = Arc::clone(&ann.room);
        drop(ann);
        let _bob = join(&rooms, "r", "bob").unwrap();
        // Two members left at once; the second one's removal comes only now.
        rooms.remove_if_empty(&left.name);
        let eve = join(&rooms, "r", "eve").unwrap();
        let members = rooms.lock()["r"].lock().members.len();
        assert_eq!(members, 2, "{:?}", received(eve.outbox()));
    }

    #[test]
    fn a_new_member_gets_the_last_twenty_messages_however_small_its_outbox() {
        let rooms = rooms(ChatLimits { outbox: 1, ..ChatLimits::default() });
        let ann = join_with(&rooms, "r", "ann", 100).unwrap();
        (1..=20).for_each(|number| ann.send(&number.to_string(), NOON));
        let bob = join(&rooms, "r", "bob").unwrap();
        assert_eq!(rooms.lock()["r"].lock().members.len(), 2);
        assert_eq!(received(bob.outbox()).len(), 22);
    }

    #[test]
    fn a_new_member_gets_no_more_than_the_last_twenty_messages() {
        let rooms = rooms(ChatLimits::default());
        let ann = join(&rooms, "r", "ann").unwrap();
        (1..=25).for_each(|number| ann.send(&number.to_string(), NOON));
        let bob = join(&rooms, "r", "bob").unwrap();
        let received = received(bob.outbox());
        assert_eq!((received[0].as_str(), received[1].as_str()), ("welcome bob 25", "message 6 6"));
        assert_eq!((received[20].as_str(), received.len()), ("message 25 25", 22));
    }

    #[test]
    fn a_name_that_is_taken_in_any_case_gets_a_number() {
        let rooms = rooms(ChatLimits::default());
        let names = ["ann", "ann", "ANN", "Ann-2", "ann\u{fe0f}"];
        let members = names.map(|name| join(&rooms, "r", name).unwrap());
        assert_eq!(
            members.each_ref().map(|member| received(member.outbox()).remove(0)),
            [
                "welcome ann 0",
                "welcome ann-2 0",
                "welcome ANN-3 0",
                "welcome Ann-2-2 0",
                "welcome ann\u{fe0f}-4 0"
            ]
        );
    }

    #[test]
    fn full_rooms_refuse_members_until_one_leaves() {
        let rooms = rooms(ChatLimits { rooms: 1, members: 1, ..ChatLimits::default() });
        let ann = join(&rooms, "r", "ann").unwrap();
        assert_eq!(join(&rooms, "r", "bob").unwrap_err(), JoinError::RoomFull);
        assert_eq!(join(&rooms, "s", "bob").unwrap_err(), JoinError::TooManyRooms);
        drop(ann);
        assert!(join(&rooms, "s", "bob").is_ok());
    }

    #[test]
    fn members_that_replace_others_are_limited_and_a_growing_room_is_not() {
        let rooms = rooms(ChatLimits { rate: 0, ..ChatLimits::default() });
        let mut members: Vec<_> = (0..10).map(|_| join(&rooms, "r", "ann").unwrap()).collect();
        members.pop();
        assert_eq!(join(&rooms, "r", "eve").unwrap_err(), JoinError::TooManyJoins);
        assert!(join(&rooms, "s", "eve").is_ok(), "another room");
    }

    #[test]
    fn vacancies_are_taken_at_the_rate() {
        let mut state = RoomState::new(2);
        state.vacancies = 4;
        let now = Instant::now();
        let taken = [(); 3].map(|()| state.take_vacancy(now).is_ok());
        assert_eq!((taken, state.vacancies), ([true, true, false], 2));
        let later = now + std::time::Duration::from_millis(500);
        assert_eq!([(); 2].map(|()| state.take_vacancy(later).is_ok()), [true, false]);
    }

    #[test]
    fn a_member_that_does_not_keep_up_is_removed_and_announced() {
        let rooms = rooms(ChatLimits { outbox: 4, ..ChatLimits::default() });
        let slow = join(&rooms, "r", "slow").unwrap();
        let ann = join_with(&rooms, "r", "ann", 100).unwrap();
        (1..=3).for_each(|number| ann.send(&number.to_string(), NOON));
        assert!(slow.outbox().has_overflowed() && !ann.outbox().has_overflowed());
        slow.send("from outside", NOON);
        let received = received(ann.outbox());
        assert!(received.contains(&"leave slow null".to_owned()), "{received:?}");
        assert_eq!(received.iter().filter(|event| event.starts_with("message")).count(), 3);
        assert_eq!(rooms.lock()["r"].lock().members.len(), 1);
    }
}
