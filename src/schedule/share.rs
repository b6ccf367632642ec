//! Who should have how many connections. Owns the division of the bounds among origins, and there
//! among small and large files; must not know single files, nor what is open now.
//!
//! The shares are where things should come to, not what may be opened at once: the surplus of one
//! origin has to be closed before another one gets it.
//!
//! Connections are given out in this order, each as far as the bounds go:
//! 1. each large file that runs keeps one;
//! 2. one for the small files of each origin and one for its first large file, in the order of
//!    their turns ([`Place`]);
//! 3. in rounds over the origins: one more for each of its large files, up to a base for each, and
//!    the same number for its small files; when all large files have the base, another one is
//!    started;
//! 4. what is left: to the large files, in equal parts; while small files wait no more than twice
//!    the base to each, as all of them share the path and this machine.

/// How many times its base a large file gets at most while small files wait: with all that was left
/// of 64 connections it took 1.6 times as long to get a small file from a server nearby.
const BESIDE_SMALL: u32 = 2;

/// The bounds, and what a large file gets of them.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// Most connections in total.
    pub(super) connections: u32,
    /// Most files at once: lanes and large files.
    pub(super) files: u32,
    /// Connections of a large file before another one of its origin is started.
    pub(super) large_base: u32,
    /// Most connections of a large file.
    pub(super) large_max: u32,
}

/// What one origin could use.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim {
    /// Most connections to it, at least 1.
    pub(super) cap: u32,
    /// Lanes that its small files could use.
    pub(super) lanes: u32,
    /// Turn of its small files.
    pub(super) small_place: Place,
    /// Large files that run.
    pub(super) large_running: u32,
    /// Large files that could be started.
    pub(super) large_waiting: u32,
    /// Turn of its large files, as long as none runs.
    pub(super) large_place: Place,
}

/// Where somebody stands in the order of turns. Turns are numbered by when they began.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Its turn is not over: first.
    Holds,
    /// It has nothing; those whose last turn is the longest ago come first.
    Waits { last_turn: u64 },
    /// Its turn is over, and it goes on as long as nobody waits: last, the oldest turn at the end.
    Outstayed { turn: u64 },
}

impl Place {
    fn key(self) -> (u32, u64) {
        match self {
            Place::Holds => (0, 0),
            Place::Waits { last_turn } => (1, last_turn),
            Place::Outstayed { turn } => (2, u64::MAX - turn),
        }
    }
}

/// What one origin should have.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Share {
    /// Lanes.
    pub(super) lanes: u32,
    /// Large files that run.
    pub(super) large_running: u32,
    /// Large files to start.
    pub(super) large_starts: u32,
    /// Connections of all its large files, those to start included.
    pub(super) large_connections: u32,
}

impl Share {
    /// Large files that should run.
    pub(super) fn large_files(&self) -> u32 {
        self.large_running + self.large_starts
    }

    /// Connections of the `nth` large file, at least 1; the first ones get what does not divide.
    pub(super) fn part(&self, nth: u32) -> u32 {
        let files = self.large_files();
        let one_more = u32::from(nth < self.large_connections % files);
        (self.large_connections / files + one_more).max(1)
    }
}

/// Divides the bounds: one share for each claim.
pub(super) fn divide(bounds: Bounds, claims: &[Claim]) -> Vec<Share> {
    let mut division = Division::new(bounds, claims);
    division.first_ones();
    while division.connections_left > 0 && division.round() {}
    while division.connections_left > 0 && division.rest() {}
    division.shares
}

/// Indicates whether small files or large ones of some origin get nothing.
pub(super) fn somebody_waits(claims: &[Claim], shares: &[Share]) -> bool {
    claims.iter().zip(shares).any(|(claim, share)| {
        let small = claim.lanes > 0 && share.lanes == 0;
        let is_first = claim.large_waiting > 0 && claim.large_running == 0;
        small || (is_first && share.large_starts == 0)
    })
}

struct Division<'a> {
    bounds: Bounds,
    claims: &'a [Claim],
    shares: Vec<Share>,
    connections_left: u32,
    files_left: u32,
    large_left: u32,
}

impl<'a> Division<'a> {
    fn new(bounds: Bounds, claims: &'a [Claim]) -> Self {
        let running: u32 = claims.iter().map(|claim| claim.large_running).sum();
        let firm = |claim: &Claim| Share {
            large_running: claim.large_running,
            large_connections: claim.large_running,
            ..Share::default()
        };
        Self {
            bounds,
            claims,
            shares: claims.iter().map(firm).collect(),
            connections_left: bounds.connections.saturating_sub(running),
            files_left: bounds.files.saturating_sub(running),
            large_left: large_files_in_total(bounds, claims).saturating_sub(running),
        }
    }

    fn first_ones(&mut self) {
        let mut order = Vec::new();
        for (index, claim) in self.claims.iter().enumerate() {
            if claim.lanes > 0 {
                order.push((claim.small_place.key(), index, true));
            }
            if claim.large_waiting > 0 && claim.large_running == 0 {
                order.push((claim.large_place.key(), index, false));
            }
        }
        order.sort_unstable();
        for (_, index, is_small) in order {
            if is_small {
                self.add_lane(index);
            } else {
                self.add_large(index);
            }
        }
    }

    /// One more for each; `false` if nobody could get one.
    fn round(&mut self) -> bool {
        let mut any = false;
        for index in 0..self.claims.len() {
            let files = self.shares[index].large_files();
            for _ in 0..files.max(1) {
                any |= self.add_lane(index);
            }
            let base = files * self.bounds.large_base;
            any |= self.add_connections(index, base) || self.add_large(index);
        }
        any
    }

    /// One more for each large file; `false` if none could get one.
    fn rest(&mut self) -> bool {
        let beside_small = BESIDE_SMALL * self.bounds.large_base;
        let is_alone = self.claims.iter().all(|claim| claim.lanes == 0);
        let each = if is_alone { u32::MAX } else { beside_small }.min(self.bounds.large_max);
        let mut any = false;
        for index in 0..self.claims.len() {
            let most = self.shares[index].large_files() * each;
            any |= self.add_connections(index, most);
        }
        any
    }

    /// Connections that the origin may still get.
    fn room(&self, index: usize) -> u32 {
        let share = &self.shares[index];
        let used = share.lanes + share.large_connections;
        self.connections_left.min(self.claims[index].cap.saturating_sub(used))
    }

    fn add_lane(&mut self, index: usize) -> bool {
        let is_wanted = self.shares[index].lanes < self.claims[index].lanes;
        if !is_wanted || self.room(index) == 0 || self.files_left == 0 {
            return false;
        }
        self.shares[index].lanes += 1;
        self.connections_left -= 1;
        self.files_left -= 1;
        true
    }

    fn add_large(&mut self, index: usize) -> bool {
        let claim = &self.claims[index];
        let is_wanted = self.shares[index].large_starts < claim.large_waiting;
        let fits =
            self.shares[index].large_files() < large_files_max(claim.cap) && self.room(index) > 0;
        if !is_wanted || !fits || self.files_left == 0 || self.large_left == 0 {
            return false;
        }
        self.shares[index].large_starts += 1;
        self.shares[index].large_connections += 1;
        self.connections_left -= 1;
        self.files_left -= 1;
        self.large_left -= 1;
        true
    }

    /// One more for each large file of the origin, which then have at most `most` together.
    fn add_connections(&mut self, index: usize, most: u32) -> bool {
        let wanted = most.saturating_sub(self.shares[index].large_connections);
        let added = self.shares[index].large_files().min(wanted).min(self.room(index));
        self.shares[index].large_connections += added;
        self.connections_left -= added;
        added > 0
    }
}

/// Most large files at once of an origin that bears `connections`. A running one cannot be told to
/// pause, so that the last connection is left to small files that may come.
pub(super) fn large_files_max(connections: u32) -> u32 {
    connections.saturating_sub(1).max(1)
}

/// Most large files at once, of all origins: half of all places while small files wait.
fn large_files_in_total(bounds: Bounds, claims: &[Claim]) -> u32 {
    if claims.iter().any(|claim| claim.lanes > 0) {
        bounds.files.min(bounds.connections).div_ceil(2)
    } else {
        bounds.files.min(large_files_max(bounds.connections))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BOUNDS: Bounds = Bounds { connections: 16, files: 16, large_base: 4, large_max: 256 };
    const IDLE: Claim = Claim {
        cap: 8,
        lanes: 0,
        small_place: Place::Waits { last_turn: 0 },
        large_running: 0,
        large_waiting: 0,
        large_place: Place::Waits { last_turn: 0 },
    };

    fn share(lanes: u32, large_starts: u32, large_connections: u32) -> Share {
        Share { lanes, large_starts, large_connections, ..Share::default() }
    }

    fn running(large_connections: u32) -> Share {
        Share { large_running: 1, large_connections, ..Share::default() }
    }

    #[test]
    fn the_last_large_file_gets_all_that_its_origin_bears() {
        let one = Claim { large_running: 1, ..IDLE };
        assert_eq!(divide(BOUNDS, &[one]), [running(8)]);
        assert_eq!(divide(BOUNDS, &[one, one, one]), [running(6), running(5), running(5)]);
    }

    #[test]
    fn a_large_file_gets_its_base_before_another_is_started() {
        let many = Claim { cap: 16, large_waiting: 40, ..IDLE };
        assert_eq!(divide(BOUNDS, &[many]), [share(0, 4, 16)]);
        let asked = Bounds { large_base: 1, files: 10, ..BOUNDS };
        assert_eq!(divide(asked, &[many]), [share(0, 10, 16)]);
    }

    #[test]
    fn small_files_have_a_lane_beside_large_ones() {
        let both = Claim { lanes: 4, large_waiting: 9, ..IDLE };
        assert_eq!(divide(BOUNDS, &[both]), [share(4, 1, 4)]);
        for cap in 2..8 {
            let shares = divide(BOUNDS, &[Claim { cap, ..both }]);
            assert!(shares[0].lanes >= 1 && shares[0].large_connections >= 1, "{cap}: {shares:?}");
        }
    }

    #[test]
    fn beside_small_files_a_large_one_does_not_get_all_that_is_left() {
        let bounds = Bounds { connections: 64, files: 64, ..BOUNDS };
        let both = Claim { cap: 64, lanes: 4, large_running: 1, ..IDLE };
        let share = Share { lanes: 4, ..running(8) };
        assert_eq!(divide(bounds, &[both]), [share]);
        assert_eq!(divide(bounds, &[Claim { lanes: 0, ..both }]), [running(64)]);
    }

    #[test]
    fn turns_decide_where_there_is_one_connection() {
        let one = Bounds { connections: 1, files: 1, ..BOUNDS };
        let both = Claim { cap: 1, lanes: 4, large_waiting: 1, ..IDLE };
        let large = Claim { small_place: Place::Outstayed { turn: 7 }, ..both };
        assert_eq!(divide(one, &[large]), [share(0, 1, 1)]);
        let small = Claim { small_place: Place::Holds, ..both };
        assert_eq!(divide(one, &[small]), [share(1, 0, 0)]);
        assert!(somebody_waits(&[small], &divide(one, &[small])));
        let waits = |last_turn| Claim { lanes: 1, small_place: Place::Waits { last_turn }, ..IDLE };
        assert_eq!(divide(one, &[waits(5), waits(3)]), [share(0, 0, 0), share(1, 0, 0)]);
        let stays = |turn| Claim { lanes: 1, small_place: Place::Outstayed { turn }, ..IDLE };
        assert_eq!(divide(one, &[stays(3), stays(5)]), [share(0, 0, 0), share(1, 0, 0)]);
    }
}
