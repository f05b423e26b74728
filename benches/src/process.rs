//! What the operating system says of a process, CPU time, and of the sockets, what it dropped there;
//! from `/proc` (proc_pid_stat(5), proc_net_udp(5)).

use std::time::Duration;

/// The fields `utime` and `stime` of a process itself begin here.
const OWN: usize = 14;
/// Those of its children that it has waited for.
const CHILDREN: usize = 16;

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
        Self::parse(&stat(id), OWN, ticks()).expect("proc_pid_stat(5)")
    }

    /// Of the children of this process that have ended and been waited for.
    pub(crate) fn of_ended_children() -> Self {
        Self::parse(&stat(std::process::id()), CHILDREN, ticks()).expect("proc_pid_stat(5)")
    }

    /// From `earlier` to this.
    pub(crate) fn since(self, earlier: Self) -> Self {
        Self { user: self.user - earlier.user, system: self.system - earlier.system }
    }

    /// User and system together.
    pub(crate) fn total(self) -> Duration {
        self.user + self.system
    }

    /// The field `first`, counted from 1, and the one after it; field 2, the name, is in parentheses and may hold anything.
    fn parse(stat: &str, first: usize, ticks_per_second: u64) -> Option<Self> {
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ').skip(first - 3).map(str::parse::<u64>);
        let mut next = || Some(Duration::from_millis(fields.next()?.ok()? * 1000 / ticks_per_second));
        Some(Self { user: next()?, system: next()? })
    }
}

fn stat(id: u32) -> String {
    std::fs::read_to_string(format!("/proc/{id}/stat")).expect("the process runs")
}

fn ticks() -> u64 {
    rustix::param::clock_ticks_per_second()
}

/// Datagrams that were dropped for want of room: at the UDP socket on `port`, and at all sockets of the machine so far.
pub(crate) fn dropped(port: u16) -> (u64, u64) {
    let sockets = std::fs::read_to_string("/proc/net/udp").expect("proc_net_udp(5)");
    let snmp = std::fs::read_to_string("/proc/net/snmp").expect("the counters of UDP");
    (dropped_at(&sockets, port), counter_of_udp(&snmp, "RcvbufErrors").unwrap_or_default())
}

/// The last column of the lines whose second ends with this port.
fn dropped_at(sockets: &str, port: u16) -> u64 {
    let place = format!(":{port:04X}");
    let lines = sockets.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let ours = lines.filter(|fields| fields.get(1).is_some_and(|local| local.ends_with(&place)));
    ours.filter_map(|fields| fields.last()?.parse::<u64>().ok()).sum()
}

/// Two lines begin with `Udp:`, the names and the values.
fn counter_of_udp(snmp: &str, name: &str) -> Option<u64> {
    let mut lines = snmp.lines().filter_map(|line| line.strip_prefix("Udp: "));
    let column = lines.next()?.split(' ').position(|column| column == name)?;
    lines.next()?.split(' ').nth(column)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cpu_time_is_in_fields_14_and_15() {
        let stat = "7 (a) b) S 1 1 1 0 -1 4194304 100 0 0 0 250 125 0 0 20 0 1 0 5 0 0";
        let time = CpuTime::parse(stat, OWN, 100).expect("a line of /proc/pid/stat");
        assert_eq!((time.user, time.system), (Duration::from_millis(2500), Duration::from_millis(1250)));
    }

    #[test]
    fn drops_are_in_the_last_column_and_among_the_errors() {
        let sockets = "  sl  local_address rem_address st ... drops\n\
                       1: 0100007F:13C4 00000000:0000 07 0 0 0 0 17\n\
                       2: 0100007F:13C5 00000000:0000 07 0 0 0 0 4\n";
        assert_eq!(dropped_at(sockets, 5060), 17);
        let snmp = "Udp: InDatagrams NoPorts RcvbufErrors\nUdp: 9 8 7\nUdpLite: InDatagrams\n";
        assert_eq!(counter_of_udp(snmp, "RcvbufErrors"), Some(7));
    }
}
