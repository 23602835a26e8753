//! The rules, read again while the service runs: on SIGHUP, when their files change, and when somebody calls.
//!
//! All three ways end in [`Reloader::reload`], one after the other. Files are read and checked on a thread for that, so
//! that neither the spine nor the broker's side waits for them; what is wrong never reaches the inbox.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{Mutex, mpsc, oneshot, watch};
use tokio::time::{Instant, MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use super::AppError;
use super::policy::{self, Look, PolicyError};
use crate::config::Config;
use crate::core::decode::profile::Profiles;
use crate::core::rules::{Difference, Family, RuleSet, one_a_line};
use crate::limits;
use crate::model::ids::RuleId;
use crate::model::record::{Outcome, PolicyText};
use crate::observe::{ReloadedBy, RulesRefused, RulesReloaded, emit};
use crate::serve::reloads::{Answer, Ask, InForce, Refused, Reloaded};
use crate::spine::input::{Input, Inputs, NotTaken};

const LOOK_EVERY: Duration = Duration::from_millis(limits::RULES_LOOK_MS);
/// How often it is tried to put the rules into a full queue, and for how long.
const KNOCK: Duration = Duration::from_millis(50);
const KNOCK_FOR: Duration = Duration::from_millis(limits::COMMAND_WAIT_MS / 2);

/// What is in force, and what has become of the files since.
pub(super) struct Reloader {
    config: Config,
    in_force: watch::Sender<InForce>,
    set: RuleSet,
    /// The topics of the profiles in force.
    feeds: watch::Sender<Vec<String>>,
    /// The files as they were read last, whatever came of it.
    read: Option<Look>,
    /// The files as they were at the last look.
    looked: Option<Look>,
    /// Answers to the last requests that were taken, by (actor, request).
    answered: VecDeque<(Box<str>, Box<str>, Reloaded)>,
    refused: watch::Sender<Option<String>>,
}

/// Reads the rules again when there is cause to, until `shutdown`.
pub(super) async fn run(
    reloader: Arc<Mutex<Reloader>>,
    inputs: Inputs,
    mut asked: mpsc::Receiver<Ask>,
    shutdown: CancellationToken,
) -> Result<(), AppError> {
    let mut hangups = signal(SignalKind::hangup()).map_err(|error| AppError::Task(format!("SIGHUP: {error}")))?;
    let mut looks = tokio::time::interval(LOOK_EVERY);
    looks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut reloader = reloader.lock().await;
    let reloading = async {
        loop {
            tokio::select! {
                _ = hangups.recv() => { _ = reloader.reload(&inputs, ReloadedBy::Signal, "").await; }
                Some(ask) = asked.recv() => reloader.answer(&inputs, ask).await,
                _ = looks.tick(), if reloader.config.rules.watch => {
                    if reloader.has_changed().await {
                        _ = reloader.reload(&inputs, ReloadedBy::File, "").await;
                    }
                }
            }
        }
    };
    tokio::select! {
        // A folder that doesn't answer must not keep the service from ending.
        () = shutdown.cancelled() => Ok(()),
        never = reloading => never,
    }
}

impl Reloader {
    pub(super) fn load(config: &Config) -> Result<Self, PolicyError> {
        // First: what changes while it is read is read again.
        let look = Look::at_all(config);
        let (text, set, profiles) = policy::load(config)?;
        Ok(Self {
            config: config.clone(),
            in_force: watch::Sender::new(InForce { version: 0, text }),
            set,
            feeds: watch::Sender::new(topics(&profiles)),
            read: Some(look),
            looked: None,
            answered: VecDeque::new(),
            refused: watch::Sender::new(None),
        })
    }

    pub(super) fn policy(&self) -> PolicyText {
        self.in_force.borrow().text.clone()
    }

    /// The core has taken the policy, under this version.
    pub(super) fn begin(&mut self, version: u32) {
        self.in_force.send_modify(|in_force| in_force.version = version);
    }

    /// The policy that judges now.
    pub(super) fn in_force(&self) -> watch::Receiver<InForce> {
        self.in_force.subscribe()
    }

    /// The topics that other vendors' devices write.
    pub(super) fn feeds(&self) -> watch::Receiver<Vec<String>> {
        self.feeds.subscribe()
    }

    /// Why the files as they are were refused, if they were.
    pub(super) fn refused(&self) -> watch::Receiver<Option<String>> {
        self.refused.subscribe()
    }

    /// Whether the files are others than those read last, and have been for as long as lies between two looks: who writes
    /// them may not be done yet.
    async fn has_changed(&mut self) -> bool {
        let config = self.config.clone();
        let Ok(now) = tokio::task::spawn_blocking(move || Look::at_all(&config)).await else { return false };
        let now = Some(now);
        now != self.read && std::mem::replace(&mut self.looked, now.clone()) == now
    }

    async fn answer(&mut self, inputs: &Inputs, ask: Ask) {
        let Ask { actor, request, reply } = ask;
        let known = self.answered.iter().find(|(by, of, _)| *by == actor.id && *of == request);
        let answer = match known.map(|(_, _, reloaded)| reloaded.clone()) {
            Some(reloaded) => Ok(reloaded),
            None => {
                let answer = self.reload(inputs, ReloadedBy::Call, &actor.id).await;
                if let Ok(reloaded) = &answer {
                    self.answered.truncate(limits::RELOADS_REMEMBERED - 1);
                    self.answered.push_front((actor.id, request, reloaded.clone()));
                }
                answer
            }
        };
        // Whoever asked may have gone; the rules are in force all the same.
        let _gone = reply.send(answer);
    }

    async fn reload(&mut self, inputs: &Inputs, by: ReloadedBy, actor: &str) -> Answer {
        let answer = self.read_and_take(inputs, by).await;
        match &answer {
            Ok(reloaded) => {
                self.refused.send_replace(None);
                emit(RulesReloaded { by, actor, reloaded });
            }
            Err(refused) => {
                let why = words(refused);
                emit(RulesRefused { by, actor, why: &why });
                self.refused.send_replace(Some(why));
            }
        }
        answer
    }

    async fn read_and_take(&mut self, inputs: &Inputs, by: ReloadedBy) -> Answer {
        let config = self.config.clone();
        let reading = tokio::task::spawn_blocking(move || (Look::at_all(&config), policy::load(&config)));
        let (look, read) = reading.await.map_err(|error| Refused::NotTaken(error.to_string()))?;
        // From here on these files are known, right or wrong: they are not read again before they change.
        self.read = Some(look);
        let (text, set, profiles) = read.map_err(|error| match error {
            PolicyError::Wrong(faults) => Refused::Faults(faults),
            unreadable => Refused::Unreadable(unreadable.to_string()),
        })?;
        let difference = Difference::between(&self.set, &set);
        let before = self.in_force.borrow().version;
        if text == self.policy() {
            return Ok(Reloaded { version: before, position: None, difference });
        }
        // A file that is saved half done, or emptied, is nobody's wish.
        if by == ReloadedBy::File
            && let Some(loss) = loss(&self.set, &set, &difference)
        {
            return Err(Refused::Unasked(loss));
        }
        let feeds = topics(&profiles);
        if by == ReloadedBy::File
            && let Some(gone) = self.feeds.borrow().iter().find(|topic| !feeds.contains(topic))
        {
            let why = format!(
                "no profile takes {gone} any more; bring it back, or if that is meant, take it with `vigil rules reload`"
            );
            return Err(Refused::Unasked(why));
        }
        let position = self.enter(inputs, text.clone()).await?;
        let version = before + 1;
        self.in_force.send_replace(InForce { version, text });
        self.set = set;
        // Only now: what comes by them is read by the profiles that the core has.
        self.feeds.send_if_modified(|before| std::mem::replace(before, feeds.clone()) != feeds);
        Ok(Reloaded { version, position: Some(position), difference })
    }

    /// Through the inbox into the core. Returns the position of the record.
    async fn enter(&mut self, inputs: &Inputs, policy: PolicyText) -> Result<u64, Refused> {
        let (reply, outcome) = oneshot::channel();
        let mut input = Input::Policy { policy, reply };
        let until = Instant::now() + KNOCK_FOR;
        while let Err(not_taken) = inputs.offer(input) {
            input = match not_taken {
                NotTaken::Full(input) | NotTaken::Shut(input) if Instant::now() < until => input,
                NotTaken::Full(_) | NotTaken::Shut(_) => {
                    // There is nothing wrong with the files: they are to be read again.
                    self.read = None;
                    return Err(Refused::Busy);
                }
                NotTaken::Ended(_) => return Err(ended()),
            };
            tokio::time::sleep(KNOCK).await;
        }
        match outcome.await {
            Ok(Outcome::Done { position, .. }) => Ok(position),
            Ok(Outcome::Precondition { why }) => Err(Refused::NotTaken(why.into())),
            Ok(other) => Err(Refused::NotTaken(format!("{other:?}"))),
            Err(_) => Err(ended()),
        }
    }
}

fn topics(profiles: &Profiles) -> Vec<String> {
    profiles.all().iter().map(|profile| profile.topic.to_string()).collect()
}

/// What would no longer be told of after a change that nobody asked for: critical things, or lifts at all.
fn loss(before: &RuleSet, after: &RuleSet, difference: &Difference) -> Option<String> {
    let judges_lifts = |set: &RuleSet| set.rules.iter().any(|rule| rule.family == Family::Elevator);
    let (what, gone) = if judges_lifts(before) && !judges_lifts(after) {
        ("no rule on elevators is left", &difference.removed)
    } else if !difference.removed_critical.is_empty() {
        ("critical rules are gone from the files", &difference.removed_critical)
    } else {
        return None;
    };
    let gone: Vec<&str> = gone.iter().map(RuleId::as_str).collect();
    Some(format!(
        "{what} ({}); bring them back, or if that is meant, take it with `vigil rules reload`",
        gone.join(", ")
    ))
}

fn ended() -> Refused {
    Refused::NotTaken("the core ended before it had taken them; reload them once it runs again".into())
}

fn words(refused: &Refused) -> String {
    match refused {
        Refused::Faults(faults) => one_a_line(faults),
        Refused::Unreadable(what) | Refused::NotTaken(what) | Refused::Unasked(what) => what.clone(),
        Refused::Busy => "the service has more to do than it can take".into(),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::sync_channel;

    use super::*;
    use crate::model::actor::Actor;

    const SETTINGS: &str = "[elevator]\n";

    fn rule(id: &str, severity: &str) -> String {
        format!(
            "[[rule]]\nid = \"{id}\"\non = \"elevator\"\nwhen = \"passenger\"\nseverity = \"{severity}\"\n\
             title = {{ en = \"x\", zh = \"x\" }}\n"
        )
    }

    /// Inputs of a core that takes everything.
    fn willing() -> Inputs {
        let (sender, receiver) = sync_channel(1);
        std::thread::spawn(move || {
            while let Ok(input) = receiver.recv() {
                if let Input::Policy { reply, .. } = input {
                    let _gone = reply.send(Outcome::Done { position: 7, changed: 0 });
                }
            }
        });
        Inputs::new(sender)
    }

    /// A folder with a file of this text, and what has read it.
    fn begin(text: &str) -> (tempfile::TempDir, Reloader) {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("a.toml"), text).unwrap();
        let mut config = Config::default();
        config.rules.dir = dir.path().to_owned();
        let reloader = Reloader::load(&config).unwrap();
        (dir, reloader)
    }

    #[tokio::test]
    async fn a_change_must_stand_still_and_is_read_once() {
        let (dir, mut reloader) = begin(SETTINGS);
        let write = |text: &str| std::fs::write(dir.path().join("a.toml"), text).unwrap();
        let (sender, receiver) = sync_channel(1);
        let inputs = Inputs::new(sender);
        assert!(!reloader.has_changed().await);
        write("[el");
        assert!(!reloader.has_changed().await, "it may still be written");
        write("[elev");
        assert!(!reloader.has_changed().await, "it is still written");
        assert!(reloader.has_changed().await);
        let refused = reloader.reload(&inputs, ReloadedBy::File, "").await;
        assert!(matches!(&refused, Err(Refused::Faults(faults)) if &*faults[0].file == "a.toml"), "{refused:?}");
        assert!(!reloader.has_changed().await && !reloader.has_changed().await, "it is refused only once");
        // What was in force all along is nothing for the core.
        write(SETTINGS);
        assert!(!reloader.has_changed().await && reloader.has_changed().await);
        let same = reloader.reload(&inputs, ReloadedBy::File, "").await.unwrap();
        assert_eq!((same.position, receiver.try_recv().is_err()), (None, true));
        // Nor is a folder without files.
        std::fs::remove_file(dir.path().join("a.toml")).unwrap();
        assert!(!reloader.has_changed().await && reloader.has_changed().await);
        let gone = reloader.reload(&inputs, ReloadedBy::File, "").await;
        assert!(matches!(gone, Err(Refused::Unreadable(_))), "{gone:?}");
    }

    /// Whether a change of the files from `before` to `after` is refused that nobody asked for, and what it says.
    async fn check_unasked(before: &str, after: &str, refused: Option<&str>) {
        let (dir, mut reloader) = begin(before);
        let inputs = willing();
        std::fs::write(dir.path().join("a.toml"), after).unwrap();
        let by_itself = reloader.reload(&inputs, ReloadedBy::File, "").await;
        let Some(words) = refused else {
            assert!(by_itself.is_ok(), "{by_itself:?}");
            return;
        };
        assert!(matches!(&by_itself, Err(Refused::Unasked(why)) if why.contains(words)), "{by_itself:?}");
        assert!(reloader.refused().borrow().as_ref().is_some_and(|why| why.contains("vigil rules reload")));
        assert!(!reloader.has_changed().await, "it is refused only once");
        for by in [ReloadedBy::Call, ReloadedBy::Signal] {
            reloader.reload(&inputs, by, "").await.expect("somebody asked for it");
            assert!(reloader.refused().borrow().is_none());
        }
    }

    #[tokio::test]
    async fn no_change_of_files_alone_ends_what_people_rely_on() {
        let (critical, minor) = (rule("jam", "critical"), rule("doors", "minor"));
        let both = format!("{critical}{minor}");
        check_unasked(&both, &minor, Some("critical rules are gone from the files (jam)")).await;
        check_unasked(&both, SETTINGS, Some("no rule on elevators is left (doors, jam)")).await;
        check_unasked(&minor, SETTINGS, Some("no rule on elevators is left (doors)")).await;
        check_unasked(&both, &critical, None).await;
        check_unasked(&both, &both.replace("passenger", "!passenger"), None).await;
        check_unasked(SETTINGS, &both, None).await;
        let rising = minor.clone() + "escalate = [{ when = \"door_zone\", severity = \"critical\" }]\n";
        check_unasked(&format!("{}{rising}", rule("other", "minor")), &rule("other", "minor"), Some("(doors)")).await;
    }

    #[tokio::test]
    async fn what_a_core_that_ends_was_given_is_not_in_force() {
        let (dir, mut reloader) = begin(SETTINGS);
        let before = reloader.policy();
        std::fs::write(dir.path().join("a.toml"), format!("{SETTINGS}# another")).unwrap();
        let (sender, receiver) = sync_channel(1);
        let dropped = std::thread::spawn(move || drop(receiver.recv().unwrap()));
        let (reply, answer) = oneshot::channel();
        let ask = Ask { actor: Actor::local_admin(), request: "a".into(), reply };
        reloader.answer(&Inputs::new(sender), ask).await;
        dropped.join().unwrap();
        let answer = answer.await.unwrap();
        assert!(matches!(answer, Err(Refused::NotTaken(_))), "{answer:?}");
        assert!(reloader.policy() == before && reloader.refused().borrow().is_some());
    }
}
