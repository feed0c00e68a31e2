use pixmill_engine::code::Code;
use pixmill_engine::fault::Fault;
use pixmill_engine::model::request::Progress;

use super::*;

fn report(completed: u64, failed: u64) -> RunReport {
    RunReport { progress: Progress { completed, failed, ..Progress::default() }, ..RunReport::default() }
}

#[test]
fn a_run_without_a_failure_is_done_even_when_empty() {
    assert_eq!(end(&report(0, 0)), End::Done);
    assert_eq!(end(&report(5, 0)), End::Done);
}

#[test]
fn failed_images_and_unusable_rows_make_it_partly_done() {
    assert_eq!(end(&report(5, 1)), End::Partly);
    assert_eq!(end(&RunReport { row_errors_total: 1, ..report(5, 0) }), End::Partly);
}

#[test]
fn of_several_ends_the_gravest_counts() {
    let refused = Fault::permanent(Code::CatalogueHeader, "no header");
    let refused = end(&RunReport { refused: Some(refused), row_errors_total: 1, ..report(0, 0) });
    let interrupted = end(&RunReport { interrupted: true, ..report(1, 1) });
    assert_eq!([End::Partly, refused, End::Done].into_iter().max(), Some(End::Refused));
    assert_eq!([refused, interrupted].into_iter().max(), Some(End::Interrupted));
}
