//! The one place where this process reads clocks and sleeps.

use rustix::thread::clock_nanosleep_absolute;
use rustix::time::{ClockId, Timespec, clock_gettime};
use skein_types::time::{MonoTime, WallTime};

/// Now, on the clock that never jumps and goes on while the machine is suspended: what is older than a suspend is old.
#[must_use]
pub fn now() -> MonoTime {
    let time = clock_gettime(ClockId::Boottime);
    let nanos = time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec);
    MonoTime::from_nanos(u64::try_from(nanos).unwrap_or(0))
}

/// Now, on the clock people read; for the record only.
#[must_use]
pub fn wall() -> WallTime {
    let time = clock_gettime(ClockId::Realtime);
    WallTime::from_unix_nanos(time.tv_sec.saturating_mul(1_000_000_000).saturating_add(time.tv_nsec))
}

/// Sleeps until a moment of [`now`]'s clock; returns at once when it is past.
pub fn sleep_until(moment: MonoTime) {
    let nanos = moment.as_nanos();
    let seconds = i64::try_from(nanos / 1_000_000_000).unwrap_or(i64::MAX);
    let rest = i64::try_from(nanos % 1_000_000_000).unwrap_or(0);
    let request = Timespec { tv_sec: seconds, tv_nsec: rest };
    // A signal may wake the thread early; the moment stays the same.
    while clock_nanosleep_absolute(ClockId::Boottime, &request) == Err(rustix::io::Errno::INTR) {}
}

/// The kernel's id of this boot of the machine; empty when it cannot be read.
#[must_use]
pub fn kernel_boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}

/// RFC 3339 with milliseconds, UTC.
#[must_use]
pub fn rfc3339(at: WallTime) -> String {
    let millis = at.unix_millis();
    let (days, in_day) = (millis.div_euclid(86_400_000), millis.rem_euclid(86_400_000));
    let (year, month, day) = civil_from_days(days);
    let (hours, minutes) = (in_day / 3_600_000, in_day / 60_000 % 60);
    let (seconds, rest) = (in_day / 1000 % 60, in_day % 1000);
    format!("{year:04}-{month:02}-{day:02}T{hours:02}:{minutes:02}:{seconds:02}.{rest:03}Z")
}

/// Year, month and day of a number of days since 1970-01-01: proleptic Gregorian calendar, in years that begin in
/// March and eras of 400 years (146,097 days).
fn civil_from_days(days: i64) -> (i64, i64, i64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    #[test]
    fn known_moments_are_written_as_everyone_writes_them() {
        let at = |nanos| rfc3339(WallTime::from_unix_nanos(nanos));
        assert_eq!(at(0), "1970-01-01T00:00:00.000Z");
        assert_eq!(at(1_709_164_799_999_000_000), "2024-02-28T23:59:59.999Z");
        assert_eq!(at(1_709_251_199_000_000_000), "2024-02-29T23:59:59.000Z");
        assert_eq!(at(4_107_542_400_000_000_000), "2100-03-01T00:00:00.000Z");
        assert_eq!(at(-1_000_000), "1969-12-31T23:59:59.999Z");
    }

    #[test]
    fn sleeping_until_the_past_returns_and_until_the_future_does_not_wake_before_it() {
        sleep_until(MonoTime::ZERO);
        let moment = now() + Duration::from_millis(3);
        sleep_until(moment);
        assert!(now() >= moment);
    }
}
