//! Intake, plan, assignment, reconciliation and the view of the fleet.
