//! Any `tower::Service` as a destination.

use std::fmt;

use refrain_core::port::BoxFuture;
use refrain_core::port::destination::{Attempted, Delivery, Destination, Failure};
use tower::util::{BoxCloneSyncService, ServiceExt};
use tower::{BoxError, Service};

/// A [`tower::Service`] as a destination: whatever middleware it has comes with it.
///
/// The service is given each [`Delivery`] and says how the attempt ended. Its error is the failure of
/// the destination, in its own words. It is cloned for each attempt and waited for until it is ready,
/// within the attempt's time. Leave retries to the channel: there they are counted and survive a crash.
///
/// ```
/// use refrain::{
///     Attempted, Delivery, RedeliveryPolicy, Refrain, Relay, Reply, ServiceDestination,
/// };
/// use refrain::MemoryJournal;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let printer = tower::service_fn(|delivery: Delivery| async move {
///     let label: String = delivery.encoding.decode(&delivery.request)?;
///     if label.is_empty() {
///         return Err("there is nothing to print".into());
///     }
///     Ok::<_, tower::BoxError>(Attempted::Replied(Reply::nothing()))
/// });
/// let refrain = Refrain::builder()
///     .journal(MemoryJournal::new())
///     .processor("labels", Relay::<String>::new())
///     .destination(
///         &Relay::<String>::OUT,
///         ServiceDestination::new(printer),
///         RedeliveryPolicy::default(),
///     )
///     .start()
///     .await?;
/// # refrain.drain().await;
/// # Ok(()) }
/// ```
pub struct ServiceDestination {
    service: BoxCloneSyncService<Delivery, Attempted, BoxError>,
}

impl ServiceDestination {
    /// The destination behind `service`.
    pub fn new<S>(service: S) -> ServiceDestination
    where
        S: Service<Delivery, Response = Attempted> + Clone + Send + Sync + 'static,
        S::Error: Into<BoxError>,
        S::Future: Send + 'static,
    {
        ServiceDestination {
            service: BoxCloneSyncService::new(service.map_err(Into::into)),
        }
    }
}

impl Destination for ServiceDestination {
    fn deliver(&self, delivery: Delivery) -> BoxFuture<'_, Attempted> {
        let attempt = self.service.clone().oneshot(delivery);
        Box::pin(async {
            attempt.await.unwrap_or_else(|error| {
                Attempted::Failed(Failure {
                    error: crate::error::chain(&*error),
                    retry_after: None,
                })
            })
        })
    }
}

impl fmt::Debug for ServiceDestination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServiceDestination").finish_non_exhaustive()
    }
}
