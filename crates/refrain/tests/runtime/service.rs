//! A `tower::Service` as a destination: the promises of the port, and a channel that uses one.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};

use refrain::{Attempted, Delivery, Destination, Reply, ServiceDestination, Signal};
use refrain_testkit::conformance::destination::{self, Arrived, Instance, Service};

use crate::desk::{Desk, Job, World, settled};
use crate::waiting::signal;

/// A service that does what the suite directs.
#[derive(Clone, Default)]
struct Directed {
    acts: Arc<Mutex<VecDeque<Service>>>,
    arrived: Arc<Mutex<Vec<Arrived>>>,
}

impl Directed {
    async fn call(self, delivery: Delivery) -> Result<Attempted, tower::BoxError> {
        self.arrived.lock().unwrap().push(Arrived {
            key: delivery.key,
            request: delivery.request.clone(),
        });
        let act = self.acts.lock().unwrap().pop_front();
        match act.unwrap_or(Service::Echo) {
            Service::Echo => Ok(Attempted::Replied(Reply::new(
                delivery.encoding,
                delivery.request,
            ))),
            Service::Fail => Err("the service failed".into()),
            Service::Silence => std::future::pending().await,
        }
    }
}

struct Directions {
    service: Directed,
}

impl Instance for Directions {
    fn destination(&self) -> Arc<dyn Destination> {
        let service = self.service.clone();
        let service = tower::service_fn(move |delivery| service.clone().call(delivery));
        Arc::new(ServiceDestination::new(service))
    }

    fn direct(&mut self, acts: Vec<Service>) {
        *self.service.acts.lock().unwrap() = acts.into();
    }

    fn arrived(&self) -> Vec<Arrived> {
        self.service.arrived.lock().unwrap().clone()
    }
}

#[tokio::test]
async fn service_keeps_the_promises_of_a_destination() {
    destination::run_all(async || Directions {
        service: Directed::default(),
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn service_behind_a_channel_fails_in_its_own_words_and_replies() {
    let desk = World::new();
    let service = Directed::default();
    *service.acts.lock().unwrap() = [Service::Fail, Service::Fail].into();
    let directions = service.clone();
    let echo = tower::service_fn(move |delivery| service.clone().call(delivery));
    let refrain = desk
        .start_with_questions(ServiceDestination::new(echo))
        .await;
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(7)).await.unwrap();
    settled(&refrain, "questions").await;
    let (answered, failures) = handle
        .query(|desk| (desk.answered.clone(), desk.failures.clone()))
        .await
        .unwrap();
    assert_eq!(answered.into_iter().collect::<Vec<_>>(), [(7, 7)]);
    assert_eq!(failures, ["1: the service failed", "2: the service failed"]);
    assert_eq!(directions.arrived.lock().unwrap().len(), 3);
}

/// One that is never ready does not respond.
#[tokio::test(start_paused = true)]
async fn service_that_is_never_ready_does_not_respond() {
    #[derive(Clone)]
    struct Never;
    impl tower::Service<Delivery> for Never {
        type Response = Attempted;
        type Error = tower::BoxError;
        type Future = std::future::Pending<Result<Attempted, tower::BoxError>>;

        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), tower::BoxError>> {
            std::task::Poll::Pending
        }

        fn call(&mut self, _: Delivery) -> Self::Future {
            panic!("it was not ready")
        }
    }
    let desk = World::new();
    let refrain = desk
        .start_with_questions(ServiceDestination::new(Never))
        .await;
    let mut events = refrain.events();
    let handle = refrain.processor::<Desk>("desk");
    handle.ask(Job::Ask(7)).await.unwrap();
    let told = signal(&mut events, |told| {
        matches!(told, Signal::DeliveryStopped { .. })
    });
    let Signal::DeliveryStopped { reason, .. } = told.await else {
        unreachable!()
    };
    assert_eq!(reason, refrain::StopReason::NotResponding);
}
