//! What a message says of an alert or an incident: the same facts in both languages. No names, phone numbers or notes of
//! people: whoever takes messages may pass them on.

use jiff::tz::TimeZone;

use super::{Profile, Site, Told, terms, text};
use crate::limits;
use crate::model::alert::{Alert, AlertEvent, AlertState, Evidence, Place, Severity};
use crate::model::ids::Subject;
use crate::model::incident::{Incident, IncidentEvent, State, Tier};
use crate::model::time::Wall;

/// All that a message says beside its head.
pub(super) struct Content {
    pub(super) categories: &'static [&'static str],
    pub(super) response: &'static str,
    pub(super) urgency: &'static str,
    pub(super) severity: &'static str,
    pub(super) certainty: &'static str,
    pub(super) onset: Wall,
    /// Chinese first: it is what those who act on it read.
    pub(super) words: [Words; 2],
    pub(super) parameters: Vec<(&'static str, String)>,
    pub(super) place: Place,
    pub(super) site: Site,
    /// The alerts or the rescue that the message is one of.
    pub(super) incidents: Option<String>,
    pub(super) note: Option<&'static str>,
}

/// What is said in one language.
pub(super) struct Words {
    pub(super) language: &'static str,
    pub(super) event: String,
    pub(super) headline: String,
    pub(super) description: String,
    pub(super) instruction: Option<&'static str>,
    /// Where it is, if nobody knows the address.
    pub(super) nowhere: String,
}

const RESCUE_ZH: &str = "请指派签约维保单位赶赴现场，安抚轿厢内人员，并确认人员已全部脱困；切勿强行扒门。";
const RESCUE_EN: &str = "Send the contracted maintenance firm, reassure the people in the car, and confirm that all of them \
                         are free. Nobody should force the doors.";
const CHECK_ZH: &str = "请核实设备情况，并通知责任单位处理。";
const CHECK_EN: &str = "Check the device, and tell those who are responsible for it.";

pub(super) fn content(profile: &Profile, told: Told<'_>, site: &Site) -> Content {
    match told {
        Told::Alert(event) => of_alert(event, site, &profile.zone),
        Told::Incident(event) => of_incident(profile, event, site),
    }
}

fn of_alert(event: &AlertEvent, site: &Site, zone: &TimeZone) -> Content {
    let it = &event.alert;
    let (is_over, is_rescue) = (Told::Alert(event).is_over(), it.dispatch.is_some());
    let instructions = match (is_over, is_rescue) {
        (true, _) => [None, None],
        (false, true) => [Some(RESCUE_ZH), Some(RESCUE_EN)],
        (false, false) => [Some(CHECK_ZH), Some(CHECK_EN)],
    };
    let [zh, en] = [&it.title.zh, &it.title.en].map(|title| titled(title, it));
    let subjects = subject_words(&it.id.subject);
    let descriptions = [alert_zh(event, &subjects[0], zone), alert_en(event, &subjects[1], zone)];
    Content {
        categories: terms::categories(Some(it.id.subject), is_rescue),
        response: terms::response(it.severity, is_rescue, is_over),
        urgency: terms::urgency(it.severity, is_over),
        severity: terms::severity(it.severity),
        certainty: terms::certainty(it.certainty),
        onset: it.opened_at,
        words: words([zh, en], subjects, descriptions, instructions, address(&it.place), is_over),
        parameters: alert_parameters(event, site),
        place: it.place.clone(),
        site: site.clone(),
        incidents: it.group.as_ref().map(|group| group.id(&it.id.rule)),
        note: None,
    }
}

fn titled(title: &str, alert: &Alert) -> String {
    if text::is_blank(title) { alert.id.rule.to_string() } else { title.to_owned() }
}

/// What can be shown of it, if anything.
pub(super) fn address(place: &Place) -> Option<&str> {
    place.address.as_deref().filter(|address| !text::is_blank(address))
}

/// In Chinese and English, as all pairs here.
fn subject_words(subject: &Subject) -> [String; 2] {
    match subject {
        Subject::Device(code) => [format!("设备 {code}"), format!("device {code}")],
        Subject::Cylinder(code) => [format!("气瓶 {code}"), format!("gas cylinder {code}")],
        Subject::Service => ["监测服务".into(), "the monitoring service".into()],
        Subject::Incident(id) => [format!("救援 {id}"), format!("rescue {id}")],
    }
}

fn words(
    [zh, en]: [String; 2],
    [subject_zh, subject_en]: [String; 2],
    [description_zh, description_en]: [String; 2],
    [instruction_zh, instruction_en]: [Option<&'static str>; 2],
    address: Option<&str>,
    is_over: bool,
) -> [Words; 2] {
    let [over_zh, over_en] = if is_over { ["（已解除）", " (over)"] } else { [""; 2] };
    let where_zh = address.unwrap_or(&subject_zh);
    let where_en = address.unwrap_or(&subject_en);
    [
        Words {
            language: "zh-CN",
            headline: format!("{zh}：{where_zh}{over_zh}"),
            event: zh,
            description: description_zh,
            instruction: instruction_zh,
            nowhere: format!("地址未知（{subject_zh}）"),
        },
        Words {
            language: "en",
            headline: format!("{en}: {where_en}{over_en}"),
            event: en,
            description: description_en,
            instruction: instruction_en,
            nowhere: format!("address not known ({subject_en})"),
        },
    ]
}

fn alert_zh(event: &AlertEvent, subject: &str, zone: &TimeZone) -> String {
    let it = &event.alert;
    let mut text = format!(
        "{subject}。级别：{}；确定性：{}。发生时间：{}。",
        terms::severity_zh(it.severity),
        terms::certainty_zh(it.certainty),
        text::time(it.opened_at, zone)
    );
    text += People::of_alert(event).zh();
    if let Some(cleared) = it.cleared_at {
        text += &format!("解除时间：{}。", text::time(cleared, zone));
    }
    if !it.evidence.is_empty() {
        text += &format!("依据：{}。", evidence(&it.evidence, "，已 ", " 秒"));
    }
    if let Some(group) = &it.group {
        text += &format!("同一区域（{}）共 {} 台电梯触发。", group.place, group.lifts);
    }
    text
}

fn alert_en(event: &AlertEvent, subject: &str, zone: &TimeZone) -> String {
    let it = &event.alert;
    let mut text = format!(
        "About {subject}. Severity {}, certainty {}, since {}.",
        it.severity.name(),
        it.certainty.name(),
        text::time(it.opened_at, zone)
    );
    text += People::of_alert(event).en();
    if let Some(cleared) = it.cleared_at {
        text += &format!(" Over since {}.", text::time(cleared, zone));
    }
    if !it.evidence.is_empty() {
        text += &format!(" Evidence: {}.", evidence(&it.evidence, " for ", " s"));
    }
    if let Some(group) = &it.group {
        text += &format!(" {} lifts of {} {} raised it together.", group.lifts, group.scope.name(), group.place);
    }
    text
}

/// What holds now of the people in the car.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum People {
    Unknown,
    In,
    None,
    /// They were in it, and nobody has said that they are free.
    Were,
    /// They were, and the sensors don't say so any more.
    NoLongerSaid,
    Free,
    NeverTrapped,
}

impl People {
    fn now(occupied: Option<bool>) -> Self {
        match occupied {
            Some(true) => Self::In,
            Some(false) => Self::None,
            None => Self::Unknown,
        }
    }

    fn of_alert(event: &AlertEvent) -> Self {
        match Self::now(event.alert.occupied) {
            Self::In if event.alert.state == AlertState::Cleared && event.reason.is_by_sensors() => Self::NoLongerSaid,
            Self::In if event.alert.state == AlertState::Cleared => Self::Were,
            people => people,
        }
    }

    fn of_incident(it: &Incident) -> Self {
        match it.state {
            State::Freed => Self::Free,
            // How many were freed is said apart.
            State::Closed => Self::Unknown,
            State::FalseAlarm => Self::NeverTrapped,
            _ if it.sensors_say_over() && it.occupied == Some(true) => Self::Were,
            _ => Self::now(it.occupied),
        }
    }

    fn occupied(self) -> Option<bool> {
        match self {
            Self::In => Some(true),
            Self::None => Some(false),
            Self::Unknown | Self::Were | Self::NoLongerSaid | Self::Free | Self::NeverTrapped => None,
        }
    }

    fn zh(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::In => "轿厢内有人。",
            Self::None => "轿厢内无人。",
            Self::Were => "轿厢内曾有人。",
            Self::NoLongerSaid => "传感器已不再报告困人。",
            Self::Free => "已无人被困。",
            Self::NeverTrapped => "无人被困。",
        }
    }

    fn en(self) -> &'static str {
        match self {
            Self::Unknown => "",
            Self::In => " There are people in the car.",
            Self::None => " The car is empty.",
            Self::Were => " There were people in the car.",
            Self::NoLongerSaid => " The sensors no longer say that people are trapped.",
            Self::Free => " Nobody is trapped any more.",
            Self::NeverTrapped => " Nobody was trapped.",
        }
    }
}

fn evidence(all: &[Evidence], since: &str, seconds: &str) -> String {
    let one = |it: &Evidence| {
        let age = it.age_ms.map(|ms| format!("{since}{}{seconds}", ms / 1_000)).unwrap_or_default();
        format!("{} = {}{age}", it.name, it.value)
    };
    all.iter().take(limits::CAP_EVIDENCE).map(one).collect::<Vec<_>>().join("; ")
}

fn alert_parameters(event: &AlertEvent, site: &Site) -> Vec<(&'static str, String)> {
    let it = &event.alert;
    let mut all = vec![
        ("vigil:alert", it.id.to_string()),
        ("vigil:rule", it.id.rule.to_string()),
        ("vigil:severity", it.severity.name().into()),
        ("vigil:event", event.kind.name().into()),
        ("vigil:reason", event.reason.name().into()),
        ("vigil:seq", event.cursor().to_string()),
    ];
    match it.id.subject {
        Subject::Device(code) => all.push(("vigil:device", code.to_string())),
        Subject::Cylinder(code) => all.push(("vigil:cylinder", code.to_string())),
        Subject::Incident(id) => all.push(("vigil:incident", id.to_string())),
        Subject::Service => {}
    }
    all.extend(site.rescue_code.as_ref().map(|code| ("vigil:rescue-code", code.to_string())));
    all.extend(People::of_alert(event).occupied().map(|occupied| ("vigil:occupied", occupied.to_string())));
    if let Some(group) = &it.group {
        all.push(("vigil:group", group.id(&it.id.rule)));
        all.push(("vigil:group-lifts", group.lifts.to_string()));
    }
    all
}

fn of_incident(profile: &Profile, event: &IncidentEvent, site: &Site) -> Content {
    let it = &event.incident;
    // Whoever is free needs nobody to come; the rest is the dispatcher's.
    let is_past = !it.state.is_pending();
    let site = Site {
        rescue_code: it.scene.rescue_code.clone().or_else(|| site.rescue_code.clone()),
        position: site.position,
    };
    let subjects = [format!("救援 {}", it.id), format!("rescue {}", it.id)];
    let descriptions = [incident_zh(it, &profile.zone), incident_en(it, &profile.zone)];
    let instructions = if is_past { [None, None] } else { [Some(RESCUE_ZH), Some(RESCUE_EN)] };
    let titles = ["电梯困人救援".to_owned(), "Rescue of people in a lift".to_owned()];
    let address = address(&it.scene.place);
    Content {
        categories: terms::categories(None, true),
        response: terms::response(it.severity, true, is_past),
        urgency: terms::urgency(Severity::Critical.max(it.severity), is_past),
        severity: terms::severity(it.severity),
        certainty: terms::certainty(it.certainty),
        onset: it.received_at,
        words: words(titles, subjects, descriptions, instructions, address, is_past),
        parameters: incident_parameters(event, &site),
        place: it.scene.place.clone(),
        site,
        incidents: Some(format!("{}.{}", profile.instance, it.id)),
        note: (it.state == State::FalseAlarm).then_some("False alarm"),
    }
}

fn incident_zh(it: &Incident, zone: &TimeZone) -> String {
    let state = match it.state {
        State::Received => "已接警，尚未指派",
        State::Commanded => "已指派，待接单",
        State::Accepted => "已接单",
        State::TurnedOut => "已出动",
        State::Arrived => "已抵达",
        State::Freed => "人员已解救",
        State::Closed => "已办结",
        State::FalseAlarm => "误报",
    };
    let tier = it.assignee().map(|leg| match leg.party.tier {
        Tier::Firm => "维保单位",
        Tier::Station => "网格救援站",
        Tier::Public => "公共救援",
    });
    let mut text = format!("救援 {}：{state}。接警时间：{}。", it.id, text::time(it.received_at, zone));
    if let Some(tier) = tier {
        text += &format!("处置力量：{tier}。");
    }
    text += People::of_incident(it).zh();
    if it.arrival_late && it.state.is_pending() {
        text += "抵达超时。";
    }
    if it.sensors_say_over() {
        text += "传感器显示已脱困，待人工确认。";
    }
    if let Some(ending) = &it.ending {
        text += &format!("解救人数：{}。", ending.persons_freed);
    }
    text
}

fn incident_en(it: &Incident, zone: &TimeZone) -> String {
    let mut text = format!("Rescue {}: {}. Received at {}.", it.id, it.state.name(), text::time(it.received_at, zone));
    if let Some(leg) = it.assignee() {
        text += &format!(" On it: tier {} ({}).", leg.party.tier.number(), leg.party.tier.name());
    }
    text += People::of_incident(it).en();
    if it.arrival_late && it.state.is_pending() {
        text += " Nobody has arrived in time.";
    }
    if it.sensors_say_over() {
        text += " The sensors say that they are free: to be confirmed.";
    }
    if let Some(ending) = &it.ending {
        text += &format!(" Persons freed: {}.", ending.persons_freed);
    }
    text
}

fn incident_parameters(event: &IncidentEvent, site: &Site) -> Vec<(&'static str, String)> {
    let it = &event.incident;
    let mut all = vec![
        ("vigil:incident", it.id.to_string()),
        ("vigil:state", it.state.name().into()),
        ("vigil:severity", it.severity.name().into()),
        ("vigil:event", event.entry.what.name().into()),
        ("vigil:seq", event.cursor().to_string()),
    ];
    let scene = &it.scene;
    all.extend(scene.rule.as_ref().map(|rule| ("vigil:rule", rule.to_string())));
    all.extend(scene.device.map(|device| ("vigil:device", device.to_string())));
    all.extend(site.rescue_code.as_ref().map(|code| ("vigil:rescue-code", code.to_string())));
    all.extend(scene.firm.map(|firm| ("vigil:firm", firm.to_string())));
    all.extend(People::of_incident(it).occupied().map(|occupied| ("vigil:occupied", occupied.to_string())));
    all.extend(it.assignee().map(|leg| ("vigil:tier", leg.party.tier.name().into())));
    all
}
