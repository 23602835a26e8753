//! What is due and overdue, and the upload of reports, as far as calls alone decide.

use tonic::Code;
use tonic::metadata::MetadataValue;
use tonic_types::StatusExt as _;
use vigil::limits;
use vigil::model::ids::Subject;
use vigil::model::obligation::{DueKind, DueRow, Party};
use vigil::model::time::{CivilDay, Wall};
use vigil::proto::v1::inspection_service_client::InspectionServiceClient;
use vigil::proto::v1::maintenance_service_client::MaintenanceServiceClient;
use vigil::proto::v1::{
    DueItem, InspectionReport, ListDueRequest, ListOverdueRequest, RecordOutcome, UploadReportsRequest,
};

use crate::world::{World, device, within};

fn due(lift: u64, kind: DueKind, due_on: &str, district: &str) -> DueRow {
    DueRow {
        subject: Subject::Device(device(lift)),
        kind,
        due_on: CivilDay::parse(due_on),
        basis_on: None,
        clause: "TSG T7001-2023: the date in the archive".into(),
        district: Some(district.parse().unwrap()),
        party: Party::parse("firm:F-1").ok(),
        recorded_on: CivilDay::parse("2026-01-01").unwrap(),
        recorded_at: Wall(0),
    }
}

async fn world() -> World {
    let world = World::start().await;
    world.store.memory.lock().unwrap().dues = vec![
        due(1, DueKind::Inspection, "2026-03-31", "640104"),
        due(1, DueKind::Testing, "2026-02-28", "640104"),
        due(2, DueKind::Inspection, "2026-03-30", "640105"),
        due(3, DueKind::Inspection, "2026-04-30", "640104"),
    ];
    world
}

fn told(items: &[DueItem]) -> Vec<(String, &'static str, i32)> {
    let kind = |item: &DueItem| DueKind::from_number(item.kind).unwrap().name();
    items.iter().map(|item| (item.device.clone(), kind(item), item.days_overdue)).collect()
}

/// Flow: what is overdue is asked for page by page, by somebody who sees all and by somebody who sees one district.
/// Asserts: pages follow each other without gap or repeat; nobody sees beyond their district.
#[tokio::test]
async fn what_is_overdue_is_shown_by_pages_and_within_scope() {
    let world = world().await;
    let mut client = InspectionServiceClient::new(world.channel().await);
    let asked = |size| ListOverdueRequest { as_of: "2026-03-31".into(), page_size: size, ..Default::default() };
    let code = |lift| device(lift).to_string();
    let all = vec![(code(1), "testing", 31), (code(2), "inspection", 1)];
    for size in [1, 2, 0] {
        let (mut items, mut request) = (Vec::new(), asked(size));
        loop {
            let page = client.list_overdue(request.clone()).await.unwrap().into_inner();
            assert_eq!(page.as_of, "2026-03-31");
            items.extend(page.items);
            if page.next_page_token.is_empty() {
                break;
            }
            request.page_token = page.next_page_token;
        }
        assert_eq!(told(&items), all, "by {size}");
    }
    for (district, asked_for, expected) in [
        ("640105", vec![], &all[1..]),
        ("6401", vec!["640104"], &all[..1]),
        ("640105", vec!["64"], &all[1..]),
        ("640105", vec!["640104"], &[][..]),
    ] {
        let districts = asked_for.iter().map(|code| (*code).to_owned()).collect();
        let request = within(district, ListOverdueRequest { districts, ..asked(0) });
        let items = client.list_overdue(request).await.unwrap().into_inner().items;
        assert_eq!(told(&items), expected, "{asked_for:?} for {district}");
    }
    let token = client.list_overdue(asked(1)).await.unwrap().into_inner().next_page_token;
    let other = ListOverdueRequest { as_of: "2026-03-30".into(), page_token: token, ..asked(1) };
    let status = client.list_overdue(other).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "page_token");

    let mut client = MaintenanceServiceClient::new(world.channel().await);
    let request = ListDueRequest { kinds: vec![DueKind::Inspection.number()], ..Default::default() };
    let items = client.list_due(request).await.unwrap().into_inner().items;
    assert_eq!(items.iter().map(|it| &*it.due_on).collect::<Vec<_>>(), ["2026-03-31", "2026-03-30", "2026-04-30"]);
    world.end().await;
}

#[tokio::test]
async fn questions_that_do_not_fit_are_refused() {
    let world = world().await;
    let mut client = InspectionServiceClient::new(world.channel().await);
    let good = ListOverdueRequest::default;
    for (request, field) in [
        (ListOverdueRequest { as_of: "2026-3-31".into(), ..good() }, "as_of"),
        (ListOverdueRequest { districts: vec!["x".into()], ..good() }, "districts"),
        (ListOverdueRequest { kinds: vec![1, 77], ..good() }, "kinds[1]"),
        (ListOverdueRequest { firm: "a b".into(), ..good() }, "firm"),
        (ListOverdueRequest { firm: "F-1".into(), site: "6401-A".into(), ..good() }, "site"),
        (ListOverdueRequest { page_size: 1_001, ..good() }, "page_size"),
        (ListOverdueRequest { page_token: "00".into(), ..good() }, "page_token"),
    ] {
        let status = client.list_overdue(request.clone()).await.unwrap_err();
        assert_eq!(status.code(), Code::InvalidArgument, "{request:?}");
        let named = status.get_details_bad_request().unwrap().field_violations;
        assert!(named[0].field.starts_with(field), "{request:?}: {named:?}");
    }
    world.store.memory.lock().unwrap().away = true;
    assert_eq!(client.list_overdue(good()).await.unwrap_err().code(), Code::Unavailable);
    world.end().await;
}

/// Flow: reports come that the core isn't asked for.
/// Asserts: each has a result that says what is wrong with it, field by field.
#[tokio::test]
async fn reports_that_cannot_be_read_are_refused_one_by_one() {
    let world = world().await;
    let mut client = InspectionServiceClient::new(world.channel().await);
    let good = || InspectionReport {
        body: "INSP-01".into(),
        report: "R-1".into(),
        device: device(1).to_string(),
        kind: 1,
        done_on: "2026-03-31".into(),
        passed: true,
        ..Default::default()
    };
    let cases = [
        (InspectionReport { body: String::new(), ..good() }, vec!["body"]),
        (InspectionReport { firm: "F-1".into(), ..good() }, vec!["firm"]),
        (InspectionReport { report: "a/b".into(), device: "x".into(), ..good() }, vec!["report", "device"]),
        (InspectionReport { kind: 0, done_on: "soon".into(), ..good() }, vec!["kind", "done_on"]),
        (InspectionReport { findings: vec!["good".into(), "a\nb".into()], ..good() }, vec!["findings[1]"]),
        (InspectionReport { findings: vec!["x".into(); limits::FINDINGS + 1], ..good() }, vec!["findings"]),
        (InspectionReport { supersedes: "é".into(), ..good() }, vec!["supersedes"]),
    ];
    let reports = cases.iter().map(|(report, _)| report.clone()).collect();
    let answer = client.upload_reports(UploadReportsRequest { reports }).await.unwrap().into_inner();
    assert_eq!((answer.results.len(), answer.position), (cases.len(), 0));
    for (result, (report, fields)) in answer.results.iter().zip(&cases) {
        assert_eq!((result.outcome(), result.code), (RecordOutcome::Refused, Code::InvalidArgument.into()));
        let named: Vec<_> = result.faults.iter().map(|fault| &*fault.field).collect();
        assert_eq!(named, *fields, "{report:?}");
        assert_eq!(result.report, report.report);
    }
    let reports = vec![good(); limits::REPORTS_ASKED + 1];
    let status = client.upload_reports(UploadReportsRequest { reports }).await.unwrap_err();
    assert_eq!(status.get_details_bad_request().unwrap().field_violations[0].field, "reports");
    let mut request = tonic::Request::new(UploadReportsRequest::default());
    request.metadata_mut().insert("role", MetadataValue::from_static("auditor"));
    assert_eq!(client.upload_reports(request).await.unwrap_err().code(), Code::PermissionDenied);

    // So old a report is looked for in the database first.
    world.store.memory.lock().unwrap().away = true;
    let reports = vec![InspectionReport { done_on: "2020-01-01".into(), ..good() }];
    let answer = client.upload_reports(UploadReportsRequest { reports }).await.unwrap().into_inner();
    assert_eq!(answer.results[0].code, i32::from(Code::Unavailable));
    world.end().await;
}
