//! What clients call.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use prost::Message;
use tokio::runtime::Runtime;
use tokio_util::sync::CancellationToken;
use tonic::metadata::MetadataMap;
use tonic::service::Routes;
use tonic::{Code, Status};
use vigil::cap::Profile;
use vigil::clock::Clock;
use vigil::config::Config;
use vigil::feed::{EventLog, Feed, LogFuture};
use vigil::model::actor::Actor;
use vigil::model::alert::Cursor;
use vigil::model::incident::IncidentEvent;
use vigil::notify::Notifier;
use vigil::pages::{Board, Incidents, Page};
use vigil::proto::v1;
use vigil::proto::v1::alert_service_client::AlertServiceClient;
use vigil::proto::v1::cylinder_service_client::CylinderServiceClient;
use vigil::proto::v1::dispatch_service_client::DispatchServiceClient;
use vigil::proto::v1::history_service_client::HistoryServiceClient;
use vigil::proto::v1::inspection_service_client::InspectionServiceClient;
use vigil::proto::v1::maintenance_service_client::MaintenanceServiceClient;
use vigil::proto::v1::registry_service_client::RegistryServiceClient;
use vigil::serve::auth::Authenticate;
use vigil::serve::history::MemoryHistory;
use vigil::serve::reloads::{InForce, Reloads};
use vigil::serve::token::Question;
use vigil::serve::{Backend, Settings, services};
use vigil::spine::input::Inputs;
use vigil::spine::retrace::Past;

/// As a token, and as the parts of one. A token has one form, and gives back what went into it.
pub fn page_token(input: &[u8]) {
    let Ok(text) = std::str::from_utf8(input) else { return };
    let question = Question::of(&"a question");
    if let Ok(parts) = question.parts::<3>(text) {
        assert_eq!(question.token(&[&parts[0], &parts[1], &parts[2]]), text);
    }
    let parts: Vec<&str> = text.splitn(3, '\n').collect();
    let Ok([one, two, three]) = <[&str; 3]>::try_from(parts) else { return };
    let token = question.token(&[one, two, three]);
    match question.parts::<3>(&token) {
        Ok(read) => assert_eq!(read, [one, two, three]),
        Err(_) => assert!(three.contains('\n') || token.len() > vigil::limits::PAGE_TOKEN_CHARS, "{text:?}"),
    }
    assert!(Question::of(&"another").parts::<3>(&token).is_err());
}

/// The first byte chooses the call, the rest is its message. Whatever it asks for, the answer isn't our failure, and a
/// refusal says why.
pub fn request(input: &[u8]) {
    let Some((call, message)) = input.split_first() else { return };
    SERVICES.with(|services| services.runtime.block_on(services.call(*call, message)));
}

struct Services {
    runtime: Runtime,
    routes: Routes,
}

thread_local! {
    static SERVICES: Services = Services::start();
}

impl Services {
    fn start() -> Self {
        let runtime =
            tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime can be made");
        let board = Arc::new(Board::default());
        let feed = Arc::new(Feed::new(Arc::clone(&board), Arc::new(Nothing)));
        let incidents = Arc::new(Incidents::default());
        let shown = Arc::clone(&incidents) as Arc<dyn Page<IncidentEvent>>;
        let incident_feed = Arc::new(Feed::after(shown, Arc::new(Nothing), Vec::new()));
        // Nobody takes commands: those that are good end as unavailable.
        let (sender, _) = std::sync::mpsc::sync_channel(1);
        let store = Arc::new(MemoryHistory::default());
        let past = Arc::new(Past::of_nothing());
        let in_force = tokio::sync::watch::channel(InForce::default()).1;
        let (reloads, _) = Reloads::new(tokio::sync::watch::channel(None).1, in_force);
        let backend = Backend {
            feed,
            board,
            incident_feed,
            incidents,
            inputs: Inputs::new(sender),
            store,
            clock: Clock::default(),
            past,
            reloads,
            notifier: Notifier::of_nobody(Profile::of(&Config::default())),
        };
        let moment = Duration::from_millis(1);
        let settings =
            Settings { auth: Arc::new(Anybody), command_wait: moment, catch_up_wait: moment, ..Settings::default() };
        let _inside = runtime.enter();
        let routes = services(backend, settings, CancellationToken::new()).expect("the services can be put together");
        drop(_inside);
        Self { runtime, routes }
    }

    async fn call(&self, call: u8, message: &[u8]) {
        fn read<M: Message + Default>(bytes: &[u8]) -> Option<M> {
            M::decode(bytes).ok()
        }
        let alerts = || AlertServiceClient::new(self.routes.clone());
        let history = || HistoryServiceClient::new(self.routes.clone());
        let registry = || RegistryServiceClient::new(self.routes.clone());
        let rescues = || DispatchServiceClient::new(self.routes.clone());
        let cylinders = || CylinderServiceClient::new(self.routes.clone());
        let inspection = || InspectionServiceClient::new(self.routes.clone());
        let maintenance = || MaintenanceServiceClient::new(self.routes.clone());
        macro_rules! call {
            ($client:expr, $method:ident($message:ty)) => {{
                let Some(message) = read::<$message>(message) else { return };
                $client.$method(message).await.map(drop)
            }};
        }
        // Of a stream the first message is enough.
        macro_rules! stream {
            ($client:expr, $method:ident($message:ty)) => {{
                let Some(message) = read::<$message>(message) else { return };
                match $client.$method(message).await {
                    Ok(stream) => stream.into_inner().message().await.map(drop),
                    Err(status) => Err(status),
                }
            }};
        }
        // Calls about rescues came later: what was found before keeps its meaning.
        let call = if (0x80..0x88).contains(&call) { call } else { call % 16 };
        let answer = match call {
            0x80 => call!(rescues(), open_incident(v1::OpenIncidentRequest)),
            0x81 => call!(rescues(), get_incident(v1::GetIncidentRequest)),
            0x82 => call!(rescues(), list_incidents(v1::ListIncidentsRequest)),
            0x83 => call!(rescues(), query_incidents(v1::QueryIncidentsRequest)),
            0x84 => call!(rescues(), advance_incident(v1::AdvanceIncidentRequest)),
            0x85 => call!(rescues(), get_kpis(v1::GetKpisRequest)),
            0x86 => stream!(rescues(), watch_incidents(v1::WatchIncidentsRequest)),
            0x87 => call!(history(), list_rejects(v1::ListRejectsRequest)),
            0 => call!(alerts(), list_alerts(v1::ListAlertsRequest)),
            1 => call!(alerts(), acknowledge_alert(v1::AcknowledgeAlertRequest)),
            2 => call!(alerts(), clear_alert(v1::ClearAlertRequest)),
            3 => stream!(alerts(), watch_alerts(v1::WatchAlertsRequest)),
            4 => call!(history(), get_timeline(v1::GetTimelineRequest)),
            5 => stream!(history(), query_frames(v1::QueryFramesRequest)),
            6 => call!(registry(), get_device(v1::GetDeviceRequest)),
            7 => call!(cylinders(), check_fill(v1::CheckFillRequest)),
            8 => call!(cylinders(), check_batch(v1::CheckBatchRequest)),
            9 => stream!(cylinders(), trace_cylinder(v1::TraceCylinderRequest)),
            10 => call!(inspection(), upload_reports(v1::UploadReportsRequest)),
            11 => call!(inspection(), list_overdue(v1::ListOverdueRequest)),
            12 => call!(maintenance(), sign_record(v1::SignRecordRequest)),
            13 => call!(maintenance(), list_due(v1::ListDueRequest)),
            14 => {
                let Some(message) = read::<v1::UploadRecordsRequest>(message) else { return };
                match maintenance().upload_records(tokio_stream::once(message)).await {
                    Ok(stream) => stream.into_inner().message().await.map(drop),
                    Err(status) => Err(status),
                }
            }
            _ => {
                let Some(message) = read::<v1::UpsertDevicesRequest>(message) else { return };
                registry().upsert_devices(tokio_stream::once(message)).await.map(drop)
            }
        };
        if let Err(status) = answer {
            assert!(!matches!(status.code(), Code::Internal | Code::Unknown | Code::DataLoss), "{status:?}");
            assert!(!status.message().is_empty(), "{status:?}");
        }
    }
}

/// Takes everybody for the administrator.
struct Anybody;

impl Authenticate for Anybody {
    fn actor(&self, _: Option<SocketAddr>, _: &MetadataMap) -> Result<Actor, Status> {
        Ok(Actor::local_admin())
    }
}

struct Nothing;

impl<E: 'static + Send> EventLog<E> for Nothing {
    fn after(&self, _: Cursor, _: usize) -> LogFuture<'_, E> {
        Box::pin(std::future::ready(Ok(Vec::new())))
    }
}
