//! A real headless Chromium, driven through its DevTools protocol. The protocol is JSON over a
//! WebSocket, so that tungstenite suffices as a driver.
//!
//! Starting Chromium takes half a second of CPU time, so the tests of a process share one. Each test
//! has a browser context of its own: cookies, storage, cache and windows are not shared. The shared
//! one is chromium-headless-shell if it is installed: without a browser's window around it, a page
//! takes less than half of the CPU time.

use std::io::{self, BufRead, Read};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::LazyLock;
use std::time::{Duration, Instant};

use data_encoding::BASE64;
use serde_json::{Value, json};
use tungstenite::{Message, WebSocket};

use super::client::TIMEOUT;
use super::program::timed;

/// Longer than `TIMEOUT`, as several browsers may run on a busy machine with two cores.
const BROWSER_TIMEOUT: Duration = Duration::from_secs(4 * TIMEOUT.as_secs());

/// No window, no updates, no background requests.
const FLAGS: [&str; 15] = [
    "--headless",
    "--no-sandbox", // the sandbox does not start as root, as in containers and in CI
    "--disable-gpu",
    "--disable-quic",
    "--disable-dev-shm-usage",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-features=BackForwardCache", // `back` must use the HTTP cache
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--no-first-run",
    "--no-proxy-server",
    "--remote-debugging-port=0",
    "about:blank",
];

/// Runs the command `$@` in the background until stdin ends, then kills it, and a script that started
/// it, and removes its profile, `$0`, which Chromium's other processes may still write to as they end.
/// Signals are left to the process that holds stdin.
const UNTIL_STDIN_ENDS: &str = r#"
    trap '' HUP INT TERM
    setsid "$@" &
    exec 2>/dev/null
    read -r _
    kill -KILL -$!
    wait
    rm -rf "$0" || { sleep 1; rm -rf "$0"; }
"#;

/// The Chromium that the tests of this process share. However the process ends, the kernel closes
/// the pipe, which ends Chromium; a static is never dropped.
static SHARED: LazyLock<Shared> = LazyLock::new(|| {
    let profile = tempfile::tempdir().unwrap().keep();
    let mut command = Command::new("sh");
    command.arg("-c").arg(UNTIL_STDIN_ENDS).arg(&profile).arg(headless()).args(FLAGS);
    command.arg(format!("--user-data-dir={}", profile.display()));
    command.env("TMPDIR", &profile); // removes what a killed browser leaves
    let (mut shell, url) = spawn(command.stdin(Stdio::piped()));
    Shared { url, _stdin: shell.stdin.take().unwrap() }
});

struct Shared {
    url: String,
    _stdin: ChildStdin,
}

/// Starts Chromium. Returns the process and the URL of its DevTools protocol.
fn spawn(command: &mut Command) -> (Child, String) {
    let command = command.stdout(Stdio::null()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("Chromium does not start");
    let mut stderr = timed(child.stderr.take().unwrap());
    let url = stderr
        .by_ref()
        .lines()
        .map(|line| line.expect("Chromium does not listen"))
        .find_map(|line| Some(line.strip_prefix("DevTools listening on ")?.to_owned()))
        .expect("Chromium ended before it listened");
    let mut rest = stderr.into_inner().0; // which may be silent for long
    std::thread::spawn(move || io::copy(&mut rest, &mut io::sink())); // a full pipe would block it
    (child, url)
}

/// One page. Its browser context, or its own Chromium, ends when it is dropped.
pub struct Browser {
    socket: WebSocket<TcpStream>,
    session: Value,
    next_id: u64,
    events: Vec<Value>,
    /// `None` if the page is in the shared Chromium.
    child: Option<Child>,
}

impl Browser {
    /// Opens a page in the shared Chromium, in a new browser context.
    pub fn launch() -> Browser {
        let mut browser = Browser::connect(&SHARED.url);
        // The context ends with the connection to it.
        let mut context =
            browser.call("Target.createBrowserContext", &json!({"disposeOnDetach": true}));
        let id = context["browserContextId"].take();
        let blank = json!({"url": "about:blank", "browserContextId": id});
        let page = browser.call("Target.createTarget", &blank)["targetId"].take();
        browser.attach(&page);
        browser
    }

    /// Starts a Chromium of its own by `command`, which must open a page and have
    /// `--remote-debugging-port=0`.
    pub fn start(command: &mut Command) -> Browser {
        let (child, url) = spawn(command);
        let mut browser = Browser::connect(&url);
        browser.child = Some(child);
        let page = browser.first_page();
        browser.attach(&page);
        browser
    }

    fn connect(url: &str) -> Browser {
        let address = url.trim_start_matches("ws://").split('/').next().unwrap();
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(BROWSER_TIMEOUT)).unwrap();
        let (socket, _) = tungstenite::client(url, stream).unwrap();
        Browser { socket, session: Value::Null, next_id: 0, events: Vec::new(), child: None }
    }

    /// Sends all further calls to this page.
    fn attach(&mut self, page: &Value) {
        let attach = json!({"targetId": page, "flatten": true});
        self.session = self.call("Target.attachToTarget", &attach)["sessionId"].take();
        for domain in ["Page", "Runtime", "Log", "DOM", "Network"] {
            self.call(&format!("{domain}.enable"), &json!({}));
        }
    }

    /// Waits for the first page, which appears shortly after the start. Returns its target's ID.
    fn first_page(&mut self) -> Value {
        let deadline = Instant::now() + BROWSER_TIMEOUT;
        loop {
            let mut targets = self.call("Target.getTargets", &json!({}));
            let mut infos = targets["targetInfos"].as_array_mut().unwrap().iter_mut();
            if let Some(page) = infos.find(|target| target["type"] == "page") {
                return page["targetId"].take();
            }
            assert!(Instant::now() < deadline, "Chromium opens no page");
        }
    }

    /// Calls a method of the protocol and returns its result. Panics on an error.
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

    /// Opens `url` and waits until it has loaded.
    pub fn open(&mut self, url: &str) {
        self.call("Page.navigate", &json!({"url": url}));
        self.wait("document.readyState === 'complete' && location.href !== 'about:blank'");
    }

    /// Goes back in the history by one page.
    pub fn back(&mut self) {
        let history = self.call("Page.getNavigationHistory", &json!({}));
        let before = usize::try_from(history["currentIndex"].as_u64().unwrap()).unwrap() - 1;
        let params = json!({"entryId": history["entries"][before]["id"]});
        self.call("Page.navigateToHistoryEntry", &params);
    }

    /// Evaluates an expression and returns its value; a promise is awaited.
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
        // Polls inside the page for up to 500 ms, so that not every check costs a round trip.
        let poll = format!(
            "new Promise(done => {{ const until = Date.now() + 500; (function poll() {{ \
             if ({expression}) done(true); else if (Date.now() > until) done(false); \
             else setTimeout(poll, 10); }})() }})"
        );
        // An error means that the page was left during the evaluation; the next one is polled then.
        while self.try_eval(&poll) != Ok(json!(true)) {
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

    /// Finds the element with this role and name in the accessibility tree.
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

    /// Replaces the text of a text box or a combo box.
    pub fn replace(&mut self, role: &str, name: &str, text: &str) {
        self.focus(role, name);
        self.eval("document.activeElement.select()");
        self.call("Input.insertText", &json!({"text": text}));
    }

    /// Chooses an option by its value.
    pub fn choose(&mut self, name: &str, value: &str) {
        self.focus("combobox", name);
        self.eval(&format!(
            "document.activeElement.value = {}; \
             document.activeElement.dispatchEvent(new Event('input', {{ bubbles: true }}))",
            json!(value)
        ));
    }

    fn focus(&mut self, role: &str, name: &str) {
        let node = self.named(role, name);
        self.call("DOM.focus", &json!({"backendNodeId": node}));
    }

    /// Sets the file of the page's file input, as the file dialog itself cannot be driven.
    pub fn choose_file(&mut self, file: &Path) {
        let input = self.call(
            "Runtime.evaluate",
            &json!({"expression": "document.querySelector('[type=file]')"}),
        );
        let params = json!({"objectId": input["result"]["objectId"], "files": [file]});
        self.call("DOM.setFileInputFiles", &params);
    }

    /// Returns the rendered text of an element; empty if there is no such element.
    pub fn text(&mut self, selector: &str) -> String {
        let text = self.eval(&format!("document.querySelector({}).innerText", json!(selector)));
        text.as_str().unwrap_or_default().to_owned()
    }

    /// Sets the size of the viewport, in CSS pixels.
    pub fn resize(&mut self, width: u32, height: u32) {
        let params =
            json!({"width": width, "height": height, "deviceScaleFactor": 1, "mobile": false});
        self.call("Emulation.setDeviceMetricsOverride", &params);
    }

    /// Sets the preferred colour scheme, `light` or `dark`.
    pub fn prefer(&mut self, scheme: &str) {
        let features = json!([{"name": "prefers-color-scheme", "value": scheme}]);
        self.call("Emulation.setEmulatedMedia", &json!({"features": features}));
    }

    /// Takes a screenshot of the page, as PNG.
    pub fn picture(&mut self) -> Vec<u8> {
        let shot = self.call("Page.captureScreenshot", &json!({"format": "png"}));
        BASE64.decode(shot["data"].as_str().unwrap().as_bytes()).unwrap()
    }

    /// Minimizes the window, so that the page is hidden.
    pub fn hide(&mut self) {
        self.set_window("minimized");
        self.wait("document.hidden");
    }

    /// Shows the window that `hide` has minimized.
    pub fn show(&mut self) {
        self.set_window("normal");
        self.wait("!document.hidden");
    }

    fn set_window(&mut self, state: &str) {
        let window = self.call("Browser.getWindowForTarget", &json!({}))["windowId"].take();
        let bounds = json!({"windowId": window, "bounds": {"windowState": state}});
        self.call("Browser.setWindowBounds", &bounds);
    }

    /// Switches the emulated network off or on again.
    pub fn offline(&mut self, offline: bool) {
        let params = json!({"offline": offline, "latency": 0, "downloadThroughput": -1, "uploadThroughput": -1});
        self.call("Network.emulateNetworkConditions", &params);
    }

    /// Returns every URL that the page has requested, over HTTP and WebSocket.
    pub fn requests(&mut self) -> Vec<String> {
        self.eval("0"); // all earlier events arrive before its result
        let url = |event: &Value| match event["method"].as_str() {
            Some("Network.requestWillBeSent") => {
                event["params"]["request"]["url"].as_str().map(str::to_owned)
            }
            Some("Network.webSocketCreated") => event["params"]["url"].as_str().map(str::to_owned),
            _ => None,
        };
        self.events.iter().filter_map(url).collect()
    }

    /// Returns a header field of the last WebSocket handshake: of its request and of its response.
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

    /// Returns what went wrong in the page: exceptions, console errors, policy violations.
    pub fn complaints(&mut self) -> Vec<String> {
        self.eval("0"); // all earlier events arrive before its result
        let is_complaint = |event: &&Value| match event["method"].as_str() {
            Some("Runtime.exceptionThrown") => true,
            // Failed requests are logged as errors, too; tests cause them on purpose.
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
        if let Some(child) = &mut self.child {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Finds Chromium under the names that distributions give it; `WSECHO_CHROMIUM` takes precedence.
pub fn executable() -> String {
    let known = ["chromium", "chromium-browser", "google-chrome-stable", "google-chrome"];
    find("WSECHO_CHROMIUM", &known).expect("Chromium is not installed; scripts/test says how")
}

/// Finds chromium-headless-shell; `WSECHO_HEADLESS` takes precedence. Without it, any Chromium does.
fn headless() -> String {
    find("WSECHO_HEADLESS", &["chromium-headless-shell"]).unwrap_or_else(executable)
}

/// Returns the value of an environment variable, or else the first of these programs that can be run.
fn find(variable: &str, programs: &[&str]) -> Option<String> {
    let runs = |name: &&&str| Command::new(name).arg("--version").output().is_ok();
    let found = || programs.iter().find(runs).map(ToString::to_string);
    std::env::var(variable).ok().or_else(found)
}
