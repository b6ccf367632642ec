//! What a simulated transfer meets: the path, the server and its faults. Owns the words; must not
//! know the table of scenarios, nor how any of it is simulated.

/// One Mbit/s in bytes per second.
pub const MBIT: f64 = 125_000.0;
/// One Gbit/s in bytes per second.
pub const GBIT: f64 = 1000.0 * MBIT;
/// One millisecond in seconds.
pub const MS: f64 = 0.001;

/// Which scenarios a law may be tuned on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Half {
    /// Constants may be chosen by looking at it.
    Tune,
    /// Only judges; no constant comes from it.
    Judge,
}

/// What the time of `auto` may be, as a multiple of the best fixed cell's time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Target {
    /// For the median over seeds.
    pub median: f64,
    /// For the 95th percentile over seeds; infinite where only the median is bound.
    pub p95: f64,
}

/// One transfer's surroundings.
#[derive(Debug, Clone)]
pub struct Scenario {
    /// Short and unique; seeds the randomness together with the seed.
    pub name: &'static str,
    /// To tune on or to judge by.
    pub half: Half,
    /// Size of the file, in bytes, at least 1.
    pub file_bytes: u64,
    /// What has to be reached.
    pub target: Target,
    /// The network and the disk.
    pub path: Path,
    /// The other end, or the first one of several.
    pub server: Server,
    /// Further servers of the same file, over the same path; only over the fluid.
    pub mirrors: Vec<Server>,
    /// From then on, in seconds, the server has no faults: no refusals, resets, stalls, throttles,
    /// slow connections, dead addresses or lies.
    pub faults_until_s: f64,
}

impl Scenario {
    /// All servers, the best one first by what a caller would know.
    pub fn sources(&self) -> impl Iterator<Item = &Server> {
        std::iter::once(&self.server).chain(&self.mirrors)
    }

    /// The server with this number.
    pub fn source(&self, number: usize) -> &Server {
        number.checked_sub(1).map_or(&self.server, |mirror| &self.mirrors[mirror])
    }

    /// The number of the server that answers first, where all are asked at the same time.
    pub fn first_source(&self) -> usize {
        let answers = self.sources().enumerate().filter(|(_, server)| server.is_of_use());
        let first =
            answers.min_by(|a, b| a.1.first_byte_s(self).total_cmp(&b.1.first_byte_s(self)));
        first.expect("one of the servers is up").0
    }

    /// Indicates whether the server or a fault ends connections that the client would keep.
    pub fn hangs_up(&self) -> bool {
        let Server { keeps_alive, answers_max, lifetime_s, resets_per_s, .. } = self.server;
        !keeps_alive || answers_max.is_some() || lifetime_s.is_finite() || resets_per_s > 0.0
    }

    /// Indicates whether bytes are lost for no fault of the client's.
    pub fn loses(&self) -> bool {
        let has_outages = self.path.tcp.is_some_and(|tcp| tcp.outage_s > 0.0);
        let Server { resets_per_s, freezes_per_s, silent_of, .. } = self.server;
        let breaks = resets_per_s > 0.0 || freezes_per_s > 0.0 || silent_of.is_some();
        self.path.loss > 0.0 || has_outages || breaks
    }
}

/// The network between the server and the disk, and the disk.
#[derive(Debug, Clone)]
pub struct Path {
    /// Capacity of the bottleneck, in bytes per second.
    pub link_bytes_per_s: f64,
    /// Round trip without a queue, in seconds.
    pub rtt_s: f64,
    /// Probability that a packet is lost for no fault of ours.
    pub loss: f64,
    /// Queue of the bottleneck in units of bandwidth x round trip. Below 0.43 one cubic flow
    /// cannot keep the link full.
    pub buffer_bdp: f64,
    /// Deviation of the capacity, relative, in bins of 100 ms that remember each other.
    pub noise: f64,
    /// Steps of the capacity: seconds from which on it is multiplied by the factor; ascending in
    /// time.
    pub steps: Vec<(f64, f64)>,
    /// Flows of others that always take their fair share of the link.
    pub rivals: u32,
    /// Most bytes a receive window offers.
    pub window_bytes: f64,
    /// What the disk takes, in bytes per second.
    pub disk_bytes_per_s: f64,
    /// Packets and senders; `None`: the fluid.
    pub tcp: Option<Tcp>,
}

/// What the packets' form of the network knows beyond the fluid. It takes `buffer_bdp` for its
/// drop-tail queue, and knows no `rivals`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Tcp {
    /// How the server's senders react.
    pub control: Control,
    /// Bytes of the server's socket buffer (`tcp_wmem`), which holds packets until they are
    /// acknowledged.
    pub send_buffer_bytes: f64,
    /// What a shaper in the path lets through of each connection, in bytes per second.
    pub flow_bytes_per_s: f64,
    /// Delay of the path that comes and goes, between 0 and this, in seconds.
    pub jitter_s: f64,
    /// Mean time between two gaps in which all packets are lost, in seconds.
    pub outage_every_s: f64,
    /// Mean length of such a gap, in seconds.
    pub outage_s: f64,
}

/// Congestion control.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Control {
    /// By loss (RFC 9438).
    Cubic,
    /// By measured rate and round trip, as BBR does.
    Bbr,
}

impl Default for Tcp {
    /// Cubic on Linux.
    fn default() -> Self {
        Self {
            control: Control::Cubic,
            send_buffer_bytes: 4.0 * 1024.0 * 1024.0,
            flow_bytes_per_s: f64::INFINITY,
            jitter_s: 0.0,
            outage_every_s: f64::INFINITY,
            outage_s: 0.0,
        }
    }
}

impl Default for Path {
    /// 1 Gbit/s, 20 ms, no loss, a queue of one bandwidth x round trip, a disk without limit.
    fn default() -> Self {
        Self {
            link_bytes_per_s: GBIT,
            rtt_s: 20.0 * MS,
            loss: 0.0,
            buffer_bdp: 1.0,
            noise: 0.02,
            steps: Vec::new(),
            rivals: 0,
            window_bytes: 3.0 * 1024.0 * 1024.0,
            disk_bytes_per_s: f64::INFINITY,
            tcp: None,
        }
    }
}

/// The server and what stands in front of it.
#[derive(Debug, Clone)]
pub struct Server {
    /// What one connection gets at most, in bytes per second.
    pub connection_bytes_per_s: f64,
    /// Deviation of a connection's limit, relative, in bins of 100 ms.
    pub connection_noise: f64,
    /// What all connections get together, in bytes per second.
    pub total_bytes_per_s: f64,
    /// The total falls to 1 / (1 + this x (connections being served - 1)): a disk that seeks.
    pub crowding: f64,
    /// Round trips until a connection may send its request: 1 for TCP, 2 with TLS 1.3.
    pub setup_rtts: f64,
    /// Time from a request's arrival to its first byte, in seconds: at least this,
    pub think_s: f64,
    /// and exponentially distributed with this mean on top.
    pub think_jitter_s: f64,
    /// A connection's rate rises from a tenth to its whole within this time, in seconds.
    pub ramp_s: f64,
    /// More connections than this are refused.
    pub limit: Option<Limit>,
    /// A punishment for bursts that is not announced.
    pub throttle: Option<Throttle>,
    /// Slow connections: one in this number of connections, and the fraction of the link's limit
    /// and of its own that it gets.
    pub slow: Option<(u32, f64)>,
    /// One of this number of first connections falls silent for ever within its first second.
    pub silent_of: Option<u32>,
    /// Connections fall silent for ever at this rate per second.
    pub freezes_per_s: f64,
    /// Resets per second of each connection.
    pub resets_per_s: f64,
    /// What becomes of a request that is sent before the previous answer has ended.
    pub ahead: AheadAnswer,
    /// Indicates whether a connection serves more than one request.
    pub keeps_alive: bool,
    /// Answers after which a connection is closed.
    pub answers_max: Option<u32>,
    /// Age, in seconds and give or take a quarter, beyond which a connection is closed once an
    /// answer has ended.
    pub lifetime_s: f64,
    /// The resolved addresses, at least one; the resolver's order.
    pub addresses: Vec<Address>,
    /// Deviation of what all connections get together, relative, in bins of 100 ms.
    pub total_noise: f64,
    /// Steps of what all connections get together: seconds from which on it is multiplied by the
    /// factor; ascending in time.
    pub total_steps: Vec<(f64, f64)>,
    /// How it stops to serve the file.
    pub end: Option<ServerEnd>,
    /// Indicates whether it serves another file of the same size, which shows as soon as its bytes
    /// are compared.
    pub lies: bool,
}

impl Server {
    /// Whether it serves this file at all.
    fn is_of_use(&self) -> bool {
        !self.lies && self.addresses.iter().any(|address| address.health == Health::Up)
    }

    /// Time until the first byte of an answer on a new connection, in seconds.
    pub(super) fn first_byte_s(&self, scenario: &Scenario) -> f64 {
        let up = self.addresses.iter().filter(|address| address.health == Health::Up);
        let extra_s = up.map(|address| address.extra_rtt_s).fold(f64::INFINITY, f64::min);
        (scenario.path.rtt_s + extra_s) * (self.setup_rtts + 1.0) + self.think_s
    }
}

impl Default for Server {
    /// One address, no limit, no fault, first byte after 1 ms.
    fn default() -> Self {
        Self {
            connection_bytes_per_s: f64::INFINITY,
            connection_noise: 0.0,
            total_bytes_per_s: f64::INFINITY,
            crowding: 0.0,
            setup_rtts: 1.0,
            think_s: MS,
            think_jitter_s: 0.2 * MS,
            ramp_s: 0.0,
            limit: None,
            throttle: None,
            slow: None,
            silent_of: None,
            freezes_per_s: 0.0,
            resets_per_s: 0.0,
            ahead: AheadAnswer::Served,
            keeps_alive: true,
            answers_max: None,
            lifetime_s: f64::INFINITY,
            addresses: vec![Address::default()],
            total_noise: 0.0,
            total_steps: Vec::new(),
            end: None,
            lies: false,
        }
    }
}

/// The end of a server's service.
#[derive(Debug, Clone, Copy)]
pub struct ServerEnd {
    /// When it comes, in seconds.
    pub at_s: f64,
    /// How clients notice.
    pub how: Ending,
}

/// How a server stops to serve the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// Its connections are reset, and new ones refused.
    Reset,
    /// Nothing comes any more, to connects neither.
    Silence,
    /// The answers that run are completed; those to later requests are this status.
    Status(u16),
    /// The answers that run are completed; those to later requests are of another file.
    Changed,
}

/// A bound on the connections of one client.
#[derive(Debug, Clone, Copy)]
pub struct Limit {
    /// Connections that are served.
    pub connections: u32,
    /// How the others learn.
    pub refusal: Refusal,
}

/// How a server says that there are too many connections.
#[derive(Debug, Clone, Copy)]
pub enum Refusal {
    /// The connect is refused.
    Connect,
    /// The connection is closed instead of an answer.
    Close,
    /// The answer is this status.
    Status {
        /// 429 or 503.
        code: u16,
        /// Its Retry-After, in seconds.
        retry_after_s: Option<f64>,
    },
}

/// More than `above` connections for `burst_s`: everything together gets `bytes_per_s` for
/// `penalty_s`.
#[derive(Debug, Clone, Copy)]
pub struct Throttle {
    /// Connections that are never punished.
    pub above: u32,
    /// How long more are let through, in seconds.
    pub burst_s: f64,
    /// What all connections together get while punished.
    pub bytes_per_s: f64,
    /// How long it lasts, in seconds.
    pub penalty_s: f64,
}

/// What becomes of a request sent ahead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AheadAnswer {
    /// It is answered as it should be.
    Served,
    /// The connection closes after the answer before it.
    Closed,
    /// Its answer is of another range.
    WrongRange,
}

/// One resolved address of the server.
#[derive(Debug, Clone, Copy)]
pub struct Address {
    /// What all connections to it get together, in bytes per second.
    pub bytes_per_s: f64,
    /// Added to the path's round trip, in seconds.
    pub extra_rtt_s: f64,
    /// Indicates whether it answers.
    pub health: Health,
}

impl Default for Address {
    fn default() -> Self {
        Self { bytes_per_s: f64::INFINITY, extra_rtt_s: 0.0, health: Health::Up }
    }
}

/// How an address answers to a connect.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It does.
    Up,
    /// It refuses.
    Refuses,
    /// Nothing comes back.
    Silent,
}
