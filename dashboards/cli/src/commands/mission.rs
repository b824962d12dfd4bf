//! `skein mission`: planning, submitting and following missions.

use core::time::Duration;
use std::time::Instant;

use skein_types::ids::MissionId;
use skein_types::mission::{Mission, MissionSpec, MissionState, Objective, Preview, Priority, VerdictLevel};

use super::show;
use crate::args::{Mission as Verb, ObjectiveArg, Spec};
use crate::client::{ANSWER_WITHIN, Cloud};
use crate::clock;
use crate::context::Context;
use crate::failure::{Exit, Failure};
use crate::output::{self, Format, Table, talk};
use crate::zone::{self, MapFacts};

/// Period of the queries while a mission is followed.
const POLL_PERIOD: Duration = Duration::from_millis(500);
/// Shortest beginning of an id that names a mission.
const PREFIX_MIN: usize = 4;

pub(super) async fn mission(context: &Context, verb: Verb) -> Result<Exit, Failure> {
    match verb {
        Verb::Preview(spec) => preview(context, &spec).await,
        Verb::Submit { spec, key, wait } => submit(context, &spec, key, wait).await,
        Verb::Ls { active } => list(context, active).await,
        Verb::Get { mission } => {
            let mission = find(&context.cloud().await?, &mission).await?;
            show_one(context, &mission)
        }
        Verb::Watch { mission } => follow(context, &mission, Print::Changes).await,
        Verb::Wait { mission } => follow(context, &mission, Print::End).await,
        Verb::Pause { mission } => {
            let (cloud, mission) = find_to_change(context, &mission).await?;
            show_one(context, &cloud.pause(mission.id).await?)
        }
        Verb::Resume { mission } => {
            let (cloud, mission) = find_to_change(context, &mission).await?;
            show_one(context, &cloud.resume_mission(mission.id).await?)
        }
        Verb::Cancel { mission, reason } => {
            let (cloud, mission) = find_to_change(context, &mission).await?;
            show_one(context, &cloud.cancel(mission.id, reason).await?)
        }
    }
}

/// The mission's specification, with the zone read from its file.
fn read_spec(context: &Context, args: &Spec) -> Result<MissionSpec, Failure> {
    let current = context.current()?;
    let map = args.map.as_ref().or(current.as_ref().map(|record| &record.map));
    let map = map.map(|path| MapFacts::read(path)).transpose()?;
    let file = args.zone.as_ref().or(current.as_ref().map(|record| &record.zone)).ok_or_else(|| {
        Failure::usage("no zone was given").help("name a GeoJSON file with --zone, or start a fleet with `skein up`")
    })?;
    let zone = zone::read(file, map.as_ref())?;
    zone.notes.iter().for_each(|note| talk(&format!("note: {note}")));
    if let Some(map) = &map
        && let Some(note) = zone::check_inside(&zone, map)?
    {
        talk(&format!("note: {note}"));
    }
    Ok(MissionSpec {
        name: args.name.clone().or(zone.name).unwrap_or_default(),
        objective: objective(args.objective),
        zone: zone.polygon,
        priority: Priority::new(args.priority).map_err(|error| Failure::usage(format!("--priority {error}")))?,
        robots: args.robots.clone(),
        return_home: args.return_home,
    })
}

fn objective(wanted: ObjectiveArg) -> Objective {
    match wanted {
        ObjectiveArg::Survey => Objective::Survey,
        ObjectiveArg::Guard => Objective::Guard,
    }
}

async fn preview(context: &Context, args: &Spec) -> Result<Exit, Failure> {
    let spec = read_spec(context, args)?;
    let preview = context.cloud().await?.preview(spec).await?;
    output::show(context.format(), &preview, || preview_table(&preview))?;
    if matches!(context.format(), Format::Table | Format::Wide) {
        talk(&format!(
            "{:.1} m² to cover, {:.1} m² out of reach, about {}",
            preview.area,
            preview.unreachable_area,
            show::span(preview.duration.0)
        ));
    }
    for verdict in &preview.verdicts {
        talk(&format!("{}: {} [{}]", show::word(&verdict.level).to_lowercase(), verdict.text, verdict.code));
    }
    let is_refused = preview.verdicts.iter().any(|verdict| verdict.level == VerdictLevel::Error);
    Ok(if is_refused { Exit::Refused } else { Exit::Ok })
}

fn preview_table(preview: &Preview) -> Table {
    let mut table = Table::new(&["ROBOT", "AREA", "PATH", "TIME", "ENERGY", "WHY"], 5);
    for slice in &preview.slices {
        table.row([
            slice.agent.to_string(),
            format!("{:.1} m²", slice.region.area()),
            format!("{:.1} m", slice.distance.0),
            show::span(slice.duration.0),
            format!("{:.1} %", slice.energy.0),
            slice.reason.clone(),
        ]);
    }
    table
}

async fn submit(context: &Context, args: &Spec, key: Option<String>, wait: bool) -> Result<Exit, Failure> {
    let spec = read_spec(context, args)?;
    let cloud = context.cloud_to_change().await?;
    let mission = cloud.submit(spec, key.unwrap_or_else(clock::fresh_key)).await?;
    if wait {
        talk(&format!("mission {} is {}", mission.id, show::word(&mission.state)));
        return follow_to_end(context, &cloud, mission, Print::End).await;
    }
    show_one(context, &mission)
}

async fn list(context: &Context, active: bool) -> Result<Exit, Failure> {
    let mut missions = context.cloud().await?.missions().await?;
    missions.retain(|mission| !active || !mission.state.is_terminal());
    if missions.is_empty() {
        talk("no missions; submit one with `skein mission submit --zone ZONE.geojson`");
    }
    output::show(context.format(), &missions, || show::missions(&missions))?;
    Ok(Exit::Ok)
}

fn show_one(context: &Context, mission: &Mission) -> Result<Exit, Failure> {
    output::show(context.format(), mission, || show::missions(std::slice::from_ref(mission)))?;
    if context.format() == Format::Wide && !mission.slices.is_empty() {
        output::data("\n")?;
        output::show(Format::Wide, mission, || show::slices(mission))?;
    }
    Ok(Exit::Ok)
}

/// A mission by its id, the beginning of its id, or `last`.
async fn find(cloud: &Cloud, named: &str) -> Result<Mission, Failure> {
    match named.parse::<MissionId>() {
        Ok(id) => cloud.mission(id).await,
        Err(_) => pick(cloud.missions().await?, named),
    }
}

/// As [`find`], for a command that changes the mission.
async fn find_to_change(context: &Context, named: &str) -> Result<(Cloud, Mission), Failure> {
    let cloud = context.cloud_to_change().await?;
    let mission = find(&cloud, named).await?;
    Ok((cloud, mission))
}

fn pick(missions: Vec<Mission>, named: &str) -> Result<Mission, Failure> {
    if named == "last" {
        let newest = missions.into_iter().max_by_key(|mission| mission.submitted_at);
        return newest.ok_or_else(|| {
            Failure::new(Exit::NotFound, "there is no mission yet").help("submit one with `skein mission submit`")
        });
    }
    if named.len() < PREFIX_MIN {
        return Err(Failure::usage(format!("\"{named}\" names no mission"))
            .help(format!("give its id, at least the first {PREFIX_MIN} characters of it, or `last`")));
    }
    let mut found = missions.into_iter().filter(|mission| mission.id.to_string().starts_with(named));
    match (found.next(), found.next()) {
        (Some(mission), None) => Ok(mission),
        (None, _) => {
            Err(Failure::new(Exit::NotFound, format!("there is no mission {named}"))
                .help("`skein mission ls` shows them"))
        }
        (Some(one), Some(other)) => {
            Err(Failure::usage(format!("{named} is the beginning of {} and {}", one.id, other.id))
                .help("give more of its id"))
        }
    }
}

async fn follow(context: &Context, named: &str, print: Print) -> Result<Exit, Failure> {
    let target = context.target()?;
    let cloud = Cloud::lazy(&target.cloud, ANSWER_WITHIN)?;
    let mut patience = Patience::new(context);
    let mission = loop {
        match find(&cloud, named).await {
            Ok(mission) => break mission,
            Err(failure) => patience.wait_or(failure).await?,
        }
    };
    follow_to_end(context, &cloud, mission, print).await
}

/// What is printed of a mission that is followed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Print {
    Changes,
    End,
}

async fn follow_to_end(context: &Context, cloud: &Cloud, mut mission: Mission, print: Print) -> Result<Exit, Failure> {
    let mut patience = Patience::new(context);
    let mut printed = Printed::default();
    loop {
        if print == Print::Changes {
            output::data(&printed.change(context.format(), &mission)?)?;
        }
        if mission.state.is_terminal() {
            break;
        }
        patience.check(|| unfinished(&mission))?;
        tokio::time::sleep(POLL_PERIOD).await;
        match cloud.mission(mission.id).await {
            Ok(view) => {
                mission = view;
                patience.is_answered();
            }
            Err(failure) => patience.wait_or(failure).await?,
        }
    }
    if print == Print::End {
        show_one(context, &mission)?;
    }
    Ok(if mission.state == MissionState::Done { Exit::Ok } else { Exit::Failed })
}

fn unfinished(mission: &Mission) -> Failure {
    let (state, covered) = (show::word(&mission.state), mission.covered.0);
    Failure::failed(format!("mission {} is still {state} at {covered:.1} %", mission.id))
        .help("wait longer with a larger --timeout, or without one")
}

/// How long a mission is followed, a supervisor that does not answer included.
struct Patience {
    deadline: Option<Instant>,
    is_silent: bool,
}

impl Patience {
    fn new(context: &Context) -> Self {
        Self { deadline: context.timeout().map(|span| clock::now() + span), is_silent: false }
    }

    fn check(&self, late: impl FnOnce() -> Failure) -> Result<(), Failure> {
        match self.deadline {
            Some(deadline) if clock::now() >= deadline => Err(late()),
            _ => Ok(()),
        }
    }

    fn is_answered(&mut self) {
        if self.is_silent {
            talk("the supervisor answers again");
        }
        self.is_silent = false;
    }

    /// Waits a while when the supervisor did not answer; any other failure, and a passed deadline, end the wait.
    async fn wait_or(&mut self, failure: Failure) -> Result<(), Failure> {
        if failure.exit() != Exit::Unreachable {
            return Err(failure);
        }
        if !self.is_silent {
            talk(&format!("{failure}; asking again"));
        }
        self.is_silent = true;
        self.check(|| failure)?;
        tokio::time::sleep(POLL_PERIOD).await;
        Ok(())
    }
}

/// What was printed last, so that only changes are.
#[derive(Default)]
struct Printed {
    state: Option<(MissionState, String)>,
    note: String,
}

impl Printed {
    /// The line for a mission that changed; empty when nothing changed. A note is printed once.
    fn change(&mut self, format: Format, mission: &Mission) -> Result<String, Failure> {
        let state = Some((mission.state, format!("{:.1}", mission.covered.0)));
        let is_new_note = self.note != mission.reason;
        if self.state == state && !is_new_note {
            return Ok(String::new());
        }
        self.state = state;
        self.note.clone_from(&mission.reason);
        line(format, mission, if is_new_note { &mission.reason } else { "" })
    }
}

fn line(format: Format, mission: &Mission, note: &str) -> Result<String, Failure> {
    Ok(match format {
        Format::Json => output::json_line(mission)?,
        Format::Yaml => output::yaml_document(mission)?,
        Format::Name => format!("{}\n", mission.id),
        Format::Table | Format::Wide => {
            let (state, covered) = (show::word(&mission.state), mission.covered.0);
            let text = format!("{}  {state:<9}  {covered:>5.1} %  {note}", mission.id);
            format!("{}\n", text.trim_end())
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use skein_types::geometry::Point;
    use skein_types::polygon::Polygon;
    use skein_types::time::WallTime;
    use skein_types::units::Percent;

    fn mission(id: &str, at: i64) -> Mission {
        Mission {
            id: id.parse().unwrap(),
            spec: MissionSpec {
                name: String::new(),
                objective: Objective::Survey,
                zone: Polygon::rectangle(Point::new(0.0, 0.0), Point::new(1.0, 1.0)).unwrap(),
                priority: Priority::NORMAL,
                robots: Vec::new(),
                return_home: false,
            },
            state: MissionState::Running,
            reason: String::new(),
            covered: Percent(0.0),
            area: 0.0,
            slices: Vec::new(),
            submitted_at: WallTime::from_unix_nanos(at),
            updated_at: WallTime::from_unix_nanos(at),
        }
    }

    #[test]
    fn a_followed_mission_prints_each_note_once() {
        let mut printed = Printed::default();
        let mut view = mission("0190b2f0-7b1a-7000-8000-000000000001", 5);
        view.reason = "waits for rover-2".to_owned();
        let mut line = |view: &Mission| printed.change(Format::Table, view).unwrap();
        assert!(line(&view).contains("waits for rover-2"));
        assert_eq!(line(&view), "");
        view.covered = Percent(3.0);
        let next = line(&view);
        assert!(next.contains("3.0 %") && !next.contains("rover-2"), "{next}");
        view.reason.clear();
        assert!(line(&view).ends_with("3.0 %\n"));
    }

    #[test]
    fn a_mission_is_named_by_the_beginning_of_its_id_or_as_the_last() {
        let all = || {
            vec![
                mission("0190b2f0-7b1a-7000-8000-000000000001", 5),
                mission("0190b2f0-7b1b-7000-8000-000000000002", 9),
                mission("0190b300-0000-7000-8000-000000000003", 7),
            ]
        };
        let exit = |named: &str| pick(all(), named).map(|m| m.submitted_at.unix_nanos()).map_err(|f| f.exit());
        assert_eq!(exit("last"), Ok(9));
        assert_eq!(exit("0190b2f0-7b1a"), Ok(5));
        assert_eq!(exit("0190b3"), Ok(7));
        assert_eq!(exit("0190b2f0"), Err(Exit::Usage));
        assert_eq!(exit("abcd"), Err(Exit::NotFound));
        assert_eq!(exit("01"), Err(Exit::Usage));
        assert_eq!(pick(Vec::new(), "last").map_err(|f| f.exit()).map(|_| ()), Err(Exit::NotFound));
    }
}
