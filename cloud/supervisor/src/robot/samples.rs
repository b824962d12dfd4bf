//! Where a robot was and what it measured, as it reports.

use core::time::Duration;

use skein_types::body::BodyDescriptor;
use skein_types::geometry::Point;
use skein_types::ids::MissionId;
use skein_types::region::RegionFrame;
use skein_types::telemetry::AgentTelemetry;
use skein_types::time::MonoTime;
use skein_types::units::Seconds;

use crate::evidence::SweepEvidence;

/// How often a silent robot is shown again with its age.
const SHOW_SILENT: Duration = Duration::from_secs(1);
/// Silent for longer than this is shown as such.
const SILENT: Duration = Duration::from_millis(500);

/// The last sample, and which cells the robot could have swept.
#[derive(Clone, Debug)]
pub(crate) struct Samples {
    last: Option<AgentTelemetry>,
    /// When the last one came.
    at: MonoTime,
    /// When a silent robot was last shown again.
    shown_at: MonoTime,
    /// For its mission; none right after a restart of the supervisor.
    evidence: Option<(MissionId, SweepEvidence)>,
}

impl Samples {
    pub(super) const fn none() -> Self {
        Self { last: None, at: MonoTime::ZERO, shown_at: MonoTime::ZERO, evidence: None }
    }

    /// The newest sample of this boot.
    pub(crate) const fn last(&self) -> Option<&AgentTelemetry> {
        self.last.as_ref()
    }

    /// Since the newest sample came; zero without any.
    pub(super) fn age(&self, now: MonoTime) -> Seconds {
        Seconds(if self.last.is_some() { now.secs_since(self.at) } else { 0.0 })
    }

    /// Where it believes it is, in the map's frame.
    pub(crate) fn position(&self) -> Option<Point> {
        self.last.as_ref().map(|sample| sample.pose.position)
    }

    /// What was known of its earlier boot says nothing about this one.
    pub(super) fn on_new_boot(&mut self) {
        self.last = None;
    }

    /// Takes in a batch of samples; the newest is shown.
    pub(super) fn observe(&mut self, now: MonoTime, samples: Vec<AgentTelemetry>, body: &BodyDescriptor) {
        if let Some((_, evidence)) = &mut self.evidence {
            for sample in &samples {
                evidence.observe(now, sample.pose.position, body);
            }
        }
        if let Some(newest) = samples.into_iter().next_back() {
            self.last = Some(newest);
            self.at = now;
        }
    }

    /// From now on what it sweeps for a mission is checked against where it is. What was collected for the same mission
    /// stays.
    pub(super) fn collect_evidence(
        &mut self,
        now: MonoTime,
        mission: MissionId,
        frame: RegionFrame,
        body: &BodyDescriptor,
    ) {
        if self.evidence.as_ref().is_some_and(|(of, _)| *of == mission) {
            return;
        }
        let mut evidence = SweepEvidence::new(frame);
        if let Some(at) = self.position() {
            evidence.observe(now, at, body);
        }
        self.evidence = Some((mission, evidence));
    }

    /// What was collected for this mission.
    pub(super) fn evidence_for(&mut self, mission: MissionId) -> Option<&mut SweepEvidence> {
        self.evidence.as_mut().filter(|(of, _)| *of == mission).map(|(_, evidence)| evidence)
    }

    /// Whether the robot is silent and is to be shown again with its age.
    pub(super) fn show_silence(&mut self, now: MonoTime) -> bool {
        let silent = self.last.is_some() && now.since(self.at) > SILENT;
        let due = silent && now.since(self.shown_at) >= SHOW_SILENT;
        if due {
            self.shown_at = now;
        }
        due
    }
}
