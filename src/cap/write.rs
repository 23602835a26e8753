//! The XML of a message. Escaping is the library's; what may stand where, and in which order, is the standard's.

use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesEnd, BytesStart, BytesText, Event};

use super::describe::{self, Content, Words};
use super::{MessageKind, Profile, text};
use crate::limits;
use crate::model::archive::Position;
use crate::model::time::Wall;

const NAMESPACE: &str = "urn:oasis:names:tc:emergency:cap:1.2";
/// How an area names Chinese administrative divisions.
const DISTRICTS: &str = "GB/T 2260";

pub(super) fn alert(
    profile: &Profile,
    identifier: &str,
    sent: Wall,
    kind: MessageKind,
    references: Option<&str>,
    content: &Content,
) -> String {
    let mut xml = Xml::new();
    xml.write(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)));
    xml.write(Event::Start(BytesStart::new("alert").with_attributes([("xmlns", NAMESPACE)])));
    xml.leaf("identifier", identifier, limits::CAP_NAME_CHARS);
    xml.leaf("sender", &profile.sender, limits::CAP_NAME_CHARS);
    xml.leaf("sent", &text::time(sent, &profile.zone), limits::CAP_NAME_CHARS);
    xml.leaf("status", profile.status.name(), limits::CAP_NAME_CHARS);
    xml.leaf("msgType", kind.name(), limits::CAP_NAME_CHARS);
    xml.leaf("scope", "Restricted", limits::CAP_NAME_CHARS);
    xml.leaf("restriction", &profile.restriction, limits::CAP_LINE_CHARS);
    xml.maybe("note", content.note, limits::CAP_LINE_CHARS);
    xml.maybe("references", references, limits::CAP_REFERENCES_CHARS);
    xml.maybe("incidents", content.incidents.as_deref(), limits::CAP_NAME_CHARS);
    for words in &content.words {
        info(&mut xml, profile, sent, content, words);
    }
    xml.end("alert");
    xml.text()
}

fn info(xml: &mut Xml, profile: &Profile, sent: Wall, content: &Content, words: &Words) {
    let sender_name = match words.language {
        "zh-CN" => profile.sender_name_zh.as_deref().or(profile.sender_name_en.as_deref()),
        _ => profile.sender_name_en.as_deref().or(profile.sender_name_zh.as_deref()),
    };
    xml.start("info");
    xml.leaf("language", words.language, limits::CAP_NAME_CHARS);
    for category in content.categories {
        xml.leaf("category", category, limits::CAP_NAME_CHARS);
    }
    xml.leaf("event", &words.event, limits::CAP_LINE_CHARS);
    xml.leaf("responseType", content.response, limits::CAP_NAME_CHARS);
    xml.leaf("urgency", content.urgency, limits::CAP_NAME_CHARS);
    xml.leaf("severity", content.severity, limits::CAP_NAME_CHARS);
    xml.leaf("certainty", content.certainty, limits::CAP_NAME_CHARS);
    xml.leaf("effective", &text::time(sent, &profile.zone), limits::CAP_NAME_CHARS);
    xml.leaf("onset", &text::time(content.onset, &profile.zone), limits::CAP_NAME_CHARS);
    let expires = profile.expires_ms.map(|span| text::time(sent + span, &profile.zone));
    xml.maybe("expires", expires.as_deref(), limits::CAP_NAME_CHARS);
    xml.maybe("senderName", sender_name, limits::CAP_LINE_CHARS);
    xml.leaf("headline", &words.headline, limits::CAP_HEADLINE_CHARS);
    xml.leaf("description", &words.description, limits::CAP_DESCRIPTION_CHARS);
    xml.maybe("instruction", words.instruction, limits::CAP_DESCRIPTION_CHARS);
    xml.maybe("web", profile.web.as_deref(), limits::CAP_LINE_CHARS);
    xml.maybe("contact", profile.contact.as_deref(), limits::CAP_LINE_CHARS);
    for (name, value) in &content.parameters {
        xml.named("parameter", name, value);
    }
    area(xml, content, words);
    xml.end("info");
}

fn area(xml: &mut Xml, content: &Content, words: &Words) {
    xml.start("area");
    xml.leaf("areaDesc", describe::address(&content.place).unwrap_or(&words.nowhere), limits::CAP_LINE_CHARS);
    let circle = content.site.position.and_then(circle);
    xml.maybe("circle", circle.as_deref(), limits::CAP_NAME_CHARS);
    if let Some(district) = &content.place.district {
        xml.named("geocode", DISTRICTS, district.as_str());
    }
    xml.end("area");
}

/// Latitude, longitude, and a radius in km.
fn circle(at: Position) -> Option<String> {
    let degrees = |e7: i32, most: i32| {
        let sign = if e7 < 0 { "-" } else { "" };
        let abs = e7.unsigned_abs();
        (abs <= most.unsigned_abs()).then(|| format!("{sign}{}.{:07}", abs / 10_000_000, abs % 10_000_000))
    };
    let (latitude, longitude) = (degrees(at.latitude_e7, 900_000_000)?, degrees(at.longitude_e7, 1_800_000_000)?);
    Some(format!("{latitude},{longitude} {}", limits::CAP_RADIUS_KM))
}

struct Xml(Writer<Vec<u8>>);

impl Xml {
    fn new() -> Self {
        Self(Writer::new_with_indent(Vec::new(), b' ', 2))
    }

    fn write(&mut self, event: Event<'_>) {
        self.0.write_event(event).expect("memory takes all that is written");
    }

    fn start(&mut self, name: &str) {
        self.write(Event::Start(BytesStart::new(name)));
    }

    fn end(&mut self, name: &str) {
        self.write(Event::End(BytesEnd::new(name)));
    }

    fn leaf(&mut self, name: &str, text: &str, chars: usize) {
        self.start(name);
        self.write(Event::Text(BytesText::new(&text::clean(text, chars))));
        self.end(name);
    }

    /// Nothing, where there is nothing to say.
    fn maybe(&mut self, name: &str, text: Option<&str>, chars: usize) {
        if let Some(text) = text.filter(|text| !text::is_blank(text)) {
            self.leaf(name, text, chars);
        }
    }

    fn named(&mut self, element: &str, name: &str, value: &str) {
        if text::is_blank(value) {
            return;
        }
        self.start(element);
        self.leaf("valueName", name, limits::CAP_NAME_CHARS);
        self.leaf("value", value, limits::CAP_LINE_CHARS);
        self.end(element);
    }

    fn text(self) -> String {
        let mut text = String::from_utf8(self.0.into_inner()).expect("only text was written");
        text.push('\n');
        text
    }
}
