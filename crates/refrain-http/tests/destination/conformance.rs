//! Is the HTTP destination a destination?

use std::sync::Arc;

use bytes::Bytes;
use refrain_core::Key;
use refrain_core::port::destination::Destination;
use refrain_http::{HttpDestination, HttpOptions};
use refrain_testkit::conformance::destination::{Arrived, Instance, Service, run_all};

use super::support::{Act, Server, body_of, response};

struct OverHttp {
    server: Server,
    destination: Arc<HttpDestination>,
}

impl Instance for OverHttp {
    fn destination(&self) -> Arc<dyn Destination> {
        Arc::clone(&self.destination) as Arc<dyn Destination>
    }

    fn direct(&mut self, acts: Vec<Service>) {
        let acts = acts.into_iter().map(|act| match act {
            Service::Echo => Act::Echo,
            Service::Fail => Act::Send(response("500 Internal Server Error", "", "by order")),
            Service::Silence => Act::SendAndHang(Vec::new()),
        });
        self.server.direct(acts.chain([Act::Echo]).collect());
    }

    fn arrived(&self) -> Vec<Arrived> {
        let requests = self.server.requests();
        requests.iter().map(|request| arrived(request)).collect()
    }
}

fn arrived(request: &str) -> Arrived {
    let key = request
        .lines()
        .find_map(|line| line.strip_prefix("idempotency-key: "))
        .unwrap();
    Arrived {
        key: Key::new(u128::from_str_radix(key, 16).unwrap().to_be_bytes()),
        request: Bytes::copy_from_slice(body_of(request).as_bytes()),
    }
}

#[tokio::test]
async fn the_http_destination_keeps_every_promise_of_the_port() {
    run_all(async || {
        let server = Server::start(vec![Act::Echo]).await;
        let options = HttpOptions::default().allow_loopback();
        let destination = HttpDestination::with(&server.url("/"), options).unwrap();
        OverHttp {
            server,
            destination: Arc::new(destination),
        }
    })
    .await;
}
