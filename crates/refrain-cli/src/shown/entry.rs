//! Entries as JSON.

use refrain_core::{
    Actor, Begun, Cause, ChannelMoved, DeliveryId, Encoding, Entry, Envelope, InDoubt, Move,
    OutcomeCause, RecordedMessage, Settlement, Step, StepVerdict, Timestamp,
};
use serde_json::{Map, Value, json};

use super::payload::{bytes_value, payload_value};

/// The names of a stream's channels, as its last `Begun` declared them.
#[derive(Debug, Default)]
pub(crate) struct Channels(Vec<String>);

impl Channels {
    pub(crate) fn learn(&mut self, begun: &Begun) {
        let names = begun.channels.iter();
        self.0 = names.map(|channel| channel.name.to_string()).collect();
    }

    /// The channel's name, or its number where no name is known.
    fn value(&self, number: u16) -> Value {
        match self.0.get(usize::from(number)) {
            Some(name) => name.as_str().into(),
            None => number.into(),
        }
    }

    fn delivery(&self, delivery: DeliveryId) -> Value {
        json!({ "channel": self.value(delivery.channel), "number": delivery.number })
    }
}

/// An entry as it is shown.
#[derive(Debug)]
pub(crate) struct ShownEntry {
    pub(crate) kind: &'static str,
    pub(crate) time: Option<Timestamp>,
    pub(crate) rest: Map<String, Value>,
}

/// The entry in `bytes`; bytes of another format are shown as such.
pub(crate) fn entry_value(bytes: &[u8], channels: &mut Channels) -> ShownEntry {
    let (kind, time, rest) = match Entry::decode(bytes) {
        Ok(Entry::Begun(begun)) => {
            channels.learn(&begun);
            ("begun", Some(begun.time), begun_value(&begun))
        }
        Ok(Entry::Step(step)) => ("step", Some(step.time), step_value(&step, channels)),
        Ok(Entry::ChannelMoved(moved)) => {
            ("moved", Some(moved.time), moved_value(&moved, channels))
        }
        Ok(Entry::Watermark(watermark)) => {
            let value = json!({ "digest": bytes_value(&watermark.digest) });
            ("watermark", Some(watermark.time), value)
        }
        Err(error) => {
            let value = json!({ "reason": error.to_string(), "bytes": bytes_value(bytes) });
            ("unknown", None, value)
        }
    };
    let Value::Object(rest) = rest else {
        unreachable!("every entry is shown as an object");
    };
    ShownEntry { kind, time, rest }
}

/// Without the stream's secret, which keys are made from.
fn begun_value(begun: &Begun) -> Value {
    let channels = begun
        .channels
        .iter()
        .map(|channel| json!({ "name": channel.name.as_str(), "run_ahead": channel.run_ahead }));
    json!({
        "epoch": begun.epoch.get(),
        "writer": bytes_value(&begun.writer),
        "code_version": begun.code_version,
        "channels": channels.collect::<Vec<_>>(),
    })
}

fn step_value(step: &Step<'_>, channels: &Channels) -> Value {
    let mut value = Map::new();
    let mut put = |key: &str, part: Value| value.insert(key.to_owned(), part);
    let verdict = match step.verdict {
        StepVerdict::Handled => "handled",
        StepVerdict::Refused => "refused",
        StepVerdict::Parked => "parked",
    };
    put("verdict", verdict.into());
    put("cause", cause_value(&step.cause, channels));
    if let Some((delivery, settlement)) = step.settled {
        let settlement = match settlement {
            Settlement::Confirm => "confirm",
            Settlement::Redeliver => "redeliver",
        };
        put(
            "settled",
            json!({ "delivery": channels.delivery(delivery), "settlement": settlement }),
        );
    }
    match step.message {
        RecordedMessage::Nothing => {}
        RecordedMessage::Bytes(bytes) => {
            put("message", message_value(step, bytes));
        }
        RecordedMessage::Reply(reply) => {
            put("message", payload_value(reply.encoding, reply.bytes));
        }
        RecordedMessage::Digest(digest) => {
            put("message", json!({ "$sha256": bytes_value(digest)["$hex"] }));
        }
    }
    if !step.answer.is_empty() {
        put("answer", payload_value(step.encoding, step.answer));
    }
    let events = step.events.iter().map(|event| match event {
        Ok(bytes) => payload_value(step.encoding, bytes),
        Err(error) => json!({ "$unreadable": error.to_string() }),
    });
    let events: Vec<Value> = events.collect();
    if !events.is_empty() {
        put("event_version", step.event_version.into());
        put("events", events.into());
    }
    let envelopes = step.envelopes.iter().map(|envelope| match envelope {
        Ok(envelope) => envelope_value(&envelope, step.encoding, channels),
        Err(error) => json!({ "$unreadable": error.to_string() }),
    });
    let envelopes: Vec<Value> = envelopes.collect();
    if !envelopes.is_empty() {
        put("envelopes", envelopes.into());
    }
    Value::Object(value)
}

/// A message is a payload, except for the words of a destination that failed.
fn message_value(step: &Step<'_>, bytes: &[u8]) -> Value {
    let is_text = matches!(
        step.cause,
        Cause::Outcome {
            what: OutcomeCause::Failure(_) | OutcomeCause::NotResponding(_),
            ..
        }
    );
    match std::str::from_utf8(bytes) {
        Ok(text) if is_text => text.into(),
        Ok(_) | Err(_) => payload_value(step.encoding, bytes),
    }
}

fn cause_value(cause: &Cause<'_>, channels: &Channels) -> Value {
    match cause {
        Cause::Given { source, id } => json!({ "given": { "source": source, "id": id } }),
        Cause::Drawn(bits) => json!({ "drawn": bytes_value(bits)["$hex"] }),
        Cause::Sequenced { source, number } => {
            json!({ "sequenced": { "source": source, "number": number } })
        }
        Cause::Delivered {
            sender,
            channel,
            number,
            key,
            ..
        } => json!({ "delivered": {
            "sender": sender, "channel": channel, "number": number, "key": key.to_string(),
        } }),
        Cause::Outcome {
            delivery,
            attempt,
            what,
        } => {
            let (what, count) = match what {
                OutcomeCause::Reply(count) => ("reply", count),
                OutcomeCause::Failure(count) => ("failure", count),
                OutcomeCause::NotResponding(count) => ("not-responding", count),
            };
            json!({ "outcome": {
                "delivery": channels.delivery(*delivery),
                "attempt": attempt, "what": what, "count": count,
            } })
        }
        Cause::Timer(delivery) => json!({ "timer": channels.delivery(*delivery) }),
        _ => json!({ "unknown": format!("{cause:?}") }),
    }
}

fn envelope_value(envelope: &Envelope<'_>, encoding: Encoding, channels: &Channels) -> Value {
    json!({
        "delivery": channels.delivery(envelope.delivery),
        "key": envelope.key.to_string(),
        "order_key": envelope.order_key,
        "due": envelope.due.map(super::time_text),
        "payload": payload_value(encoding, envelope.payload),
    })
}

fn moved_value(moved: &ChannelMoved<'_>, channels: &Channels) -> Value {
    let by = match moved.by {
        Actor::Policy => "policy",
        Actor::Application => "application",
        Actor::Operator => "operator",
    };
    json!({
        "channel": channels.value(moved.channel),
        "by": by,
        "what": move_value(&moved.what),
    })
}

fn move_value(what: &Move<'_>) -> Value {
    match what {
        Move::Settled(numbers) => json!({ "settled": numbers }),
        Move::Failed {
            number,
            attempt,
            error,
        } => json!({ "failed": { "number": number, "attempt": attempt, "error": error } }),
        Move::Redelivering { number, attempt } => {
            json!({ "redelivering": { "number": number, "attempt": attempt } })
        }
        Move::Restarting { number } => json!({ "restarting": { "number": number } }),
        Move::Stopped { number, reason } => {
            json!({ "stopped": { "number": number, "reason": reason.to_string() } })
        }
        Move::Delivering => json!({ "delivering": {} }),
        Move::Parked { number, reason } => {
            json!({ "parked": { "number": number, "reason": reason } })
        }
        Move::Released { number } => json!({ "released": { "number": number } }),
        Move::Redirected {
            destination,
            in_doubt,
        } => {
            let in_doubt = match in_doubt {
                InDoubt::Wait => "wait",
                InDoubt::Move => "move",
            };
            json!({ "redirected": { "destination": destination, "in_doubt": in_doubt } })
        }
    }
}
