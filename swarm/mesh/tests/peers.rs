//! Meshes in one process find each other on loopback, exchange what robots say, notice who leaves, and are neither
//! disturbed by garbage nor by other fleets.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test says by panicking what failed")]

use std::sync::{Arc, Mutex};
use std::time::Duration;

use skein_mesh::{EVENTS_MAX, HazardHook, LatchHook, Mesh, MeshConfig, MeshEvent, MeshHooks};
use skein_types::authority::{LatchGossip, LatchRegister};
use skein_types::coord::{AgentState, Hazard, HazardKind, Intent, MapHazard, RightOfWay};
use skein_types::geometry::{Point, Pose};
use skein_types::ids::{AgentId, BootId, FleetId};
use skein_types::mission::Priority;
use skein_types::time::WallTime;
use skein_types::units::Meters;
use skein_wire::Wire;
use skein_wire::names::{SwarmKey, SwarmKeys};
use tokio::sync::mpsc::Receiver;

/// Nothing here takes this long unless it never comes.
const PATIENCE: Duration = Duration::from_secs(20);

fn agent(name: &str) -> AgentId {
    AgentId::new(name).unwrap()
}

fn config(fleet: &str, name: &str) -> MeshConfig {
    MeshConfig::loopback(FleetId::new(fleet).unwrap(), agent(name))
}

/// Without multicast, so that the tests of this file do not find each other.
fn linked(fleet: &str, name: &str, to: &[String]) -> MeshConfig {
    MeshConfig { multicast: None, connect: to.to_vec(), ..config(fleet, name) }
}

fn intent(name: &str, sequence: u64) -> Intent {
    Intent {
        sender: agent(name),
        boot: BootId(uuid::Uuid::from_u128(7)),
        sequence,
        sent_at: WallTime::from_unix_nanos(1),
        pose: Pose::new(1.0, 2.0, 0.5),
        pose_age: Duration::ZERO,
        velocity: Point::new(0.1, 0.2),
        radius: Meters(0.25),
        path: vec![Point::new(3.0, 4.0), Point::new(5.0, 6.0)],
        state: AgentState::Executing,
        right_of_way: RightOfWay {
            emergency: false,
            carrying: true,
            priority: Priority::NORMAL,
            waited_steps: 3,
            claimant: agent(name),
        },
        cornered: false,
        yields_to: None,
    }
}

fn hazard(name: &str) -> Hazard {
    Hazard {
        reporter: agent(name),
        sequence: 1,
        kind: HazardKind::Person,
        position: Point::new(7.0, 8.0),
        radius: Meters(0.5),
        boot: BootId(uuid::Uuid::nil()),
        age: Duration::ZERO,
        time_to_live: Duration::from_secs(3),
        seen_at: WallTime::from_unix_nanos(2),
    }
}

/// Takes events until one is as wanted.
async fn until(events: &mut Receiver<MeshEvent>, wanted: impl Fn(&MeshEvent) -> bool) -> MeshEvent {
    let waiting = async {
        loop {
            let event = events.recv().await.expect("the mesh is open");
            if wanted(&event) {
                return event;
            }
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.expect("it comes in time")
}

/// Says the intent until somebody at the other end hears it: links and subscriptions come when they come.
async fn hear(events: &mut Receiver<MeshEvent>, speaker: &Mesh, message: &Intent) -> MeshEvent {
    let heard = until(events, |event| matches!(event, MeshEvent::Intent(intent) if intent.sender == message.sender));
    tokio::pin!(heard);
    let mut again = tokio::time::interval(Duration::from_millis(100));
    loop {
        tokio::select! {
            event = &mut heard => return event,
            _ = again.tick() => speaker.publish_intent(message.clone()).unwrap(),
        }
    }
}

/// A Zenoh session that is no robot.
async fn stranger(door: &[String]) -> zenoh::Session {
    let mut config = zenoh::Config::default();
    config.insert_json5("connect/endpoints", &format!("{door:?}")).unwrap();
    config.insert_json5("listen/endpoints", "[]").unwrap();
    config.insert_json5("scouting/multicast/enabled", "false").unwrap();
    zenoh::open(config).await.unwrap()
}

fn came(name: &str) -> impl Fn(&MeshEvent) -> bool {
    let agent = agent(name);
    move |event| matches!(event, MeshEvent::PeerAlive { agent: who, alive: true } if *who == agent)
}

fn went(name: &str) -> impl Fn(&MeshEvent) -> bool {
    let agent = agent(name);
    move |event| matches!(event, MeshEvent::PeerAlive { agent: who, alive: false } if *who == agent)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_find_each_other_by_multicast_on_loopback_and_each_hears_what_the_other_says() {
    let elsewhere = |name| MeshConfig { multicast: Some("224.0.0.224:17446".to_owned()), ..config("pair", name) };
    let (a, mut at_a) = Mesh::open(&elsewhere("a"), MeshHooks::default()).await.unwrap();
    let (b, mut at_b) = Mesh::open(&elsewhere("b"), MeshHooks::default()).await.unwrap();
    until(&mut at_a, came("b")).await;
    until(&mut at_b, came("a")).await;
    assert_eq!(hear(&mut at_b, &a, &intent("a", 1)).await, MeshEvent::Intent(intent("a", 1)));
    assert_eq!(hear(&mut at_a, &b, &intent("b", 5)).await, MeshEvent::Intent(intent("b", 5)));
    assert_eq!(a.stats().refused, 0, "own messages do not come back");
    a.close().await.unwrap();
    b.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn three_that_know_one_endpoint_all_know_each_other_and_a_closed_one_is_noticed() {
    let (a, mut at_a) = Mesh::open(&linked("trio", "a", &[]), MeshHooks::default()).await.unwrap();
    let door = a.locators().await;
    let (b, mut at_b) = Mesh::open(&linked("trio", "b", &door), MeshHooks::default()).await.unwrap();
    let (c, mut at_c) = Mesh::open(&linked("trio", "c", &door), MeshHooks::default()).await.unwrap();
    until(&mut at_b, came("c")).await;
    until(&mut at_c, came("b")).await;
    until(&mut at_a, came("c")).await;
    assert_eq!(hear(&mut at_b, &c, &intent("c", 2)).await, MeshEvent::Intent(intent("c", 2)));
    c.close().await.unwrap();
    until(&mut at_a, went("c")).await;
    until(&mut at_b, went("c")).await;
    b.close().await.unwrap();
    until(&mut at_a, went("b")).await;
    until(&mut at_a, |event| *event == MeshEvent::Down).await;
    a.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hazard_reaches_the_hook_before_the_queue() {
    let seen: Arc<Mutex<Vec<Hazard>>> = Arc::default();
    let slot = Arc::clone(&seen);
    let hook: HazardHook = Arc::new(move |hazard| slot.lock().unwrap().push(hazard.clone()));
    let (a, mut at_a) =
        Mesh::open(&linked("hazards", "a", &[]), MeshHooks { on_hazard: Some(hook), on_latch: None }).await.unwrap();
    let (b, mut at_b) = Mesh::open(&linked("hazards", "b", &a.locators().await), MeshHooks::default()).await.unwrap();
    hear(&mut at_a, &b, &intent("b", 1)).await;
    until(&mut at_b, came("a")).await;
    b.publish_hazard(hazard("b")).unwrap();
    until(&mut at_a, |event| matches!(event, MeshEvent::Hazard(_))).await;
    assert_eq!(*seen.lock().unwrap(), [hazard("b")]);
    assert_eq!((a.stats().hazards, b.stats().hazards_sent), (1, 1));
    a.close().await.unwrap();
    b.close().await.unwrap();
}

fn gossip(name: &str, sequence: u64) -> LatchGossip {
    LatchGossip {
        sender: agent(name),
        boot: BootId(uuid::Uuid::from_u128(7)),
        sequence,
        fleet: LatchRegister::released(),
        robots: vec![(agent(name), LatchRegister::released())],
        requests: Vec::new(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn latches_reach_their_hook_while_intents_flood_the_queue() {
    let seen: Arc<Mutex<Vec<u64>>> = Arc::default();
    let slot = Arc::clone(&seen);
    let on_latch: LatchHook = Arc::new(move |gossip: LatchGossip| slot.lock().unwrap().push(gossip.sequence));
    let hooks = MeshHooks { on_hazard: None, on_latch: Some(on_latch) };
    let (a, mut at_a) = Mesh::open(&linked("latches", "a", &[]), hooks).await.unwrap();
    let door = a.locators().await;
    let (b, mut at_b) = Mesh::open(&linked("latches", "b", &door), MeshHooks::default()).await.unwrap();
    hear(&mut at_a, &b, &intent("b", 1)).await;
    until(&mut at_b, came("a")).await;
    let crowd = stranger(&door).await;
    let keys = SwarmKeys::new(FleetId::new("latches").unwrap());
    for sequence in 1..=20 {
        for i in 0..500 {
            let name = format!("n{}", i % 100);
            let key = keys.key(&SwarmKey::Presence(agent(&name)));
            crowd.put(key, intent(&name, sequence).to_bytes()).await.unwrap();
        }
        b.publish_latch(gossip("b", sequence)).unwrap();
        let waiting = async {
            while seen.lock().unwrap().last() != Some(&sequence) {
                tokio::task::yield_now().await;
            }
        };
        tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    }
    assert!(a.stats().dropped > 0, "the queue was full: {:?}", a.stats());
    assert_eq!((a.stats().latches, b.stats().latches_sent), (20, 20));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn entries_of_the_hazard_map_arrive_with_their_sender() {
    let (a, mut at_a) = Mesh::open(&linked("map", "a", &[]), MeshHooks::default()).await.unwrap();
    let (b, mut at_b) = Mesh::open(&linked("map", "b", &a.locators().await), MeshHooks::default()).await.unwrap();
    hear(&mut at_a, &b, &intent("b", 1)).await;
    until(&mut at_b, came("a")).await;
    let entry = MapHazard {
        kind: HazardKind::Cliff,
        position: Point::new(1.0, 2.0),
        radius: Meters(0.2),
        reporter: agent("c"),
        boot: BootId(uuid::Uuid::from_u128(7)),
        sequence: 3,
        seen_at: WallTime::from_unix_nanos(2),
        cleared: true,
    };
    b.publish_map_hazard(entry.clone()).unwrap();
    let heard = until(&mut at_a, |event| matches!(event, MeshEvent::MapHazard { .. })).await;
    assert_eq!(heard, MeshEvent::MapHazard { from: agent("b"), entry });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_sender_beyond_its_rate_is_not_decoded_and_others_are() {
    let (a, mut at_a) = Mesh::open(&linked("rate", "a", &[]), MeshHooks::default()).await.unwrap();
    let door = a.locators().await;
    let (b, _at_b) = Mesh::open(&linked("rate", "b", &door), MeshHooks::default()).await.unwrap();
    hear(&mut at_a, &b, &intent("b", 1)).await;
    let flood = stranger(&door).await;
    let keys = SwarmKeys::new(FleetId::new("rate").unwrap());
    let key = keys.key(&SwarmKey::Hazard(HazardKind::Person, agent("v")));
    let mut sent = 0_u64;
    while a.stats().limited < 1000 {
        flood.put(key.clone(), hazard("v").to_bytes()).await.unwrap();
        sent += 1;
        assert!(sent < 200_000);
    }
    assert!(a.stats().hazards < 100, "{:?}", a.stats());
    let before = a.stats().hazards;
    b.hazard_publisher().publish(hazard("b")).unwrap();
    let ours = |event: &MeshEvent| matches!(event, MeshEvent::Hazard(hazard) if hazard.reporter == agent("b"));
    until(&mut at_a, ours).await;
    assert!(a.stats().hazards > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn garbage_foreign_names_and_oversized_messages_are_counted_and_nothing_else() {
    let (a, mut at_a) = Mesh::open(&linked("garbage", "a", &[]), MeshHooks::default()).await.unwrap();
    let door = a.locators().await;
    let (b, _at_b) = Mesh::open(&linked("garbage", "b", &door), MeshHooks::default()).await.unwrap();
    hear(&mut at_a, &b, &intent("b", 1)).await;
    let vandal = stranger(&door).await;
    let keys = SwarmKeys::new(FleetId::new("garbage").unwrap());
    let of = |name: &str| keys.key(&SwarmKey::Presence(agent(name)));
    let mut broken = intent("v", 1);
    broken.pose.position.x = f64::NAN;
    let bad: Vec<(String, Vec<u8>)> = vec![
        (of("v"), b"\xff\xff\xff\xff".to_vec()),
        (of("v"), Vec::new()),
        (of("v"), vec![7; 40_000]),
        (of("v"), broken.to_bytes()),
        (of("v"), intent("b", 9).to_bytes()),
        (of("a"), intent("a", 9).to_bytes()),
        (keys.key(&SwarmKey::Hazard(HazardKind::Cliff, agent("v"))), hazard("v").to_bytes()),
        ("skein/garbage/swarm/presence/No-Name".to_owned(), intent("v", 2).to_bytes()),
        ("skein/garbage/swarm/hazards/dragon/v".to_owned(), hazard("v").to_bytes()),
    ];
    let before = a.stats();
    // The subscription travels to the vandal after the link: what is refused first shows that it has come.
    let mut sent = 0;
    while a.stats().refused == before.refused {
        vandal.put(of("probe"), "probe").await.unwrap();
        sent += 1;
        tokio::task::yield_now().await;
    }
    for (key, bytes) in &bad {
        vandal.put(key.clone(), bytes.clone()).await.unwrap();
    }
    vandal.put(of("v"), intent("v", 10).to_bytes()).await.unwrap();
    let good = until(&mut at_a, |event| matches!(event, MeshEvent::Intent(i) if i.sender == agent("v"))).await;
    assert_eq!(good, MeshEvent::Intent(intent("v", 10)), "the first that is heard of it is the sound one");
    let refused = a.stats().refused - before.refused;
    assert!(refused >= bad.len() as u64 && refused <= bad.len() as u64 + sent, "{refused} refused of {sent} probes");
    vandal.close().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn fleets_that_share_a_network_do_not_hear_each_other() {
    let (a, mut at_a) = Mesh::open(&linked("red", "a", &[]), MeshHooks::default()).await.unwrap();
    let door = a.locators().await;
    let (other, mut at_other) = Mesh::open(&linked("blue", "x", &door), MeshHooks::default()).await.unwrap();
    let (b, mut at_b) = Mesh::open(&linked("red", "b", &door), MeshHooks::default()).await.unwrap();
    until(&mut at_other, |event| *event == MeshEvent::Up).await;
    for sequence in 0..20 {
        other.publish_intent(intent("x", sequence)).unwrap();
        other.publish_hazard(hazard("x")).unwrap();
    }
    hear(&mut at_a, &b, &intent("b", 1)).await;
    hear(&mut at_b, &a, &intent("a", 1)).await;
    assert_eq!((a.stats().hazards, a.stats().refused), (0, 0));
    while let Ok(event) = at_other.try_recv() {
        assert!(matches!(event, MeshEvent::Up), "a red robot shows in the blue fleet: {event:?}");
    }
    assert_eq!(other.stats().intents, 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_robot_that_takes_no_events_loses_intents_but_no_hazard() {
    let (a, mut at_a) = Mesh::open(&linked("flood", "a", &[]), MeshHooks::default()).await.unwrap();
    let (b, _at_b) = Mesh::open(&linked("flood", "b", &a.locators().await), MeshHooks::default()).await.unwrap();
    hear(&mut at_a, &b, &intent("b", 0)).await;
    let crowd = stranger(&a.locators().await).await;
    let keys = SwarmKeys::new(FleetId::new("flood").unwrap());
    let mut sequence = 0;
    while a.stats().dropped == 0 {
        sequence += 1;
        let name = format!("n{}", sequence % 200);
        let key = keys.key(&SwarmKey::Presence(agent(&name)));
        crowd.put(key, intent(&name, sequence).to_bytes()).await.unwrap();
        assert!(sequence < 200_000, "nothing is dropped: {:?} {:?}", a.stats(), b.stats());
    }
    b.publish_hazard(hazard("b")).unwrap();
    let waiting = async {
        while a.stats().hazards == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(PATIENCE, waiting).await.unwrap();
    assert!(at_a.len() <= EVENTS_MAX);
    until(&mut at_a, |event| *event == MeshEvent::Hazard(hazard("b"))).await;
}
