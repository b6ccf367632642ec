//! Kill -9 at seeded random moments, then the same command again: nothing but whole and right files
//! ever stands, little is fetched twice, and in the end everything is there and nothing else.
//!
//! Batches that come to their end before they are killed are begun anew, in an empty folder.

use crate::common::scene::wait;
use crate::common::{HANG_LIMIT, eventually_within, serve, slowed};
use crate::ground::{FILE_BYTES, Ground, many, number, urls};
use ringhaul::internal::base::rng::Rng;
use ringhaul::server::Server;
use std::process::{Child, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

const KILLS_VARIABLE: &str = "RINGHAUL_KILLS";
const SEED_VARIABLE: &str = "RINGHAUL_KILLS_SEED";

/// What is killed, and when.
struct Plan {
    kills: u64,
    files: u64,
    /// What the server gives takes this long in all.
    batch_time: Duration,
    /// Latest moment of a kill.
    kill_time_max: Duration,
    /// Files that one kill may cost, on average: a thousand wait for a barrier, and on a busy
    /// machine more come while one is made, which few kills do not even out.
    lost_max: u64,
}

/// One list, its server, and the batches so far.
struct Siege {
    ground: Ground,
    server: Server,
    plan: Plan,
    rng: Rng,
    kills: u64,
    /// Batches that came to their end.
    batches: u64,
}

#[test]
#[allow(clippy::print_stdout, reason = "a failing test shows its seed, the long form its sums")]
fn killed_at_any_moment_a_batch_goes_on_with_what_is_missing() {
    let seconds = Duration::from_secs_f64;
    let plan = match number(KILLS_VARIABLE) {
        Some(kills) => Plan {
            kills,
            files: 20_000,
            batch_time: seconds(6.0),
            kill_time_max: seconds(3.0),
            lost_max: 1000,
        },
        None => Plan {
            kills: 4,
            files: 4000,
            batch_time: seconds(3.2),
            kill_time_max: seconds(3.0),
            lost_max: 1500,
        },
    };
    let seed = number(SEED_VARIABLE).unwrap_or(1);
    println!("{SEED_VARIABLE}={seed}");
    let mut siege = Siege::new(plan, seed);
    while siege.kills < siege.plan.kills {
        siege.attack();
    }
    siege.batch();
    let (kills, batches) = (siege.kills, siege.batches);
    let fetched = siege.server.body_bytes().div_ceil(FILE_BYTES);
    let twice = fetched.saturating_sub(batches * siege.plan.files);
    println!("{kills} kills in {batches} batches, {twice} files were fetched twice");
    assert!(twice <= siege.plan.lost_max * kills, "{twice} files were fetched twice");
}

impl Siege {
    fn new(plan: Plan, seed: u64) -> Self {
        let batch_ms = u64::try_from(plan.batch_time.as_millis()).expect("a short time");
        let rate = plan.files * FILE_BYTES * 1000 / batch_ms;
        let server = serve(slowed(many(plan.files), rate));
        let ground = Ground::new();
        ground.list(urls(&server.url("/"), plan.files));
        Self { ground, server, plan, rng: Rng::new(seed), kills: 0, batches: 0 }
    }

    /// Starts the batch and kills it, unless it is faster.
    fn attack(&mut self) {
        let after = self.plan.kill_time_max.mul_f64(self.rng.unit());
        let mut child = self.ground.spawn(&[]);
        let begun = Instant::now();
        while begun.elapsed() < after {
            if let Some(status) = child.try_wait().expect("the child can be asked") {
                return self.is_through(status);
            }
            // sleep: the moment is drawn, nobody rings.
            thread::sleep(Duration::from_millis(1));
        }
        let status = killed(&mut child);
        if status.success() {
            return self.is_through(status);
        }
        self.kills += 1;
        self.ground.standing(false);
        let is_alone = || self.server.counts().connections_live == 0;
        eventually_within(HANG_LIMIT, "every connection is closed", is_alone);
    }

    /// A batch that is not killed.
    fn batch(&mut self) {
        let ended = wait(self.ground.command(&[]).spawn().expect("the binary runs"));
        assert_eq!(ended.code, Some(0), "{ended:?}");
        assert_eq!(self.ground.standing(true).files, self.plan.files);
        self.batches += 1;
    }

    /// A batch came to its end: the next one begins anew.
    fn is_through(&mut self, status: ExitStatus) {
        assert!(status.success(), "{status}");
        assert_eq!(self.ground.standing(true).files, self.plan.files);
        self.batches += 1;
        std::fs::remove_dir_all(self.ground.folder()).expect("a scratch folder");
        std::fs::create_dir(self.ground.folder()).expect("a scratch folder");
    }
}

fn killed(child: &mut Child) -> ExitStatus {
    child.kill().expect("the child can be killed");
    child.wait().expect("a killed child ends")
}
