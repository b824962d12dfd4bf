//! The latch with its real threads and files: what is acknowledged is on the disk, a full disk is said to be full, and
//! nothing a disk does holds a STOP up.
#![expect(clippy::expect_used, reason = "a test that cannot be set up says what is missing")]

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use skein_edge::agent_thread::AgentMailbox;
use skein_edge::clock;
use skein_edge::latch_file::LatchFile;
use skein_edge::latch_service::{LatchService, LatchThreads};
use skein_edge::outbox::SharedOutbox;
use skein_edge::rt::LatchCell;
use skein_robot::latch::{LatchAuthority, LatchOutcome, Start};
use skein_types::authority::{LatchAction, LatchRequest, LatchScope};
use skein_types::ids::{AgentId, BootId, CommandId, FleetId};
use skein_types::safety::Latch;
use skein_types::time::WallTime;
use uuid::Uuid;

const PATIENCE: Duration = Duration::from_secs(20);

struct Robot {
    service: Arc<LatchService>,
    cell: Arc<LatchCell>,
    threads: LatchThreads,
}

impl Robot {
    fn start(folder: &Path) -> Self {
        let (cell, outbox) = (Arc::<LatchCell>::default(), Arc::<SharedOutbox>::default());
        let (file, found) = LatchFile::open(folder);
        let start = Start {
            robot: AgentId::new("rover-1").expect("a name"),
            fleet: FleetId::new("test").expect("a name"),
            boot: BootId(Uuid::now_v7()),
            kernel_boot: clock::kernel_boot(),
            now: clock::now(),
            wall: clock::wall(),
            mesh_may_release: false,
        };
        let authority = LatchAuthority::start(clock::now(), &start, found);
        let service = LatchService::new(authority, Arc::clone(&cell), outbox, AgentMailbox::default());
        let threads = service.start(file).expect("two threads");
        Self { service, cell, threads }
    }

    /// Asks and waits for the disk; the cell is checked before the wait.
    fn ask(&self, action: LatchAction, level: Latch) -> LatchOutcome {
        let request = LatchRequest {
            id: CommandId(Uuid::now_v7()),
            scope: LatchScope::Robot,
            action,
            reason: "test".into(),
            by: "operator:ada".parse().expect("a principal"),
            at: WallTime::default(),
        };
        let told = self.service.request(None, request);
        assert_eq!(self.cell.view().level, level, "in the cell when the call returns");
        told.blocking_recv().expect("an answer")
    }

    /// The process dies without a word: its threads end, nothing is marked.
    fn die(self) {
        self.threads.end(false, Duration::from_millis(500));
    }
}

#[test]
fn an_acknowledged_stop_survives_the_process_and_a_release_ends_it() {
    let folder = tempfile::tempdir().expect("a folder");
    for round in 0..4 {
        let robot = Robot::start(folder.path());
        assert_eq!(robot.cell.view().level, Latch::Released, "round {round}");
        assert!(robot.ask(LatchAction::Stop, Latch::Stop).kept);
        robot.threads.end(true, Duration::from_secs(2));
        let robot = Robot::start(folder.path());
        assert_eq!(robot.cell.view().level, Latch::Stop);
        let epoch = robot.service.latches().own.epoch;
        assert!(robot.ask(LatchAction::Release { epoch }, Latch::Released).kept);
        robot.threads.end(true, Duration::from_secs(2));
    }
}

#[test]
fn a_stop_whose_file_cannot_be_written_holds_and_says_so() {
    let folder = tempfile::tempdir().expect("a folder");
    let robot = Robot::start(folder.path());
    std::fs::remove_dir_all(folder.path()).expect("it was there");
    let outcome = robot.ask(LatchAction::Stop, Latch::Stop);
    assert!(!outcome.kept && outcome.error.contains("cannot make"), "{outcome:?}");
    std::fs::create_dir_all(folder.path()).expect("it can be made again");
    let deadline = clock::now() + PATIENCE;
    while !robot.service.report().kept {
        assert!(clock::now() < deadline, "it goes on trying");
        clock::sleep_until(clock::now() + Duration::from_millis(10));
    }
    robot.die();
    assert_eq!(Robot::start(folder.path()).cell.view().level, Latch::Stop);
}

/// A file system of 256 KiB, where this process may mount one.
struct TinyDisk(tempfile::TempDir);

impl TinyDisk {
    fn mount() -> Option<Self> {
        let folder = tempfile::tempdir().expect("a folder");
        let mount = Command::new("mount").args(["-t", "tmpfs", "-o", "size=256k", "tmpfs"]).arg(folder.path()).output();
        mount.is_ok_and(|output| output.status.success()).then_some(Self(folder))
    }

    fn fill(&self) {
        let mut bytes = 128 * 1024;
        let mut number = 0;
        while bytes > 0 {
            number += 1;
            if std::fs::write(self.0.path().join(format!("filler-{number}")), vec![1; bytes]).is_err() {
                bytes /= 2;
            }
        }
    }
}

impl Drop for TinyDisk {
    fn drop(&mut self) {
        let _unmounted = Command::new("umount").arg(self.0.path()).status();
    }
}

#[test]
fn on_a_full_disk_a_stop_is_kept_in_the_room_that_was_taken_before() {
    let Some(disk) = TinyDisk::mount() else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    let robot = Robot::start(disk.0.path());
    disk.fill();
    assert!(std::fs::write(disk.0.path().join("one-more"), [1; 64 * 1024]).is_err(), "the disk is full");
    let outcome = robot.ask(LatchAction::Kill, Latch::Kill);
    assert!(outcome.kept, "{outcome:?}");
    robot.die();
    let again = Robot::start(disk.0.path());
    assert_eq!(again.cell.view().level, Latch::Kill);
    again.die();
}

#[test]
fn a_robot_that_starts_on_a_full_disk_runs_and_says_that_nothing_is_kept() {
    let Some(disk) = TinyDisk::mount() else {
        println!("skipped: this process may not mount a file system");
        return;
    };
    disk.fill();
    let robot = Robot::start(disk.0.path());
    let outcome = robot.ask(LatchAction::Stop, Latch::Stop);
    assert!(!outcome.kept && !outcome.error.is_empty(), "{outcome:?}");
    robot.die();
}

#[test]
fn a_kernel_that_booted_again_without_an_orderly_end_is_a_stop() {
    let folder = tempfile::tempdir().expect("a folder");
    let robot = Robot::start(folder.path());
    assert!(robot.ask(LatchAction::Stop, Latch::Stop).kept);
    let epoch = robot.service.latches().own.epoch;
    assert!(robot.ask(LatchAction::Release { epoch }, Latch::Released).kept);
    robot.die();
    let path = folder.path().join(skein_edge::latch_file::FILE_NAME);
    let text = std::fs::read_to_string(&path).expect("it is text");
    assert!(text.contains(&clock::kernel_boot()), "the boot id is in the record");
    let (_, found) = LatchFile::open(folder.path());
    let start = Start {
        robot: AgentId::new("rover-1").expect("a name"),
        fleet: FleetId::new("test").expect("a name"),
        boot: BootId(Uuid::now_v7()),
        kernel_boot: "another".into(),
        now: clock::now(),
        wall: clock::wall(),
        mesh_may_release: false,
    };
    let authority = LatchAuthority::start(clock::now(), &start, found);
    assert_eq!(authority.latches().level(), Latch::Stop);
}
