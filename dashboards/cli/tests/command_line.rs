//! What a person and a script see of `skein` when something is wrong: the exit code, nothing on stdout, and on
//! stderr what happened and what to do next. The real program is run; nothing else is.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// The program in a folder of its own, with no other program beside it or on the path.
struct Alone {
    folder: TempDir,
    program: PathBuf,
}

impl Alone {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("skein");
        let built = env!("CARGO_BIN_EXE_skein");
        if fs::hard_link(built, &program).is_err() {
            fs::copy(built, &program).unwrap();
        }
        Self { folder, program }
    }

    fn file(&self, name: &str, text: impl AsRef<[u8]>) -> String {
        let path = self.folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.display().to_string()
    }

    /// A map of 10 m by 5 m whose south-west corner is (0, 0).
    fn map(&self, datum: &str) -> String {
        self.file("m.pgm", [b"P5\n100 50\n255\n".as_slice(), &[255; 5000]].concat());
        self.file("m.yaml", format!("image: m.pgm\nresolution: 0.1\norigin: [0, 0, 0]\n{datum}"))
    }

    fn skein(&self, arguments: &[&str]) -> Seen {
        let output = Command::new(&self.program)
            .args(arguments)
            .current_dir(self.folder.path())
            .env_clear()
            .env("PATH", "/nowhere")
            .output()
            .unwrap();
        Seen::from(output)
    }
}

#[derive(Debug)]
struct Seen {
    code: i32,
    out: String,
    talk: String,
}

impl From<Output> for Seen {
    fn from(output: Output) -> Self {
        Self {
            code: output.status.code().unwrap(),
            out: String::from_utf8(output.stdout).unwrap(),
            talk: String::from_utf8(output.stderr).unwrap(),
        }
    }
}

impl Seen {
    /// The code, words that must be said, no data, and no colour, because nobody sees it.
    fn refused(&self, code: i32, words: &[&str]) {
        assert_eq!(self.code, code, "{self:?}");
        assert!(self.out.is_empty(), "{self:?}");
        assert!(!self.talk.contains('\u{1b}'), "{self:?}");
        // Long lines are wrapped for the screen.
        let plain = self.talk.split_whitespace().filter(|word| *word != "│").collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(plain.contains(word), "{word:?} is not said:\n{}", self.talk);
        }
    }
}

fn zone(coordinates: &str, properties: &str) -> String {
    format!(
        r#"{{"type": "Feature", "properties": {properties}, "geometry": {{"type": "Polygon", "coordinates": {coordinates}}}}}"#
    )
}

const METRES: &str = r#"{"frame": "map", "name": "yard"}"#;
const SQUARE: &str = "[[[1, 1], [4, 1], [4, 4], [1, 4], [1, 1]]]";

#[test]
fn a_typo_is_a_usage_error_with_a_suggestion() {
    let skein = Alone::new();
    skein.skein(&["mision"]).refused(2, &["mission"]);
    skein.skein(&["mission", "submit", "--zoen", "x"]).refused(2, &["--zone"]);
    skein.skein(&["mission", "ls", "-o", "xml"]).refused(2, &["json", "table"]);
    skein.skein(&["mission", "ls", "--timeout", "soon"]).refused(2, &["10s"]);
    skein.skein(&["robot", "get", "Rover 1"]).refused(2, &["lower-case"]);
    skein.skein(&["stop"]).refused(2, &["--all"]);
    skein.skein(&["stop", "rover-1", "--all"]).refused(2, &["cannot be used with"]);
    skein.skein(&["demo", "--robots", "0"]).refused(2, &["1..=200"]);
    skein.skein(&["mission", "submit", "--priority", "11"]).refused(2, &["1..=10"]);
    skein.skein(&["mission", "ls", "--cloud", "localhost:8000"]).refused(2, &["http://127.0.0.1:8000"]);
}

#[test]
fn every_help_has_its_exit_code_and_an_example() {
    let skein = Alone::new();
    for arguments in [&["--help"][..], &["demo", "--help"], &["up", "--help"], &["mission", "submit", "--help"]] {
        let seen = skein.skein(arguments);
        assert!(seen.code == 0 && seen.out.contains("Example"), "{seen:?}");
    }
    assert!(skein.skein(&["--help"]).out.contains("130 interrupted"));
}

#[test]
fn a_supervisor_that_is_not_there_is_unreachable() {
    let skein = Alone::new();
    for arguments in [&["mission", "ls"][..], &["robot", "ls"], &["status"], &["stop", "--all"], &["robot", "why", "r"]]
    {
        let arguments = [arguments, &["--cloud", "http://127.0.0.1:1"]].concat();
        skein.skein(&arguments).refused(5, &["http://127.0.0.1:1", "skein up"]);
    }
}

#[test]
fn with_nothing_up_no_command_acts_on_another_fleet() {
    let skein = Alone::new();
    let said = ["nothing is up in .skein", "skein up", "--cloud"];
    for arguments in [&["status"][..], &["robot", "ls"], &["stop", "--all"], &["release", "--all"], &["mission", "ls"]]
    {
        skein.skein(arguments).refused(3, &said);
    }
    skein.skein(&["status", "--dir", "yard"]).refused(3, &["nothing is up in yard"]);
    let both = ["status", "--dir", "yard", "--cloud", "http://127.0.0.1:1"];
    skein.skein(&both).refused(2, &["nothing is up in yard", "http://127.0.0.1:1", "name one fleet"]);
}

#[test]
fn help_groups_the_global_options_and_hides_what_people_do_not_call() {
    let skein = Alone::new();
    let help = skein.skein(&["mission", "submit", "--help"]).out;
    let (own, global) = help.split_once("Global options:").unwrap();
    assert!(own.contains("--zone") && !own.contains("--dir") && global.contains("--dir"), "{help}");
    assert!(!help.contains("search") && !help.contains("patrol"), "{help}");
    skein.skein(&["mission", "submit", "--objective", "patrol"]).refused(2, &["survey", "guard"]);
    skein.skein(&["chlid"]).refused(2, &["unrecognized subcommand"]);
    assert!(!skein.skein(&["--help"]).out.contains("child"));
}

#[test]
fn what_is_not_up_can_be_taken_down() {
    let seen = Alone::new().skein(&["down"]);
    assert!(seen.code == 0 && seen.talk.contains("nothing is up"), "{seen:?}");
}

#[test]
fn without_its_programs_nothing_is_started_and_doctor_says_so() {
    let skein = Alone::new();
    skein.skein(&["up"]).refused(3, &["skein-sim", "make build"]);
    skein.skein(&["demo", "--headless"]).refused(3, &["skein-sim", "make build"]);
    let seen = skein.skein(&["doctor", "-o", "json"]);
    assert_eq!(seen.code, 1);
    let checks: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    let failed = checks.as_array().unwrap().iter().filter(|check| check["verdict"] == "error").count();
    assert!(
        failed >= 3 && checks.as_array().unwrap().iter().all(|c| c["verdict"] == "ok" || c["fix"] != ""),
        "{checks}"
    );
}

#[test]
fn a_good_zone_is_measured() {
    let skein = Alone::new();
    let (map, zone) = (skein.map(""), skein.file("z.geojson", zone(SQUARE, METRES)));
    let seen = skein.skein(&["zone", "check", &zone, "--map", &map, "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&seen.out).unwrap();
    assert_eq!((seen.code, &value["area_m2"], &value["name"]), (0, &9.0.into(), &"yard".into()));
    let names = skein.skein(&["zone", "check", &zone, "-o", "name"]);
    assert_eq!((names.code, names.out.as_str()), (0, "yard\n"));
}

#[test]
fn a_zone_in_degrees_is_imported_into_metres() {
    let skein = Alone::new();
    let map = skein.map("datum: {lat: 48.1374, lon: 11.5755}\n");
    let degrees = "[[[11.57552, 48.13741], [11.57558, 48.13741], [11.57558, 48.13743], [11.57552, 48.13743]]]";
    let file = skein.file("d.geojson", zone(degrees, "{}"));
    let seen = skein.skein(&["zone", "import", &file, "--map", &map]);
    assert_eq!(seen.code, 0, "{seen:?}");
    let imported = skein.file("m.geojson", &seen.out);
    let again = skein.skein(&["zone", "check", &imported, "-o", "json"]);
    let value: serde_json::Value = serde_json::from_str(&again.out).unwrap();
    let area = value["area_m2"].as_f64().unwrap();
    assert!((area - 4.47 * 2.22).abs() < 0.2, "{area}");
}

#[test]
fn a_broken_zone_is_pointed_at() {
    let skein = Alone::new();
    let check = |text: &str| skein.skein(&["zone", "check", &skein.file("z.geojson", text)]);
    check("{\n \"type\": \"Polygon\",\n \"coordinates\": [[[0, 0] [1, 1]]]\n}")
        .refused(2, &["not JSON", "z.geojson:3:"]);
    check(&zone("[[[0, 0], [4, 4], [4, 0], [0, 4], [0, 0]]]", METRES)).refused(2, &["crosses"]);
    check(&zone("[[[0, 0], [4, null], [4, 4]]]", METRES)).refused(2, &["two numbers"]);
    check(&zone(SQUARE, "{}")).refused(2, &["--map", "datum"]);
    check(r#"{"type": "LineString", "coordinates": []}"#).refused(2, &["not LineString"]);
    let seen = skein.skein(&["zone", "check", "missing.geojson"]);
    seen.refused(3, &["missing.geojson"]);
    let binary = skein.file("b.geojson", [0_u8, 159, 146, 150]);
    skein.skein(&["zone", "check", &binary]).refused(2, &["not text"]);
}

#[test]
fn a_zone_outside_the_map_and_a_map_that_is_none_are_refused() {
    let skein = Alone::new();
    let map = skein.map("");
    let far = skein.file("far.geojson", zone("[[[50, 50], [60, 50], [60, 60]]]", METRES));
    skein.skein(&["zone", "check", &far, "--map", &map]).refused(4, &["outside the map", "x 0.0 to 10.0"]);
    skein.skein(&["mission", "submit", "--zone", &far, "--map", &map]).refused(4, &["outside the map"]);
    let degrees = skein.file("d.geojson", zone(SQUARE, "{}"));
    skein.skein(&["zone", "check", &degrees, "--map", &map]).refused(2, &["no datum", "datum: {lat"]);
    let text = skein.file("t.yaml", "hello");
    skein.skein(&["zone", "check", &far, "--map", &text]).refused(2, &["not a ROS map"]);
    skein.skein(&["zone", "check", &far, "--map", "none.yaml"]).refused(3, &["none.yaml"]);
}

#[test]
fn completion_is_written_for_each_shell() {
    let skein = Alone::new();
    for shell in ["bash", "zsh", "fish"] {
        let seen = skein.skein(&["completion", shell]);
        assert!(seen.code == 0 && seen.out.contains("mission"), "{shell}");
    }
}

#[test]
fn a_child_does_not_start_without_its_parent() {
    let skein = Alone::new();
    let mark = skein.folder.path().join("started");
    let touch = ["__child", "1", "/bin/touch", mark.to_str().unwrap()];
    skein.skein(&touch).refused(1, &["is gone"]);
    assert!(!Path::new(&mark).exists());
}
