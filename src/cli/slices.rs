//! Which slice of the work is this machine's: what `--slice auto` makes of the variables that
//! engines set for their tasks. Owns their names and their order; reads no variable by itself.

use super::args::{DownloadArgs, SliceWish};
use crate::base::slice::{Slice, decimal};
use crate::base::{Error, ErrorKind, Result};
use std::ffi::OsString;

/// Characters of a variable's value that a message shows.
const SHOWN_CHARS_MAX: usize = 32;

/// An engine that starts tasks.
struct Starter {
    /// The variable that each of its tasks has.
    variable: &'static str,
    /// What that and others say; its value is given.
    task: fn(&Variables<'_>, u64) -> Result<Task>,
}

/// Who is asked; the first one whose variable is there answers.
///
/// An array comes before the tasks of a step: each batch job has `SLURM_PROCID`, which is 0, also
/// as one of an array. Open MPI comes before them as well, since `mpirun` starts its tasks within a
/// step that has those variables for itself. GNU parallel is last: it runs within tasks of others.
const STARTERS: [Starter; 5] = [
    Starter { variable: "SLURM_ARRAY_TASK_ID", task: of_slurm_array },
    Starter { variable: "JOB_COMPLETION_INDEX", task: of_kubernetes },
    Starter { variable: "OMPI_COMM_WORLD_RANK", task: of_open_mpi },
    Starter { variable: "SLURM_PROCID", task: of_slurm_step },
    Starter { variable: "PARALLEL_SEQ", task: of_gnu_parallel },
];

/// What the variables of a task say.
#[derive(Default)]
struct Task {
    /// Which one it is, from 0 on.
    index: u64,
    /// How many there are, if a variable says it.
    count: Option<u64>,
    /// The variable with that number; where there is none, the one that may be set.
    count_by: &'static str,
}

/// A slice, and the variables that say so.
#[derive(Debug, PartialEq, Eq)]
struct Found {
    slice: Slice,
    by: String,
}

/// Settles which slice is meant, and notes which variables said so.
pub(super) fn settle(args: &mut DownloadArgs) -> Result<()> {
    let Some(wish) = args.slices.slice else { return Ok(()) };
    let found = resolve(wish, &|name| std::env::var_os(name))?;
    if !found.by.is_empty() {
        args.notes.push(format!("this is slice {}, by {}", found.slice, found.by));
    }
    args.slices.settled = Some(found.slice);
    Ok(())
}

/// What is said where there is nothing to divide.
pub(super) fn one_file() -> Error {
    let what = "--slice divides a list, and one file is named";
    Error::new(ErrorKind::Usage, what).advise("leave it out, or name a list with -i")
}

/// Which slice is meant, where `lookup` looks into the environment.
fn resolve(wish: SliceWish, lookup: &dyn Fn(&str) -> Option<OsString>) -> Result<Found> {
    let wished_count = match wish {
        SliceWish::Of(slice) => return Ok(Found { slice, by: String::new() }),
        SliceWish::Auto => None,
        SliceWish::AutoOf(count) => Some(u64::from(count)),
    };
    let variables = Variables(lookup);
    for Starter { variable, task } in &STARTERS {
        if let Some(id) = variables.number(variable)? {
            return task(&variables, id)?.found(variable, wished_count);
        }
    }
    let names: Vec<&str> = STARTERS.iter().map(|starter| starter.variable).collect();
    let what = format!("--slice auto finds none of the variables {}", names.join(", "));
    Err(Error::new(ErrorKind::Usage, what).advise("write which one it is, such as --slice 3/8"))
}

impl Task {
    /// The slice of this task, of which `variable` told. Its number of tasks has to be the one that
    /// is wished, if one is.
    fn found(self, variable: &str, wished_count: Option<u64>) -> Result<Found> {
        let Self { index, count, count_by } = self;
        let ordinal = index.saturating_add(1);
        let (count, by) = match (count, wished_count) {
            (Some(count), Some(wished)) if count != wished => {
                let what =
                    format!("--slice auto/{wished}, and {count_by} says that there are {count}");
                let advice = format!("write which one it is, such as --slice {ordinal}/{wished}");
                return Err(Error::new(ErrorKind::Usage, what).advise(advice));
            }
            (Some(count), _) => (count, format!("{variable} and {count_by}")),
            (None, Some(wished)) => (wished, variable.to_owned()),
            (None, None) => {
                let what = format!("--slice auto: {variable} is set, and nothing says of how many");
                let advice = match count_by {
                    "" => "write their number, such as --slice auto/8".to_owned(),
                    name => format!("set {name}, or write their number, such as --slice auto/8"),
                };
                return Err(Error::new(ErrorKind::Usage, what).advise(advice));
            }
        };
        let slice = Slice::new(ordinal, count).map_err(|error| error.within(&by))?;
        Ok(Found { slice, by })
    }
}

/// A job array of Slurm: `--array=0-7`, or `--array=1-15:2`.
fn of_slurm_array(variables: &Variables<'_>, id: u64) -> Result<Task> {
    let min = variables.number("SLURM_ARRAY_TASK_MIN")?;
    let max = variables.number("SLURM_ARRAY_TASK_MAX")?;
    let step = variables.number("SLURM_ARRAY_TASK_STEP")?.unwrap_or(1);
    let count = variables.number("SLURM_ARRAY_TASK_COUNT")?;
    let wrong = |what: &str| {
        let advice = "number it without gaps, such as --array=0-7, or write --slice I/N";
        Err(Error::new(ErrorKind::Usage, format!("the array of Slurm {what}")).advise(advice))
    };
    let Some(min) = min else { return wrong("has no SLURM_ARRAY_TASK_MIN") };
    let Some(distance) = id.checked_sub(min) else {
        return wrong("has indices below its smallest");
    };
    if step == 0 || distance % step != 0 {
        return wrong("has indices that are not SLURM_ARRAY_TASK_STEP apart");
    }
    let spanned = max.map(|max| max.saturating_sub(min) / step + 1);
    let (count, count_by) = match (count, spanned) {
        (Some(count), Some(spanned)) if count != spanned => return wrong("has gaps"),
        (Some(count), _) => (Some(count), "SLURM_ARRAY_TASK_COUNT"),
        (None, spanned) => (spanned, "SLURM_ARRAY_TASK_MAX"),
    };
    Ok(Task { index: distance / step, count, count_by })
}

/// An Indexed Job of Kubernetes, which does not say to its pods how many they are.
fn of_kubernetes(variables: &Variables<'_>, index: u64) -> Result<Task> {
    let count_by = "JOB_COMPLETIONS";
    Ok(Task { index, count: variables.number(count_by)?, count_by })
}

/// A process that `mpirun` of Open MPI has started.
fn of_open_mpi(variables: &Variables<'_>, index: u64) -> Result<Task> {
    let count_by = "OMPI_COMM_WORLD_SIZE";
    Ok(Task { index, count: variables.number(count_by)?, count_by })
}

/// A task that `srun` has started. The script of a batch job has the same variables, as if it were
/// the first of its tasks, whose number it is to start; it is in no step.
fn of_slurm_step(variables: &Variables<'_>, index: u64) -> Result<Task> {
    let count_by = "SLURM_NTASKS";
    let count = variables.number(count_by)?;
    let is_script = variables.is("ENVIRONMENT", "BATCH") && !variables.has("SLURM_STEP_ID");
    if is_script && count.is_some_and(|count| count > 1) {
        let what = "--slice auto: this is the script of a Slurm job, and none of its tasks";
        return Err(Error::new(ErrorKind::Usage, what).advise("start ringhaul with srun there"));
    }
    Ok(Task { index, count, count_by })
}

/// A job of GNU parallel, which counts from 1 on and does not know how many will come.
fn of_gnu_parallel(_: &Variables<'_>, sequence: u64) -> Result<Task> {
    match sequence.checked_sub(1) {
        Some(index) => Ok(Task { index, ..Task::default() }),
        None => Err(Error::new(ErrorKind::Usage, "PARALLEL_SEQ is 0, and counts from 1 on")),
    }
}

/// The environment.
struct Variables<'a>(&'a dyn Fn(&str) -> Option<OsString>);

impl Variables<'_> {
    fn is(&self, name: &str, value: &str) -> bool {
        self.0(name).is_some_and(|found| found == value)
    }

    fn has(&self, name: &str) -> bool {
        self.0(name).is_some()
    }

    /// The number that is the value of `name`; `None` if it is unset or empty.
    fn number(&self, name: &str) -> Result<Option<u64>> {
        let Some(value) = self.0(name).filter(|value| !value.is_empty()) else { return Ok(None) };
        let number = value.to_str().and_then(decimal);
        number.map(Some).ok_or_else(|| {
            let shown: String = value.to_string_lossy().chars().take(SHOWN_CHARS_MAX).collect();
            let what = format!("the variable {name} is '{shown}', which is no number");
            Error::new(ErrorKind::Usage, what)
                .advise("write which slice it is, such as --slice 3/8")
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashMap;

    /// What `wish` means where these variables are set.
    fn with(wish: &str, set: &[(&str, &str)]) -> Result<Found> {
        let set: HashMap<&str, &str> = set.iter().copied().collect();
        resolve(wish.parse().unwrap(), &|name| set.get(name).map(OsString::from))
    }

    fn said(wish: &str, set: &[(&str, &str)]) -> String {
        match with(wish, set) {
            Ok(Found { slice, by }) => format!("{slice} by {by}"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Usage);
                format!("{}; {}", error.context(), error.advice())
            }
        }
    }

    /// A task of a Slurm array, which is a batch job as well.
    fn array<'a>(id: &'a str, rest: [&'a str; 4]) -> Vec<(&'static str, &'a str)> {
        let [min, max, step, count] = rest;
        vec![
            ("SLURM_ARRAY_TASK_ID", id),
            ("SLURM_ARRAY_TASK_MIN", min),
            ("SLURM_ARRAY_TASK_MAX", max),
            ("SLURM_ARRAY_TASK_STEP", step),
            ("SLURM_ARRAY_TASK_COUNT", count),
            ("SLURM_PROCID", "0"),
            ("SLURM_NTASKS", "1"),
        ]
    }

    #[test]
    fn what_is_written_counts_whatever_is_set() {
        let found = with("3/8", &array("1", ["0", "7", "1", "8"])).unwrap();
        assert_eq!(found, Found { slice: Slice::new(3, 8).unwrap(), by: String::new() });
    }

    #[test]
    fn an_array_of_slurm_comes_before_its_tasks() {
        let by = "by SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_COUNT";
        for (id, rest, slice) in [
            ("0", ["0", "7", "1", "8"], "1 of 8"),
            ("7", ["0", "7", "1", "8"], "8 of 8"),
            ("3", ["1", "8", "1", "8"], "3 of 8"),
            ("15", ["1", "15", "2", "8"], "8 of 8"),
            ("3", ["3", "3", "1", "1"], "1 of 1"),
            ("3", ["1", "8", "", "8"], "3 of 8"),
        ] {
            assert_eq!(said("auto", &array(id, rest)), format!("{slice} {by}"), "{id} {rest:?}");
        }
        let by = "2 of 4 by SLURM_ARRAY_TASK_ID and SLURM_ARRAY_TASK_MAX";
        assert_eq!(said("auto", &array("1", ["0", "3", "1", ""])), by);
        assert_eq!(said("auto/8", &array("2", ["0", "", "", ""])), "3 of 8 by SLURM_ARRAY_TASK_ID");
    }

    #[test]
    fn an_array_that_is_no_row_of_slices_is_refused() {
        for (id, rest, why) in [
            ("3", ["1", "7", "1", "3"], "has gaps; number it without gaps, such as --array=0-7"),
            ("2", ["1", "7", "2", "4"], "are not SLURM_ARRAY_TASK_STEP apart"),
            ("2", ["1", "7", "0", "4"], "are not SLURM_ARRAY_TASK_STEP apart"),
            ("0", ["1", "8", "1", "8"], "indices below its smallest"),
            ("9", ["1", "8", "1", "8"], "no slice 9/8; they are 1/8 to 8/8"),
            ("1", ["", "8", "1", "8"], "no SLURM_ARRAY_TASK_MIN"),
            ("1", ["0", "", "1", ""], "nothing says of how many; set SLURM_ARRAY_TASK_MAX"),
            ("x", ["0", "7", "1", "8"], "variable SLURM_ARRAY_TASK_ID is 'x', which is no number"),
            ("0", ["0", "7", "1", "-8"], "variable SLURM_ARRAY_TASK_COUNT is '-8'"),
        ] {
            let said = said("auto", &array(id, rest));
            assert!(said.contains(why), "{id} {rest:?}: {said}");
        }
        let again = said("auto/8", &array("3", ["3", "3", "1", "1"]));
        assert!(again.contains("SLURM_ARRAY_TASK_COUNT says that there are 1; write"), "{again}");
    }

    #[test]
    fn others_are_asked_in_their_order() {
        let index = ("JOB_COMPLETION_INDEX", "2");
        let (rank, size) = (("OMPI_COMM_WORLD_RANK", "1"), ("OMPI_COMM_WORLD_SIZE", "4"));
        let (procid, ntasks) = (("SLURM_PROCID", "5"), ("SLURM_NTASKS", "6"));
        let sequence = ("PARALLEL_SEQ", "8");
        for (wish, set, expected) in [
            ("auto/8", &[index][..], "3 of 8 by JOB_COMPLETION_INDEX"),
            (
                "auto",
                &[index, ("JOB_COMPLETIONS", "8"), rank, size],
                "3 of 8 by JOB_COMPLETION_INDEX and JOB_COMPLETIONS",
            ),
            (
                "auto",
                &[procid, ntasks, size, rank],
                "2 of 4 by OMPI_COMM_WORLD_RANK and OMPI_COMM_WORLD_SIZE",
            ),
            ("auto", &[sequence, procid, ntasks], "6 of 6 by SLURM_PROCID and SLURM_NTASKS"),
            ("auto/8", &[sequence], "8 of 8 by PARALLEL_SEQ"),
        ] {
            assert_eq!(said(wish, set), expected, "{set:?}");
        }
    }

    #[test]
    fn the_script_of_a_job_of_slurm_is_none_of_its_tasks() {
        let of_job = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "2"), ("ENVIRONMENT", "BATCH")];
        let script = said("auto", &of_job);
        assert!(script.contains("none of its tasks; start ringhaul with srun there"), "{script}");
        let task = said("auto", &[&of_job[..], &[("SLURM_STEP_ID", "0")]].concat());
        assert_eq!(task, "1 of 2 by SLURM_PROCID and SLURM_NTASKS");
        let alone = [("SLURM_PROCID", "0"), ("SLURM_NTASKS", "1"), ("ENVIRONMENT", "BATCH")];
        assert_eq!(said("auto", &alone), "1 of 1 by SLURM_PROCID and SLURM_NTASKS");
    }

    #[test]
    fn what_does_not_say_it_is_an_error_in_words() {
        let nothing = "--slice auto finds none of the variables SLURM_ARRAY_TASK_ID, \
                       JOB_COMPLETION_INDEX, OMPI_COMM_WORLD_RANK, SLURM_PROCID, PARALLEL_SEQ; \
                       write which one it is, such as --slice 3/8";
        assert_eq!(said("auto", &[]), nothing);
        assert_eq!(said("auto/8", &[("SLURM_NTASKS", "8"), ("SLURM_PROCID", "")]), nothing);
        for (wish, set, why) in [
            ("auto", ("JOB_COMPLETION_INDEX", "2"), "set JOB_COMPLETIONS, or write their number"),
            ("auto", ("SLURM_PROCID", "0"), "set SLURM_NTASKS, or write"),
            ("auto", ("PARALLEL_SEQ", "1"), "nothing says of how many; write their number"),
            ("auto/8", ("PARALLEL_SEQ", "0"), "counts from 1 on"),
            ("auto/8", ("PARALLEL_SEQ", "9"), "PARALLEL_SEQ: there is no slice 9/8"),
            ("auto/8", ("SLURM_PROCID", "18446744073709551616"), "SLURM_PROCID: there is no slice"),
            ("auto/8", ("SLURM_PROCID", "1\n\u{1b}[31m"), "SLURM_PROCID is '1"),
        ] {
            let said = said(wish, &[set]);
            assert!(said.contains(why) && !said.contains('\u{1b}'), "{wish} {set:?}: {said}");
        }
    }
}
