//! Whom the service tells of what happens, and where it keeps how far they are.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::AppError;
use crate::cap::Profile;
use crate::clock::Clock;
use crate::config::Config;
use crate::feed::Feed;
use crate::model::incident::IncidentEvent;
use crate::model::time::Wall;
use crate::notify::{Ledger, LedgerError, Notifier, Parts, Source};
use crate::store::Store;

/// In the data folder.
const FILE: &str = "notify.db";

/// The targets, and the work of telling them, which ends with `shutdown`.
pub(super) async fn begin(
    config: &Config,
    (alerts, incidents): (&Arc<Feed>, &Arc<Feed<IncidentEvent>>),
    store: &Arc<dyn Store>,
    clock: &Clock,
    shutdown: CancellationToken,
) -> Result<(Notifier, impl Future<Output = ()> + Send + use<>), AppError> {
    let profile = Profile::of(config);
    let (notifier, work) = if config.notify.is_empty() {
        (Notifier::of_nobody(profile), None)
    } else {
        let (config, now) = (config.clone(), clock.wall());
        let targets = config.notify.clone();
        let opened = tokio::task::spawn_blocking(move || open(&config, now)).await;
        let ledger = opened.map_err(|error| AppError::Task(error.to_string()))??;
        let parts = Parts {
            alerts: Source::Alerts(Arc::clone(alerts)),
            incidents: Source::Incidents(Arc::clone(incidents)),
            archive: Arc::new(Arc::clone(store)),
            clock: clock.clone(),
            profile: Arc::new(profile),
        };
        let (notifier, work) = Notifier::new(&targets, ledger, parts, shutdown.clone())?;
        (notifier, Some(work))
    };
    let work = async move {
        match work {
            Some(work) => work.await,
            None => shutdown.cancelled().await,
        }
    };
    Ok((notifier, work))
}

fn open(config: &Config, now: Wall) -> Result<Ledger, LedgerError> {
    let names: Vec<&str> = config.notify.iter().map(|target| &*target.name).collect();
    Ledger::open(&config.service.data_dir.join(FILE), &names, now)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_damaged_file_is_set_aside() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.service.data_dir = folder.path().to_owned();
        std::fs::write(
            folder.path().join(FILE),
            "no database, but long enough to look like one of a hundred bytes at least",
        )
        .unwrap();
        open(&config, Wall(0)).unwrap();
        open(&config, Wall(0)).unwrap();
        assert!(folder.path().join("notify.db.damaged").exists());
    }
}
