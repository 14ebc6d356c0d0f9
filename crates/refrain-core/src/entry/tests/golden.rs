//! One entry of every kind and what it looks like on the medium, in files that later versions must
//! still read. `docs/entry-format.md` explains the bytes.

use super::*;

/// The bytes in `tests/fixtures`, as hexadecimal digits; written there when `REFRAIN_BLESS` is set.
fn check(name: &str, entry: &Entry<'_>) {
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/entry-1");
    let path = format!("{directory}/{name}.hex");
    let bytes = entry.to_bytes();
    if std::env::var_os("REFRAIN_BLESS").is_some() {
        std::fs::create_dir_all(directory).unwrap();
        std::fs::write(&path, to_hex(&bytes)).unwrap();
    }
    let stored = from_hex(&std::fs::read_to_string(&path).unwrap());
    assert_eq!(Entry::decode(&stored).as_ref(), Ok(entry), "{name} is read");
    assert_eq!(to_hex(&bytes), to_hex(&stored), "{name} is written as ever");
}

fn to_hex(bytes: &[u8]) -> String {
    let line = |chunk: &[u8]| -> String {
        let digits: Vec<String> = chunk.iter().map(|byte| format!("{byte:02x}")).collect();
        digits.join(" ") + "\n"
    };
    bytes.chunks(16).map(line).collect()
}

fn from_hex(text: &str) -> Vec<u8> {
    let digits = text.split_whitespace();
    digits
        .map(|byte| u8::from_str_radix(byte, 16).unwrap())
        .collect()
}

fn at(channel: u16, number: u64) -> DeliveryId {
    DeliveryId { channel, number }
}

fn step<'a>(cause: Cause<'a>) -> Step<'a> {
    Step {
        verdict: StepVerdict::Handled,
        encoding: Encoding::Cbor,
        event_version: 1,
        time: Timestamp::from_micros(1_700_000_000_000_000),
        seed: 0x0102_0304_0506_0708,
        cause,
        settled: None,
        message: RecordedMessage::Nothing,
        answer: &[],
        events: Events(&[]),
        envelopes: Envelopes(&[]),
    }
}

fn moved(what: Move<'_>) -> Entry<'_> {
    Entry::ChannelMoved(ChannelMoved {
        channel: 1,
        time: Timestamp::from_micros(1_700_000_000_000_000),
        by: Actor::Policy,
        what,
    })
}

#[test]
fn watermark_has_its_bytes() {
    let watermark = Watermark {
        time: Timestamp::from_micros(1_700_000_000_000_000),
        digest: [0xcc; 32],
    };
    check("watermark", &Entry::Watermark(watermark));
}

#[test]
fn begun_has_its_bytes() {
    let channel = |name, run_ahead| DeclaredChannel {
        name: Name::new(name).unwrap(),
        run_ahead,
    };
    let begun = Begun {
        epoch: Epoch::new(3),
        time: Timestamp::from_micros(1_700_000_000_000_000),
        writer: [0xaa; 16],
        secret: [0xbb; 32],
        code_version: "1.2.3".to_owned(),
        channels: vec![channel("ask", 0), channel("tell", 128)],
    };
    check("begun", &Entry::Begun(begun));
}

#[test]
fn step_with_everything_has_its_bytes() {
    let mut events = Vec::new();
    wire::put_bytes(&mut events, b"first event");
    wire::put_bytes(&mut events, b"second event");
    let mut envelopes = Vec::new();
    let envelope = Envelope {
        delivery: at(1, 7),
        key: Key::new([1; 16]),
        correlation: Key::new([2; 16]),
        causation: Key::new([3; 16]),
        order_key: None,
        due: None,
        payload: b"request",
    };
    envelope.encode(&mut envelopes);
    Envelope {
        order_key: Some(5),
        due: Some(Timestamp::from_micros(9)),
        ..envelope
    }
    .encode(&mut envelopes);
    let cause = Cause::Given {
        source: "shop",
        id: "order-17",
    };
    let step = Step {
        message: RecordedMessage::Bytes(b"message"),
        answer: b"answer",
        events: Events(&events),
        envelopes: Envelopes(&envelopes),
        ..step(cause)
    };
    check("step-given", &Entry::Step(step));
}

#[test]
fn steps_of_every_cause_have_their_bytes() {
    check("step-drawn", &Entry::Step(step(Cause::Drawn([9; 16]))));
    let sequenced = Cause::Sequenced {
        source: "bus",
        number: 12,
    };
    let refused = Step {
        verdict: StepVerdict::Refused,
        encoding: Encoding::Json,
        message: RecordedMessage::Digest(&[4; 32]),
        ..step(sequenced)
    };
    check("step-sequenced-refused", &Entry::Step(refused));
    let delivered = Cause::Delivered {
        sender: "p1",
        channel: "out",
        number: 6,
        settled_below: 5,
        key: Key::new([1; 16]),
        correlation: Key::new([2; 16]),
    };
    let parked = Step {
        verdict: StepVerdict::Parked,
        ..step(delivered)
    };
    check("step-delivered-parked", &Entry::Step(parked));
    let reply = RecordedMessage::Reply(Encoded {
        encoding: Encoding::Json,
        bytes: b"true",
    });
    for (name, what, message) in [
        ("reply", OutcomeCause::Reply(1), reply),
        (
            "failure",
            OutcomeCause::Failure(2),
            RecordedMessage::Bytes(b"no"),
        ),
        (
            "silence",
            OutcomeCause::NotResponding(3),
            RecordedMessage::Nothing,
        ),
    ] {
        let (delivery, attempt) = (at(0, 4), 2);
        let outcome = Cause::Outcome {
            delivery,
            attempt,
            what,
        };
        let settlement = match what {
            OutcomeCause::Reply(_) => Settlement::Confirm,
            OutcomeCause::Failure(_) | OutcomeCause::NotResponding(_) => Settlement::Redeliver,
        };
        let outcome = Step {
            settled: Some((delivery, settlement)),
            message,
            ..step(outcome)
        };
        check(&format!("step-outcome-{name}"), &Entry::Step(outcome));
    }
    let timer = Step {
        settled: Some((at(2, 1), Settlement::Confirm)),
        ..step(Cause::Timer(at(2, 1)))
    };
    check("step-timer", &Entry::Step(timer));
}

#[test]
fn moves_have_their_bytes() {
    let (number, attempt) = (7, 2);
    check("moved-settled", &moved(Move::Settled(vec![5, 7])));
    let failed = |error| Move::Failed {
        number,
        attempt,
        error,
    };
    check("moved-failed", &moved(failed(Some("no"))));
    check("moved-failed-silent", &moved(failed(None)));
    let redelivering = Move::Redelivering { number, attempt };
    check("moved-redelivering", &moved(redelivering));
    check("moved-restarting", &moved(Move::Restarting { number }));
    for reason in [
        StopReason::NotResponding,
        StopReason::Failing,
        StopReason::NotActivated,
        StopReason::Parked,
    ] {
        let name = format!("moved-stopped-{}", reason_tag(reason));
        check(&name, &moved(Move::Stopped { number, reason }));
    }
    check("moved-delivering", &moved(Move::Delivering));
    let reason = "told to";
    check("moved-parked", &moved(Move::Parked { number, reason }));
    check("moved-released", &moved(Move::Released { number }));
    for (name, in_doubt) in [("waits", InDoubt::Wait), ("moves", InDoubt::Move)] {
        let what = Move::Redirected {
            destination: "other",
            in_doubt,
        };
        check(&format!("moved-redirected-{name}"), &moved(what));
    }
}
