//! The publisher against a small broker of the tests' own, which breaks connections.

use std::sync::{Arc, Mutex};

use bytes::{Bytes, BytesMut};
use rumqttc::{ConnAck, ConnectReturnCode, Packet, PubAck};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use super::options;
use crate::clock::Clock;
use crate::simulate::publisher::{PublishError, PublishOptions, Published};
use crate::simulate::{Fleet, publish};

/// What one connection does before it breaks.
#[derive(Clone, Copy)]
struct Manners {
    accept: ConnectReturnCode,
    /// Acknowledges this many publications, takes `swallow` more without a word, and closes.
    acknowledge: usize,
    swallow: usize,
}

type Received = Vec<(String, Bytes)>;

async fn serve(mut socket: TcpStream, manners: Manners, received: &mut Received) {
    let mut buffer = BytesMut::new();
    let mut taken = 0;
    loop {
        let mut answer = BytesMut::new();
        match Packet::read(&mut buffer, 1 << 20) {
            Ok(Packet::Connect(_)) => {
                ConnAck::new(manners.accept, false).write(&mut answer).unwrap();
            }
            Ok(Packet::Publish(publish)) => {
                received.push((publish.topic.clone(), publish.payload.clone()));
                taken += 1;
                if taken <= manners.acknowledge {
                    PubAck::new(publish.pkid).write(&mut answer).unwrap();
                } else if taken == manners.acknowledge + manners.swallow {
                    return;
                }
            }
            Ok(Packet::Disconnect) => return,
            Ok(_) => {}
            Err(rumqttc::mqttbytes::Error::InsufficientBytes(_)) => {
                if socket.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                    return;
                }
            }
            Err(error) => panic!("{error:?}"),
        }
        if socket.write_all(&answer).await.is_err() {
            return;
        }
    }
}

/// Flow: a minute of the demo's fleet goes, in about a second, to a broker with these manners, one a connection.
/// It is told to stop once so many messages are acknowledged.
/// Returns what the publisher says, what the broker got on each connection, and what the fleet had.
async fn check(manners: Vec<Manners>, stop_after: u64) -> (Result<Published, PublishError>, Vec<Received>, Received) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let broker = tokio::spawn(async move {
        let mut connections = Vec::new();
        for manners in manners {
            let (socket, _) = listener.accept().await.unwrap();
            let mut received = Vec::new();
            serve(socket, manners, &mut received).await;
            connections.push(received);
        }
        connections
    });
    let until = options(9).began + 60_000;
    let wanted = Fleet::new(&options(9)).advance(until);
    let wanted = wanted.into_iter().map(|message| (message.topic.to_string(), message.payload)).collect();
    let publish_options = PublishOptions {
        host: "127.0.0.1".into(),
        port,
        client_id: "vigil-simulate".into(),
        credentials: None,
        connections: 1,
        window: 64,
        speed: 60.0,
        until: Some(until),
    };
    let fleet = Arc::new(Mutex::new(Fleet::new(&options(9))));
    let (counts, mut told) = watch::channel(Published::default());
    let shutdown = CancellationToken::new();
    let stop = async {
        let stopped = told.wait_for(|counts| counts.acknowledged >= stop_after).await.is_ok();
        if stopped {
            shutdown.cancel();
        }
        std::future::pending::<()>().await;
    };
    let result = tokio::select! {
        result = publish(fleet, publish_options, Clock::default(), &counts, shutdown.clone()) => result,
        () = stop => unreachable!("it only watches"),
    };
    if let Ok(published) = result {
        assert_eq!(sums(&counts.borrow()), sums(&published));
    }
    (result, broker.await.unwrap(), wanted)
}

/// Taken, acknowledged, connections.
fn sums(published: &Published) -> (u64, u64, u32) {
    (published.taken, published.acknowledged, published.connections)
}

const WELL: Manners = Manners { accept: ConnectReturnCode::Success, acknowledge: usize::MAX, swallow: 0 };

#[tokio::test]
async fn everything_arrives_once_and_in_order() {
    let (published, received, wanted) = check(vec![WELL], u64::MAX).await;
    let all = wanted.len() as u64;
    assert!(all > 500);
    assert_eq!(sums(&published.unwrap()), (all, all, 1));
    assert!(received == [wanted]);
}

#[tokio::test]
async fn what_a_broken_connection_leaves_unacknowledged_is_sent_again() {
    let breaks = Manners { acknowledge: 100, swallow: 20, ..WELL };
    let (published, received, wanted) = check(vec![breaks, breaks, WELL], u64::MAX).await;
    let all = wanted.len() as u64;
    assert_eq!(sums(&published.unwrap()), (all, all, 3));
    let [first, second, third] = received.as_slice() else { panic!("three connections") };
    assert_eq!((first.len(), second.len()), (120, 120));
    assert!(first[..] == wanted[..120]);
    // Acknowledgements may be lost with the connection, so each goes on, in order, where they ended or before.
    let mut acknowledged = 100;
    for next in [second, third] {
        let from = wanted.iter().position(|message| *message == next[0]).unwrap();
        assert!(from <= acknowledged && acknowledged - from <= 100, "{from} of {acknowledged}");
        assert!(wanted[from..].starts_with(next));
        acknowledged = from + 100;
    }
    assert!(wanted.ends_with(third));
}

#[tokio::test]
async fn a_refusal_is_told_and_not_tried_again() {
    let refuses = Manners { accept: ConnectReturnCode::BadUserNamePassword, ..WELL };
    let (published, received, _) = check(vec![refuses], u64::MAX).await;
    let error = published.unwrap_err().to_string();
    assert!(error.contains("vigil-simulate") && error.contains("127.0.0.1"), "{error}");
    assert!(received == [vec![]]);
}

#[tokio::test]
async fn a_shutdown_leaves_nothing_unacknowledged() {
    let (published, received, wanted) = check(vec![WELL], 200).await;
    let published = published.unwrap();
    assert_eq!(published.taken, published.acknowledged);
    assert!((200..wanted.len() as u64).contains(&published.taken), "{published:?}");
    assert!(received[0][..] == wanted[..published.taken as usize]);
}
