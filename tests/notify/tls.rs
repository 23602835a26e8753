//! Encrypted targets.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;

use rustls::ServerConfig;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::receiver::Receiver;
use crate::world::{PATIENCE, World, seqs, target_at};

/// A certificate of its own for this machine, which only those trust who are told to.
fn certificate(folder: &Path, name: &str) {
    let file = |ending: &str| folder.join(format!("{name}.{ending}"));
    let output = Command::new("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=receiver", "-addext", "subjectAltName=IP:127.0.0.1"])
        .args(["-addext", "basicConstraints=critical,CA:FALSE"])
        .arg("-keyout")
        .arg(file("key"))
        .arg("-out")
        .arg(file("pem"))
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

/// Flow: an encrypted receiver is told of; then one whose certificate nobody vouches for.
/// Asserts: the first takes it, the second is never sent anything.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn only_who_is_trusted_is_told() {
    let mut world = World::new();
    for name in ["known", "stranger"] {
        certificate(world.folder.path(), name);
    }
    let read = |name: &str| {
        let file = |ending: &str| world.folder.path().join(format!("{name}.{ending}"));
        let certificate = CertificateDer::from_pem_file(file("pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(file("key")).unwrap();
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        Receiver::with_tls(builder.with_no_client_auth().with_single_cert(vec![certificate], key).unwrap())
    };
    let (known, stranger) = (read("known"), read("stranger"));
    let url = |receiver: &Receiver| receiver.url().replace("http:", "https:");
    let targets = ["known", "stranger"]
        .map(|name| target_at(name, &url(if name == "known" { &known } else { &stranger }), "ca_file = \"known.pem\""));
    world.start(&targets.concat());
    for name in ["known", "stranger"] {
        world.begun(name).await;
    }
    world.open(3);
    assert_eq!(seqs(&known.wait_taken(3, PATIENCE)), [1, 2, 3]);
    let failing = world.until("stranger", |it| it.is_failing()).await;
    assert_eq!(failing.reason, "unreachable");
    assert!(failing.detail.contains("certificate"), "{}", failing.detail);
    assert!(stranger.received().is_empty());
}
