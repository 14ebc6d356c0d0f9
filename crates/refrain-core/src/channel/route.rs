//! Channels as constants of the user's code: a constant names the channel and its handler.

use std::fmt;
use std::marker::PhantomData;

use serde::de::DeserializeOwned;

use crate::outbox::Outbox;
use crate::outcome::{Outcome, Settlement};
use crate::port::destination::Attempted;
use crate::processor::{Encoded, Processor};
use sealed::Unreadable;

/// All channels of a processor.
pub type Channels<P> = &'static [&'static dyn Route<P>];

/// What a channel does with what is sent through it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ChannelKind {
    /// One way; an unconfirmed delivery is repeated only at the sender's next recovery.
    Default,
    /// One way; an unconfirmed delivery is repeated by policy.
    Reliable,
    /// A request and its reply; repeated by policy.
    RequestReply,
    /// To the processor itself, at a later time.
    Timer,
}

/// One channel of the processor `P`: its name, its kind and its handler.
///
/// Sealed: [`RequestReply`], [`OneWay`] and [`Timer`] are all there are.
pub trait Route<P: Processor>: sealed::Handles<P> + Sync {
    /// The channel's name, unique in its processor, stored with what goes through it.
    fn name(&self) -> &'static str;

    /// The channel's kind.
    fn kind(&self) -> ChannelKind;
}

pub(crate) mod sealed {
    use super::{Attempted, Encoded, Outbox, Processor, Settlement};
    use crate::codec::CodecError;

    /// What came for one delivery: its request, how the attempt ended, and the failure outcomes
    /// recorded so far, this one included.
    #[derive(Debug)]
    pub struct Came<'a> {
        pub(crate) request: Encoded<'a>,
        pub(crate) attempted: &'a Attempted,
        pub(crate) failure_count: u32,
    }

    /// What could not be read before the handler was called.
    #[derive(Debug)]
    pub enum Unreadable {
        /// The request or timer that this processor sent itself.
        Request(CodecError),
        /// The destination's reply.
        Reply(CodecError),
    }

    pub trait Handles<P: Processor> {
        /// Calls the user's handler. Called for requests and timers only.
        fn handle(
            &self,
            state: &P,
            came: &Came<'_>,
            out: &mut Outbox<P>,
        ) -> Result<Settlement, Unreadable>;
    }
}

/// Requests of `P` to one destination, and the handler of their outcomes.
///
/// ```
/// # use refrain_core::{Channels, OneWay, Outbox, Outcome, Processor, RequestReply, Settlement, Timer};
/// # struct Shop;
/// # impl Processor for Shop {
/// #     type Message = u64;
/// #     type Event = u64;
/// #     type Answer = ();
/// #     type Rejection = ();
/// #     const CHANNELS: Channels<Self> = &[&PAYMENT];
/// #     fn decide(&self, cents: &u64, out: &mut Outbox<Self>) -> Result<(), ()> {
/// #         out.request(&PAYMENT, cents);
/// #         Ok(())
/// #     }
/// #     fn apply(&mut self, _: &u64) {}
/// # }
/// const PAYMENT: RequestReply<Shop, u64, String> = RequestReply::new("payment", Shop::on_payment);
///
/// impl Shop {
///     fn on_payment(&self, cents: &u64, outcome: Outcome<String>, out: &mut Outbox<Self>) -> Settlement {
///         match outcome {
///             Outcome::Reply(_receipt) => {
///                 out.event(*cents);
///                 Settlement::Confirm
///             }
///             Outcome::DestinationFailure { failure_count, .. } if failure_count > 2 => {
///                 Settlement::Confirm
///             }
///             Outcome::DestinationFailure { .. } | Outcome::DestinationNotResponding { .. } => {
///                 Settlement::Redeliver
///             }
///         }
///     }
/// }
/// ```
pub struct RequestReply<P: Processor, Q, R> {
    name: &'static str,
    handler: OutcomeHandler<P, Q, R>,
}

/// The handler of a request-reply channel: the state, what was asked, how that ended, and where to
/// put what follows from it.
pub type OutcomeHandler<P, Q, R> = fn(&P, &Q, Outcome<R>, &mut Outbox<P>) -> Settlement;

impl<P: Processor, Q, R> RequestReply<P, Q, R> {
    /// The channel called `name`, whose outcomes go to `handler`.
    #[must_use]
    pub const fn new(name: &'static str, handler: OutcomeHandler<P, Q, R>) -> Self {
        RequestReply { name, handler }
    }

    /// The channel's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<P, Q, R> Route<P> for RequestReply<P, Q, R>
where
    P: Processor,
    Q: DeserializeOwned,
    R: DeserializeOwned,
{
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> ChannelKind {
        ChannelKind::RequestReply
    }
}

impl<P, Q, R> sealed::Handles<P> for RequestReply<P, Q, R>
where
    P: Processor,
    Q: DeserializeOwned,
    R: DeserializeOwned,
{
    fn handle(
        &self,
        state: &P,
        came: &sealed::Came<'_>,
        out: &mut Outbox<P>,
    ) -> Result<Settlement, Unreadable> {
        let asked: Q = came.request.decode().map_err(Unreadable::Request)?;
        let failure_count = came.failure_count;
        let outcome = match came.attempted {
            Attempted::Replied(reply) => Outcome::Reply(
                reply
                    .encoding
                    .decode(&reply.bytes)
                    .map_err(Unreadable::Reply)?,
            ),
            Attempted::Failed(failure) => Outcome::DestinationFailure {
                failure_count,
                error: failure.error.clone(),
            },
            Attempted::NotResponding => Outcome::DestinationNotResponding { failure_count },
        };
        Ok((self.handler)(state, &asked, outcome, out))
    }
}

/// One-way messages of `P` to one destination.
///
/// ```
/// # use refrain_core::{Channels, OneWay, Outbox, Outcome, Processor, RequestReply, Settlement, Timer};
/// # struct Shop;
/// # impl Processor for Shop {
/// #     type Message = u64;
/// #     type Event = u64;
/// #     type Answer = ();
/// #     type Rejection = ();
/// #     const CHANNELS: Channels<Self> = &[&MAIL];
/// #     fn apply(&mut self, _: &u64) {}
/// #     fn decide(&self, order: &u64, out: &mut Outbox<Self>) -> Result<(), ()> {
/// #         self.on_order(*order, out);
/// #         Ok(())
/// #     }
/// # }
/// const MAIL: OneWay<Shop, String> = OneWay::reliable("mail");
///
/// # impl Shop {
/// fn on_order(&self, order: u64, out: &mut Outbox<Self>) {
///     out.send(&MAIL, &format!("order {order} is on its way"));
/// }
/// # }
/// ```
pub struct OneWay<P, M> {
    name: &'static str,
    kind: ChannelKind,
    sends: PhantomData<fn(P, M)>,
}

impl<P, M> OneWay<P, M> {
    /// A reliable channel called `name`: redelivers by policy until it is confirmed.
    #[must_use]
    pub const fn reliable(name: &'static str) -> Self {
        OneWay {
            name,
            kind: ChannelKind::Reliable,
            sends: PhantomData,
        }
    }

    /// A default channel called `name`: redelivers only at the sender's next recovery.
    #[must_use]
    pub const fn at_recovery(name: &'static str) -> Self {
        OneWay {
            name,
            kind: ChannelKind::Default,
            sends: PhantomData,
        }
    }

    /// The channel's name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<P: Processor, M> Route<P> for OneWay<P, M> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> ChannelKind {
        self.kind
    }
}

impl<P: Processor, M> sealed::Handles<P> for OneWay<P, M> {
    /// One-way deliveries have no handler: a confirmation settles them without asking.
    fn handle(
        &self,
        _: &P,
        _: &sealed::Came<'_>,
        _: &mut Outbox<P>,
    ) -> Result<Settlement, Unreadable> {
        Ok(Settlement::Confirm)
    }
}

/// Messages of `P` to itself at a later time, and their handler.
///
/// ```
/// use std::time::Duration;
/// # use refrain_core::{Channels, OneWay, Outbox, Outcome, Processor, RequestReply, Settlement, Timer};
/// # struct Shop;
/// # impl Processor for Shop {
/// #     type Message = u64;
/// #     type Event = u64;
/// #     type Answer = ();
/// #     type Rejection = ();
/// #     const CHANNELS: Channels<Self> = &[&EXPIRY];
/// #     fn apply(&mut self, _: &u64) {}
/// #     fn decide(&self, order: &u64, out: &mut Outbox<Self>) -> Result<(), ()> {
/// #         self.on_order(*order, out);
/// #         Ok(())
/// #     }
/// # }
/// const EXPIRY: Timer<Shop, u64> = Timer::new("expiry", Shop::on_expiry);
///
/// impl Shop {
///     fn on_order(&self, order: u64, out: &mut Outbox<Self>) {
///         out.after(Duration::from_secs(3600), &EXPIRY, &order);
///     }
///
///     fn on_expiry(&self, order: &u64, out: &mut Outbox<Self>) {
///         out.event(*order);
///     }
/// }
/// ```
pub struct Timer<P: Processor, T> {
    name: &'static str,
    handler: TimerHandler<P, T>,
}

/// The handler of a timer: the state, what was put aside, and where to put what follows from it.
pub type TimerHandler<P, T> = fn(&P, &T, &mut Outbox<P>);

impl<P: Processor, T> Timer<P, T> {
    /// The timers called `name`, which call `handler` when they are due.
    #[must_use]
    pub const fn new(name: &'static str, handler: TimerHandler<P, T>) -> Self {
        Timer { name, handler }
    }

    /// The timers' name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }
}

impl<P: Processor, T: DeserializeOwned> Route<P> for Timer<P, T> {
    fn name(&self) -> &'static str {
        self.name
    }

    fn kind(&self) -> ChannelKind {
        ChannelKind::Timer
    }
}

impl<P: Processor, T: DeserializeOwned> sealed::Handles<P> for Timer<P, T> {
    fn handle(
        &self,
        state: &P,
        came: &sealed::Came<'_>,
        out: &mut Outbox<P>,
    ) -> Result<Settlement, Unreadable> {
        let put_aside: T = came.request.decode().map_err(Unreadable::Request)?;
        (self.handler)(state, &put_aside, out);
        Ok(Settlement::Confirm)
    }
}

impl<P: Processor, Q, R> fmt::Debug for RequestReply<P, Q, R> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("RequestReply").field(&self.name).finish()
    }
}

impl<P, M> fmt::Debug for OneWay<P, M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OneWay")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish()
    }
}

impl<P: Processor, T> fmt::Debug for Timer<P, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Timer").field(&self.name).finish()
    }
}
