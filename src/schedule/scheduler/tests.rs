//! Tests of the scheduler: single decisions here, how fair they are over time in `fairness`, random
//! batches in `swarm`; `world` is the model of servers and caller.

mod fairness;
mod swarm;
mod world;

use super::*;
use crate::base::size::{GIB, KIB, MIB};
use crate::schedule::{Order, Parallel};

const ONE: OriginId = OriginId(1);
const OTHER: OriginId = OriginId(2);
const NOW: Duration = Duration::from_secs(1);

fn bounds(total: u32, per_origin: u32) -> Settings {
    Settings {
        connections_total_max: total,
        connections_per_origin_max: per_origin,
        ..Settings::default()
    }
}

/// A scheduler with `items`, in the middle of the list.
fn reading(settings: Settings, items: &[Item]) -> Scheduler {
    let mut scheduler = Scheduler::new(settings);
    items.iter().for_each(|item| scheduler.offer(*item));
    scheduler
}

/// The same at its end.
fn with(settings: Settings, items: &[Item]) -> Scheduler {
    let mut scheduler = reading(settings, items);
    scheduler.end_of_list();
    scheduler
}

fn item(id: u64, origin: OriginId, bytes: u64) -> Item {
    Item { id: ItemId(id), origin, size_hint: Some(bytes) }
}

fn lanes(orders: &[Order]) -> Vec<LaneId> {
    let lane = |order: &Order| match order {
        Order::OpenLane { lane, .. } => Some(*lane),
        _ => None,
    };
    orders.iter().filter_map(lane).collect()
}

#[test]
fn lanes_carry_the_small_files_in_order_and_close() {
    let items: Vec<Item> = (0..4).map(|id| item(id, ONE, KIB)).collect();
    let mut scheduler = with(bounds(2, 2), &items);
    let open = lanes(&scheduler.decide(NOW));
    assert_eq!(open.len(), 2);
    assert!(scheduler.decide(NOW).is_empty(), "nothing has changed");
    let mut next = |lane: usize| scheduler.next_for_lane(open[lane], NOW);
    assert_eq!(next(0), LaneNext::Take(ItemId(0)));
    assert_eq!(next(0), LaneNext::Take(ItemId(1)));
    assert_eq!(next(0), LaneNext::Wait, "the other half is for the other lane");
    assert_eq!(next(1), LaneNext::Take(ItemId(2)));
    scheduler.finished(ItemId(0), NOW, Outcome::Done { bytes: KIB });
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Take(ItemId(3)));
    scheduler.close_lane(open[0]);
    assert_eq!(scheduler.next_for_lane(open[1], NOW), LaneNext::Take(ItemId(1)), "it is back");
    for id in [2, 1] {
        scheduler.finished(ItemId(id), NOW, Outcome::Done { bytes: KIB });
    }
    assert_eq!(scheduler.next_for_lane(open[1], NOW), LaneNext::Take(ItemId(3)));
    scheduler.finished(ItemId(3), NOW, Outcome::Dropped);
    assert!(scheduler.is_done());
    assert_eq!(scheduler.next_for_lane(open[1], NOW), LaneNext::Close);
}

#[test]
fn what_comes_late_gets_a_lane_of_its_own() {
    let mut scheduler = reading(bounds(2, 2), &[item(1, ONE, KIB)]);
    for id in [1, 2, 3] {
        let open = lanes(&scheduler.decide(NOW));
        assert_eq!(open.len(), 1, "item {id}");
        assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Take(ItemId(id)));
        scheduler.finished(ItemId(id), NOW, Outcome::Done { bytes: KIB });
        assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Close);
        scheduler.close_lane(open[0]);
        assert!(scheduler.decide(NOW).is_empty());
        scheduler.offer(item(id + 1, ONE, KIB));
    }
}

/// The tail of a list at a server that is slow: the few files that are left are held already.
#[test]
fn no_lane_is_opened_for_what_others_hold() {
    let items: Vec<Item> = (0..8).map(|id| item(id, ONE, KIB)).collect();
    let mut scheduler = reading(bounds(2, 2), &items);
    let open = lanes(&scheduler.decide(NOW));
    assert_eq!(open.len(), 2);
    scheduler.close_lane(open[1]);
    for id in 0..8 {
        assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Take(ItemId(id)));
    }
    assert!(scheduler.decide(NOW).is_empty(), "a second lane would find nothing");
    scheduler.offer(item(8, ONE, KIB));
    let late = lanes(&scheduler.decide(NOW));
    assert_eq!(late.len(), 1, "now it does");
    assert!(scheduler.decide(NOW).is_empty());
    scheduler.offer(item(9, ONE, KIB));
    assert!(scheduler.decide(NOW).is_empty(), "there are two");
    assert_eq!(scheduler.next_for_lane(late[0], NOW), LaneNext::Take(ItemId(8)));
}

#[test]
fn the_last_large_file_is_given_what_the_others_had() {
    let mut scheduler = with(bounds(8, 8), &[item(1, ONE, GIB), item(2, ONE, GIB)]);
    let start = |id, connections| Order::StartLarge { item: ItemId(id), connections };
    assert_eq!(scheduler.decide(NOW), [start(1, 4), start(2, 4)]);
    scheduler.finished(ItemId(1), NOW, Outcome::Done { bytes: GIB });
    let all = Order::Regrant { item: ItemId(2), connections: 8 };
    assert_eq!(scheduler.decide(NOW), [all]);
}

#[test]
fn connections_are_asked_back_and_count_until_they_are_closed() {
    let mut scheduler = Scheduler::new(bounds(8, 2));
    scheduler.offer(item(1, ONE, GIB));
    let start = Order::StartLarge { item: ItemId(1), connections: 2 };
    assert_eq!(scheduler.decide(NOW), [start]);
    scheduler.offer(item(2, ONE, KIB));
    let fewer = Order::Regrant { item: ItemId(1), connections: 1 };
    assert_eq!(scheduler.decide(NOW), [fewer]);
    assert!(scheduler.decide(NOW).is_empty());
    scheduler.released(ItemId(1), 1);
    assert_eq!(lanes(&scheduler.decide(NOW)).len(), 1);
    scheduler.finished(ItemId(1), NOW, Outcome::Done { bytes: GIB });
    scheduler.released(ItemId(1), 1);
}

#[test]
fn a_late_release_does_not_take_a_newer_grant() {
    let mut scheduler = Scheduler::new(bounds(4, 4));
    scheduler.offer(item(1, ONE, GIB));
    scheduler.decide(NOW);
    scheduler.offer(item(2, ONE, KIB));
    assert_eq!(scheduler.decide(NOW), [Order::Regrant { item: ItemId(1), connections: 3 }]);
    assert!(scheduler.withdraw(ItemId(2)) && !scheduler.withdraw(ItemId(2)));
    assert_eq!(scheduler.decide(NOW), [Order::Regrant { item: ItemId(1), connections: 4 }]);
    scheduler.released(ItemId(1), 3);
    assert_eq!(scheduler.budget.granted(ONE), 4);
}

#[test]
fn a_grant_moves_with_a_redirect_or_comes_back() {
    let items = [item(1, ONE, GIB), item(2, OTHER, GIB), item(3, OTHER, KIB)];
    let mut scheduler = with(bounds(8, 3), &items);
    scheduler.decide(NOW);
    let granted = |it: &Scheduler| (it.budget.granted(ONE), it.budget.granted(OTHER));
    assert_eq!(granted(&scheduler), (3, 3));
    assert_eq!(scheduler.moved(ItemId(1), OTHER, NOW), Moved::Waits);
    assert_eq!(granted(&scheduler), (0, 3));
    scheduler.finished(ItemId(2), NOW, Outcome::Failed);
    let start = Order::StartLarge { item: ItemId(1), connections: 2 };
    assert_eq!(scheduler.decide(NOW), [start]);
    assert_eq!(scheduler.moved(ItemId(1), ONE, NOW), Moved::Granted { connections: 2 });
    assert_eq!(granted(&scheduler), (2, 1));
}

#[test]
fn a_file_that_moved_and_failed_begins_again_where_it_began() {
    let mut scheduler = with(bounds(8, 3), &[item(1, ONE, GIB)]);
    scheduler.decide(NOW);
    assert_eq!(scheduler.moved(ItemId(1), OTHER, NOW), Moved::Granted { connections: 3 });
    scheduler.finished(ItemId(1), NOW, Outcome::Failed);
    scheduler.start_last_round();
    scheduler.decide(NOW);
    assert_eq!((scheduler.budget.granted(ONE), scheduler.budget.granted(OTHER)), (3, 0));
    scheduler.finished(ItemId(1), NOW, Outcome::Dropped);
    assert!(scheduler.moved_from.is_empty());
}

#[test]
fn a_grant_does_not_move_to_where_there_is_no_place() {
    let is_granted = |moved| matches!(moved, Moved::Granted { .. });
    let two = [item(1, ONE, GIB), item(2, OTHER, GIB)];
    let mut scheduler = reading(bounds(9, 3), &two);
    scheduler.decide(NOW);
    scheduler.offer(item(3, OTHER, KIB));
    scheduler.decide(NOW);
    scheduler.released(ItemId(2), 2);
    assert!(is_granted(scheduler.moved(ItemId(1), OTHER, NOW)), "one more large file has place");

    let mut scheduler = reading(bounds(9, 2), &two);
    scheduler.decide(NOW);
    scheduler.offer(item(3, OTHER, KIB));
    scheduler.decide(NOW);
    scheduler.released(ItemId(2), 1);
    let moved = scheduler.moved(ItemId(1), OTHER, NOW);
    assert_eq!(moved, Moved::Waits, "the connection is a small file's");

    let mut scheduler = with(bounds(9, 3), &two[..1]);
    scheduler.decide(NOW);
    scheduler.push_back(OTHER, NOW, NOW + Duration::from_secs(1));
    assert_eq!(scheduler.moved(ItemId(1), OTHER, NOW), Moved::Waits, "it wants nothing new");
}

#[test]
fn large_files_leave_places_to_small_ones() {
    let mut scheduler = Scheduler::new(bounds(9, 2));
    (0..3).for_each(|id| scheduler.offer(item(id, ONE, GIB)));
    let start = Order::StartLarge { item: ItemId(0), connections: 2 };
    assert_eq!(scheduler.decide(NOW), [start], "one alone can be asked to make room");
    scheduler.offer(item(3, ONE, KIB));
    scheduler.decide(NOW);
    scheduler.released(ItemId(0), 1);
    assert_eq!(lanes(&scheduler.decide(NOW)).len(), 1);

    let mut items: Vec<Item> = (0..9).map(|id| item(u64::from(id), OriginId(id), GIB)).collect();
    items.extend((9..12).map(|id| item(id, OriginId(9), KIB)));
    let settings = Settings { parallel: Parallel::Fixed(4), ..bounds(64, 64) };
    let orders = with(settings, &items).decide(NOW);
    assert_eq!((lanes(&orders).len(), orders.len()), (2, 4), "half of the files at once");
}

#[test]
fn what_has_failed_comes_once_more_at_the_end() {
    let settings = Settings { failed_items_max: 1, waiting_items_max: 1, ..bounds(1, 1) };
    let mut scheduler = Scheduler::new(settings);
    scheduler.offer(item(1, ONE, GIB));
    assert!(!scheduler.wants_more());
    scheduler.decide(NOW);
    scheduler.offer(item(2, ONE, GIB));
    scheduler.end_of_list();
    scheduler.finished(ItemId(1), NOW, Outcome::Failed);
    scheduler.decide(NOW);
    scheduler.finished(ItemId(2), NOW, Outcome::Failed);
    assert!(scheduler.is_done());
    assert_eq!((scheduler.failed_kept(), scheduler.failed_lost()), (1, 1));
    assert_eq!(scheduler.start_last_round(), 1);
    assert!(!scheduler.is_done());
    let start = Order::StartLarge { item: ItemId(1), connections: 1 };
    assert_eq!(scheduler.decide(NOW), [start]);
    scheduler.finished(ItemId(1), NOW, Outcome::Failed);
    assert!(scheduler.is_done());
}

#[test]
fn an_origin_that_pushed_back_is_left_alone_and_then_asked_by_half() {
    let items: Vec<Item> = (0..100).map(|id| item(id, ONE, KIB)).collect();
    let mut scheduler = with(bounds(8, 4), &items);
    let open = lanes(&scheduler.decide(NOW));
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Take(ItemId(0)));
    let until = NOW + Duration::from_secs(3);
    scheduler.push_back(ONE, NOW, until);
    scheduler.put_back(ItemId(0));
    for lane in open {
        assert_eq!(scheduler.next_for_lane(lane, NOW), LaneNext::Close);
        scheduler.close_lane(lane);
    }
    assert!(scheduler.decide(NOW).is_empty());
    assert_eq!(scheduler.wake_at(), Some(until));
    let open = lanes(&scheduler.decide(until));
    assert_eq!(open.len(), 2);
    assert_eq!(scheduler.next_for_lane(open[0], until), LaneNext::Take(ItemId(0)));
    let later = scheduler.wake_at().unwrap();
    assert_eq!((later, lanes(&scheduler.decide(later)).len()), (until + Duration::from_secs(5), 1));
}

#[test]
fn files_of_unknown_size_are_probed_by_few_lanes_once_they_were_large() {
    let unknown = |id| Item { id: ItemId(id), origin: ONE, size_hint: None };
    let items: Vec<Item> = (0..10).map(unknown).collect();
    let mut scheduler = with(bounds(16, 16), &items);
    let open = lanes(&scheduler.decide(NOW));
    assert_eq!(open.len(), 4);
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Take(ItemId(0)));
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Wait, "nothing ahead of a probe");
    scheduler.turned_out_large(ItemId(0), GIB);
    let orders = scheduler.decide(NOW);
    assert!(orders.contains(&Order::StartLarge { item: ItemId(0), connections: 8 }), "{orders:?}");
    scheduler.close_lane(open[0]);
    assert_eq!(scheduler.next_for_lane(open[1], NOW), LaneNext::Close);
    scheduler.close_lane(open[1]);
    for (lane, id) in [(2, 1), (3, 2)] {
        let next = scheduler.next_for_lane(open[lane], NOW);
        assert_eq!(next, LaneNext::Take(ItemId(id)), "one may be slow");
    }
    scheduler.finished(ItemId(1), NOW, Outcome::Done { bytes: MIB });
    let next = scheduler.next_for_lane(open[3], NOW);
    assert_eq!(next, LaneNext::Take(ItemId(3)));
    assert_eq!(scheduler.next_for_lane(open[3], NOW), LaneNext::Take(ItemId(4)), "small: ahead");
}

#[test]
fn what_is_behind_a_stuck_item_goes_to_another_lane() {
    let items: Vec<Item> = (0..5).map(|id| item(id, ONE, KIB)).collect();
    let mut scheduler = with(bounds(2, 2), &items);
    let open = lanes(&scheduler.decide(NOW));
    let take = |it: &mut Scheduler, lane: usize, id| {
        assert_eq!(it.next_for_lane(open[lane], NOW), LaneNext::Take(ItemId(id)));
    };
    (0..3).for_each(|id| take(&mut scheduler, 0, id));
    take(&mut scheduler, 1, 3);
    assert_eq!(scheduler.stuck(open[0]), [ItemId(1), ItemId(2)]);
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Wait, "one more would be stuck");
    assert!(scheduler.stuck(open[0]).is_empty() && scheduler.stuck(open[1]).is_empty());
    assert!(scheduler.decide(NOW).is_empty(), "the bound holds");
    scheduler.finished(ItemId(3), NOW, Outcome::Done { bytes: KIB });
    (1..3).for_each(|id| take(&mut scheduler, 1, id));
    scheduler.finished(ItemId(0), NOW, Outcome::Done { bytes: KIB });
    take(&mut scheduler, 0, 4);
    scheduler.close_lane(open[0]);
    assert_eq!(scheduler.origins[&ONE].lanes_stuck, 0);
}

#[test]
fn items_go_to_their_mirrors_from_flight_and_while_they_wait() {
    let items = [item(1, ONE, KIB), item(2, ONE, KIB), item(3, ONE, GIB), item(4, OTHER, KIB)];
    let mut scheduler = reading(bounds(1, 1), &items[..2]);
    let open = lanes(&scheduler.decide(NOW));
    items[2..].iter().for_each(|item| scheduler.offer(*item));
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Take(ItemId(1)));
    assert_eq!(scheduler.take_waiting(ONE), items[1..3]);
    assert_eq!(scheduler.waiting(), 1);
    scheduler.wait_again(Item { origin: OTHER, ..items[1] });
    scheduler.wait_again(items[2]);
    scheduler.put_back_as(Item { origin: OTHER, size_hint: None, ..items[0] });
    assert_eq!((scheduler.waiting(), scheduler.in_flight()), (4, 0));
    let ids = |queue: &VecDeque<Item>| queue.iter().map(|item| item.id.0).collect::<Vec<_>>();
    assert_eq!(ids(&scheduler.origins[&OTHER].small), [1, 4, 2], "what was in flight is first");
    assert_eq!(ids(&scheduler.origins[&ONE].large), [3]);
    assert_eq!(scheduler.next_for_lane(open[0], NOW), LaneNext::Close);
}

#[test]
fn a_lane_is_opened_in_place_of_one_that_is_stuck() {
    let items: Vec<Item> = (0..100).map(|id| item(id, ONE, KIB)).collect();
    let mut scheduler = with(bounds(16, 16), &items);
    let open = lanes(&scheduler.decide(NOW));
    for lane in &open {
        assert!(matches!(scheduler.next_for_lane(*lane, NOW), LaneNext::Take(_)));
        scheduler.stuck(*lane);
    }
    assert_eq!((open.len(), lanes(&scheduler.decide(NOW)).len()), (4, 4));
    scheduler.close_lane(open[0]);
    assert!(lanes(&scheduler.decide(NOW)).is_empty(), "it was not one of those that work");
}

#[test]
fn a_server_that_says_nothing_at_all_gets_no_connections_without_end() {
    let items: Vec<Item> = (0..500).map(|id| item(id, ONE, KIB)).collect();
    let mut scheduler = with(bounds(64, 64), &items);
    let mut open = 0;
    for _ in 0..20 {
        for lane in lanes(&scheduler.decide(NOW)) {
            open += 1;
            assert!(matches!(scheduler.next_for_lane(lane, NOW), LaneNext::Take(_)));
            scheduler.stuck(lane);
        }
    }
    assert_eq!(open, 4 + 16);
}

#[test]
fn a_number_of_files_that_is_asked_for_is_kept_to() {
    let settings = Settings { parallel: Parallel::Fixed(3), ..bounds(64, 64) };
    let large: Vec<Item> = (0..9).map(|id| item(id, ONE, GIB)).collect();
    assert_eq!(with(settings, &large).decide(NOW).len(), 3);
    let small: Vec<Item> = (0..9).map(|id| item(id, ONE, KIB)).collect();
    assert_eq!(with(settings, &small).decide(NOW).len(), 3);
}

#[test]
fn idle_origins_are_forgotten_where_there_are_too_many() {
    let mut scheduler = Scheduler::new(bounds(1, 1));
    for id in 0..3 * u32::try_from(ORIGINS_MAX).unwrap() {
        scheduler.offer(item(u64::from(id), OriginId(id), GIB));
        scheduler.decide(NOW);
        scheduler.finished(ItemId(u64::from(id)), NOW, Outcome::Dropped);
    }
    assert!(scheduler.origins.len() <= ORIGINS_MAX);
}
