//! A real Chromium without a window, driven through its DevTools protocol. The protocol is JSON
//! over a WebSocket, so tungstenite is all the driver that it takes.

use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tempfile::TempDir;
use tungstenite::{Message, WebSocket};

use super::client::TIMEOUT;

/// Several browsers on a busy machine of two cores take their time, and need not be hurried.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(4 * TIMEOUT.as_secs());

/// Keeps Chromium to itself: no window, no updates, no requests of its own.
const FLAGS: [&str; 15] = [
    "--headless",
    "--no-sandbox", // as root, in containers and in CI, it does not start with one
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-features=BackForwardCache", // going back is to load the page from the HTTP cache
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
    "about:blank",
];

/// One browser with one page; ended when it is dropped.
pub struct Browser {
    child: Child,
    socket: WebSocket<TcpStream>,
    session: Value,
    next_id: u64,
    events: Vec<Value>,
    /// Goes with the browser.
    profile: Option<TempDir>,
}

impl Browser {
    pub fn launch() -> Browser {
        let profile = tempfile::tempdir().unwrap();
        let mut command = Command::new(executable());
        command
            .args(FLAGS)
            .arg(format!("--user-data-dir={}", profile.path().display()))
            .env("TMPDIR", profile.path()); // what a killed browser leaves goes with the profile
        let mut browser = Browser::start(&mut command);
        browser.profile = Some(profile);
        browser
    }

    /// Starts a Chromium, which is to have a page and `--remote-debugging-port=0`.
    pub fn start(command: &mut Command) -> Browser {
        let mut child = command
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("Chromium does not start");
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let url = lines
            .by_ref()
            .find_map(|line| Some(line.ok()?.strip_prefix("DevTools listening on ")?.to_owned()))
            .expect("Chromium ended before it listened");
        std::thread::spawn(move || lines.for_each(drop)); // or its stderr would fill up and block it
        let address = url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BROWSER_TIMEOUT)).unwrap();
        let (socket, _) = tungstenite::client(&url, stream).unwrap();
        let mut browser = Browser {
            child,
            socket,
            session: Value::Null,
            next_id: 0,
            events: Vec::new(),
            profile: None,
        };
        let attach = json!({"targetId": browser.page(), "flatten": true});
        browser.session = browser.call("Target.attachToTarget", &attach)["sessionId"].take();
        for domain in ["Page", "Runtime", "Log", "DOM", "Network", "Accessibility"] {
            browser.call(&format!("{domain}.enable"), &json!({}));
        }
        browser
    }

    /// The target that is the first page; there is one a little after the start.
    fn page(&mut self) -> Value {
        loop {
            let mut targets = self.call("Target.getTargets", &json!({}));
            let mut infos = targets["targetInfos"].as_array_mut().unwrap().iter_mut();
            if let Some(page) = infos.find(|target| target["type"] == "page") {
                return page["targetId"].take();
            }
        }
    }

    /// Calls a method of the protocol, and returns its result.
    pub fn call(&mut self, method: &str, params: &Value) -> Value {
        self.try_call(method, params).unwrap_or_else(|error| panic!("{method} {params}: {error}"))
    }

    fn try_call(&mut self, method: &str, params: &Value) -> Result<Value, Value> {
        self.next_id += 1;
        let mut call = json!({"id": self.next_id, "method": method, "params": params});
        if !self.session.is_null() {
            call["sessionId"] = self.session.clone();
        }
        self.socket.send(Message::text(call.to_string())).unwrap();
        loop {
            let mut message = self.receive();
            if message["id"] == self.next_id {
                let error = message["error"].take();
                return if error.is_null() { Ok(message["result"].take()) } else { Err(error) };
            }
            self.events.push(message);
        }
    }

    fn receive(&mut self) -> Value {
        loop {
            if let Message::Text(text) = self.socket.read().expect("Chromium does not answer") {
                return serde_json::from_str(&text).unwrap();
            }
        }
    }

    /// Opens `url`, and waits until it has loaded.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({"url": url}));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Goes back to the page before.
    pub fn back(&mut self) {
        let history = self.call("Page.getNavigationHistory", &json!({}));
        let before = usize::try_from(history["currentIndex"].as_u64().unwrap()).unwrap() - 1;
        let params = json!({"entryId": history["entries"][before]["id"]});
        self.call("Page.navigateToHistoryEntry", &params);
    }

    /// The value of an expression; a promise is awaited.
    pub fn eval(&mut self, expression: &str) -> Value {
        self.try_eval(expression).unwrap_or_else(|error| panic!("{expression}: {error}"))
    }

    fn try_eval(&mut self, expression: &str) -> Result<Value, Value> {
        let params = json!({"expression": expression, "awaitPromise": true, "returnByValue": true});
        let mut result = self.try_call("Runtime.evaluate", &params)?;
        assert!(result["exceptionDetails"].is_null(), "{expression}: {result}");
        Ok(result["result"]["value"].take())
    }

    /// Waits until an expression is true.
    pub fn wait(&mut self, expression: &str) {
        let deadline = Instant::now() + BROWSER_TIMEOUT;
        // A pause inside the page, so that one look does not cost a round trip.
        let look = format!(
            "new Promise(done => {{ const until = Date.now() + 500; (function look() {{ \
             if ({expression}) done(true); else if (Date.now() > until) done(false); \
             else setTimeout(look, 10); }})() }})"
        );
        // An error is a page that was left while it was looked at; there is another one to look at.
        while self.try_eval(&look) != Ok(json!(true)) {
            assert!(
                Instant::now() < deadline,
                "never true: {expression}; the page shows:\n{}",
                self.eval("document.body.innerText").as_str().unwrap_or_default()
            );
        }
    }

    /// Waits until the page shows `text`.
    pub fn wait_for_text(&mut self, text: &str) {
        self.wait(&format!("document.body.innerText.includes({})", json!(text)));
    }

    /// The element that assistive technology knows by this role and name.
    fn named(&mut self, role: &str, name: &str) -> Value {
        let mut document = self.call("DOM.getDocument", &json!({}));
        let query = json!({"nodeId": document["root"]["nodeId"].take(), "role": role, "accessibleName": name});
        let mut found = self.call("Accessibility.queryAXTree", &query);
        let node = found["nodes"][0]["backendDOMNodeId"].take();
        assert!(!node.is_null(), "no {role} named {name:?}");
        node
    }

    /// Clicks in the middle of an element.
    pub fn click(&mut self, role: &str, name: &str) {
        let node = json!({"backendNodeId": self.named(role, name)});
        self.call("DOM.scrollIntoViewIfNeeded", &node);
        let quads = self.call("DOM.getContentQuads", &node);
        let corner = |n: usize| quads["quads"][0][n].as_f64().unwrap();
        let (x, y) = (f64::midpoint(corner(0), corner(4)), f64::midpoint(corner(1), corner(5)));
        for kind in ["mousePressed", "mouseReleased"] {
            let params = json!({"type": kind, "x": x, "y": y, "button": "left", "clickCount": 1});
            self.call("Input.dispatchMouseEvent", &params);
        }
    }

    /// Types into a text box.
    pub fn fill(&mut self, name: &str, text: &str) {
        self.focus("textbox", name);
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Types into a text box, or one with a list, over what it holds.
    pub fn replace(&mut self, role: &str, name: &str, text: &str) {
        self.focus(role, name);
        self.eval("document.activeElement.select()");
        self.call("Input.insertText", &json!({"text": text}));
    }

    fn focus(&mut self, role: &str, name: &str) {
        let node = self.named(role, name);
        self.call("DOM.focus", &json!({"backendNodeId": node}));
    }

    /// Chooses a file in the page's file input, as the dialog would that cannot be driven.
    pub fn choose_file(&mut self, file: &Path) {
        let input = self.call(
            "Runtime.evaluate",
            &json!({"expression": "document.querySelector('[type=file]')"}),
        );
        let params = json!({"objectId": input["result"]["objectId"], "files": [file]});
        self.call("DOM.setFileInputFiles", &params);
    }

    /// The text of an element.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Gives the page a window of this size, in CSS pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &params);
    }

    /// Says that the visitor prefers `light` or `dark`.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// What the page looks like, as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    /// Puts another tab before the page's, as a visitor would.
    pub fn hide(&mut self) {
        let target = self.call("Target.createTarget", &json!({"url": "about:blank"}));
        self.call("Target.activateTarget", &target);
        self.wait("document.hidden");
    }

    /// Takes the network away, or gives it back.
    pub fn offline(&mut self, offline: bool) {
        let params = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", &params);
    }

    /// Every address that the page has asked for, over HTTP and WebSocket.
    pub fn requests(&mut self) -> Vec<String> {
        self.eval("0"); // whatever happened before has been reported by the time of the answer
        let url = |event: &Value| match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                event["params"]["request"]["url"].as_str().map(str::to_owned)
            }
            Some("Network.webSocketCreated") => event["params"]["url"].as_str().map(str::to_owned),
            _ => None,
        };
        self.events.iter().filter_map(url).collect()
    }

    /// A field of the last WebSocket handshake, in its request and its response.
    pub fn handshake_field(&mut self, name: &str) -> [Option<String>; 2] {
        self.eval("0"); // as above
        let sides = [
            ("Network.webSocketWillSendHandshakeRequest", "request"),
            ("Network.webSocketHandshakeResponseReceived", "response"),
        ];
        sides.map(|(method, side)| {
            let event = self.events.iter().rfind(|event| event["method"] == method)?;
            let fields = event["params"][side]["headers"].as_object()?;
            let (_, value) = fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name))?;
            value.as_str().map(str::to_owned)
        })
    }

    /// Presses and releases a key.
    pub fn press(&mut self, key: &str, code: u32) {
        for kind in ["keyDown", "keyUp"] {
            let text = if key == "Enter" { "\r" } else { "" };
            let params = json!({"type": kind, "key": key, "code": key, "windowsVirtualKeyCode": code, "text": text});
            self.call("Input.dispatchKeyEvent", &params);
        }
    }

    /// Everything that went wrong in the page: exceptions, console errors, policy violations.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("0"); // whatever happened before has been reported by the time of the answer
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            // What the network has to say about a failure is no complaint about the page.
            Some("Log.entryAdded") => {
                let entry = &event["params"]["entry"];
                entry["level"] == "error" && entry["source"] != "network"
            }
            Some("Runtime.consoleAPICalled") => event["params"]["type"] == "error",
            _ => false,
        };
        self.events.iter().filter(is_complaint).map(ToString::to_string).collect()
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Chromium by the names under which distributions have it.
pub fn executable() -> String {
    let named = std::env::var("WSECHO_CHROMIUM").ok();
    let known = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    let found =
        || known.into_iter().find(|name| Command::new(name).arg("--version").output().is_ok());
    named
        .or_else(|| found().map(str::to_owned))
        .expect("Chromium is not installed; scripts/test says how")
}
