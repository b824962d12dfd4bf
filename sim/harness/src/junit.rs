//! The results of a batch as JUnit XML, which pipelines show case by case.

use std::fmt::Write as _;

use crate::batch::{Case, Outcome};
use crate::xml::escape;

/// One case, its result and how many real seconds it took; `None` when it was not run.
pub type Row = (Case, Option<(Outcome, f64)>);

/// The results as a JUnit XML document.
#[must_use]
pub fn document(rows: &[Row]) -> String {
    let done = || rows.iter().filter_map(|(_, outcome)| outcome.as_ref());
    let failed = done().filter(|(outcome, _)| !outcome.passed).count();
    let (skipped, seconds) = (rows.len() - done().count(), done().map(|(_, seconds)| seconds).sum::<f64>());
    let counts = format!(
        "name=\"skein-sim batch\" tests=\"{}\" failures=\"{failed}\" errors=\"0\" skipped=\"{skipped}\" time=\"{seconds:.3}\"",
        rows.len()
    );
    let mut text = format!("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites {counts}>\n<testsuite {counts}>\n");
    rows.iter().for_each(|row| write_case(&mut text, row));
    text.push_str("</testsuite>\n</testsuites>\n");
    text
}

fn write_case(text: &mut String, (case, outcome): &Row) {
    let seconds = outcome.as_ref().map_or(0.0, |(_, seconds)| *seconds);
    let name = escape(&case.to_string()).into_owned();
    // Writing to a String cannot fail.
    let _ = write!(text, "<testcase classname=\"batch.robots-{}\" name=\"{name}\" time=\"{seconds:.3}\"", case.robots);
    match outcome {
        None => text.push_str("><skipped message=\"the batch was ended before\"/></testcase>\n"),
        Some((outcome, _)) if outcome.passed => text.push_str("/>\n"),
        Some((outcome, _)) => {
            let message = outcome.failures.first().map_or("failed", String::as_str);
            let body = format!(
                "{}\n\nrepeat with: {}\n\n{}\n",
                outcome.failures.join("\n"),
                outcome.repeat,
                outcome.story.join("\n")
            );
            let (message, body) = (escape(message), escape(&body));
            let _ = write!(text, ">\n<failure message=\"{message}\">{body}</failure>\n</testcase>\n");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::elements;

    fn outcome(passed: bool) -> Outcome {
        Outcome {
            seed: 3,
            robots: 6,
            faults: "no fault".to_owned(),
            passed,
            coverage_ratio: 1.0,
            contacts: 0,
            closest_m: None,
            time_s: 100.0,
            failures: if passed { Vec::new() } else { vec!["not so: 1 < 2 & \"3\"".to_owned()] },
            story: Vec::new(),
            repeat: "skein-sim run --map 'a b.yaml' --seed 3".to_owned(),
        }
    }

    #[test]
    fn every_case_is_in_the_document_and_a_failure_says_how_it_is_run_again() {
        let case = |seed| Case { seed, robots: 6, faults: Vec::new(), presses: Vec::new() };
        let rows = [(case(1), Some((outcome(true), 1.0))), (case(2), Some((outcome(false), 0.5))), (case(3), None)];
        let text = document(&rows);
        let found = elements(&text).unwrap();
        assert_eq!(found, ["testsuites", "testsuite", "testcase", "testcase", "failure", "testcase", "skipped"]);
        assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"0\" skipped=\"1\" time=\"1.500\""), "{text}");
        assert!(text.contains("repeat with: skein-sim run --map &apos;a b.yaml&apos; --seed 3"), "{text}");
        assert!(text.contains("name=\"seed 2, 6 robots, no fault\""), "{text}");
    }
}
