//! A minimal client of the Chromium `DevTools` protocol: one page, evaluate, type, screenshot.

use std::path::Path;
use std::process::Stdio;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use futures::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async_with_config};

use crate::wait::{LONG, SOON, wait_for, within};

/// Names under which systems install it.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// Notes what a page's policy refuses.
const WATCH: &str = "window.refusedByPolicy = []; \
    window.addEventListener('securitypolicyviolation', (e) => window.refusedByPolicy.push( \
    `${e.effectiveDirective} ${e.blockedURI} ${e.sourceFile}:${e.lineNumber} ${e.sample}`));";

/// A screenshot arrives as one frame.
const MAX_FRAME: usize = 64 * 1024 * 1024;

/// A browser with one page. Dropping it kills the browser.
#[derive(Debug)]
pub struct Browser {
    // Only held: the process and its profile live as long as the page.
    _child: Child,
    _profile: TempDir,
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
    session: String,
    last_id: u64,
}

impl Browser {
    /// Starts a headless browser and opens `url`.
    pub async fn open(url: &str) -> Self {
        Self::open_with(url, &[]).await
    }

    /// The same, with further options of the browser.
    pub async fn open_with(url: &str, options: &[&str]) -> Self {
        let profile = TempDir::new().expect("a folder for the browser's profile");
        let (child, address) = start(profile.path(), options).await;
        let config = WebSocketConfig::default()
            .max_message_size(Some(MAX_FRAME))
            .max_frame_size(Some(MAX_FRAME));
        let connect = connect_async_with_config(address, Some(config), false);
        let (socket, _) = within("DevTools", SOON, connect).await.expect("DevTools answers");
        let session = String::new();
        let mut browser = Self { _child: child, _profile: profile, socket, session, last_id: 0 };
        let target = browser.call("Target.createTarget", json!({ "url": "about:blank" })).await;
        let attach = json!({ "targetId": target["targetId"], "flatten": true });
        let attached = browser.call("Target.attachToTarget", attach).await;
        attached["sessionId"].as_str().expect("a session").clone_into(&mut browser.session);
        let size =
            json!({ "width": 1200, "height": 1000, "deviceScaleFactor": 1, "mobile": false });
        browser.call("Emulation.setDeviceMetricsOverride", size).await;
        browser.call("Page.enable", json!({})).await;
        let watch = json!({ "source": WATCH });
        browser.call("Page.addScriptToEvaluateOnNewDocument", watch).await;
        browser.call("Page.navigate", json!({ "url": url })).await;
        browser
    }

    /// Calls a method of the protocol and answers its result.
    pub async fn call(&mut self, method: &str, params: Value) -> Value {
        self.last_id += 1;
        let mut request = json!({ "id": self.last_id, "method": method, "params": params });
        if !self.session.is_empty() {
            request["sessionId"] = json!(self.session);
        }
        let text = Message::text(request.to_string());
        self.socket.send(text).await.expect("DevTools takes a call");
        within(method, SOON, async {
            loop {
                let frame = self.socket.next().await.expect("DevTools is there").expect("a frame");
                let Message::Text(text) = frame else { continue };
                let answer: Value = serde_json::from_str(&text).expect("frames are JSON");
                if answer["id"] == self.last_id {
                    assert!(answer["error"].is_null(), "{method}: {}", answer["error"]);
                    return answer["result"].clone();
                }
            }
        })
        .await
    }

    /// Evaluates an expression in the page and answers its value.
    pub async fn evaluate(&mut self, expression: &str) -> Value {
        let params =
            json!({ "expression": expression, "returnByValue": true, "awaitPromise": true });
        let answer = self.call("Runtime.evaluate", params).await;
        let fault = &answer["exceptionDetails"];
        assert!(fault.is_null(), "{expression}: {fault}");
        answer["result"]["value"].clone()
    }

    /// What the page's Content-Security-Policy has refused so far.
    pub async fn refused(&mut self) -> Vec<String> {
        let refused = self.evaluate("window.refusedByPolicy").await;
        serde_json::from_value(refused).expect("a list of texts")
    }

    /// Waits until an element is there.
    pub async fn appears(&mut self, selector: &str) {
        let expression = format!("document.querySelector({}) !== null", json!(selector));
        let browser = tokio::sync::Mutex::new(self);
        wait_for(selector, LONG, || async {
            let found = browser.lock().await.evaluate(&expression).await;
            (found == true).then_some(())
        })
        .await;
    }

    /// Waits for an element, scrolls to it and clicks it.
    pub async fn click(&mut self, selector: &str) {
        self.appears(selector).await;
        let expression = format!(
            "(() => {{ const e = document.querySelector({}); e.scrollIntoView({{block: 'center'}}); \
             e.click(); return true; }})()",
            json!(selector)
        );
        self.evaluate(&expression).await;
    }

    /// Waits for an input element and types into it.
    pub async fn type_into(&mut self, selector: &str, text: &str) {
        self.appears(selector).await;
        self.evaluate(&format!("document.querySelector({}).focus()", json!(selector))).await;
        self.call("Input.insertText", json!({ "text": text })).await;
    }

    /// Presses a key that has no text of its own, or Enter, where the focus is.
    pub async fn press(&mut self, key: &str) {
        let mut down = json!({ "type": "keyDown", "key": key, "code": key });
        if key == "Enter" {
            down["text"] = json!("\r");
            down["windowsVirtualKeyCode"] = json!(13);
        } else if key == "Tab" {
            down["windowsVirtualKeyCode"] = json!(9);
        }
        self.call("Input.dispatchKeyEvent", down).await;
        let up = json!({ "type": "keyUp", "key": key, "code": key });
        self.call("Input.dispatchKeyEvent", up).await;
    }

    /// The text of an element, once it is there.
    pub async fn text(&mut self, selector: &str) -> String {
        self.appears(selector).await;
        let expression = format!("document.querySelector({}).innerText", json!(selector));
        self.evaluate(&expression).await.as_str().unwrap_or_default().to_owned()
    }

    /// Writes what the page shows as a PNG file.
    pub async fn screenshot(&mut self, path: &Path) {
        let answer = self.call("Page.captureScreenshot", json!({ "format": "png" })).await;
        let data = answer["data"].as_str().expect("a screenshot has data");
        let png = STANDARD.decode(data).expect("the screenshot is base64");
        std::fs::write(path, png).expect("write the screenshot");
    }
}

async fn start(profile: &Path, options: &[&str]) -> (Child, String) {
    let program = PROGRAMS
        .iter()
        .find_map(|name| Path::new("/usr/bin").join(name).canonicalize().ok())
        .expect("Chromium is installed (cargo xtask ci --install)");
    let child = Command::new(program)
        .args([
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--disable-quic",
            "--disable-dev-shm-usage",
            "--no-first-run",
            "--disable-background-networking",
            "--disable-component-update",
            "--disable-sync",
            "--remote-debugging-port=0",
        ])
        .args(options)
        .arg(format!("--user-data-dir={}", profile.display()))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .kill_on_drop(true)
        .spawn()
        .expect("start Chromium");
    // Chromium writes its port and path there as soon as it listens.
    let file = profile.join("DevToolsActivePort");
    let address = wait_for("Chromium", LONG, || async {
        let text = std::fs::read_to_string(&file).ok()?;
        let (port, path) = text.trim().split_once('\n')?;
        Some(format!("ws://127.0.0.1:{port}{path}"))
    })
    .await;
    (child, address)
}
