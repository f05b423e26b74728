//! Steps one after the other, each with its time; after the first that fails the others are not run.

use std::time::{Duration, Instant};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    Good,
    Failed,
    NotRun,
}

/// What has been run so far.
#[derive(Debug, Default)]
pub(crate) struct Steps {
    done: Vec<(&'static str, Outcome, Duration)>,
}

impl Steps {
    /// Runs `step` unless one before it failed.
    #[allow(clippy::disallowed_methods, reason = "a tool that says how long things took")]
    pub(crate) fn run(&mut self, name: &'static str, step: impl FnOnce() -> Result<(), String>) {
        if self.failed() {
            self.done.push((name, Outcome::NotRun, Duration::ZERO));
            return;
        }
        println!("=== {name}");
        let begin = Instant::now();
        let result = step();
        let took = begin.elapsed();
        if let Err(error) = &result {
            eprintln!("xtask: {error}");
        }
        println!("=== {name}: {:.1} s\n", took.as_secs_f64());
        self.done.push((name, if result.is_ok() { Outcome::Good } else { Outcome::Failed }, took));
    }

    /// Prints the summary and says whether all was good.
    pub(crate) fn finish(self) -> Result<(), String> {
        print!("{}", self.summary());
        match self.done.iter().find(|(_, outcome, _)| *outcome == Outcome::Failed) {
            Some((name, ..)) => Err(format!("failed: {name}")),
            None => Ok(()),
        }
    }

    fn failed(&self) -> bool {
        self.done.iter().any(|(_, outcome, _)| *outcome == Outcome::Failed)
    }

    fn summary(&self) -> String {
        let line = |(name, outcome, took): &(&str, Outcome, Duration)| match outcome {
            Outcome::Good => format!("{:>8.1} s  ok       {name}\n", took.as_secs_f64()),
            Outcome::Failed => format!("{:>8.1} s  FAILED   {name}\n", took.as_secs_f64()),
            Outcome::NotRun => format!("{:>10}  not run  {name}\n", ""),
        };
        let total: Duration = self.done.iter().map(|(.., took)| *took).sum();
        let lines: String = self.done.iter().map(line).collect();
        format!("{lines}{:>8.1} s  in all\n", total.as_secs_f64())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn after_a_failure_nothing_runs() {
        let mut steps = Steps::default();
        steps.run("first", || Ok(()));
        steps.run("second", || Err("broken".into()));
        steps.run("third", || panic!("was run"));
        let outcomes: Vec<_> = steps.done.iter().map(|(name, outcome, _)| (*name, *outcome)).collect();
        assert_eq!(
            outcomes,
            [("first", Outcome::Good), ("second", Outcome::Failed), ("third", Outcome::NotRun)]
        );
        assert!(steps.summary().contains("FAILED   second"));
        assert_eq!(steps.finish(), Err("failed: second".into()));
    }

    #[test]
    fn all_good_is_good() {
        let mut steps = Steps::default();
        steps.run("only", || Ok(()));
        assert_eq!(steps.finish(), Ok(()));
    }
}
