//! `vigil history`: the frames of one lift.

use std::process::ExitCode;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::show::clean;
use super::time::{FORMS, Moment, Zone, civil, rfc3339, to_proto};
use super::{Server, Terminal, count, refused};
use crate::clock::Clock;
use crate::model::frame::{Car, Direction, Door, Mode};
use crate::proto::v1::history_service_client::HistoryServiceClient;
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::{
    ArrivalOrder, EntryKind, GetDeviceRequest, HistoryFrame, QueryFramesRequest, StoredFrame, TimeSource,
};

/// Show the frames that a lift sent
#[derive(Debug, Clone, clap::Args)]
pub struct Args {
    /// Device code of the lift
    device: String,
    #[command(flatten)]
    server: Server,
    #[arg(long, value_name = "TIME", default_value = "1h", value_parser = Moment::parse, help = format!("From this time on: {FORMS}"))]
    from: Moment,
    /// Up to this time, but not at it
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = Moment::parse)]
    to: Moment,
    /// Most frames shown; 0 shows all
    #[arg(long, value_name = "N", default_value_t = 0)]
    limit: u64,
    /// One JSON object a line instead of a table
    #[arg(long)]
    json: bool,
    #[command(flatten)]
    zone: Zone,
}

/// The present, as the moment that spans count back from.
pub(super) fn now() -> Timestamp {
    Timestamp::from_millisecond(Clock::default().wall().ms()).unwrap_or(Timestamp::MAX)
}

pub(super) async fn run(args: Args, terminal: &mut Terminal) -> anyhow::Result<ExitCode> {
    let zone = &args.zone.zone;
    let moment = |moment: Moment| moment.resolve(now(), zone).map_err(anyhow::Error::msg);
    let request = QueryFramesRequest {
        device: args.device,
        from: Some(to_proto(moment(args.from)?)),
        to: Some(to_proto(moment(args.to)?)),
        limit: args.limit,
        page_token: String::new(),
    };
    let channel = args.server.connect().await?;
    let mut client = HistoryServiceClient::new(channel.clone());
    let mut stream = client.query_frames(request.clone()).await.map_err(|status| refused(&status))?.into_inner();
    let mut frames = 0_u64;
    while let Some(page) = stream.message().await.map_err(|status| refused(&status))? {
        for frame in &page.frames {
            if frames == 0 && !args.json {
                terminal.line(HEADER)?;
            }
            frames += 1;
            let line = if args.json { frame_json(frame).to_string() } else { row(frame, zone) };
            terminal.line(&line)?;
        }
    }
    if frames > 0 {
        terminal.notice(&format!("# {}", count(frames, "frame")))?;
        return Ok(ExitCode::SUCCESS);
    }
    let lift = clean(&request.device);
    if is_known(&channel, &request.device).await.map_err(|status| refused(&status))? {
        terminal.notice(&format!("# lift {lift} sent no frames in that time; --from and --to choose another"))?;
        return Ok(ExitCode::SUCCESS);
    }
    anyhow::bail!("lift {lift} is not known: the archive doesn't have it, and no frame of it is stored; check the code")
}

/// Whether the archive has it, or any frame of it is stored.
async fn is_known(channel: &Channel, device: &str) -> Result<bool, Status> {
    let asked = GetDeviceRequest { kind: EntryKind::Lift.into(), code: device.to_owned() };
    match RegistryServiceClient::new(channel.clone()).get_device(asked).await {
        Err(status) if status.code() == Code::NotFound => {}
        answer => return answer.map(|_| true),
    }
    let ever = QueryFramesRequest {
        device: device.to_owned(),
        from: Some(to_proto(Timestamp::UNIX_EPOCH)),
        to: Some(to_proto(Timestamp::MAX)),
        limit: 1,
        page_token: String::new(),
    };
    let mut stream = HistoryServiceClient::new(channel.clone()).query_frames(ever).await?.into_inner();
    Ok(stream.message().await?.is_some_and(|page| !page.frames.is_empty()))
}

const HEADER: &str = "time                     boot/seq     mode            car     dir  zone door             people floor  kg     mm/s   codes and remarks";

fn row(stored: &StoredFrame, zone: &TimeZone) -> String {
    let f = stored.frame.clone().unwrap_or_default();
    let unknown = |field: &str| if f.unknown.iter().any(|name| name == field) { "?" } else { "-" };
    let word = |name: Option<&'static str>, field: &str| name.unwrap_or(unknown(field)).to_owned();
    let yes = |value: Option<bool>, field: &str| word(value.map(|v| if v { "yes" } else { "no" }), field);
    let number = |value: Option<i64>, field: &str| value.map_or(unknown(field).to_owned(), |v| v.to_string());
    let floor = f.floor_label.clone().map(|label| clean(&label));
    format!(
        "{:<24} {:<12} {:<15} {:<7} {:<4} {:<4} {:<16} {:<6} {:<6} {:<6} {:<6} {}",
        civil(stored.effective_at.as_ref(), zone),
        format!("{}/{}", f.boot, f.seq),
        word(Mode::from_number(f.mode.into()).map(Mode::name), "mode"),
        word(Car::from_number(f.car.into()).map(Car::name), "car"),
        word(Direction::from_number(f.direction.into()).map(Direction::name), "direction"),
        yes(f.door_zone, "door_zone"),
        word(Door::from_number(f.door.into()).map(Door::name), "door"),
        yes(f.passenger, "passenger"),
        floor.unwrap_or_else(|| number(f.floor.map(i64::from), "floor")),
        number(f.load_kg.map(i64::from), "load_kg"),
        number(f.speed_mm_s.map(i64::from), "speed_mm_s"),
        remarks(stored, &f).join(" "),
    )
}

fn remarks(stored: &StoredFrame, f: &HistoryFrame) -> Vec<String> {
    let mut remarks = Vec::new();
    for (name, codes) in [("fault", &f.faults), ("event", &f.events), ("alarm", &f.alarms)] {
        remarks.extend(codes.iter().map(|code| format!("{name}:{code:02}")));
    }
    remarks.extend(f.conditions.iter().map(|name| clean(name)));
    remarks.extend(f.cleared.iter().map(|name| format!("ended:{}", clean(name))));
    remarks.extend(f.extras.iter().map(|(name, value)| format!("{}={value}", clean(name))));
    remarks.extend(f.invalid.iter().map(|pointer| format!("invalid:{}", clean(pointer))));
    match stored.time_source() {
        TimeSource::Absent => remarks.push("(no time given)".into()),
        TimeSource::Wrong => remarks.push("(wrong clock)".into()),
        TimeSource::Claimed | TimeSource::Unspecified => {}
    }
    match stored.order() {
        ArrivalOrder::Late => remarks.push("(late)".into()),
        ArrivalOrder::VeryLate => remarks.push("(very late)".into()),
        ArrivalOrder::Newer | ArrivalOrder::Unspecified => {}
    }
    remarks
}

fn frame_json(stored: &StoredFrame) -> Value {
    let f = stored.frame.clone().unwrap_or_default();
    json!({
        "effective_at": rfc3339(stored.effective_at.as_ref()),
        "received_at": rfc3339(stored.received_at.as_ref()),
        "time_source": match stored.time_source() {
            TimeSource::Claimed => "claimed",
            TimeSource::Absent => "absent",
            TimeSource::Wrong => "wrong",
            TimeSource::Unspecified => "unknown",
        },
        "order": match stored.order() {
            ArrivalOrder::Newer => "newer",
            ArrivalOrder::Late => "late",
            ArrivalOrder::VeryLate => "very_late",
            ArrivalOrder::Unspecified => "unknown",
        },
        "generation": stored.generation,
        "boot": f.boot,
        "seq": f.seq,
        "claimed_at": rfc3339(f.claimed_at.as_ref()),
        "mode": Mode::from_number(f.mode.into()).map(Mode::name),
        "car": Car::from_number(f.car.into()).map(Car::name),
        "direction": Direction::from_number(f.direction.into()).map(Direction::name),
        "door_zone": f.door_zone,
        "door": Door::from_number(f.door.into()).map(Door::name),
        "passenger": f.passenger,
        "floor": f.floor,
        "floor_label": f.floor_label,
        "load_kg": f.load_kg,
        "speed_mm_s": f.speed_mm_s,
        "runs": f.runs,
        "run_hours": f.run_hours,
        "faults": f.faults,
        "events": f.events,
        "alarms": f.alarms,
        "conditions": f.conditions,
        "extras": f.extras,
        "cleared": f.cleared,
        "has_status": f.has_status,
        "unknown": f.unknown,
        "invalid": f.invalid,
    })
}
