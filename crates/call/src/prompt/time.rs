//! Dates, times of day and durations in the forms that are taken, checked by the Gregorian calendar.

use super::Fault;
use super::number::Number;

/// A date, a time of day, or both; never neither.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Moment {
    pub(super) date: Option<Date>,
    pub(super) time: Option<Time>,
}

/// A date of the Gregorian calendar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Date {
    /// 1000 to 9999.
    pub(super) year: u16,
    /// 1 to 12.
    pub(super) month: u8,
    /// 1 to 31; none for the whole month.
    pub(super) day: Option<u8>,
}

/// A time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Time {
    /// 0 to 23.
    pub(super) hour: u8,
    /// 0 to 59.
    pub(super) minute: u8,
    /// 0 to 60, which is a leap second; 0 also where there is none.
    pub(super) second: u8,
}

/// A duration. Minutes and seconds are as they were written: 90 minutes are 90 minutes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) hours: u64,
    pub(super) minutes: u8,
    pub(super) seconds: u8,
}

impl Moment {
    /// See [`Fault::DateTime`] for the forms. A time with an offset is said as it is written, without its offset and its
    /// fraction of a second: what is told is the clock on the wall there.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let mut input = Input(text.as_bytes());
        if text.as_bytes().get(2) == Some(&b':') {
            let clock = input.clock()?;
            input.end()?;
            return Ok(Self { date: None, time: Some(clock.time()?) });
        }
        let date = input.date()?;
        let time = match (input.next(), date.day) {
            (None, _) => None,
            (Some(separator @ (b' ' | b'T' | b't')), Some(_)) => {
                let clock = input.clock()?;
                // RFC 3339 §5.6: there is an offset in any case, and a space may stand for the T.
                let is_bare = separator == b' ' && input.0.is_empty();
                Some(if is_bare { clock.time()? } else { clock.with_offset(input)? })
            }
            _ => return Err(Fault::DateTime),
        };
        Ok(Self { date: Some(date), time })
    }
}

/// What is left to be read.
struct Input<'t>(&'t [u8]);

impl Input<'_> {
    fn next(&mut self) -> Option<u8> {
        let (&first, rest) = self.0.split_first()?;
        self.0 = rest;
        Some(first)
    }

    fn end(&self) -> Result<(), Fault> {
        if self.0.is_empty() { Ok(()) } else { Err(Fault::DateTime) }
    }

    fn take(&mut self, wanted: u8) -> Result<(), Fault> {
        if self.next() == Some(wanted) { Ok(()) } else { Err(Fault::DateTime) }
    }

    fn take_if(&mut self, wanted: u8) -> bool {
        let found = self.0.first() == Some(&wanted);
        if found {
            self.next();
        }
        found
    }

    fn digit(&mut self) -> Result<u8, Fault> {
        self.next().filter(u8::is_ascii_digit).map(|byte| byte - b'0').ok_or(Fault::DateTime)
    }

    fn two_digits(&mut self) -> Result<u8, Fault> {
        Ok(self.digit()? * 10 + self.digit()?)
    }

    /// `YYYY-mm[-dd]`.
    fn date(&mut self) -> Result<Date, Fault> {
        let year = u16::from(self.two_digits()?) * 100 + u16::from(self.two_digits()?);
        self.take(b'-')?;
        let month = self.two_digits()?;
        let day = if self.take_if(b'-') { Some(self.two_digits()?) } else { None };
        Date { year, month, day }.checked()
    }

    /// `HH:MM[:SS]`.
    fn clock(&mut self) -> Result<Clock, Fault> {
        let hour = self.two_digits()?;
        self.take(b':')?;
        let minute = self.two_digits()?;
        let second = if self.take_if(b':') { Some(self.two_digits()?) } else { None };
        Ok(Clock { hour, minute, second })
    }

    /// A fraction of a second, which has a digit at least; it says nothing that is said.
    fn skip_fraction(&mut self) -> Result<(), Fault> {
        if self.take_if(b'.') {
            self.digit()?;
            while self.0.first().is_some_and(u8::is_ascii_digit) {
                self.next();
            }
        }
        Ok(())
    }

    /// `Z`, or hours and minutes before or behind UTC: in minutes.
    fn offset(&mut self) -> Result<i16, Fault> {
        let ahead = match self.next() {
            Some(b'Z' | b'z') => return Ok(0),
            Some(b'+') => 1,
            Some(b'-') => -1,
            _ => return Err(Fault::DateTime),
        };
        let hours = self.two_digits()?;
        self.take(b':')?;
        let minutes = self.two_digits()?;
        if hours > 23 || minutes > 59 {
            return Err(Fault::Offset);
        }
        Ok(ahead * (i16::from(hours) * 60 + i16::from(minutes)))
    }
}

impl Date {
    fn checked(self) -> Result<Self, Fault> {
        if self.year < 1000 {
            return Err(Fault::Year);
        }
        let every = |years| self.year.is_multiple_of(years);
        let is_leap = every(4) && (!every(100) || every(400));
        let days = match self.month {
            1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
            4 | 6 | 9 | 11 => 30,
            2 if is_leap => 29,
            2 => 28,
            _ => return Err(Fault::Month),
        };
        match self.day {
            Some(day) if day == 0 || day > days => Err(Fault::Day { days }),
            _ => Ok(self),
        }
    }
}

/// A time as it is written.
#[derive(Clone, Copy)]
struct Clock {
    hour: u8,
    minute: u8,
    second: Option<u8>,
}

impl Clock {
    fn time(self) -> Result<Time, Fault> {
        let Self { hour, minute, second } = self;
        let second = second.unwrap_or(0);
        if hour > 23 || minute > 59 || second > 59 {
            return Err(Fault::Time);
        }
        Ok(Time { hour, minute, second })
    }

    /// The end of a full time of RFC 3339. Its second 60 is a leap second, inserted after 23:59:59 UTC (§5.7).
    fn with_offset(self, mut input: Input<'_>) -> Result<Time, Fault> {
        let second = self.second.ok_or(Fault::DateTime)?;
        input.skip_fraction()?;
        let offset = input.offset()?;
        input.end()?;
        if second != 60 {
            return self.time();
        }
        let time = Self { second: None, ..self }.time()?;
        let utc = i16::from(time.hour) * 60 + i16::from(time.minute) - offset;
        if utc.rem_euclid(24 * 60) == 23 * 60 + 59 { Ok(Time { second, ..time }) } else { Err(Fault::Time) }
    }
}

impl Span {
    /// `HH:MM:SS` or `HH:MM`, each of one or two digits, or whole seconds.
    pub(super) fn parse(text: &str) -> Result<Self, Fault> {
        let field = |text: &str| match text.as_bytes() {
            [b'0'..=b'9'] | [b'0'..=b'9', b'0'..=b'9'] => text.parse().map_err(|_| Fault::Duration),
            _ => Err(Fault::Duration),
        };
        let mut fields = text.split(':');
        match (fields.next(), fields.next(), fields.next(), fields.next()) {
            (Some(hours), Some(minutes), seconds, None) => Ok(Self {
                hours: u64::from(field(hours)?),
                minutes: field(minutes)?,
                seconds: seconds.map_or(Ok(0), field)?,
            }),
            (Some(seconds), None, ..) => Self::of_seconds(seconds),
            _ => Err(Fault::Duration),
        }
    }

    fn of_seconds(text: &str) -> Result<Self, Fault> {
        if !text.bytes().all(|byte| byte.is_ascii_digit()) {
            return Err(Fault::Duration);
        }
        let number = Number::parse(text)
            .map_err(|fault| if fault == Fault::Whole { fault } else { Fault::Duration })?;
        let sixtieth = |value: u64| u8::try_from(value % 60).unwrap_or_default();
        let (seconds, minutes) = (number.whole, number.whole / 60);
        Ok(Self { hours: minutes / 60, minutes: sixtieth(minutes), seconds: sixtieth(seconds) })
    }
}
