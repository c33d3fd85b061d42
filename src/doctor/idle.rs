//! Silence and age: lanes side by side that differ in what keeps them busy, and when and how each was ended
//! on the way.

use std::thread;
use std::time::{Duration, Instant};

use super::endings::described;
use super::findings::Finding;
use super::lane::{Access, Lane, token};
use super::limits::{IDLE_INTERVAL_MAX, IDLE_INTERVALS};
use super::record::{SeenEnd, Side};
use super::report;
use crate::config::faults::TIMER_MIN;
use crate::frame::{FIN, OPCODE, PING, PONG, TEXT};
use crate::products;

/// What happens in a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Activity {
    /// Nothing at all.
    Silent,
    ServerPings,
    ClientPings,
    /// Messages of the client, which are not answered.
    ClientData,
    ServerData,
    /// Messages in both directions.
    Busy,
}

use Activity::{Busy, ClientData, ClientPings, ServerData, ServerPings, Silent};

const ACTIVITIES: [Activity; 6] = [Silent, ServerPings, ClientPings, ClientData, ServerData, Busy];

impl Activity {
    fn name(self) -> &'static str {
        match self {
            Silent => "silence",
            ServerPings => "Pings of the server",
            ClientPings => "Pings of the client",
            ClientData => "messages of the client",
            ServerData => "messages of the server",
            Busy => "messages in both directions",
        }
    }

    /// The parameters that make the server do its part.
    fn query(self, time: Duration, interval: Duration) -> String {
        let (time, interval) = (time.as_millis(), interval.as_millis());
        match self {
            Silent => format!("blackhole={time}ms"),
            ServerPings => format!("ping={interval}ms"),
            ClientPings => "delay=0ms".to_owned(),
            ClientData => "reply=off".to_owned(),
            ServerData => format!("push={interval}ms&count=0"),
            Busy => format!("push={interval}ms&count=0&reply=off"),
        }
    }

    /// What the client sends at each interval.
    fn sends(self) -> Option<u8> {
        match self {
            Silent | ServerPings | ServerData => None,
            ClientPings => Some(FIN | PING),
            ClientData | Busy => Some(FIN | TEXT),
        }
    }
}

/// What became of a session.
#[derive(Debug, PartialEq, Eq)]
enum Fate {
    Alive,
    /// No frame arrives any more, and neither end was told.
    Dead,
    /// It was ended on the way after this time.
    Cut {
        after: Duration,
        client: Option<SeenEnd>,
        server: Option<SeenEnd>,
    },
    /// The server itself has ended it, by a limit.
    Limit(String),
    /// It could not be opened.
    NotOpen,
}

/// Runs the lanes for `time`. Returns one line for each, and the findings.
pub(crate) fn measure(access: &Access, time: Duration) -> (String, Vec<Finding>) {
    let fates = thread::scope(|scope| {
        let lanes = ACTIVITIES.map(|activity| scope.spawn(move || run(access, activity, time)));
        let joined = lanes.map(|lane| lane.join().unwrap_or(Fate::NotOpen));
        ACTIVITIES.into_iter().zip(joined).collect::<Vec<_>>()
    });
    (detail(&fates), findings(&fates))
}

fn run(access: &Access, activity: Activity, time: Duration) -> Fate {
    let token = token();
    let query = format!("report={token}&{}", activity.query(time, interval(time)));
    let Ok(mut lane) = Lane::open(access, &query, &[]) else { return Fate::NotOpen };
    if lives(&mut lane, activity, time) {
        lane.close(1000, "");
        return Fate::Alive;
    }
    let server = report::fetch_ended(access, &token).and_then(|record| record.end);
    fate(lane.record.end, server)
}

/// The interval of what keeps a session busy.
fn interval(time: Duration) -> Duration {
    (time / IDLE_INTERVALS).clamp(TIMER_MIN, IDLE_INTERVAL_MAX)
}

/// Does the client's part for this time. Returns whether the session still lives.
fn lives(lane: &mut Lane, activity: Activity, time: Duration) -> bool {
    let interval = interval(time);
    let end = Instant::now() + time;
    let mut next = Instant::now() + interval;
    while Instant::now() < end && lane.record.end.is_none() {
        let until = if activity.sends().is_some() { next.min(end) } else { end };
        if lane.receive_until(until).is_none() && Instant::now() >= next {
            next += interval;
            if let Some(first) = activity.sends() {
                lane.send(&[(first, b"keepalive")]);
            }
        }
    }
    lane.record.end.is_none() && is_alive(lane)
}

/// What one end shows of silence and Pings, at any server. Returns one line, and the findings.
pub(crate) fn measure_one_end(access: &Access, time: Duration) -> (String, Vec<Finding>) {
    let run = |activity| {
        let Ok(mut lane) = Lane::open_at(access, &access.connection, &[]) else {
            return Fate::NotOpen;
        };
        if lives(&mut lane, activity, time) {
            lane.close(1000, "");
            return Fate::Alive;
        }
        fate(lane.record.end, None)
    };
    let fates = thread::scope(|scope| {
        let lanes = [Silent, ClientPings].map(|activity| scope.spawn(move || run(activity)));
        let [silent, pings] = lanes.map(|lane| lane.join().unwrap_or(Fate::NotOpen));
        [(Silent, silent), (ClientPings, pings)]
    });
    let what = match &fates[0].1 {
        Fate::Cut { after, client, .. } => {
            let end = described(client.as_ref());
            format!(
                "cut after {:.1} s of silence, by the server or on the way: {end} at the client",
                after.as_secs_f64()
            )
        }
        Fate::Dead => "dead after silence, and the client is not told".to_owned(),
        _ => return (detail(&fates), Vec::new()),
    };
    let rest = match &fates[1].1 {
        Fate::Alive => "; Pings of the client keep it alive",
        _ => "; Pings of the client do not keep it alive",
    };
    let mut finding = Finding::between("idle_timeout", what + rest);
    if let Fate::Cut { after, .. } = &fates[0].1 {
        finding.hint = products::idle_settings_of(*after);
    }
    (detail(&fates), vec![finding])
}

/// Whether a Ping is answered. A Pong may be that of an earlier Ping.
fn is_alive(lane: &mut Lane) -> bool {
    let payload = token();
    lane.send(&[(FIN | PING, payload.as_bytes())]);
    lane.wait_for(|arrived| arrived.first & OPCODE == PONG && arrived.payload == payload.as_bytes())
        .is_some()
}

fn fate(client: Option<SeenEnd>, server: Option<SeenEnd>) -> Fate {
    if let Some(end) = server.as_ref().filter(|end| end.by == Side::Server) {
        return Fate::Limit(end.text.clone());
    }
    let times = [&client, &server].into_iter().flatten().map(|end| end.at_us);
    match times.min() {
        Some(after) => Fate::Cut { after: Duration::from_micros(after), client, server },
        None => Fate::Dead,
    }
}

/// How a session was cut, and which end was told first.
fn how(client: Option<&SeenEnd>, server: Option<&SeenEnd>) -> String {
    let (at_client, at_server) = (described(client), described(server));
    let ends = if at_client == at_server {
        format!("{at_client} at both ends")
    } else {
        format!("{at_client} at the client, {at_server} at the server")
    };
    let first = match (client, server) {
        (Some(client), Some(server)) if client.at_us < server.at_us => ", the client first",
        (Some(_), Some(_)) => ", the server first",
        _ => "",
    };
    ends + first
}

fn detail(fates: &[(Activity, Fate)]) -> String {
    let line = |(activity, fate): &(Activity, Fate)| {
        let fate = match fate {
            Fate::Alive => "lives".to_owned(),
            Fate::Dead => "is dead, and no end was told".to_owned(),
            Fate::Cut { after, .. } => format!("is cut after {:.1} s", after.as_secs_f64()),
            Fate::Limit(text) => {
                format!("is ended by the server itself ({})", super::heads::shown(text))
            }
            Fate::NotOpen => "could not be opened".to_owned(),
        };
        format!("with {} it {fate}", activity.name())
    };
    fates.iter().map(line).collect::<Vec<_>>().join("; ")
}

/// What the fates of the lanes say together.
fn findings(fates: &[(Activity, Fate)]) -> Vec<Finding> {
    let of = |wanted: Activity| fates.iter().find(|(it, _)| *it == wanted).map(|(_, fate)| fate);
    let is_lost = |fate: &Fate| matches!(fate, Fate::Dead | Fate::Cut { .. });
    if let Some(Fate::Cut { after, client, server }) = of(Busy) {
        let ends = how(client.as_ref(), server.as_ref());
        let what = format!("a busy session is cut after {:.1} s too: {ends}", after.as_secs_f64());
        return vec![Finding::between("lifetime_cap", what)];
    }
    let names = |wanted: bool| {
        let others = fates.iter().filter(|(it, fate)| {
            *it != Silent && (is_lost(fate) || *fate == Fate::Alive) && is_lost(fate) == wanted
        });
        others.map(|(it, _)| it.name()).collect::<Vec<_>>().join(", ")
    };
    let (cut, keeps) = (names(true), names(false));
    let with = |text: &str, names: &str| match names {
        "" => String::new(),
        names => format!("; {text}: {names}"),
    };
    let rest = match (keeps.as_str(), cut.as_str()) {
        (keeps, "") if !keeps.is_empty() => "; kept alive by all that is sent".to_owned(),
        (keeps, cut) => with("kept alive by", keeps) + &with("not by", cut),
    };
    match of(Silent) {
        Some(Fate::Cut { after, client, server }) => {
            let ends = how(client.as_ref(), server.as_ref());
            let what = format!("cut after {:.1} s of silence: {ends}{rest}", after.as_secs_f64());
            let mut finding = Finding::between("idle_timeout", what);
            finding.hint = products::idle_settings_of(*after);
            vec![finding]
        }
        Some(Fate::Dead) => {
            let what = format!("dead after silence, and no end is told{rest}");
            vec![Finding::between("idle_timeout", what)]
        }
        _ if !cut.is_empty() => {
            let what = format!("sessions do not live with {cut}");
            vec![Finding::between("connection_cut", what)]
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::record::StreamEnd;

    fn cut(at_us: u64) -> Fate {
        let end = |at_us| SeenEnd {
            at_us,
            by: Side::Server,
            how: StreamEnd::Fin,
            close: None,
            text: String::new(),
        };
        Fate::Cut {
            after: Duration::from_micros(at_us),
            client: Some(end(at_us)),
            server: Some(end(at_us + 5)),
        }
    }

    fn found(fates: &[(Activity, Fate)]) -> Vec<(&'static str, String)> {
        findings(fates).into_iter().map(|finding| (finding.id, finding.what)).collect()
    }

    #[test]
    fn the_lanes_together_say_what_ends_a_session_and_what_keeps_it() {
        let alive = || Fate::Alive;
        assert_eq!(found(&[(Silent, alive()), (ServerPings, alive()), (Busy, alive())]), []);
        let silent = found(&[
            (Silent, cut(60_000_000)),
            (ServerPings, alive()),
            (ClientPings, cut(60_000_000)),
            (Busy, alive()),
        ]);
        let what = "cut after 60.0 s of silence: a FIN at both ends, the client first; kept alive by: \
            Pings of the server, messages in both directions; not by: Pings of the client";
        assert_eq!(silent, [("idle_timeout", what.to_owned())]);
        let aged = found(&[(Silent, cut(1_000_000)), (Busy, cut(1_000_000))]);
        assert_eq!(aged[0].0, "lifetime_cap");
        let dead = found(&[(Silent, Fate::Dead), (Busy, alive())]);
        assert_eq!(dead[0].0, "idle_timeout");
        let limit = Fate::Limit("--idle-timeout".to_owned());
        assert_eq!(found(&[(Silent, limit), (Busy, alive())]), []);
    }
}
