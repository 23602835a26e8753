//! `RegistryService`.

mod change;
mod find;
mod upload;

use tonic::{Request, Response, Status, Streaming};

use self::upload::Upload;
use super::Violations;
use crate::model::actor::Role;
use crate::proto::v1;
use crate::proto::v1::registry_service_server::RegistryService;
use crate::serve::auth::{actor, require};
use crate::serve::{Shared, overload};

pub(super) struct Registry(pub(super) Shared);

#[tonic::async_trait]
impl RegistryService for Registry {
    async fn upsert_devices(
        &self,
        request: Request<Streaming<v1::UpsertDevicesRequest>>,
    ) -> Result<Response<v1::UpsertDevicesResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin])?;
        let _slot = self.0.uploads.try_acquire().map_err(|_| overload("uploads"))?;
        let mut stream = request.into_inner();
        let Some(first) = self.receive(&mut stream).await? else {
            return Err(missing_request_id());
        };
        let mut upload = Upload::begin(&self.0, actor, &first)?;
        let mut next = Some(first);
        while let Some(message) = next {
            upload.take(message).await?;
            next = self.receive(&mut stream).await?;
        }
        Ok(Response::new(upload.end().await?))
    }

    async fn get_device(
        &self,
        request: Request<v1::GetDeviceRequest>,
    ) -> Result<Response<v1::GetDeviceResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(find::device(&*self.0.backend.store, &actor, request.get_ref()).await?))
    }

    async fn list_lifts(
        &self,
        request: Request<v1::ListLiftsRequest>,
    ) -> Result<Response<v1::ListLiftsResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(find::lifts(&*self.0.backend.store, &actor, request.get_ref()).await?))
    }

    async fn list_entries(
        &self,
        request: Request<v1::ListEntriesRequest>,
    ) -> Result<Response<v1::ListEntriesResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(find::entries(&*self.0.backend.store, &actor, request.get_ref()).await?))
    }

    async fn find_devices(
        &self,
        request: Request<v1::FindDevicesRequest>,
    ) -> Result<Response<v1::FindDevicesResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(find::found(&*self.0.backend.store, &actor, request.get_ref()).await?))
    }

    async fn get_device_history(
        &self,
        request: Request<v1::GetDeviceHistoryRequest>,
    ) -> Result<Response<v1::GetDeviceHistoryResponse>, Status> {
        let actor = actor(&request)?;
        Ok(Response::new(find::history(&*self.0.backend.store, &actor, request.get_ref()).await?))
    }

    async fn replace_terminal(
        &self,
        request: Request<v1::ReplaceTerminalRequest>,
    ) -> Result<Response<v1::ReplaceTerminalResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin, Role::Firm, Role::Vendor])?;
        Ok(Response::new(change::replace_terminal(&self.0, actor, request.get_ref()).await?))
    }

    async fn transfer_cylinders(
        &self,
        request: Request<v1::TransferCylindersRequest>,
    ) -> Result<Response<v1::TransferCylindersResponse>, Status> {
        let actor = actor(&request)?;
        require(&actor, &[Role::Admin, Role::Station])?;
        Ok(Response::new(change::transfer_cylinders(&self.0, actor, request.get_ref()).await?))
    }
}

impl Registry {
    async fn receive(
        &self,
        stream: &mut Streaming<v1::UpsertDevicesRequest>,
    ) -> Result<Option<v1::UpsertDevicesRequest>, Status> {
        match tokio::time::timeout(self.0.settings.stall, stream.message()).await {
            Ok(message) => message,
            Err(_) => Err(Status::aborted("nothing was sent for too long: send everything again")),
        }
    }
}

fn missing_request_id() -> Status {
    let mut violations = Violations::default();
    violations.add("request_id", "is missing on the first message");
    violations.check().expect_err("a violation was added")
}
