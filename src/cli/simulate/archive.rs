//! The fleet's archive: to a service, or as files for `vigil import`.

use std::path::Path;

use tonic::transport::Channel;

use crate::cli::refused;
use crate::model::archive::{Entry, Equipment};
use crate::proto::v1::registry_service_client::RegistryServiceClient;
use crate::proto::v1::{UpsertDevicesRequest, UpsertDevicesResponse};
use crate::serve::upsert_entry;
use crate::simulate::{FleetOptions, entries};

/// Writes the fleet into the service's archive.
pub(super) async fn register(channel: Channel, options: &FleetOptions) -> anyhow::Result<UpsertDevicesResponse> {
    // One of our own for each beginning: what is unchanged since the last run is counted so.
    let mut request_id = format!("simulate-{}-{}", options.seed, options.began.ms());
    let requests = entries(options).map(move |entry| UpsertDevicesRequest {
        request_id: std::mem::take(&mut request_id),
        entry: Some(upsert_entry(&entry)),
        ..UpsertDevicesRequest::default()
    });
    let answer = RegistryServiceClient::new(channel).upsert_devices(tokio_stream::iter(requests)).await;
    let answer = answer.map_err(|status| refused(&status))?.into_inner();
    anyhow::ensure!(answer.failed == 0, "the service refused {} entries of the fleet's archive", answer.failed);
    Ok(answer)
}

type File = csv::Writer<std::fs::File>;

/// Writes firms.csv, sites.csv, lifts.csv and cylinders.csv.
pub(super) fn write(folder: &Path, options: &FleetOptions) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = |name: &str, header: &[&str]| -> anyhow::Result<File> {
        let mut file = csv::Writer::from_path(folder.join(name))?;
        file.write_record(header)?;
        Ok(file)
    };
    let mut firms = file("firms.csv", &["id", "name"])?;
    let mut sites = file("sites.csv", &["code", "kind", "name", "address", "district"])?;
    let mut lifts = file(
        "lifts.csv",
        &[
            "code",
            "equipment",
            "address",
            "district",
            "rescue_code",
            "firm",
            "use_unit",
            "keep_alive_s",
            "inspection_due",
        ],
    )?;
    let mut cylinders = file(
        "cylinders.csv",
        &["code", "filling_unit", "medium", "made_on", "inspection_due", "scrapped", "district"],
    )?;
    for entry in entries(options) {
        match entry {
            Entry::Firm(firm) => firms.write_record([firm.id.as_str(), &firm.name])?,
            Entry::Site(site) => sites.write_record([
                site.code.as_str(),
                site.kind.name(),
                &site.name,
                &text(site.address),
                &text(site.district),
            ])?,
            Entry::Lift(lift) => lifts.write_record([
                lift.code.as_str(),
                if lift.equipment == Equipment::Lift { "lift" } else { "escalator" },
                &text(lift.address),
                &text(lift.district),
                &text(lift.rescue_code),
                &text(lift.firm),
                &text(lift.use_unit),
                &text(lift.keep_alive_s),
                &text(lift.inspection_due),
            ])?,
            Entry::Cylinder(cylinder) => cylinders.write_record([
                cylinder.code.as_str(),
                &text(cylinder.filling_unit),
                &text(cylinder.medium),
                &text(cylinder.made_on),
                &text(cylinder.inspection_due),
                if cylinder.scrapped { "yes" } else { "no" },
                &text(cylinder.district),
            ])?,
        }
    }
    for mut file in [firms, sites, lifts, cylinders] {
        file.flush()?;
    }
    Ok(())
}

fn text(value: Option<impl ToString>) -> String {
    value.map(|value| value.to_string()).unwrap_or_default()
}
