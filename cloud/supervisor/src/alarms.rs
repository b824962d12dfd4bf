//! What an operator should know of, for as long as it holds.

use std::collections::BTreeMap;

use core::time::Duration;
use skein_types::fleet::{ALARMS_MAX, Alarm, AlarmSeverity};
use skein_types::ids::AgentId;
use skein_types::time::MonoTime;

/// An alarm about a single occurrence stays on for this long after the last one.
pub(crate) const ALARM_LINGERS: Duration = Duration::from_secs(300);

/// Alarms that are on, by id.
#[derive(Clone, Debug, Default)]
pub(crate) struct Alarms {
    on: BTreeMap<String, Raised>,
    revision: u64,
}

#[derive(Clone, Debug)]
struct Raised {
    alarm: Alarm,
    /// Goes off by itself then.
    until: Option<MonoTime>,
}

impl Alarms {
    pub(crate) fn list(&self) -> Vec<Alarm> {
        self.on.values().map(|raised| raised.alarm.clone()).collect()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.on.is_empty()
    }

    /// Of the view of the fleet when an alarm last came on, changed or went off.
    pub(crate) const fn revision(&self) -> u64 {
        self.revision
    }

    /// `true` when it was off. Beyond [`ALARMS_MAX`] only critical ones come on, each in place of a warning.
    pub(crate) fn raise(&mut self, mut alarm: Alarm, until: Option<MonoTime>, revision: u64) -> bool {
        if let Some(raised) = self.on.get_mut(&alarm.id) {
            if raised.alarm.text != alarm.text {
                self.revision = revision;
            }
            alarm.raised_at = raised.alarm.raised_at;
            *raised = Raised { alarm, until };
            return false;
        }
        if self.on.len() >= ALARMS_MAX {
            let warning = self.on.iter().find(|(_, raised)| raised.alarm.severity == AlarmSeverity::Warning);
            let Some(id) = warning.map(|(id, _)| id.clone()).filter(|_| alarm.severity == AlarmSeverity::Critical)
            else {
                return false;
            };
            self.on.remove(&id);
        }
        self.revision = revision;
        self.on.insert(alarm.id.clone(), Raised { alarm, until });
        true
    }

    pub(crate) fn clear(&mut self, id: &str, revision: u64) -> bool {
        let cleared = self.on.remove(id).is_some();
        if cleared {
            self.revision = revision;
        }
        cleared
    }

    pub(crate) fn lapsed(&self, now: MonoTime) -> Vec<String> {
        let lapsed = self.on.values().filter(|raised| raised.until.is_some_and(|until| now >= until));
        lapsed.map(|raised| raised.alarm.id.clone()).collect()
    }
}

/// What an alarm says.
pub(crate) struct NewAlarm<'a> {
    pub(crate) id: &'a str,
    pub(crate) severity: AlarmSeverity,
    pub(crate) code: &'static str,
    pub(crate) robot: Option<&'a AgentId>,
    pub(crate) text: String,
    /// Goes off by itself after this, unless it is raised again.
    pub(crate) lingers: Option<Duration>,
}
