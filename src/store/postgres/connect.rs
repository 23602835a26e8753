//! The way to the server: URL, pool, migrations, and what its errors mean.

use std::error::Error as _;
use std::future::Future;
use std::ops::{Deref, DerefMut};
use std::time::Duration;

use deadpool_postgres::{
    ClientWrapper, Hook, HookError, Manager, ManagerConfig, Object, Pool, PoolError, RecyclingMethod, Runtime,
};
use tokio_postgres::config::SslMode;
use tokio_postgres::{Config, NoTls};

use crate::limits;
use crate::store::StoreError;

mod embedded {
    refinery::embed_migrations!("src/store/postgres/migrations");
}

/// Names our locks among the advisory locks of the database.
const MIGRATION_LOCK: i64 = 0x7669_6769_6c00_0001;
/// Detaching partitions concurrently came with 14.
const VERSION_MIN: i32 = 140_000;

pub(super) fn parse(url: &str) -> Result<Config, StoreError> {
    url.parse().map_err(|error: tokio_postgres::Error| {
        // The URL may hold a password, so only what is wrong with it is said.
        let cause = error.source().map_or_else(|| error.to_string(), ToString::to_string);
        StoreError::refused(format!("the store's URL can't be read: {cause}"))
    })
}

pub(super) fn pool(mut config: Config) -> Result<Pool, StoreError> {
    if config.get_ssl_mode() == SslMode::Require {
        let detail = "this version of vigil can't speak TLS to PostgreSQL: take sslmode=require out of the store's URL \
                      and reach the server by loopback or through a tunnel";
        return Err(StoreError::refused(detail));
    }
    let busy = Duration::from_millis(limits::STORE_BUSY_MS);
    config.application_name("vigil");
    if config.get_connect_timeout().is_none() {
        config.connect_timeout(busy);
    }
    let manager = Manager::from_config(config, NoTls, ManagerConfig { recycling_method: RecyclingMethod::Fast });
    Pool::builder(manager)
        .max_size(limits::STORE_READERS + 2)
        .runtime(Runtime::Tokio1)
        .wait_timeout(Some(Duration::from_millis(limits::STORE_QUERY_MS)))
        .create_timeout(Some(busy + busy))
        .post_create(Hook::async_fn(|client, _| Box::pin(let_go(client))))
        .build()
        .map_err(StoreError::refused)
}

/// Has the server notice when we are gone, so that a transaction of ours doesn't hold its locks for hours.
async fn let_go(client: &ClientWrapper) -> Result<(), HookError> {
    let settings = "SET tcp_keepalives_idle = 10; SET tcp_keepalives_interval = 5; SET tcp_keepalives_count = 3; \
                    SET idle_in_transaction_session_timeout = '60s'";
    client.batch_execute(settings).await.map_err(HookError::Backend)?;
    // Not every platform has it, and nothing depends on it but how soon.
    match client.batch_execute("SET client_connection_check_interval = '5s'").await {
        Err(error) if error.as_db_error().is_none() => Err(HookError::Backend(error)),
        _ => Ok(()),
    }
}

pub(super) async fn migrate(pool: &Pool) -> Result<(), StoreError> {
    let mut lease = Lease::from(pool).await?;
    let version = lease.query_one("SELECT current_setting('server_version_num')::int", &[]).await.map_err(from)?;
    let version: i32 = version.try_get(0).map_err(from)?;
    if version < VERSION_MIN {
        return Err(StoreError::refused(format!("PostgreSQL is {version}; 14 is the oldest that vigil can use")));
    }
    lease.execute("SELECT pg_advisory_lock($1)", &[&MIGRATION_LOCK]).await.map_err(from)?;
    let client: &mut tokio_postgres::Client = &mut lease;
    embedded::migrations::runner().run_async(client).await.map_err(|error| {
        let away = error.source().and_then(|source| source.downcast_ref()).map(is_away).unwrap_or(false);
        if away { StoreError::unavailable(&error) } else { StoreError::refused(format!("migrations: {error}")) }
    })?;
    lease.execute("SELECT pg_advisory_unlock($1)", &[&MIGRATION_LOCK]).await.map_err(from)?;
    lease.give_back();
    Ok(())
}

/// A pooled connection that is closed, unless it is given back: after an error, or when the caller has given up, nobody
/// knows what the server is still doing on it.
pub(super) struct Lease(Option<Object>);

impl Lease {
    pub(super) async fn from(pool: &Pool) -> Result<Self, StoreError> {
        match pool.get().await {
            Ok(object) => Ok(Self(Some(object))),
            Err(PoolError::Backend(error) | PoolError::PostCreateHook(HookError::Backend(error))) => Err(from(error)),
            Err(error) => Err(StoreError::unavailable(error)),
        }
    }

    pub(super) fn give_back(mut self) {
        self.0 = None;
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object));
        }
    }
}

impl Deref for Lease {
    type Target = Object;
    fn deref(&self) -> &Object {
        self.0.as_ref().expect("it is only taken out by giving back, which consumes")
    }
}

impl DerefMut for Lease {
    fn deref_mut(&mut self) -> &mut Object {
        self.0.as_mut().expect("it is only taken out by giving back, which consumes")
    }
}

/// COPY ignores the server's own timeouts, and a dead network has none: so this side counts.
pub(super) async fn within<T>(
    limit_ms: u64,
    work: impl Future<Output = Result<T, StoreError>>,
) -> Result<T, StoreError> {
    match tokio::time::timeout(Duration::from_millis(limit_ms), work).await {
        Ok(done) => done,
        Err(_) => Err(StoreError::unavailable(format!("no answer for {} s", limit_ms / 1_000))),
    }
}

/// An error of the server, or of the way to it.
pub(super) fn from(error: tokio_postgres::Error) -> StoreError {
    let Some(db) = error.as_db_error() else {
        let cause = error.source().map(|source| format!(": {source}")).unwrap_or_default();
        let detail = format!("{error}{cause}");
        return if is_lost(&error) { StoreError::unavailable(detail) } else { StoreError::refused(detail) };
    };
    let context = [db.detail(), db.hint(), db.where_()].into_iter().flatten().map(|text| format!("; {text}"));
    let detail = format!("{} (SQLSTATE {}){}", db.message(), db.code().code(), context.collect::<String>());
    if is_away(&error) { StoreError::unavailable(detail) } else { StoreError::refused(detail) }
}

/// Whether it may pass by itself.
fn is_away(error: &tokio_postgres::Error) -> bool {
    let Some(state) = error.code() else { return is_lost(error) };
    // A standby that is read-only; connection, rollback, resources, locks, an operator who intervenes, input and output.
    let code = state.code();
    code == "25006" || ["08", "40", "53", "55", "57", "58"].iter().any(|class| code.starts_with(class))
}

/// Whether the connection is the trouble, and not what was to be sent on it.
fn is_lost(error: &tokio_postgres::Error) -> bool {
    let source = error.source();
    error.is_closed() || source.is_some_and(|source| source.downcast_ref::<std::io::Error>().is_some())
}
