//! The fleet's archive: to a service, or as files for `vigil import`.

use std::path::Path;

use anyhow::Context as _;
use tonic::transport::Channel;

use crate::cli::refused;
use crate::model::archive::{EntryKind, field_names, field_texts};
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

/// Writes firms.csv, sites.csv, lifts.csv and cylinders.csv.
pub(super) fn write(folder: &Path, options: &FleetOptions) -> anyhow::Result<()> {
    std::fs::create_dir_all(folder)?;
    let file = |kind: EntryKind| -> anyhow::Result<_> {
        let mut file = csv::Writer::from_path(folder.join(format!("{}s.csv", kind.name())))?;
        file.write_record(field_names(kind))?;
        Ok((kind, file))
    };
    let kinds = [EntryKind::Firm, EntryKind::Site, EntryKind::Lift, EntryKind::Cylinder];
    let mut files = kinds.into_iter().map(file).collect::<anyhow::Result<Vec<_>>>()?;
    for entry in entries(options) {
        let (_, file) =
            files.iter_mut().find(|(kind, _)| *kind == entry.kind()).context("of no kind that a fleet has")?;
        file.write_record(field_texts(&entry))?;
    }
    for (_, mut file) in files {
        file.flush()?;
    }
    Ok(())
}
