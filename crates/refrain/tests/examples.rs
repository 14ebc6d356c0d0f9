//! The examples run to their end.

#[path = "../examples/first_processor.rs"]
mod first_processor;
#[path = "../examples/reliable_channel.rs"]
mod reliable_channel;
#[path = "../examples/request_reply.rs"]
mod request_reply;

/// B1.9
#[test]
fn first_processor_counts_over_a_restart() {
    first_processor::main().unwrap();
}

/// B6.3, B6.4
#[test]
fn reliable_channel_delivers_until_it_stops_and_again_when_it_is_told_to() {
    reliable_channel::main().unwrap();
}

/// B7.1
#[test]
fn request_reply_asks_once() {
    request_reply::main().unwrap();
}
