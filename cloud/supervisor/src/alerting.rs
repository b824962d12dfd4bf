//! The supervisor raises and clears alarms; each that comes on or goes off is an event.

use serde_json::json;
use skein_types::event::EventKind;
use skein_types::fleet::Alarm;
use skein_types::ids::AgentId;
use skein_types::time::{MonoTime, WallTime};

use crate::alarms::NewAlarm;
use crate::supervisor::Supervisor;

impl Supervisor {
    pub(crate) fn raise_alarm(&mut self, now: MonoTime, new: NewAlarm<'_>) {
        let raised_at: WallTime = self.out.wall_now(now);
        let alarm = Alarm {
            id: new.id.to_owned(),
            severity: new.severity,
            code: new.code.to_owned(),
            robot: new.robot.cloned(),
            text: new.text,
            raised_at,
        };
        let payload = json!({
            "alarm": alarm.id, "code": alarm.code, "robot": new.robot.map(AgentId::as_str), "text": alarm.text,
        });
        let revision = self.out.next_revision();
        if self.alarms.raise(alarm, new.lingers.map(|lingers| now + lingers), revision) {
            self.out.emit_event(now, EventKind::Safety, "alarm_raised", &payload);
        }
    }

    pub(crate) fn clear_alarm(&mut self, now: MonoTime, id: &str) {
        let revision = self.out.next_revision();
        if self.alarms.clear(id, revision) {
            self.out.emit_event(now, EventKind::Safety, "alarm_cleared", &json!({"alarm": id}));
        }
    }

    /// Alarms about single occurrences go off in time.
    pub(crate) fn expire_alarms(&mut self, now: MonoTime) {
        for id in self.alarms.lapsed(now) {
            self.clear_alarm(now, &id);
        }
    }
}
