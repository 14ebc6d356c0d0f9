//! A cycle of processors recovers consistently: p1 -> p2 -> echo -> p1, with p1 -> destination.
//!
//! The four crash images of the library that these channels come from, and what must follow from
//! each. `First` numbers what it is told and sends it round; what comes round again leaves through
//! its destination.

use std::time::Duration;

use refrain::{
    Channels, MemoryJournal, Never, OneWay, Outbox, Outcome, Processor, RedeliveryPolicy, Refrain,
    RequestReply, Settlement, Signal,
};
use refrain_core::port::journal::Journal;
use refrain_testkit::{Act, ScriptedDestination};
use serde::{Deserialize, Serialize};

use crate::till::{Say, Till, name};
use crate::waiting::{pass, signal};

const ROUND: OneWay<First, String> = OneWay::reliable("round");
const OUT: OneWay<First, String> = OneWay::reliable("out");
const OUT_DEFAULT: OneWay<First, String> = OneWay::at_recovery("out-default");
const ECHO: RequestReply<Second, String, String> = RequestReply::new("echo", Second::on_echo);
const BACK: OneWay<Second, Told> = OneWay::reliable("back");

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct First {
    told: u32,
    came_back: Vec<String>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
enum Told {
    Begin(String),
    CameBack(String),
}

#[derive(Debug, Clone, Serialize, Deserialize)]
enum FirstEvent {
    Began,
    CameBack(String),
}

impl Processor for First {
    type Message = Told;
    type Event = FirstEvent;
    type Answer = ();
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&ROUND, &OUT, &OUT_DEFAULT];

    fn decide(&self, told: &Told, out: &mut Outbox<Self>) -> Result<(), Never> {
        match told {
            Told::Begin(text) => {
                let text = format!("{text}-{}", self.told + 1);
                out.event(FirstEvent::Began).send(&ROUND, &text);
            }
            Told::CameBack(text) => {
                out.event(FirstEvent::CameBack(text.clone()))
                    .send(&OUT, text)
                    .send(&OUT_DEFAULT, text);
            }
        }
        Ok(())
    }

    fn apply(&mut self, event: &FirstEvent) {
        match event {
            FirstEvent::Began => self.told += 1,
            FirstEvent::CameBack(text) => self.came_back.push(text.clone()),
        }
    }
}

#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Second {
    passed_on: u32,
}

impl Processor for Second {
    type Message = String;
    type Event = ();
    type Answer = ();
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&ECHO, &BACK];

    fn decide(&self, text: &String, out: &mut Outbox<Self>) -> Result<(), Never> {
        out.request(&ECHO, text);
        Ok(())
    }

    fn apply(&mut self, (): &()) {
        self.passed_on += 1;
    }
}

impl Second {
    fn on_echo(&self, _: &String, outcome: Outcome<String>, out: &mut Outbox<Self>) -> Settlement {
        match outcome {
            Outcome::Reply(text) => {
                out.event(()).send(&BACK, &Told::CameBack(text));
                Settlement::Confirm
            }
            Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
                Settlement::Redeliver
            }
        }
    }
}

/// Answers with what it is asked.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Echo;

impl Processor for Echo {
    type Message = String;
    type Event = ();
    type Answer = String;
    type Rejection = Never;

    fn decide(&self, text: &String, _: &mut Outbox<Self>) -> Result<String, Never> {
        Ok(text.clone())
    }

    fn apply(&mut self, (): &()) {}
}

/// What the destinations of the cycle saw of each delivery: its text and its attempt.
fn seen(destination: &ScriptedDestination) -> Vec<(String, u32)> {
    let text = |delivery: &refrain::Delivery| delivery.encoding.decode(&delivery.request);
    destination
        .deliveries()
        .iter()
        .map(|delivery| (text(delivery).unwrap(), delivery.attempt))
        .collect()
}

fn expected(attempts: [u32; 3]) -> Vec<(String, u32)> {
    let texts = ["a-1", "b-2", "c-3"].map(str::to_owned);
    texts.into_iter().zip(attempts).collect()
}

struct Cycle {
    journal: MemoryJournal,
    out: ScriptedDestination,
    out_default: ScriptedDestination,
}

impl Cycle {
    fn new() -> Cycle {
        let taking = || ScriptedDestination::always(Act::confirm());
        Cycle {
            journal: MemoryJournal::new(),
            out: taking(),
            out_default: taking(),
        }
    }

    fn launch(&self) -> Refrain {
        let policy = RedeliveryPolicy::default;
        Refrain::builder()
            .journal(self.journal.clone())
            .processor("p1", First::default())
            .connect::<Second>(&ROUND, "p2", policy())
            .destination(&OUT, self.out.clone(), policy())
            .destination(&OUT_DEFAULT, self.out_default.clone(), policy())
            .processor("p2", Second::default())
            .connect_request::<Echo>(&ECHO, "echo", policy())
            .connect::<First>(&BACK, "p1", policy())
            .processor("echo", Echo)
            .launch()
            .unwrap()
    }

    async fn begin(&self, refrain: &Refrain) {
        let first = refrain.processor::<First>("p1");
        for text in ["a", "b", "c"] {
            first.ask(Told::Begin(text.to_owned())).await.unwrap();
        }
    }

    fn crash(&mut self, refrain: Refrain) {
        self.journal = self.journal.crash();
        self.journal.resume();
        drop(refrain);
    }

    /// Everything came round once, in order, whatever happened on the way.
    async fn came_back_once(&self, refrain: &Refrain) {
        pass(Duration::from_secs(30)).await;
        let first = refrain.processor::<First>("p1");
        let came_back = first.query(|first| first.came_back.clone()).await.unwrap();
        assert_eq!(came_back, ["a-1", "b-2", "c-3"]);
        let second = refrain.processor::<Second>("p2");
        assert_eq!(second.query(|second| second.passed_on).await.unwrap(), 3);
    }
}

/// B2.4 (a)
#[tokio::test(start_paused = true)]
async fn crash_after_the_outputs_were_stored_delivers_all_of_them_once() {
    let mut cycle = Cycle::new();
    let refrain = cycle.launch();
    refrain.recovered().await.unwrap();
    // Stored in the first processor, and no step of another is durable any more.
    let first = refrain.processor::<First>("p1");
    let texts = ["a", "b", "c"].map(|text| Told::Begin(text.to_owned()));
    cycle.journal.hold();
    let begun = first.ask_all(texts.to_vec());
    let release = async {
        cycle.journal.held_at_least(1).await;
        cycle.journal.release_all();
    };
    let (begun, ()) = tokio::join!(begun, release);
    assert!(begun.unwrap().iter().all(Result::is_ok));
    pass(Duration::from_secs(1)).await;
    cycle.crash(refrain);

    let refrain = cycle.launch();
    cycle.came_back_once(&refrain).await;
    assert_eq!(seen(&cycle.out), expected([1, 1, 1]));
    assert_eq!(seen(&cycle.out_default), expected([1, 1, 1]));
}

/// B2.4 (b), (c), (d)
#[tokio::test(start_paused = true)]
async fn crash_between_a_delivery_and_its_settlement_delivers_it_again_marked_as_such() {
    for (out, out_default) in [(true, false), (false, true), (true, true)] {
        let mut cycle = Cycle::new();
        let unsettled = |destination: &ScriptedDestination, is_unsettled: bool| {
            if is_unsettled {
                destination.change_script([Act::confirm(), Act::confirm()], Act::Silence);
            }
        };
        unsettled(&cycle.out, out);
        unsettled(&cycle.out_default, out_default);
        let refrain = cycle.launch();
        cycle.begin(&refrain).await;
        // The third one arrived, and nothing says so.
        cycle.out.call(3).await;
        cycle.out_default.call(3).await;
        pass(Duration::from_millis(100)).await;
        cycle.crash(refrain);
        for destination in [&cycle.out, &cycle.out_default] {
            destination.change_script([], Act::confirm());
        }

        let refrain = cycle.launch();
        cycle.came_back_once(&refrain).await;
        for (destination, is_repeated) in [(&cycle.out, out), (&cycle.out_default, out_default)] {
            let mut wanted = expected([1, 1, 1]);
            if is_repeated {
                wanted.push(("c-3".to_owned(), 2));
            }
            assert_eq!(seen(destination), wanted);
            let keys: Vec<_> = destination.deliveries().iter().map(|of| of.key).collect();
            assert!(!is_repeated || keys[2] == keys[3]);
        }
    }
}

/// B2.4, B2.8
#[tokio::test(start_paused = true)]
async fn cycle_that_is_crashed_at_every_append_comes_round_once() {
    let mut most = 0;
    for appends in 0..200 {
        let mut cycle = Cycle::new();
        let refrain = cycle.launch();
        refrain.recovered().await.unwrap();
        let first = refrain.processor::<First>("p1");
        cycle.journal.hold();
        let texts = ["a", "b", "c"].map(|text| Told::Begin(text.to_owned()));
        first.tell_all(texts.to_vec()).await.unwrap();
        let mut released = 0;
        while released < appends {
            pass(Duration::from_millis(50)).await;
            match cycle.journal.release(1) {
                0 => break,
                count => released += count,
            }
        }
        let is_all = released < appends;
        most = most.max(released);
        cycle.crash(refrain);

        let refrain = cycle.launch();
        refrain.recovered().await.unwrap();
        if released == 0 {
            cycle.begin(&refrain).await;
        }
        cycle.came_back_once(&refrain).await;
        for destination in [&cycle.out, &cycle.out_default] {
            let mut texts: Vec<String> = seen(destination).into_iter().map(|of| of.0).collect();
            texts.dedup();
            assert_eq!(texts, ["a-1", "b-2", "c-3"], "after {released} appends");
        }
        if is_all {
            break;
        }
    }
    assert!(most >= 10, "only {most} appends were cut");
}

/// B2.4
#[tokio::test(start_paused = true)]
async fn one_halted_processor_does_not_silence_the_others() {
    let cycle = Cycle::new();
    let refrain = cycle.launch();
    cycle.begin(&refrain).await;
    cycle.came_back_once(&refrain).await;
    refrain.drain().await;
    // An entry that nobody can read ends the stream of the second processor.
    let second = name("p2");
    let head = cycle.journal.head(&second).await.unwrap().unwrap();
    let mut garbage = refrain_core::port::journal::Batch::default();
    garbage.push(b"garbage");
    let appended = cycle.journal.append(&second, head.next(), garbage);
    appended.await.unwrap();

    let refrain = cycle.launch();
    let mut events = refrain.events();
    let halted = |told: &Signal| matches!(told, Signal::ProcessorHalted { .. });
    signal(&mut events, halted).await;
    let first = refrain.processor::<First>("p1");
    first.ask(Told::Begin("d".to_owned())).await.unwrap();
    let told = first.ask(Told::CameBack("by hand".to_owned()));
    told.await.unwrap();
    cycle.out.call(4).await;
    let echo = refrain.processor::<Echo>("echo");
    assert_eq!(echo.ask("hear".to_owned()).await.unwrap(), "hear");
    // What the halted one does not take waits, and the channel to it stops visibly.
    let stopped = |told: &Signal| matches!(told, Signal::DeliveryStopped { .. });
    signal(&mut events, stopped).await;
}

/// B2.4
#[tokio::test(start_paused = true)]
async fn delivery_to_a_processor_waits_for_its_replay_and_is_not_charged_for_it() {
    let cycle = Cycle::new();
    let refrain = cycle.launch();
    refrain.recovered().await.unwrap();
    refrain.drain().await;
    // The others begin; the second waits, for longer than any channel has patience.
    cycle.journal.hold();
    let refrain = cycle.launch();
    cycle.journal.held_at_least(3).await;
    let mut begun = Box::pin(cycle.begin(&refrain));
    crate::waiting::still_waits(&mut begun).await;
    cycle.journal.release(2);
    crate::waiting::still_waits(&mut begun).await;
    cycle.journal.resume();
    begun.await;
    cycle.came_back_once(&refrain).await;
    assert_eq!(seen(&cycle.out), expected([1, 1, 1]));
}

const ORDERS: OneWay<Sender, Say> = OneWay::reliable("orders");

/// Sends on what it is told.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
struct Sender;

impl Processor for Sender {
    type Message = Say;
    type Event = ();
    type Answer = ();
    type Rejection = Never;
    const CHANNELS: Channels<Self> = &[&ORDERS];

    fn decide(&self, say: &Say, out: &mut Outbox<Self>) -> Result<(), Never> {
        out.send(&ORDERS, say);
        Ok(())
    }

    fn apply(&mut self, (): &()) {}
}

/// B1.5
#[tokio::test(start_paused = true)]
async fn message_of_a_processor_that_is_refused_or_panics_is_recorded_and_the_channel_moves_on() {
    let journal = MemoryJournal::new();
    let start = async || {
        Refrain::builder()
            .journal(journal.clone())
            .processor("sender", Sender)
            .connect::<Till>(&ORDERS, "till", RedeliveryPolicy::default())
            .processor("till", Till::default())
            .start()
            .await
            .unwrap()
    };
    let refrain = start().await;
    let sender = refrain.processor::<Sender>("sender");
    let bad = [Say::Refuse, Say::PanicDeciding, Say::PanicApplying];
    for say in bad.into_iter().chain([Say::Add(5)]) {
        sender.ask(say).await.unwrap();
    }
    pass(Duration::from_secs(3)).await;
    let till = refrain.processor::<Till>("till");
    assert_eq!(till.query(|till| till.amounts.clone()).await.unwrap(), [5]);
    let channels = sender.channels().await.unwrap();
    assert_eq!((channels[0].pending, channels[0].attempts), (0, 4));
    refrain.drain().await;

    let again = start().await;
    let till = again.processor::<Till>("till");
    assert_eq!(till.query(|till| till.amounts.clone()).await.unwrap(), [5]);
}
