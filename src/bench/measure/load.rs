//! What else kept the machine busy while a bench ran: before the first run, meanwhile, and after
//! the last one. Owns what counts as load. Reads `/proc` and `/sys`; what they do not say is
//! unknown.

use serde::Serialize;
use std::fs;
use std::thread;
use std::time::Duration;

/// The machine is watched for this time while the bench does nothing: long enough for a part of a
/// percent per processor in ticks of 10 ms.
const WATCH: Duration = Duration::from_millis(500);
/// From this part of the processors' time on others' work before or after the runs is load: it
/// shifts medians by about as much as it takes.
const BUSY_MAX: f64 = 0.1;
/// The same for time that the hypervisor gave to other machines during the runs.
const STOLEN_MAX: f64 = 0.02;

/// The machine's other work.
#[derive(Debug, Clone, Serialize)]
pub struct Load {
    /// Processes that ran or waited, on average over the minute before the first run.
    pub load_before: Option<f64>,
    /// The same for the minute before the last run's end; the bench's own work is part of it.
    pub load_after: Option<f64>,
    /// Part of all processors' time that others used while the bench waited before the first run.
    pub busy_before: Option<f64>,
    /// The same after the last run.
    pub busy_after: Option<f64>,
    /// Part of all processors' time that the hypervisor gave to other machines during the runs.
    pub stolen: Option<f64>,
    /// Memory of the machine, bytes.
    pub memory_bytes: Option<u64>,
    /// Memory that could be had before the first run, bytes.
    pub memory_available_bytes: Option<u64>,
    /// How the first processor's clock is chosen.
    pub governor: String,
    /// Ticks when the runs began.
    #[serde(skip)]
    begun: Option<Ticks>,
}

/// What `/proc/stat` counts for all processors together, in ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Ticks {
    busy: u64,
    stolen: u64,
    all: u64,
}

impl Load {
    /// Watches the machine before the first run; takes half a second.
    pub(in crate::bench) fn before() -> Self {
        let before = ticks();
        thread::sleep(WATCH);
        let begun = ticks();
        Self {
            load_before: load_average(),
            load_after: None,
            busy_before: part(before, begun, |ticks| ticks.busy),
            busy_after: None,
            stolen: None,
            memory_bytes: memory("MemTotal:"),
            memory_available_bytes: memory("MemAvailable:"),
            governor: governor(),
            begun,
        }
    }

    /// Takes down what the runs so far have seen.
    pub(in crate::bench) fn update(&mut self) {
        self.load_after = load_average();
        self.stolen = part(self.begun, ticks(), |ticks| ticks.stolen);
    }

    /// Watches the machine after the last run; takes half a second.
    pub(in crate::bench) fn end(&mut self) {
        self.update();
        let before = ticks();
        thread::sleep(WATCH);
        self.busy_after = part(before, ticks(), |ticks| ticks.busy);
    }

    /// Why these runs are not those of a quiet machine, in one line; `None` if they are.
    pub(in crate::bench) fn complaint(&self) -> Option<String> {
        let percent = |part: f64| format!("{:.0} %", part * 100.0);
        let busy = |part: Option<f64>, when| {
            let part = part.filter(|part| *part > BUSY_MAX)?;
            Some(format!("others used {} of the processors {when}", percent(part)))
        };
        let stolen = self.stolen.filter(|part| *part > STOLEN_MAX).map(|part| {
            format!("the hypervisor gave {} of their time to other machines", percent(part))
        });
        let reasons = [
            busy(self.busy_before, "before the first run"),
            busy(self.busy_after, "after the last run"),
            stolen,
        ];
        let reasons: Vec<String> = reasons.into_iter().flatten().collect();
        let is_loaded = !reasons.is_empty();
        is_loaded.then(|| format!("made under load, do not compare: {}", reasons.join("; ")))
    }

    #[cfg(test)]
    pub(in crate::bench) fn example() -> Self {
        Self {
            load_before: Some(0.25),
            load_after: Some(1.5),
            busy_before: Some(0.01),
            busy_after: Some(0.02),
            stolen: Some(0.004),
            memory_bytes: Some(8 << 30),
            memory_available_bytes: Some(6 << 30),
            governor: "performance".to_owned(),
            begun: None,
        }
    }
}

/// The part of all ticks between two moments that `value` counts.
fn part(before: Option<Ticks>, after: Option<Ticks>, value: fn(&Ticks) -> u64) -> Option<f64> {
    let (before, after) = (before?, after?);
    let all = after.all.saturating_sub(before.all);
    (all > 0).then(|| value(&after).saturating_sub(value(&before)) as f64 / all as f64)
}

fn ticks() -> Option<Ticks> {
    parse_ticks(&fs::read_to_string("/proc/stat").ok()?)
}

/// The first line: user, nice, system, idle, iowait, irq, softirq, steal; what guests use is part
/// of user.
fn parse_ticks(text: &str) -> Option<Ticks> {
    let fields = text.lines().next()?.strip_prefix("cpu ")?.split_whitespace();
    let fields: Vec<u64> = fields.map(str::parse).collect::<Result<_, _>>().ok()?;
    let [user, nice, system, idle, iowait, irq, softirq, stolen] = *fields.get(..8)? else {
        return None;
    };
    let busy = user + nice + system + irq + softirq;
    Some(Ticks { busy, stolen, all: busy + idle + iowait + stolen })
}

/// Over one minute.
fn load_average() -> Option<f64> {
    fs::read_to_string("/proc/loadavg").ok()?.split_whitespace().next()?.parse().ok()
}

/// Bytes that `/proc/meminfo` says in KiB.
fn memory(name: &str) -> Option<u64> {
    let text = fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib * 1024)
}

fn governor() -> String {
    let path = "/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor";
    fs::read_to_string(path).map_or_else(|_| "unknown".to_owned(), |text| text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ticks_are_read_and_become_parts() {
        let before = parse_ticks("cpu  100 0 50 800 10 5 5 30 7 0\ncpu0 1 1\n");
        assert_eq!(before, Some(Ticks { busy: 160, stolen: 30, all: 1000 }));
        let after = parse_ticks("cpu  130 0 60 850 10 5 5 40 7 0\n");
        assert_eq!(part(before, after, |ticks| ticks.busy), Some(0.4));
        assert_eq!(part(before, after, |ticks| ticks.stolen), Some(0.1));
        assert_eq!(part(before, before, |ticks| ticks.busy), None);
        assert_eq!(part(None, after, |ticks| ticks.busy), None);
        assert_eq!(parse_ticks("cpu  1 2 3\n"), None);
    }

    #[test]
    fn a_busy_machine_is_complained_about() {
        let quiet = Load::example();
        assert_eq!(quiet.complaint(), None);
        let busy = Load { busy_before: Some(0.341), stolen: Some(0.05), ..quiet };
        let text = busy.complaint().unwrap();
        assert!(text.starts_with("made under load, "), "{text}");
        assert!(text.contains("34 % of the processors before the first run"), "{text}");
        assert!(text.contains("gave 5 % of their time"), "{text}");
    }

    #[test]
    fn this_machine_says_what_it_has() {
        let mut load = Load::before();
        load.end();
        assert!(load.memory_bytes > load.memory_available_bytes, "{load:?}");
        assert!(load.load_before.is_some() && load.busy_before.is_some(), "{load:?}");
        assert!(load.busy_after.is_some_and(|part| (0.0..=1.0).contains(&part)), "{load:?}");
    }
}
