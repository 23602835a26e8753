//! The gRPC services, one file each.

mod alerts;
mod convert;
mod cylinders;
mod dispatch;
mod dues;
mod explain;
mod history;
mod inspection;
mod life;
mod maintenance;
mod notifications;
mod registry;
mod rejects;
mod rules;
mod violations;
mod watch;
mod watch_incidents;

use tonic::service::Routes;
use tonic::service::interceptor::InterceptedService;
use tonic_health::ServingStatus;
use tonic_health::server::HealthReporter;

pub(super) use self::convert::{check_record, entry, entry_to_upsert, frame_row, lift};
use self::violations::Violations;
use super::auth::Gate;
use super::{ServeError, Shared};
use crate::limits;
use crate::proto;
use crate::proto::v1::alert_service_server::AlertServiceServer;
use crate::proto::v1::cylinder_service_server::CylinderServiceServer;
use crate::proto::v1::dispatch_service_server::DispatchServiceServer;
use crate::proto::v1::history_service_server::HistoryServiceServer;
use crate::proto::v1::inspection_service_server::InspectionServiceServer;
use crate::proto::v1::maintenance_service_server::MaintenanceServiceServer;
use crate::proto::v1::notification_service_server::NotificationServiceServer;
use crate::proto::v1::registry_service_server::RegistryServiceServer;
use crate::proto::v1::rules_service_server::RulesServiceServer;

/// The domain of `google.rpc.ErrorInfo`.
pub(super) const DOMAIN: &str = "vigil";

/// Every service behind the gate, but for health, which probes ask without credentials.
pub(super) fn routes(shared: &Shared) -> Result<Routes, ServeError> {
    macro_rules! gated {
        ($server:ident, $service:expr) => {{
            let server = $server::new($service).max_decoding_message_size(limits::REQUEST_BYTES);
            InterceptedService::new(server, Gate(shared.settings.auth.clone()))
        }};
    }
    let gate = || Gate(shared.settings.auth.clone());
    let (reporter, health) = tonic_health::server::health_reporter();
    tokio::spawn(report_health(reporter, shared.clone()));
    let reflection = || {
        tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(proto::DESCRIPTORS)
            .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET)
    };
    Ok(Routes::new(health)
        .add_service(InterceptedService::new(reflection().build_v1()?, gate()))
        .add_service(InterceptedService::new(reflection().build_v1alpha()?, gate()))
        .add_service(gated!(AlertServiceServer, alerts::Alerts(shared.clone())))
        .add_service(gated!(DispatchServiceServer, dispatch::Dispatch(shared.clone())))
        .add_service(gated!(RegistryServiceServer, registry::Registry(shared.clone())))
        .add_service(gated!(CylinderServiceServer, cylinders::Cylinders(shared.clone())))
        .add_service(gated!(RulesServiceServer, rules::Rules(shared.clone())))
        .add_service(gated!(HistoryServiceServer, history::History(shared.clone())))
        .add_service(gated!(InspectionServiceServer, inspection::Inspection(shared.clone())))
        .add_service(gated!(MaintenanceServiceServer, maintenance::Maintenance(shared.clone())))
        .add_service(gated!(NotificationServiceServer, notifications::Notifications(shared.clone()))))
}

/// Keeps the health service in step with readiness until shutdown.
async fn report_health(reporter: HealthReporter, shared: Shared) {
    const NAMES: [&str; 10] = [
        "",
        "vigil.v1.AlertService",
        "vigil.v1.DispatchService",
        "vigil.v1.CylinderService",
        "vigil.v1.RegistryService",
        "vigil.v1.RulesService",
        "vigil.v1.HistoryService",
        "vigil.v1.MaintenanceService",
        "vigil.v1.InspectionService",
        "vigil.v1.NotificationService",
    ];
    let mut every = tokio::time::interval(std::time::Duration::from_secs(1));
    loop {
        let stopped = tokio::select! {
            () = shared.stop.cancelled() => true,
            _ = every.tick() => false,
        };
        let serving = !stopped && shared.backend.not_ready().is_empty();
        let status = if serving { ServingStatus::Serving } else { ServingStatus::NotServing };
        for name in NAMES {
            reporter.set_service_status(name, status).await;
        }
        if stopped {
            return;
        }
    }
}

/// How many of the first `items` fit one answer; at least one.
fn fitting<M: prost::Message>(items: &[M]) -> usize {
    let mut bytes = 0;
    let fits = |item: &&M| {
        bytes += item.encoded_len() + 8;
        bytes <= limits::ANSWER_BYTES
    };
    items.iter().take_while(fits).count().max(1).min(items.len())
}

/// A page size as asked for, or the default.
fn page_size(asked: u32, violations: &mut Violations) -> usize {
    let asked = asked as usize;
    if asked > limits::PAGE_ROWS {
        violations.add("page_size", format!("is {asked}: at most {} are given at a time", limits::PAGE_ROWS));
    }
    if asked == 0 { limits::PAGE_ROWS_DEFAULT } else { asked.min(limits::PAGE_ROWS) }
}
