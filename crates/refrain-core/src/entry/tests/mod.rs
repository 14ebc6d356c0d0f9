//! The stored form: fixed bytes for each kind of entry, round trips, and bytes that are anything.

mod golden;
mod total;

use proptest::prelude::*;

use super::*;
use crate::cause::{Cause, DeliveryId, OutcomeCause};
use crate::codec::Encoding;
use crate::id::{Epoch, Key};
use crate::name::Name;
use crate::outcome::Settlement;
use crate::processor::Encoded;
use crate::time::Timestamp;

impl Entry<'_> {
    fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        match self {
            Entry::Begun(begun) => begun.encode(&mut bytes),
            Entry::Step(step) => step.encode(&mut bytes),
            Entry::ChannelMoved(moved) => moved.encode(&mut bytes),
            Entry::Watermark(watermark) => watermark.encode(&mut bytes),
        }
        bytes
    }
}

/// A step with owned contents, so that a strategy can give it.
#[derive(Debug, Clone)]
struct OwnedStep {
    verdict: StepVerdict,
    encoding: Encoding,
    numbers: (u16, u64, u64),
    cause: OwnedCause,
    settled: Option<(DeliveryId, Settlement)>,
    message: OwnedMessage,
    answer: Vec<u8>,
    events: Vec<Vec<u8>>,
    envelopes: Vec<OwnedEnvelope>,
}

#[derive(Debug, Clone)]
enum OwnedCause {
    Given(String, String),
    Drawn([u8; 16]),
    Sequenced(String, u64),
    Delivered(String, String, u64, u64, [u8; 16]),
    Outcome(DeliveryId, u32, OutcomeCause),
    Timer(DeliveryId),
}

#[derive(Debug, Clone)]
enum OwnedMessage {
    Nothing,
    Bytes(Vec<u8>),
    Digest([u8; 32]),
    Reply(Encoding, Vec<u8>),
}

#[derive(Debug, Clone)]
struct OwnedEnvelope {
    delivery: DeliveryId,
    key: [u8; 16],
    order_key: Option<u64>,
    due: Option<u64>,
    payload: Vec<u8>,
}

impl OwnedStep {
    fn to_bytes(&self) -> Vec<u8> {
        let mut events = Vec::new();
        for event in &self.events {
            wire::put_bytes(&mut events, event);
        }
        let mut envelopes = Vec::new();
        for envelope in &self.envelopes {
            Envelope {
                delivery: envelope.delivery,
                key: Key::new(envelope.key),
                correlation: Key::new(envelope.key),
                causation: Key::new([7; 16]),
                order_key: envelope.order_key,
                due: envelope.due.map(Timestamp::from_micros),
                payload: &envelope.payload,
            }
            .encode(&mut envelopes);
        }
        let (event_version, time, seed) = self.numbers;
        let step = Step {
            verdict: self.verdict,
            encoding: self.encoding,
            event_version,
            time: Timestamp::from_micros(time),
            seed,
            cause: self.cause.borrow(),
            settled: self.settled,
            message: match &self.message {
                OwnedMessage::Nothing => RecordedMessage::Nothing,
                OwnedMessage::Bytes(bytes) => RecordedMessage::Bytes(bytes),
                OwnedMessage::Digest(digest) => RecordedMessage::Digest(digest),
                OwnedMessage::Reply(encoding, bytes) => RecordedMessage::Reply(Encoded {
                    encoding: *encoding,
                    bytes,
                }),
            },
            answer: &self.answer,
            events: Events(&events),
            envelopes: Envelopes(&envelopes),
        };
        let bytes = Entry::Step(step).to_bytes();
        assert_eq!(Entry::decode(&bytes), Ok(Entry::Step(step)));
        bytes
    }
}

impl OwnedCause {
    fn borrow(&self) -> Cause<'_> {
        match self {
            OwnedCause::Given(source, id) => Cause::Given { source, id },
            OwnedCause::Drawn(bits) => Cause::Drawn(*bits),
            OwnedCause::Sequenced(source, number) => Cause::Sequenced {
                source,
                number: *number,
            },
            OwnedCause::Delivered(sender, channel, number, settled_below, key) => {
                Cause::Delivered {
                    sender,
                    channel,
                    number: *number,
                    settled_below: *settled_below,
                    key: Key::new(*key),
                    correlation: Key::new([3; 16]),
                }
            }
            OwnedCause::Outcome(delivery, attempt, what) => Cause::Outcome {
                delivery: *delivery,
                attempt: *attempt,
                what: *what,
            },
            OwnedCause::Timer(delivery) => Cause::Timer(*delivery),
        }
    }
}

fn delivery() -> impl Strategy<Value = DeliveryId> {
    (0_u16..3, 0_u64..6).prop_map(|(channel, number)| DeliveryId { channel, number })
}

fn cause() -> impl Strategy<Value = OwnedCause> {
    let what = prop_oneof![
        any::<u32>().prop_map(OutcomeCause::Reply),
        any::<u32>().prop_map(OutcomeCause::Failure),
        any::<u32>().prop_map(OutcomeCause::NotResponding),
    ];
    prop_oneof![
        (".{0,8}", ".{0,8}").prop_map(|(source, id)| OwnedCause::Given(source, id)),
        any::<[u8; 16]>().prop_map(OwnedCause::Drawn),
        ("[ab]", any::<u64>()).prop_map(|(source, number)| OwnedCause::Sequenced(source, number)),
        (
            "[ab]",
            "[cd]",
            any::<u64>(),
            any::<u64>(),
            any::<[u8; 16]>()
        )
            .prop_map(|(s, c, n, below, key)| OwnedCause::Delivered(s, c, n, below, key)),
        (delivery(), any::<u32>(), what).prop_map(|(d, a, w)| OwnedCause::Outcome(d, a, w)),
        delivery().prop_map(OwnedCause::Timer),
    ]
}

fn step() -> impl Strategy<Value = Vec<u8>> {
    use prop::collection::vec;
    let verdict = prop::sample::select(vec![
        StepVerdict::Handled,
        StepVerdict::Refused,
        StepVerdict::Parked,
    ]);
    let encoding = prop::sample::select(vec![Encoding::Cbor, Encoding::Json]);
    let settlement = prop::sample::select(vec![Settlement::Confirm, Settlement::Redeliver]);
    let message = prop_oneof![
        Just(OwnedMessage::Nothing),
        vec(any::<u8>(), 0..9).prop_map(OwnedMessage::Bytes),
        any::<[u8; 32]>().prop_map(OwnedMessage::Digest),
        (encoding.clone(), vec(any::<u8>(), 0..9))
            .prop_map(|(encoding, bytes)| OwnedMessage::Reply(encoding, bytes)),
    ];
    let envelope = (
        delivery(),
        any::<[u8; 16]>(),
        any::<Option<u64>>(),
        any::<Option<u64>>(),
        vec(any::<u8>(), 0..9),
    )
        .prop_map(|(delivery, key, order_key, due, payload)| OwnedEnvelope {
            delivery,
            key,
            order_key,
            due,
            payload,
        });
    let contents = (
        vec(any::<u8>(), 0..9),
        vec(vec(any::<u8>(), 0..9), 0..3),
        vec(envelope, 0..3),
    );
    let settled = prop::option::of((delivery(), settlement));
    (
        verdict,
        encoding,
        any::<(u16, u64, u64)>(),
        cause(),
        settled,
        message,
        contents,
    )
        .prop_map(
            |(verdict, encoding, numbers, cause, settled, message, contents)| {
                let (answer, events, envelopes) = contents;
                OwnedStep {
                    verdict,
                    encoding,
                    numbers,
                    cause,
                    settled,
                    message,
                    answer,
                    events,
                    envelopes,
                }
                .to_bytes()
            },
        )
}

fn moved() -> impl Strategy<Value = Vec<u8>> {
    let number = || 0_u64..6;
    let numbers = prop::collection::vec(number(), 0..4);
    let text = || ".{0,8}";
    (
        0_u16..3,
        any::<u64>(),
        0..11,
        number(),
        any::<u32>(),
        text(),
        numbers,
    )
        .prop_map(|(channel, time, kind, number, attempt, text, numbers)| {
            let what = match kind {
                0 => Move::Settled(numbers),
                1 => Move::Failed {
                    number,
                    attempt,
                    error: Some(&text),
                },
                2 => Move::Failed {
                    number,
                    attempt,
                    error: None,
                },
                3 => Move::Redelivering { number, attempt },
                4 => Move::Restarting { number },
                5 => Move::Stopped {
                    number,
                    reason: StopReason::Failing,
                },
                6 => Move::Delivering,
                7 => Move::Parked {
                    number,
                    reason: &text,
                },
                8 => Move::Released { number },
                9 => Move::Redirected {
                    destination: "there",
                    in_doubt: InDoubt::Wait,
                },
                _ => Move::Redirected {
                    destination: "there",
                    in_doubt: InDoubt::Move,
                },
            };
            let moved = ChannelMoved {
                channel,
                time: Timestamp::from_micros(time),
                by: Actor::Operator,
                what,
            };
            let entry = Entry::ChannelMoved(moved);
            let bytes = entry.to_bytes();
            assert_eq!(Entry::decode(&bytes), Ok(entry));
            bytes
        })
}

fn begun() -> impl Strategy<Value = Vec<u8>> {
    let run_aheads = prop::collection::vec(any::<u32>(), 3);
    (
        1..u64::MAX,
        any::<u64>(),
        any::<[u8; 32]>(),
        ".{0,8}",
        run_aheads,
    )
        .prop_map(|(epoch, time, secret, code_version, run_aheads)| {
            let names = ["ask", "tell", "later"];
            let channel = |(name, run_ahead): (&str, u32)| DeclaredChannel {
                name: Name::new(name).unwrap(),
                run_ahead,
            };
            let entry = Entry::Begun(Begun {
                epoch: Epoch::new(epoch),
                time: Timestamp::from_micros(time),
                writer: [1; 16],
                secret,
                code_version,
                channels: names.into_iter().zip(run_aheads).map(channel).collect(),
            });
            let bytes = entry.to_bytes();
            assert_eq!(Entry::decode(&bytes), Ok(entry));
            bytes
        })
}

fn watermark() -> impl Strategy<Value = Vec<u8>> {
    any::<(u64, [u8; 32])>().prop_map(|(time, digest)| {
        let entry = Entry::Watermark(Watermark {
            time: Timestamp::from_micros(time),
            digest,
        });
        let bytes = entry.to_bytes();
        assert_eq!(Entry::decode(&bytes), Ok(entry));
        bytes
    })
}

/// Any entry, whatever it says. Making one checks its round trip.
fn entry() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![1 => begun(), 4 => step(), 4 => moved(), 1 => watermark()]
}
