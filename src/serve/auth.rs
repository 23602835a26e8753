//! Who calls. Every call but the health check has an [`Actor`] before it reaches a service.

use std::net::SocketAddr;
use std::sync::Arc;

use tonic::metadata::MetadataMap;
use tonic::service::Interceptor;
use tonic::{Request, Status};

use crate::model::actor::{Actor, Role};
use crate::model::archive::Entry;

/// Finds out who calls, or refuses with UNAUTHENTICATED.
pub trait Authenticate: Send + Sync {
    fn actor(&self, peer: Option<SocketAddr>, metadata: &MetadataMap) -> Result<Actor, Status>;
}

/// Takes whoever calls from this machine for its administrator, and nobody else. Not for use behind a proxy on this
/// machine, through which everybody would call from it.
#[derive(Debug, Clone, Copy)]
pub struct LoopbackOnly;

impl Authenticate for LoopbackOnly {
    fn actor(&self, peer: Option<SocketAddr>, _: &MetadataMap) -> Result<Actor, Status> {
        match peer {
            Some(peer) if peer.ip().to_canonical().is_loopback() => Ok(Actor::local_admin()),
            _ => Err(Status::unauthenticated(
                "only calls from this machine are accepted: connect to its loopback address",
            )),
        }
    }
}

/// Puts the actor into the request, or ends the call.
#[derive(Clone)]
pub(super) struct Gate(pub(super) Arc<dyn Authenticate>);

impl Interceptor for Gate {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        let actor = self.0.actor(request.remote_addr(), request.metadata())?;
        request.extensions_mut().insert(actor);
        Ok(request)
    }
}

/// The actor of a request that came through the [`Gate`].
pub(super) fn actor<T>(request: &Request<T>) -> Result<Actor, Status> {
    request.extensions().get().cloned().ok_or_else(|| Status::unauthenticated("nobody said who calls"))
}

/// Refuses actors that have none of `roles`.
pub(super) fn require(actor: &Actor, roles: &[Role]) -> Result<(), Status> {
    if roles.iter().any(|role| actor.has(*role)) {
        return Ok(());
    }
    let names: Vec<_> = roles.iter().map(|role| role.name()).collect();
    Err(Status::permission_denied(format!("this call is for the roles: {}", names.join(", "))))
}

/// Whether an archive entry is within the actor's scope.
pub(super) fn sees_entry(actor: &Actor, entry: &Entry) -> bool {
    actor.sees_entry(entry)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_is_taken_for_the_administrator() {
        for (peer, allowed) in [
            ("127.0.0.1:9", true),
            ("[::1]:9", true),
            ("[::ffff:127.0.0.1]:9", true),
            ("192.0.2.1:9", false),
            ("[::ffff:192.0.2.1]:9", false),
        ] {
            let result = LoopbackOnly.actor(Some(peer.parse().unwrap()), &MetadataMap::new());
            assert_eq!(result.is_ok(), allowed, "{peer}");
        }
        assert!(LoopbackOnly.actor(None, &MetadataMap::new()).is_err());
    }
}
