//! A web browser: headless Chromium, spoken to by the DevTools protocol through a pair of pipes (`--remote-debugging-pipe`: JSON,
//! a NUL after each message), which needs no WebSocket and opens no port.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::unix::pipe;

use crate::dir::TestDir;
use crate::process::Process;
use crate::wait::{self, PATIENCE};

/// It resolves no name, asks nobody for updates, and shows what it shows on every machine alike.
const SWITCHES: &str = "--headless=new --window-size=1280,900 --no-sandbox --disable-gpu --disable-dev-shm-usage --no-first-run \
    --disable-background-networking --disable-component-update --disable-sync --disable-extensions \
    --host-resolver-rules='MAP * ~NOTFOUND, EXCLUDE 127.0.0.1' --user-data-dir=profile --remote-debugging-pipe";

/// A browser with one page.
#[derive(Debug)]
pub struct Browser {
    to: pipe::Sender,
    from: pipe::Receiver,
    heard: Vec<u8>,
    requests: u64,
    session: Option<String>,
    _process: Process,
}

impl Browser {
    /// Starts one, and opens `url`.
    pub async fn open(url: &str, dir: &TestDir) -> Self {
        let folder = dir.folder("browser");
        let made = Command::new("mkfifo").args([folder.join("to"), folder.join("from")]).status();
        assert!(made.is_ok_and(|status| status.success()), "two FIFOs");
        // Open for both ways they wait for nobody.
        let both = |options: &mut pipe::OpenOptions| options.read_write(true).clone();
        let options = both(&mut pipe::OpenOptions::new());
        let to = options.open_sender(folder.join("to")).expect("a pipe");
        let from = options.open_receiver(folder.join("from")).expect("a pipe");
        let start = format!("exec chromium {SWITCHES} about:blank 3<to 4>from");
        let process = Process::start("chromium", Path::new("sh"), ["-c", &start], &folder);
        let mut browser = Self { to, from, heard: Vec::new(), requests: 0, session: None, _process: process };
        let target = browser.command("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let session = browser.command("Target.attachToTarget", attach).await;
        browser.session = session["sessionId"].as_str().map(str::to_owned);
        browser.command("Page.navigate", json!({ "url": url })).await;
        browser
            .until("the page", "document.readyState === 'complete' && location.protocol === 'http:'")
            .await;
        browser
    }

    /// The value of an expression, awaited where it is a promise; panics where it throws.
    pub async fn value(&mut self, expression: &str) -> Value {
        let ask = json!({ "expression": expression, "awaitPromise": true, "returnByValue": true });
        let mut answer = self.command("Runtime.evaluate", ask).await;
        assert!(answer["exceptionDetails"].is_null(), "{expression}: {:#}", answer["exceptionDetails"]);
        answer["result"]["value"].take()
    }

    /// Waits until an expression is true.
    pub async fn until(&mut self, what: &str, expression: &str) {
        let deadline = tokio::time::Instant::now() + PATIENCE;
        while self.value(expression).await != true {
            if tokio::time::Instant::now() > deadline {
                let shown = self.value("document.body.innerText").await;
                panic!("waited in vain for {what}; the page shows:\n{}", shown.as_str().unwrap_or_default());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Clicks in the middle of an element, as a hand does: what lies above it gets the click.
    pub async fn click(&mut self, selector: &str) {
        self.press(selector, Duration::ZERO).await;
    }

    /// Presses the mouse in the middle of an element for so long: the page goes on meanwhile.
    pub async fn press(&mut self, selector: &str, length: Duration) {
        let there = format!("document.querySelector({}) !== null", json!(selector));
        self.until(selector, &there).await;
        let middle = format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{ block: 'nearest' }}); \
             const b = e.getBoundingClientRect(); return [b.x + b.width / 2, b.y + b.height / 2]; }})()",
            json!(selector)
        );
        let place = self.value(&middle).await;
        for (kind, then) in [("mousePressed", length), ("mouseReleased", Duration::ZERO)] {
            let mouse =
                json!({ "type": kind, "x": place[0], "y": place[1], "button": "left", "clickCount": 1 });
            self.command("Input.dispatchMouseEvent", mouse).await;
            tokio::time::sleep(then).await;
        }
    }

    /// Types into what has the focus, and then Enter.
    pub async fn enter(&mut self, text: &str) {
        self.command("Input.insertText", json!({ "text": text })).await;
        for kind in ["keyDown", "keyUp"] {
            let key = json!({ "type": kind, "key": "Enter", "code": "Enter", "text": "\r", "windowsVirtualKeyCode": 13 });
            self.command("Input.dispatchKeyEvent", key).await;
        }
    }

    async fn command(&mut self, method: &str, params: Value) -> Value {
        self.requests += 1;
        let id = self.requests;
        let mut message = json!({ "id": id, "method": method, "params": params });
        if let Some(session) = &self.session {
            message["sessionId"] = json!(session);
        }
        let mut bytes = message.to_string().into_bytes();
        bytes.push(0);
        let exchange = async {
            self.to.write_all(&bytes).await.expect("a browser that reads");
            loop {
                let mut message = self.hear().await;
                if message["id"] == id {
                    assert!(message["error"].is_null(), "{method}: {}", message["error"]);
                    return message["result"].take();
                }
            }
        };
        wait::within(method, PATIENCE * 3, exchange).await
    }

    async fn hear(&mut self) -> Value {
        loop {
            if let Some(end) = self.heard.iter().position(|&byte| byte == 0) {
                let message: Vec<u8> = self.heard.drain(..=end).collect();
                return serde_json::from_slice(&message[..end]).expect("JSON");
            }
            self.from.read_buf(&mut self.heard).await.expect("a browser that speaks");
        }
    }
}
