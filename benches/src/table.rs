//! The table of the design page on performance, line by line as the runs come to their ends.

use std::time::Duration;

use crate::ear::percentiles;

/// What is to be reached.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reach {
    /// So many times the floor.
    Times(f64),
    /// So many CPU milliseconds per call-second, whatever the floor.
    Millis(f64),
}

/// CPU time of one kind of work.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cost {
    /// CPU milliseconds per call-second.
    pub(crate) cpu: f64,
    /// The same of the floor.
    pub(crate) floor: f64,
}

/// The line above the costs.
pub(crate) fn head(about: &str) {
    println!("{about}");
    println!(
        "{:34} {:>5} {:>8} {:>8} {:>6}  {:8} reached",
        "CPU ms per call-second", "calls", "CPU", "floor", "times", "to reach"
    );
}

impl Cost {
    /// Prints a line; what is not to be told is left out.
    pub(crate) fn print(self, what: &str, calls: usize, reach: Option<Reach>) {
        let Self { cpu, floor } = self;
        let (wanted, is_reached) = match reach {
            Some(Reach::Times(times)) => (format!("{times:.2} x"), Some(cpu <= times * floor)),
            Some(Reach::Millis(millis)) => (format!("{millis:.3}"), Some(cpu <= millis)),
            None => (String::new(), None),
        };
        println!(
            "{what:34} {calls:5} {cpu:8.4} {floor:8.4} {:6.2}  {wanted:8} {}",
            cpu / floor,
            told(is_reached)
        );
    }
}

/// Prints a figure that has no floor.
pub(crate) fn figure(what: &str, measured: &str, wanted: &str, is_reached: bool) {
    println!("{what:34} {measured:>30}  {wanted:8} {}", told(Some(is_reached)));
}

/// Prints how times are spread, in milliseconds; 99 % and 99.9 % of them are not to pass these.
pub(crate) fn spread(what: &str, times: &mut [u32], most: [Option<f64>; 2]) {
    let [p50, p99, p999, highest] = percentiles(times);
    let within = |value: f64, most: Option<f64>| most.is_none_or(|most| value <= most);
    let wanted = |most: Option<f64>, name: &str| most.map(|most| format!("{name} {most:.0} ms"));
    let reach: Vec<String> =
        [wanted(most[0], "p99"), wanted(most[1], "p99.9")].into_iter().flatten().collect();
    let is_reached = (!reach.is_empty()).then(|| within(p99, most[0]) && within(p999, most[1]));
    println!(
        "  {what:32} p50 {p50:.3}  p99 {p99:.3}  p99.9 {p999:.3}  most {highest:.3} ms  {}  {}",
        reach.join(", "),
        told(is_reached)
    );
}

/// CPU milliseconds per call-second.
pub(crate) fn per_call_second(spent: Duration, call_seconds: f64) -> f64 {
    spent.as_secs_f64() * 1000.0 / call_seconds
}

fn told(is_reached: Option<bool>) -> &'static str {
    match is_reached {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}
