//! Node, client and gateway as running parts of this process, and their orderly end.

mod part;

use std::fs::DirBuilder;
use std::net::SocketAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use quicproquo_client::{Client, ClientConfig, NodeAddress, Pin, Trust};
use quicproquo_gateway::{Gateway, GatewayConfig};
use quicproquo_node::{CertificateFiles, CertificateReload, Node, NodeConfig, Ops};
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

use crate::config::{self, Fingerprint, KeySource, Settings};
use crate::data_dir;
use crate::exit::{Exit, Failure};
use crate::ops::OpsDoor;
use crate::shutdown::{Asked, Signals};
use crate::systemd;
use part::Part;

/// How long the soft end may take before what is left is dropped.
const SOFT: Duration = Duration::from_secs(10);

/// How long everything may take to become ready.
const READY: Duration = Duration::from_secs(30);

/// What runs in this process.
#[derive(Debug, Default)]
pub(crate) struct Stack {
    tasks: TaskTracker,
    ops: Option<Part>,
    node: Option<(Part, NodeFacts)>,
    gateway: Option<(Part, Client, GatewayFacts)>,
    reload: Option<CertificateReload>,
    http_reload: Option<quicproquo_gateway::CertificateReload>,
    /// What the gateway of this process expects the node's certificate to be.
    pin: Option<Pin>,
}

/// What others need to know about a running node.
#[derive(Debug, Clone)]
pub(crate) struct NodeFacts {
    pub(crate) address: SocketAddr,
    pub(crate) fingerprint: Fingerprint,
    pub(crate) certificate: PathBuf,
    /// Where operators are answered.
    pub(crate) ops_address: Option<SocketAddr>,
    ops: Ops,
}

impl NodeFacts {
    /// `http://host:port` of the door for operators.
    pub(crate) fn ops_url(&self) -> Option<String> {
        self.ops_address.map(|address| format!("http://{address}"))
    }
}

/// What others need to know about a running gateway.
#[derive(Debug, Clone)]
pub(crate) struct GatewayFacts {
    pub(crate) address: SocketAddr,
    pub(crate) tls: bool,
    pub(crate) socket: Option<PathBuf>,
    /// The address of the Matrix facade, when it has one of its own.
    matrix: Option<SocketAddr>,
    pub(crate) admin_token: PathBuf,
}

impl GatewayFacts {
    /// `http://host:port`, or `https`.
    pub(crate) fn url(&self) -> String {
        self.url_of(self.address)
    }

    /// The same for bots written for Matrix, when they have an address of their own.
    pub(crate) fn matrix_url(&self) -> Option<String> {
        self.matrix.map(|address| self.url_of(address))
    }

    fn url_of(&self, address: SocketAddr) -> String {
        format!("{}://{address}", if self.tls { "https" } else { "http" })
    }

    /// The lines for the Unix socket and for Matrix, if there are such.
    pub(crate) fn other_lines(&self) -> String {
        let socket = |path: &PathBuf| format!("\n  Unix socket   {}", path.display());
        let matrix = |url: String| format!("\n  Matrix        {url}");
        let socket = self.socket.as_ref().map(socket).unwrap_or_default();
        socket + &self.matrix_url().map(matrix).unwrap_or_default()
    }
}

impl Stack {
    /// Both halves in one process, on the same data directory.
    pub(crate) async fn up(settings: &Settings) -> Result<Self, Failure> {
        let mut stack = Self::default();
        match stack.start_both(settings).await {
            Ok(()) => Ok(stack),
            Err(failure) => {
                // What did start ends in order; the first failure is the one to report.
                let _ = stack.stop().await;
                Err(failure)
            }
        }
    }

    async fn start_both(&mut self, settings: &Settings) -> Result<(), Failure> {
        data_dir::for_both(&settings.data_dir)?;
        // Each half has a directory of its own below the common one.
        own_directory(&settings.data_dir)?;
        self.start_node(&settings.node, settings.data_dir.join("node")).await?;
        let node = self.node_facts()?.clone();
        let pin = Pin::new(node.fingerprint.0);
        let link = NodeAddress {
            addr: node.address,
            server_name: "localhost".to_owned(),
            trust: Trust::Pin(pin.clone()),
        };
        self.pin = Some(pin);
        let data_dir = settings.data_dir.join("gateway");
        let token = settings.data_dir.join("admin-token");
        self.start_gateway(settings, data_dir, token, link).await
    }

    /// Starts a node.
    pub(crate) async fn start_node(
        &mut self,
        settings: &config::Node,
        data_dir: PathBuf,
    ) -> Result<(), Failure> {
        own_directory(&data_dir)?;
        let mut config = NodeConfig::new(data_dir, settings.listen);
        config.sync = crate::hooks::node_sync();
        if let (Some(chain), Some(key)) = (&settings.certificate, &settings.key) {
            config.certificate = Some(CertificateFiles { chain: chain.clone(), key: key.clone() });
        }
        config.limits.transport = settings.limits.transport();
        config.min_free_disk = settings.min_free_disk.map(|size| size.as_u64());
        config.stall = Duration::from_secs(settings.stall_seconds);
        let door = match settings.ops_listen {
            Some(listen) => Some(OpsDoor::bind(listen).await?),
            None => None,
        };
        if let Some(path) = &settings.static_token_file {
            config.static_token = Some(config::static_token::read(path)?);
        }
        if let Some(registration) = settings.registration {
            config.registration = match registration {
                config::Registration::Open => quicproquo_node::Registration::Open,
                config::Registration::Invite => quicproquo_node::Registration::Invite,
                config::Registration::Closed => quicproquo_node::Registration::Closed,
            };
        }
        settings.quotas.apply(&mut config.limits);
        let node = Node::bind(config).await?;
        self.reload = Some(node.certificate_reload());
        let ops = node.ops();
        let facts = NodeFacts {
            address: node.local_addr(),
            fingerprint: Fingerprint(node.fingerprint()),
            certificate: node.certificate_pem_path().to_owned(),
            ops_address: door.as_ref().map(OpsDoor::local_addr),
            ops: ops.clone(),
        };
        if let Some(door) = door {
            let serve = |stop| door.serve(ops, stop);
            self.ops = Some(Part::start(&self.tasks, "door for operators", serve));
        }
        let mut part = Part::start(&self.tasks, "node", |stop| node.serve(stop));
        let begun = async {
            while !facts.ops.has_begun() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        tokio::select! {
            begun = timeout(READY, begun) => {
                let late = |_| Failure::new(Exit::Unreachable, "the node does not begin to serve");
                begun.map_err(late)?;
            }
            failure = part.ended() => return Err(failure),
        }
        self.node = Some((part, facts));
        Ok(())
    }

    /// Starts a gateway, and its sessions, and waits until it says that it is ready.
    pub(crate) async fn start_gateway(
        &mut self,
        settings: &Settings,
        data_dir: PathBuf,
        admin_token: PathBuf,
        link: NodeAddress,
    ) -> Result<(), Failure> {
        own_directory(&data_dir)?;
        let mut config = ClientConfig::new(&data_dir, link);
        config.key_package_stock = settings.bots.key_package_stock;
        config.retention = settings.bots.retention.0;
        config.master_key = KeySource::of(settings.bots.master_key.as_ref(), &config.data_dir)?;
        config.loaded_bytes = usize::try_from(settings.bots.group_memory.0).unwrap_or(usize::MAX);
        config.invite.clone_from(&settings.link.invite);
        config.sync = crate::hooks::gateway_sync();
        let client = Client::open(config).await?;
        let settings = &settings.http;
        let certificate = certificate(settings, &data_dir)?;
        let mut config = GatewayConfig::new(data_dir);
        config.admin_token = admin_token;
        config.certificate = certificate;
        settings.apply(&mut config)?;
        config.sync = crate::hooks::gateway_sync();
        let gateway = match Gateway::bind(config, client.clone()).await {
            Ok(gateway) => gateway,
            Err(error) => {
                client.shutdown().await;
                return Err(error.into());
            }
        };
        let facts = GatewayFacts {
            address: gateway.local_addr(),
            tls: settings.tls,
            socket: settings.socket.clone(),
            matrix: gateway.matrix_addr(),
            admin_token: gateway.admin_token_path().to_owned(),
        };
        self.http_reload = gateway.certificate_reload();
        let readiness = gateway.readiness();
        let part = Part::start(&self.tasks, "gateway", |stop| gateway.serve(stop));
        self.gateway = Some((part, client, facts));
        let ready = async {
            while !readiness.is_ready().await {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(READY, ready)
            .await
            .map_err(|_| Failure::new(Exit::Unreachable, "the gateway does not become ready"))
    }

    /// The node that runs here.
    pub(crate) fn node_facts(&self) -> Result<&NodeFacts, Failure> {
        let (_, facts) = self.node.as_ref().ok_or_else(|| Failure::other("no node runs here"))?;
        Ok(facts)
    }

    /// The gateway that runs here.
    pub(crate) fn gateway_facts(&self) -> Result<&GatewayFacts, Failure> {
        let (_, _, facts) =
            self.gateway.as_ref().ok_or_else(|| Failure::other("no gateway runs here"))?;
        Ok(facts)
    }

    /// Runs until a signal comes or a part ends by itself, then ends everything: softly, after
    /// 10 s hard, at a second signal at once.
    pub(crate) async fn run(mut self, mut signals: Signals) -> Result<(), Failure> {
        let status = self.status();
        tracing::info!("ready: {status}");
        let ops = self.node.as_ref().map(|(_, facts)| facts.ops.clone());
        systemd::ready(&status).await;
        let cause = {
            let watch = systemd::watch(ops.as_ref(), &status);
            tokio::pin!(watch);
            loop {
                tokio::select! {
                    asked = signals.next() => match asked {
                        Asked::End => break Ok(()),
                        Asked::Reload => {
                            systemd::reloading().await;
                            self.reload();
                            systemd::ready(&status).await;
                        }
                    },
                    failure = self.ended() => break Err(failure),
                    () = &mut watch => {}
                }
            }
        };
        tracing::info!("stopping");
        systemd::stopping().await;
        let stopped = tokio::select! {
            stopped = self.stop() => stopped,
            () = signals.end_again() => Err(Failure::new(Exit::Hurried, "stopped at once")),
        };
        cause.and(stopped)
    }

    /// What runs here, for people.
    fn status(&self) -> String {
        let node = self.node.as_ref().map(|(_, facts)| format!("node at {}", facts.address));
        let gateway =
            self.gateway.as_ref().map(|(_, _, facts)| format!("gateway at {}", facts.url()));
        node.into_iter().chain(gateway).collect::<Vec<_>>().join(", ")
    }

    /// Reads the certificates again; a bad one changes nothing.
    fn reload(&self) {
        match self.http_reload.as_ref().map(quicproquo_gateway::CertificateReload::reload) {
            Some(Ok(())) => tracing::info!("the gateway's certificate was read again"),
            Some(Err(error)) => {
                tracing::error!(%error, "the gateway's former certificate stays in use");
            }
            None => {}
        }
        let Some(reload) = &self.reload else {
            tracing::info!("no node runs here: it has no certificate to read again");
            return;
        };
        match reload.reload() {
            Ok(fingerprint) => {
                if let Some(pin) = &self.pin {
                    pin.set(fingerprint);
                }
                let fingerprint = Fingerprint(fingerprint);
                tracing::info!(%fingerprint, "the certificate was read again");
            }
            Err(error) => tracing::error!(%error, "the former certificate stays in use"),
        }
    }

    /// Ends everything in order: first who asks, last who answers.
    pub(crate) async fn stop(self) -> Result<(), Failure> {
        let orderly = async {
            let mut outcome = Ok(());
            if let Some((part, client, _)) = self.gateway {
                outcome = part.stop().await;
                client.shutdown().await;
            }
            if let Some((part, _)) = self.node {
                outcome = outcome.and(part.stop().await);
            }
            if let Some(door) = self.ops {
                outcome = outcome.and(door.stop().await);
            }
            outcome
        };
        timeout(SOFT, orderly).await.unwrap_or_else(|_| {
            tracing::warn!("not everything ended within {SOFT:?}; what is accepted is durable");
            Ok(())
        })
    }

    /// Waits until a part ends by itself, which it should not.
    async fn ended(&mut self) -> Failure {
        tokio::select! {
            failure = end_of(self.node.as_mut().map(|(part, _)| part)) => failure,
            failure = end_of(self.gateway.as_mut().map(|(part, ..)| part)) => failure,
            failure = end_of(self.ops.as_mut()) => failure,
        }
    }
}

/// The files that the gateway's TLS takes: those given, or on loopback self-signed ones.
fn certificate(
    settings: &config::Http,
    data_dir: &Path,
) -> Result<Option<quicproquo_gateway::CertificateFiles>, Failure> {
    let files = |chain, key| Some(quicproquo_gateway::CertificateFiles { chain, key });
    match (&settings.certificate, &settings.key) {
        (Some(chain), Some(key)) => Ok(files(chain.clone(), key.clone())),
        _ if settings.tls => {
            let CertificateFiles { chain, key } = quicproquo_node::self_signed(data_dir)?;
            Ok(files(chain, key))
        }
        _ => Ok(None),
    }
}

/// What does not run does not end either.
async fn end_of(part: Option<&mut Part>) -> Failure {
    match part {
        Some(part) => part.ended().await,
        None => std::future::pending().await,
    }
}

/// Makes a directory that only its owner may enter.
pub(crate) fn own_directory(path: &Path) -> Result<(), Failure> {
    DirBuilder::new()
        .recursive(true)
        .mode(0o700)
        .create(path)
        .map_err(|error| Failure::other(format!("{}: {error}", path.display())))
}
