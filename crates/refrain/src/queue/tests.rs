//! Senders and a receiver that meet: order, bounds, and wakers that are replaced.

use std::future::poll_fn;
use std::pin::pin;

use futures_util::FutureExt;

use super::*;

async fn taken<T>(receiver: &mut Receiver<T>) -> Vec<T> {
    let mut taken = VecDeque::new();
    poll_fn(|context| receiver.poll_take(context, &mut taken)).await;
    taken.into()
}

#[tokio::test]
async fn what_was_sent_is_taken_together_and_in_the_order_sent() {
    let (sender, mut receiver) = queue(3, 9);
    for number in 1..=3 {
        sender.send(0, number).await.unwrap();
    }
    assert_eq!(sender.try_send(0, 4), Err(SendError::Full));
    assert_eq!(taken(&mut receiver).await, [1, 2, 3]);
    assert_eq!(sender.try_send(0, 4), Ok(()));
    assert_eq!(taken(&mut receiver).await, [4]);
}

#[tokio::test]
async fn receiver_that_waits_is_woken_by_the_first_message() {
    let (sender, mut receiver) = queue(3, 9);
    let mut taking = pin!(taken(&mut receiver));
    assert_eq!((&mut taking).now_or_never(), None);
    let (got, ()) = tokio::join!(taking, async {
        sender.send(0, "first").await.unwrap();
    });
    assert_eq!(got, ["first"]);
}

#[tokio::test]
async fn sender_that_gives_up_while_the_queue_is_full_has_sent_nothing() {
    let (sender, mut receiver) = queue(1, 9);
    sender.send(0, 1).await.unwrap();
    assert_eq!(sender.send(0, 2).now_or_never(), None);
    assert_eq!(taken(&mut receiver).await, [1]);
    sender.send(0, 3).await.unwrap();
    assert_eq!(taken(&mut receiver).await, [3]);
}

#[tokio::test]
async fn senders_that_wait_for_a_place_get_it_in_their_order() {
    let (sender, mut receiver) = queue(1, 9);
    sender.send(0, 1).await.unwrap();
    let mut second = pin!(sender.send(0, 2));
    let mut third = pin!(sender.send(0, 3));
    assert_eq!((&mut second).now_or_never(), None);
    assert_eq!((&mut third).now_or_never(), None);
    assert_eq!(taken(&mut receiver).await, [1]);
    assert_eq!((&mut third).now_or_never(), None);
    assert_eq!(second.await, Ok(()));
    assert_eq!(taken(&mut receiver).await, [2]);
    assert_eq!(third.await, Ok(()));
}

#[tokio::test]
async fn closed_queue_takes_nothing_and_gives_what_it_has() {
    let (sender, mut receiver) = queue(1, 9);
    sender.send(0, 1).await.unwrap();
    let mut waits = pin!(sender.send(0, 2));
    assert_eq!((&mut waits).now_or_never(), None);
    receiver.close();
    assert_eq!(waits.await, Err(SendError::Closed));
    assert_eq!(sender.try_send(0, 3), Err(SendError::Closed));
    assert_eq!(taken(&mut receiver).await, [1]);
    assert!(receiver.is_empty());
}

/// Looks into a queue when it is dropped, as whoever is the last to hold a sender's message may.
struct Looks(Sender<u32>);

impl std::task::Wake for Looks {
    fn wake(self: Arc<Self>) {}
}

impl Drop for Looks {
    fn drop(&mut self) {
        assert!(self.0.0.waiting.try_lock().is_ok(), "the queue is not held");
    }
}

#[test]
fn waker_that_another_replaces_is_dropped_where_nothing_is_held() {
    let (sender, mut receiver) = queue(1, 9);
    let looks = || Waker::from(Arc::new(Looks(Sender(Arc::clone(&sender.0)))));
    let mut taken = VecDeque::new();
    for _ in 0..2 {
        let took = receiver.poll_take(&mut Context::from_waker(&looks()), &mut taken);
        assert!(took.is_pending());
    }
    sender.try_send(0, 1).unwrap();
    let mut second = pin!(sender.send(0, 2));
    for _ in 0..2 {
        let sent = second.as_mut().poll(&mut Context::from_waker(&looks()));
        assert!(sent.is_pending());
    }
    let took = receiver.poll_take(&mut Context::from_waker(&looks()), &mut taken);
    assert!(took.is_ready());
    assert!(
        second
            .as_mut()
            .poll(&mut Context::from_waker(&looks()))
            .is_ready()
    );
}

#[tokio::test]
async fn message_that_nobody_took_is_dropped_with_the_receiver() {
    let (sender, receiver) = queue(1, 9);
    let (told, hears) = tokio::sync::oneshot::channel::<()>();
    assert!(sender.send(0, told).await.is_ok());
    drop(receiver);
    assert!(hears.await.is_err());
}

#[tokio::test]
async fn message_without_room_waits_until_room_is_given_back() {
    let (sender, mut receiver) = queue(9, 10);
    sender.send(6, 1).await.unwrap();
    assert_eq!(sender.try_send(5, 2), Err(SendError::Full));
    assert_eq!(sender.try_send(4, 2), Ok(()));
    let mut large = pin!(sender.send(10, 3));
    assert_eq!((&mut large).now_or_never(), None);
    assert_eq!(taken(&mut receiver).await, [1, 2]);
    assert_eq!((&mut large).now_or_never(), None);
    receiver.give_back(6);
    assert_eq!(sender.try_send(0, 4), Err(SendError::Full), "nobody passes");
    receiver.give_back(4);
    assert_eq!(large.await, Ok(()));
    assert_eq!(taken(&mut receiver).await, [3]);
}

#[tokio::test]
async fn sender_in_line_that_gives_up_lets_those_behind_it_pass() {
    let (sender, mut receiver) = queue(9, 10);
    sender.send(10, 1).await.unwrap();
    let mut first = Box::pin(sender.send(10, 2));
    let mut second = pin!(sender.send(1, 3));
    assert_eq!((&mut first).now_or_never(), None);
    assert_eq!((&mut second).now_or_never(), None);
    assert_eq!(taken(&mut receiver).await, [1]);
    receiver.give_back(9);
    assert_eq!((&mut first).now_or_never(), None);
    drop(first);
    assert_eq!(second.await, Ok(()));
    assert_eq!(sender.try_send(8, 4), Ok(()));
    assert_eq!(taken(&mut receiver).await, [3, 4]);
}
