//! Two lines of one history: a journal was put back to an earlier time and went on differently.
//!
//! Destinations have seen the line that was lost, and recognise what comes again by its key. So a key
//! must follow from what led to its delivery, and from nothing that another line counts differently:
//! else a thing that was done is done again, or another one is taken for it and never done.

use std::collections::BTreeMap;

use refrain_core::{Key, MessageId};

use crate::world::destination::prompt;
use crate::world::worker::{Act, Ask, Do, Worker, note};
use crate::world::{World, seconds};

/// How the orders of a test come to be charged.
type Leads = fn(charge: Do) -> Do;

fn after_a_reply(charge: Do) -> Do {
    Do(vec![Act::Ask(Ask {
        then: charge,
        ..Ask::default()
    })])
}

fn after_a_while(charge: Do) -> Do {
    Do(vec![Act::After(seconds(2), charge)])
}

fn by_another_processor(charge: Do) -> Do {
    Do(vec![Act::TellToo(None, charge)])
}

fn after_a_reply_and_a_while(charge: Do) -> Do {
    after_a_reply(after_a_while(by_another_processor(charge)))
}

/// The key under which each of `orders` is charged, where they came in this order.
fn charges(leads: Leads, orders: &[u64]) -> BTreeMap<u64, Key> {
    let mut world: World<Worker> = World::new();
    world.add("p", Vec::new());
    world.add("q", Vec::new());
    world.connect("p", "tell-too", "q");
    for node in ["p", "q"] {
        world.destination(node, "ask", prompt());
        world.destination(node, "tell", prompt());
        world.start(node);
    }
    for order in orders {
        let id = MessageId::given("shop", &order.to_string()).unwrap();
        let charge = Do(vec![Act::Tell(None, note(*order))]);
        world.tell_as("p", id, leads(charge));
        world.run(seconds(10));
    }
    let charged = world.sent.iter().map(|sent| &sent.delivery);
    let charged = charged.filter(|delivery| delivery.channel == "tell");
    let charged = charged.map(|delivery| {
        let charge: Do = delivery.encoding.decode(&delivery.request).unwrap();
        let [Act::Note(order)] = charge.0[..] else {
            panic!("a charge")
        };
        (order, delivery.key)
    });
    charged.collect()
}

/// B5.4, B7.8
#[test]
fn what_is_done_again_after_a_restore_has_its_key_and_nothing_else_has_it() {
    let ways: [Leads; 4] = [
        after_a_reply,
        after_a_while,
        by_another_processor,
        after_a_reply_and_a_while,
    ];
    for (way, leads) in ways.into_iter().enumerate() {
        let lost = charges(leads, &[1, 2]);
        // The backup was of before both. Another order comes first now, then one of those comes again.
        let restored = charges(leads, &[3, 1]);
        assert_eq!((lost.len(), restored.len()), (2, 2), "way {way}");
        assert_eq!(restored[&1], lost[&1], "way {way}: charged again");
        let was_taken = lost.values().any(|key| *key == restored[&3]);
        assert!(!was_taken, "way {way}: taken for another order's charge");
    }
}
