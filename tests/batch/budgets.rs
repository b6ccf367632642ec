//! Bounds of connections and files hold at every instant, for all files together.

use crate::common::{Watch, slowed};
use crate::farm::{Farm, SIZE, at, many, sized};
use ringhaul::internal::base::size::MIB;
use ringhaul::server::{Config, Fault, Shape};
use std::time::Duration;

/// Small files and large ones, whose answers take a while.
fn mixed() -> Config {
    let shape = Shape { first_byte_delay: Duration::from_millis(3), ..Shape::default() };
    let config = sized(many(), &[("/large-1", 3 * MIB), ("/large-2", 3 * MIB)]);
    slowed(Config { shape, ..config }, 48 * MIB)
}

fn names() -> Vec<String> {
    let small = (0..30).map(|number| format!("/{number:02}"));
    small.chain(["/large-1".into(), "/large-2".into()]).collect()
}

#[track_caller]
fn has_all(farm: &Farm) {
    let names = names();
    let size = |path: &str| if path.starts_with("/large") { 3 * MIB } else { SIZE };
    let files: Vec<_> = names.iter().map(|path| (&path[1..], path.as_str(), size(path))).collect();
    farm.holds(&files);
}

/// Fetches all of it; the most connections at once.
fn peak(arguments: &[&str]) -> usize {
    let farm = Farm::new(mixed());
    let list: String = names().iter().map(|path| farm.url(path) + "\n").collect();
    let watch = Watch::start(farm.server.address().port());
    farm.fetch(list, arguments).success();
    has_all(&farm);
    watch.peak()
}

#[test]
fn connections_are_bounded_in_total_and_for_each_host() {
    assert!(peak(&[]) > 2, "it uses several where it may");
    for most in ["1", "2"] {
        let bound: usize = most.parse().expect("a number");
        let found = peak(&["--max-connections", most]);
        assert!((1..=bound).contains(&found), "--max-connections {most}: {found}");
        let found = peak(&["--max-connections-per-host", most]);
        assert!((1..=bound).contains(&found), "--max-connections-per-host {most}: {found}");
    }
}

#[test]
fn one_file_at_a_time_if_asked() {
    let farm = Farm::new(mixed());
    let list: String = names()[..30].iter().map(|path| farm.url(path) + "\n").collect();
    farm.fetch(list, &["-j", "1"]).success();
    assert_eq!(farm.stats().connections_peak, 1);
    let targets: Vec<String> = farm.stats().log.into_iter().map(|entry| entry.target).collect();
    assert_eq!(targets, &names()[..30], "in the order of the list");
}

#[test]
fn what_redirects_lead_to_counts() {
    let other = Farm::new(mixed());
    let redirect = Fault::Redirect { status: 302, location: other.url("/large-1") };
    let farm = Farm::new(Config { script: vec![at("/", redirect, None)], ..mixed() });
    let paths: Vec<String> = (0..4).map(|number| format!("/{number}")).collect();
    let list: String = paths.iter().map(|path| farm.url(path) + "\n").collect();
    let watches = [&farm, &other].map(|farm| Watch::start(farm.server.address().port()));
    farm.fetch(list, &["--max-connections-per-host", "2"]).success();
    let names = ["0", "1", "2", "3"];
    farm.holds(&names.map(|name| (name, "/large-1", 3 * MIB)));
    let peaks = watches.map(Watch::peak);
    assert!(peaks[0] <= 2 && peaks[1] <= 2, "{peaks:?}");
}

#[test]
fn connections_carry_many_files() {
    let farm = Farm::new(many());
    let paths: Vec<String> = (0..300).map(|number| format!("/{number:03}")).collect();
    let list: String = paths.iter().map(|path| farm.url(path) + "\n").collect();
    farm.fetch(list, &["--max-connections", "4"]).success();
    assert_eq!((farm.requests(), farm.stats().connections <= 4), (300, true));
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    farm.has(&paths);
}
