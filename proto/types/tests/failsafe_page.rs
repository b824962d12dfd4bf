//! `docs/failsafe.md` is the failsafe table, written out. `SKEIN_BLESS=1 cargo test -p skein-types failsafe_page` writes
//! it anew.

use core::time::Duration;
use std::fmt::Write;
use std::path::PathBuf;

use skein_types::body::Drive;
use skein_types::failsafe::{Detector, Ends, Limit, LossPolicy, LossRule, Row, TABLE};
use skein_types::limits;

const INTRODUCTION: &str = "# Failsafe table

Generated from `skein_types::failsafe::TABLE`; `SKEIN_BLESS=1 cargo test -p skein-types failsafe_page` writes it anew.
The reflex, the agent and this page are derived from that one table.

A *cause* is why a robot does not do what was asked. It is detected by the reflex (100 Hz), by the latch register, by the
envelope around the body or by the agent. The strictest action of all causes wins:

| action | what the robot does | reported level |
|---|---|---|
| warn | the motion stays as it is | warn |
| slow | slower than asked | slow |
| block | motion towards the cause is stopped; motion away from it and turning in place stay possible | hold |
| hold | stands (on wheels) or hovers (in the air) until the cause is gone | hold |
| return | drops its task and returns to its charger; not while it is halted | return |
| land | descends where it is, to the ground, whatever becomes of the cause meanwhile | land |
| stop | stands or hovers until a person releases it | stop |
| cut power | the motors have no power until a person releases it | kill |

A multirotor that lands goes on landing under STOP: hovering with an empty battery, it would fall. KILL ends the landing.

A *release* is a rise of the latch register's stamp with the level released. The reflex restores the power of the motors in
the tick that reads it. While the body's emergency stop is pressed, a release has no effect on what the reflex latched; power
that does not return in time counts as lost again.
";

fn time(time: Duration) -> String {
    if time.subsec_millis() == 0 { format!("{} s", time.as_secs()) } else { format!("{} ms", time.as_millis()) }
}

fn condition(row: &Row) -> String {
    let figure = match row.limit {
        Limit::None => String::new(),
        Limit::Time(span) => format!(" {}", time(span)),
        Limit::Distance(distance) => format!(" {} m at full speed", distance.0),
        Limit::Charge(band) => format!(" {} %", band.enter.0),
        Limit::Tilt(angle, span) => {
            format!(
                " {} at more than {:.2} rad (a multirotor: more than its acceleration explains)",
                time(span),
                angle.0
            )
        }
        Limit::Share(share) => format!(" {:.0} %", share * 100.0),
    };
    format!("{}{figure}", row.condition)
}

fn ends(row: &Row) -> String {
    match (row.ends, row.limit) {
        (Ends::Charged, Limit::Charge(band)) => format!("at {} % or on the charger", band.leave.0),
        (Ends::Charged, _) => "charged".into(),
        (Ends::WithRoom(share), _) => format!("{:.0} % more distance", share * 100.0),
        (Ends::Release, _) => "**a release by a person**".into(),
        (Ends::WithCondition, _) => "the condition".into(),
    }
}

fn detector(row: &Row) -> &'static str {
    match row.detector {
        Detector::Reflex => "reflex",
        Detector::Latch => "latch register",
        Detector::Envelope => "envelope",
        Detector::Agent => "agent",
    }
}

fn loss(rule: &LossRule) -> String {
    let then = match rule.then {
        LossPolicy::Continue => "goes on with its task",
        LossPolicy::Hold => "holds until the link is back",
        LossPolicy::Return => "returns to its charger",
    };
    let first =
        if rule.hold_first.is_zero() { String::new() } else { format!("holds for {}, then ", time(rule.hold_first)) };
    format!("{first}{then}")
}

fn page() -> Result<String, std::fmt::Error> {
    let mut page = String::from(INTRODUCTION);
    page.push_str("\n## Causes\n\n| cause | detected by | begins when | on wheels | multirotor | ends with |\n|---|---|---|---|---|---|\n");
    for row in TABLE {
        let [wheels, omni, air] =
            [Drive::Differential, Drive::Holonomic, Drive::Multirotor].map(|drive| row.actions.on(drive).name());
        let wheels = if wheels == omni { wheels.to_owned() } else { format!("{wheels} (holonomic: {omni})") };
        let (condition, ends) = (condition(row), ends(row));
        writeln!(page, "| `{}` | {} | {condition} | {wheels} | {air} | {ends} |", row.cause.name(), detector(row))?;
    }
    page.push_str("\n## Lost links\n\nThe agent acts on a lost link as configured (`continue`, `hold` or `return`, after holding first). By default:\n\n");
    for row in TABLE {
        if let Some(rule) = &row.escalation {
            let (name, does) = (row.cause.name(), loss(rule));
            writeln!(page, "- `{name}`: {does} (keys `failsafe.{name}` and `failsafe.{name}_hold_ms`).")?;
        }
    }
    page.push_str("\n## Figures\n\n");
    let (low, charged) = (limits::BATTERY_LOW, limits::CHARGED);
    let figures = [
        format!("The agent drops its task at {} % of charge and takes up work again at {} %.", low.enter.0, charged.0),
        format!("After a release the power may take {} to return.", time(limits::POWER_RETURN_MAX)),
        format!("A pose with a standard deviation of more than {} m is too uncertain.", limits::POSE_STD_MAX.0),
        format!("Without commands a body halts after {} at the latest.", time(limits::BODY_SILENCE_MAX)),
        format!("The envelope passes on no command older than {}.", time(limits::COMMAND_AGE_MAX)),
    ];
    for figure in figures {
        writeln!(page, "- {figure}")?;
    }
    Ok(page)
}

#[test]
fn failsafe_page_is_current() {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../docs/failsafe.md");
    let page = page().unwrap();
    if std::env::var_os("SKEIN_BLESS").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, &page).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(kept == page, "docs/failsafe.md is not current: SKEIN_BLESS=1 cargo test -p skein-types failsafe_page");
}
