//! `RegistryService` beside uploads: finding, listing, what was changed, and the two writes about what is there.

use tonic::Code;
use tonic_types::StatusExt as _;
use vigil::model::archive::{EntryKind, FieldChange};
use vigil::model::row::{ChangeKind, ChangeRow};
use vigil::model::time::Wall;
use vigil::proto::v1::upsert_devices_request::Entry;
use vigil::proto::v1::{
    DeviceChangeKind, FindDevicesRequest, Firm, GetDeviceHistoryRequest, Lift, ListEntriesRequest,
    ReplaceTerminalRequest, TransferCylindersRequest, UpsertDevicesRequest,
};

use crate::world::{World, device, within};

async fn upload(world: &World, entries: Vec<Entry>) {
    let message = |entry| UpsertDevicesRequest { request_id: "u".into(), entry: Some(entry), ..Default::default() };
    let messages: Vec<_> = entries.into_iter().map(message).collect();
    let answer = world.registry().await.upsert_devices(tokio_stream::iter(messages)).await.unwrap().into_inner();
    assert_eq!(answer.failed, 0, "{:?}", answer.errors);
}

fn lift(n: u64, address: &str, district: &str) -> Lift {
    Lift {
        code: device(n).to_string(),
        address: address.into(),
        district: district.into(),
        rescue_code: format!("{:06}", n / 2),
        firm: "nx".into(),
        ..Default::default()
    }
}

/// The first field that was wrong.
fn violated(status: &tonic::Status) -> String {
    assert_eq!(status.code(), Code::InvalidArgument, "{status:?}");
    status.get_details_bad_request().unwrap().field_violations[0].field.clone()
}

#[tokio::test]
async fn lifts_are_found_within_the_scope_page_by_page() {
    let world = World::start().await;
    let lifts = [lift(1, "Anna Road 1", "640101"), lift(2, "ANNA ROAD 2", "640102"), lift(3, "北京路", "640101")];
    upload(&world, lifts.clone().map(Entry::Lift).to_vec()).await;
    let mut client = world.registry().await;
    let address = |part: &str| FindDevicesRequest { address: part.into(), ..Default::default() };
    let codes = |lifts: &[Lift]| lifts.iter().map(|lift| lift.code.clone()).collect::<Vec<_>>();
    for (asked, district, want) in [
        (address("anna"), "64", vec![0, 1]),
        (address("anna"), "640102", vec![1]),
        (FindDevicesRequest { rescue_code: "000001".into(), ..Default::default() }, "64", vec![1, 2]),
        (FindDevicesRequest { rescue_code: "000001".into(), ..address("北京") }, "64", vec![2]),
        (FindDevicesRequest { registration: device(3).to_string(), ..Default::default() }, "64", vec![2]),
        (address("nowhere"), "64", vec![]),
    ] {
        let found = client.find_devices(within(district, asked.clone())).await.unwrap().into_inner();
        let want: Vec<_> = want.into_iter().map(|n: usize| device(n as u64 + 1).to_string()).collect();
        assert_eq!(codes(&found.lifts), want, "{asked:?} {district}");
        assert_eq!(found.next_page_token, "");
    }
    let first = client.find_devices(FindDevicesRequest { page_size: 1, ..address("anna") }).await.unwrap().into_inner();
    let page_token = first.next_page_token;
    let second = FindDevicesRequest { page_size: 1, page_token: page_token.clone(), ..address("anna") };
    assert_eq!(codes(&client.find_devices(second).await.unwrap().into_inner().lifts), [device(2).to_string()]);
    for (asked, field) in [
        (FindDevicesRequest::default(), "rescue_code"),
        (FindDevicesRequest { rescue_code: "12a".into(), ..Default::default() }, "rescue_code"),
        (FindDevicesRequest { registration: "short".into(), ..Default::default() }, "registration"),
        (address("a\nb"), "address"),
        (FindDevicesRequest { page_token, ..address("anne") }, "page_token"),
        (FindDevicesRequest { page_size: 1_001, ..address("anna") }, "page_size"),
    ] {
        let status = client.find_devices(asked.clone()).await.unwrap_err();
        assert_eq!(violated(&status), field, "{asked:?}");
    }
    world.end().await;
}

#[tokio::test]
async fn entries_are_listed_by_sort() {
    let world = World::start().await;
    let firm = |id: &str| Entry::Firm(Firm { id: id.into(), name: "F".into(), ..Default::default() });
    upload(&world, vec![firm("b"), firm("a"), Entry::Lift(lift(1, "x", "6401"))]).await;
    let mut client = world.registry().await;
    let (mut listed, mut page_token) = (Vec::new(), String::new());
    loop {
        let asked = ListEntriesRequest { kind: 3, page_size: 1, page_token };
        let page = client.list_entries(asked).await.unwrap().into_inner();
        listed
            .extend(page.entries.into_iter().map(|entry| vigil::serve::listed_entry(entry).unwrap().code().to_owned()));
        if page.next_page_token.is_empty() {
            break;
        }
        page_token = page.next_page_token;
    }
    assert_eq!(listed, ["a", "b"]);
    let status = client.list_entries(ListEntriesRequest::default()).await.unwrap_err();
    assert_eq!(violated(&status), "kind");
    world.end().await;
}

#[tokio::test]
async fn the_history_of_an_entry_is_for_those_who_see_it() {
    let world = World::start().await;
    upload(&world, vec![Entry::Lift(lift(1, "x", "640101"))]).await;
    let change = |n: i64, what, fields| ChangeRow {
        kind: EntryKind::Lift,
        code: device(1).as_str().into(),
        what,
        changed_at: Wall(n * 1_000),
        actor: "clerk".into(),
        fields,
    };
    let field = FieldChange { field: "address".into(), before: "".into(), after: "x".into() };
    world.store.memory.lock().unwrap().changes =
        vec![change(1, ChangeKind::Created, vec![]), change(2, ChangeKind::Changed, vec![field])];
    let mut client = world.registry().await;
    let asked = |page_size, page_token: &str| GetDeviceHistoryRequest {
        kind: 1,
        code: device(1).to_string(),
        page_size,
        page_token: page_token.into(),
    };
    let first = client.get_device_history(within("6401", asked(1, ""))).await.unwrap().into_inner();
    let second =
        client.get_device_history(within("6401", asked(1, &first.next_page_token))).await.unwrap().into_inner();
    assert_eq!(first.changes[0].what(), DeviceChangeKind::Created);
    let changed = &second.changes[0];
    assert_eq!((changed.what(), &*changed.actor, &*changed.fields[0].after), (DeviceChangeKind::Changed, "clerk", "x"));
    let status = client.get_device_history(within("640102", asked(9, ""))).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    let status =
        client.get_device_history(GetDeviceHistoryRequest { code: "x".into(), ..asked(9, "") }).await.unwrap_err();
    assert_eq!(violated(&status), "code");
    world.end().await;
}

#[tokio::test]
async fn writes_about_what_is_there_are_checked_first() {
    let world = World::start().await;
    upload(&world, vec![Entry::Lift(lift(1, "x", "640101"))]).await;
    let mut client = world.registry().await;
    let replace = |device: &str, terminal: &str| ReplaceTerminalRequest {
        request_id: format!("r-{device}"),
        device: device.into(),
        terminal: terminal.into(),
    };
    let own = device(1).to_string();
    assert!(client.replace_terminal(replace(&own, "T-2")).await.unwrap().into_inner().position > 0);
    let status = client.replace_terminal(replace(device(9).as_str(), "")).await.unwrap_err();
    assert_eq!(status.code(), Code::NotFound);
    for (asked, field) in [
        (ReplaceTerminalRequest { request_id: String::new(), ..replace(&own, "") }, "request_id"),
        (replace("x", ""), "device"),
        (replace(&own, &"t".repeat(201)), "terminal"),
    ] {
        assert_eq!(violated(&client.replace_terminal(asked).await.unwrap_err()), field);
    }
    let transfer = || TransferCylindersRequest {
        request_id: "t".into(),
        cylinders: vec!["164001000001".into()],
        to: "6401-A".into(),
        on: "2026-11-22".into(),
    };
    assert!(client.transfer_cylinders(transfer()).await.is_ok());
    for (asked, field) in [
        (TransferCylindersRequest { request_id: "t".repeat(65), ..transfer() }, "request_id"),
        (TransferCylindersRequest { cylinders: vec![], ..transfer() }, "cylinders"),
        (TransferCylindersRequest { cylinders: vec!["164001000001".into(); 501], ..transfer() }, "cylinders"),
        (TransferCylindersRequest { cylinders: vec!["164001000001".into(), "x".into()], ..transfer() }, "cylinders[1]"),
        (TransferCylindersRequest { to: "a".into(), ..transfer() }, "to"),
        (TransferCylindersRequest { on: "tomorrow".into(), ..transfer() }, "on"),
    ] {
        assert_eq!(violated(&client.transfer_cylinders(asked).await.unwrap_err()), field);
    }
    world.end().await;
}
