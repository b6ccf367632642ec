//! Which items of a list are those of one slice: every machine that has the same list comes to the
//! same answer, without a word to the others. Must not know machines, nor what is done about items.
//!
//! By name, the slice of an item follows from its target alone, so that a list of any length can be
//! a stream. By bytes, it follows from the whole list: the largest file first, each to the slice
//! that has the fewest bytes by then, which is at most 4/3 of the best division (Graham 1969).

use super::Item;
use super::state::Key;
use crate::base::limits::SLICE_SIZES_MAX;
use crate::base::{Error, ErrorKind, Result, Slice};
use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// What falls to one slice.
///
/// ```
/// use ringhaul::{Item, Share};
///
/// # fn main() -> ringhaul::Result<()> {
/// let of = |slice: &str| Ok::<Share, ringhaul::Error>(Share::by_name(slice.parse()?));
/// let (first, second) = (of("1/2")?, of("2/2")?);
/// let item = Ok(Item::new("http://h/a.bin"));
/// assert_ne!(first.has(&item), second.has(&item));
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Share {
    slice: Slice,
    /// Hashes of the targets whose sizes are known, in order, and whether they are of this slice.
    sized: Vec<(u64, bool)>,
}

impl Share {
    /// What falls to the slice by name.
    pub fn by_name(slice: Slice) -> Self {
        Self { slice, sized: Vec::new() }
    }

    /// What falls to the slice by bytes, of these items, which are all.
    ///
    /// # Errors
    /// [`ErrorKind::Usage`] if there are more than [`SLICE_SIZES_MAX`] items with a size.
    pub fn by_bytes(slice: Slice, items: impl Iterator<Item = Result<Item>>) -> Result<Self> {
        let mut sizes = Vec::new();
        // What is wrong with the list is told when it is read once more.
        for item in items.flatten() {
            let Some(bytes) = item.asked.size_required.or(item.asked.size) else { continue };
            let Ok(number) = number_of(&item) else { continue };
            if sizes.len() == SLICE_SIZES_MAX {
                let what = format!("the list has more than {SLICE_SIZES_MAX} files with a size");
                let advice = "divide a list of that length with --slice-by name";
                return Err(Error::new(ErrorKind::Usage, what).advise(advice));
            }
            sizes.push((number, bytes));
        }
        // Of two items with one target the first one counts, as it does for the batch.
        sizes.sort_by_key(|(number, _)| *number);
        sizes.dedup_by_key(|(number, _)| *number);
        Ok(Self { slice, sized: balanced(slice, sizes) })
    }

    /// Indicates whether it has the item. One that cannot have a target is the first slice's, as it
    /// is to fail once; what is wrong with the reading of a list is told by each.
    pub fn has(&self, item: &Result<Item>) -> bool {
        let number = match item {
            Ok(item) => number_of(item),
            Err(error) if error.kind() == ErrorKind::Usage => return self.slice.is_first(),
            Err(_) => return true,
        };
        let Ok(number) = number else { return self.slice.is_first() };
        match self.sized.binary_search_by_key(&number, |(number, _)| *number) {
            Ok(place) => self.sized[place].1,
            Err(_) => self.slice.has(number),
        }
    }
}

/// The hash of the item's target.
fn number_of(item: &Item) -> Result<u64> {
    Ok(Key::of(&item.target()?).number())
}

/// Which of these, by hash and bytes, are the slice's; in the order of the hashes.
fn balanced(slice: Slice, mut sizes: Vec<(u64, u64)>) -> Vec<(u64, bool)> {
    sizes.sort_by_key(|(number, bytes)| (Reverse(*bytes), *number));
    let mut loads: BinaryHeap<_> = (1..=slice.count()).map(|index| Reverse((0, index))).collect();
    let assign = |(number, bytes)| {
        let mut least = loads.peek_mut().expect("there is one slice at least");
        let Reverse((load, index)) = *least;
        *least = Reverse((load + u128::from(bytes), index));
        (number, index == slice.index())
    };
    let mut sized: Vec<(u64, bool)> = sizes.into_iter().map(assign).collect();
    sized.sort_unstable();
    sized
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn slices(count: u32) -> impl Iterator<Item = Slice> {
        (1..=u64::from(count)).map(move |index| Slice::new(index, count.into()).unwrap())
    }

    fn item(url: &str, out: Option<&str>, size: Option<u64>) -> Result<Item> {
        let mut item = Item::new(url);
        (item.asked.out, item.asked.size) = (out.map(str::to_owned), size);
        Ok(item)
    }

    /// Files `f0`, `f1` and so on with these sizes.
    fn sized(sizes: &[Option<u64>]) -> Vec<Result<Item>> {
        let file =
            |(index, size): (usize, &Option<u64>)| item(&format!("http://h/f{index}"), None, *size);
        sizes.iter().enumerate().map(file).collect()
    }

    /// The bytes of each slice, and how many slices each file is in.
    fn divided(items: &[Result<Item>], count: u32) -> (Vec<u64>, Vec<usize>) {
        let mut owners = vec![0; items.len()];
        let loads = slices(count).map(|slice| {
            let share = Share::by_bytes(slice, items.iter().cloned()).unwrap();
            let mine = items.iter().enumerate().filter(|(_, item)| share.has(item));
            let bytes = mine.map(|(index, item)| {
                owners[index] += 1;
                item.as_ref().ok().and_then(|item| item.asked.size).unwrap_or(0)
            });
            bytes.sum()
        });
        (loads.collect(), owners)
    }

    #[test]
    fn the_slice_of_a_target_stays_the_same_from_version_to_version() {
        // python3 -c 'import hashlib,sys; t = sys.argv[1].encode().replace(b"/", b"\0") + b"\0";
        // print(int.from_bytes(hashlib.sha256(t).digest()[:8], "big") % 8 + 1)' a/b
        for (out, index) in [("a/b", 6), ("a", 5), ("./a//b", 6), ("x/ä.bin", 6)] {
            let item = item("http://h/f", Some(out), None);
            let owners = slices(8).filter(|slice| Share::by_name(*slice).has(&item));
            let owners: Vec<u32> = owners.map(Slice::index).collect();
            assert_eq!(owners, [index], "{out}");
        }
    }

    #[test]
    fn what_has_no_target_fails_once_and_what_cannot_be_read_everywhere() {
        let of = |item: &Result<Item>| -> Vec<u32> {
            let owners = slices(3).filter(|slice| Share::by_name(*slice).has(item));
            owners.map(Slice::index).collect()
        };
        assert_eq!(of(&item("http://h/f", Some("../f"), None)), [1]);
        assert_eq!(of(&item("ftp://h/f", None, None)), [1]);
        assert_eq!(of(&Err(Error::new(ErrorKind::Usage, "line 7"))), [1]);
        assert_eq!(of(&Err(Error::new(ErrorKind::DiskIo, "cannot read"))), [1, 2, 3]);
    }

    #[test]
    fn by_bytes_no_slice_has_much_more_than_another() {
        let mut rng = crate::base::rng::Rng::new(1);
        let sizes: Vec<Option<u64>> = (0..2000).map(|_| Some(1 << rng.below(30))).collect();
        let (loads, owners) = divided(&sized(&sizes), 8);
        assert!(owners.iter().all(|count| *count == 1));
        let (least, most) = (loads.iter().min().unwrap(), loads.iter().max().unwrap());
        assert!((most - least) * 1000 < *most, "{loads:?}");
        let by_name = |slice| {
            let share = Share::by_name(slice);
            let all = sized(&sizes);
            let mine = all.iter().filter(|item| share.has(item));
            mine.map(|item| item.as_ref().unwrap().asked.size.unwrap()).sum::<u64>()
        };
        assert!(slices(8).map(by_name).max().unwrap() > *most, "or it is of no use");
    }

    #[test]
    fn two_items_with_one_target_are_in_one_slice() {
        for (first, second) in [(Some(5), Some(900)), (None, Some(900)), (Some(900), None)] {
            let mut items = sized(&[Some(800), Some(700), first]);
            items.push(item("http://other/x", Some("f2"), second));
            for slice in slices(3) {
                let share = Share::by_bytes(slice, items.iter().cloned()).unwrap();
                assert_eq!(share.has(&items[2]), share.has(&items[3]), "{first:?} {second:?}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..Default::default() })]

        #[test]
        fn each_item_is_in_one_slice(
            sizes in proptest::collection::vec(proptest::option::of(0..u64::MAX / 64), 0..40),
            count in 1u32..9,
        ) {
            let (_, owners) = divided(&sized(&sizes), count);
            prop_assert!(owners.iter().all(|count| *count == 1), "{owners:?}");
        }
    }
}
