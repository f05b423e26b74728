//! What the operating system says of a process: CPU time and resident memory, from `/proc` (proc_pid_stat(5),
//! proc_pid_status(5)).

use std::time::Duration;

/// CPU time of a process since its start.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct CpuTime {
    /// In its own code.
    pub(crate) user: Duration,
    /// In the kernel on its behalf.
    pub(crate) system: Duration,
}

impl CpuTime {
    /// Of process `id` so far.
    pub(crate) fn of(id: u32) -> Self {
        let stat = std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the server runs");
        Self::parse(&stat, rustix::param::clock_ticks_per_second()).expect("proc_pid_stat(5)")
    }

    /// From `earlier` to this.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    /// User and system together.
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    /// Fields 14 and 15; field 2, the name, is in parentheses and may hold anything.
    fn parse(stat: &str, ticks_per_second: u64) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(11).map(str::parse::<u64>);
        let mut next = || Some(Duration::from_millis(fields.next()?.ok()? * 1000 / ticks_per_second));
        Some(Self { user: next()?, system: next()? })
    }
}

/// Resident memory of process `id` in KiB.
pub(crate) fn resident_kib(id: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{id}/status")).expect("the server runs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).expect("proc_pid_status(5)");
    line.trim().trim_end_matches(" kB").parse().expect("a number of kB")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_in_fields_14_and_15() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 100 0 0 0 250 125 0 0 20 0 1 0 5 0 0";
        let time = CpuTime::parse(stat, 100).expect("a line of /proc/pid/stat");
        assert_eq!((time.user, time.system), (Duration::from_millis(2500), Duration::from_millis(1250)));
    }
}
