//! Which lifts are replayed.

use std::collections::BTreeMap;
use std::fs;
use std::io::Read as _;

use anyhow::Context as _;

use super::fetch::Service;
use crate::limits;
use crate::model::archive;
use crate::model::ids::{DeviceCode, District};

/// What a person asked for; nothing: all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Wanted {
    devices: Vec<DeviceCode>,
    districts: Vec<District>,
}

/// By code; with the archive's entry where there is one.
pub(super) type Lifts = BTreeMap<DeviceCode, Option<archive::Lift>>;

impl Wanted {
    /// `devices` is a list, or the name of a file that holds one.
    pub(super) fn read(devices: Option<&str>) -> anyhow::Result<Self> {
        let Some(devices) = devices else { return Ok(Self::default()) };
        let is_file = fs::metadata(devices).is_ok_and(|about| about.is_file());
        let wanted =
            if is_file { Self::parse(&read(devices)?).context(devices.to_owned())? } else { Self::parse(devices)? };
        anyhow::ensure!(wanted != Self::default(), "--devices names no lift and no district");
        Ok(wanted)
    }

    fn parse(text: &str) -> anyhow::Result<Self> {
        let mut wanted = Self::default();
        for word in text.lines().flat_map(|line| line.split(',')).map(str::trim).filter(|word| !word.is_empty()) {
            if let Ok(device) = DeviceCode::parse(word) {
                wanted.devices.push(device);
            } else if let Ok(district) = District::parse(word) {
                wanted.districts.push(district);
            } else {
                let word: String = word.chars().take(64).collect();
                anyhow::bail!(
                    "{word:?} is no device code ({}), no district ({}), and no file",
                    DeviceCode::FORM,
                    District::FORM
                );
            }
        }
        let most = limits::FILTER_ITEMS;
        anyhow::ensure!(wanted.districts.len() <= most, "more than {most} districts: name those around them");
        Ok(wanted)
    }

    pub(super) async fn lifts(&self, service: &Service) -> anyhow::Result<Lifts> {
        let mut lifts = Lifts::new();
        if self.devices.is_empty() || !self.districts.is_empty() {
            lifts.extend(service.lifts(&self.districts).await?.into_iter().map(|lift| (lift.code, Some(lift))));
        }
        for device in &self.devices {
            if !lifts.contains_key(device) {
                lifts.insert(*device, service.lift(device).await?);
            }
        }
        let place = if self.districts.is_empty() { "" } else { " in these districts" };
        anyhow::ensure!(
            !lifts.is_empty(),
            "the archive has no lift{place} that you may see: import them, or name lifts by their codes with --devices"
        );
        Ok(lifts)
    }
}

fn read(file: &str) -> anyhow::Result<String> {
    let mut text = String::new();
    let most = limits::BACKTEST_LIST_BYTES;
    let opened = fs::File::open(file).with_context(|| format!("{file} can't be read"))?;
    opened.take(most + 1).read_to_string(&mut text).with_context(|| format!("{file} can't be read"))?;
    anyhow::ensure!(text.len() as u64 <= most, "{file} is larger than {} MiB", most / 1024 / 1024);
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_name_lifts_and_districts() {
        let check = |text: &str, devices: usize, districts: usize| {
            let wanted = Wanted::parse(text).unwrap();
            assert_eq!((wanted.devices.len(), wanted.districts.len()), (devices, districts), "{text:?}");
        };
        check("31305001122014017242", 1, 0);
        check("31305001122014017242, 6401,31305001122014017243\n640104\r\n\n", 2, 2);
        check(",\n", 0, 0);
        for bad in ["lifts.txt", "3130500112201401724a", "6", "6401 6402"] {
            let error = Wanted::read(Some(bad)).unwrap_err().to_string();
            assert!(error.contains(bad) && error.contains("no file"), "{error}");
        }
        assert!(Wanted::parse(&"6401,".repeat(65)).is_err());
        assert!(Wanted::read(Some(",")).is_err());
    }
}
