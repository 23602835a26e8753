//! The rules that are shipped, and the same with one of them broken on purpose.

use std::path::Path;

type Files = Vec<(Box<str>, Box<str>)>;

pub(crate) fn shipped() -> Files {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/rules");
    vigil::app::policy::read_folder(&folder).unwrap()
}

/// The first `from` behind the rule's id becomes `to`.
pub(crate) fn lengthened(rule: &str, from: &str, to: &str) -> Files {
    let id = format!("id = \"{rule}\"");
    let mut files = shipped();
    let (_, text) = files.iter_mut().find(|(_, text)| text.contains(&id)).unwrap();
    let at = text.find(&id).unwrap();
    let (before, after) = text.split_at(at);
    assert!(after.contains(from), "{rule} has no {from}");
    *text = format!("{before}{}", after.replacen(from, to, 1)).into();
    files
}

/// In all of Ningxia, where the fleet is.
pub(crate) fn switched_off(rule: &str) -> Files {
    let mut files = shipped();
    files.push((
        "off.toml".into(),
        format!("[[override]]\nrule = \"{rule}\"\ndistrict = \"64\"\ndisabled = true\n").into(),
    ));
    files.sort();
    files
}
