//! When a delivery is tried again, and when a channel gives up for the time being.

use std::time::Duration;

use super::ChannelKind;
use crate::limit::WINDOW_MAX;

/// When a delivery is tried again, and when its channel stops.
///
/// An *activation* makes one delivery and up to `redelivery_max` redeliveries, each
/// `redelivery_delay` after the failure before it. One delay after the last failure the activation
/// is used up: the channel restarts after `restart_delay`, up to `restart_max` times, and then stops,
/// visibly. With the defaults that is 8 attempts: 58 s for a silent destination, 18 s for one that
/// refuses at once.
///
/// ```
/// use refrain_core::{ChannelKind, RedeliveryPolicy};
/// use std::time::Duration;
///
/// let patient = RedeliveryPolicy { redelivery_max: 10, ..RedeliveryPolicy::default() };
/// assert!(patient.check(ChannelKind::Reliable).is_ok());
///
/// let confused = RedeliveryPolicy { reply_timeout: Duration::from_secs(60), ..patient };
/// assert!(confused.check(ChannelKind::RequestReply).is_err());
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct RedeliveryPolicy {
    /// How long a destination has to confirm a delivery. `None` is the default of the channel's
    /// kind: 5 s, and 10 s for a request and its outcome.
    pub confirmation_timeout: Option<Duration>,
    /// How long a destination has to reply to a request. Less than the confirmation timeout.
    pub reply_timeout: Duration,
    /// The time from a failure to the next attempt.
    pub redelivery_delay: Delay,
    /// Redeliveries of one delivery in one activation.
    pub redelivery_max: u32,
    /// The time from a used-up activation to the next.
    pub restart_delay: Duration,
    /// Activations after the first, before the channel stops. A success counts from the start again.
    pub restart_max: u32,
}

impl Default for RedeliveryPolicy {
    fn default() -> RedeliveryPolicy {
        RedeliveryPolicy {
            confirmation_timeout: None,
            reply_timeout: Duration::from_secs(5),
            redelivery_delay: Delay::Fixed(Duration::from_secs(1)),
            redelivery_max: 3,
            restart_delay: Duration::from_secs(10),
            restart_max: 1,
        }
    }
}

/// The time from a failure to the next attempt.
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Delay {
    /// Always the same.
    Fixed(Duration),
    /// Twice as long after each failure of an activation, from `first` up to `longest`; each time a
    /// random part between none and `jitter` (0.0 to 1.0) of it is taken off.
    Exponential {
        /// After the first failure.
        first: Duration,
        /// Never longer than this.
        longest: Duration,
        /// The largest part that chance takes off.
        jitter: f64,
    },
}

impl Delay {
    /// The delay after the `failures`-th failure (from 1) of an activation; `chance` is a random
    /// number.
    #[must_use]
    pub fn after(&self, failures: u32, chance: u64) -> Duration {
        match *self {
            Delay::Fixed(delay) => delay,
            Delay::Exponential {
                first,
                longest,
                jitter,
            } => {
                let doublings = failures.saturating_sub(1).min(31);
                let full = first.saturating_mul(1 << doublings).min(longest);
                // 53 bits fill the fraction of an f64 exactly.
                let part = (chance >> 11) as f64 / (1_u64 << 53) as f64;
                let left = full.as_secs_f64() * (1.0 - jitter.clamp(0.0, 1.0) * part);
                // The longest delays become too long when they are rounded.
                Duration::try_from_secs_f64(left).unwrap_or(full)
            }
        }
    }
}

/// In which order deliveries of one channel reach the destination, and how many are under way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum Order {
    /// One at a time, in the order sent; the next leaves when the settlement before it is durable.
    Strict,
    /// Up to `window` at once, in order for each key; without a key, as [`Order::Unordered`].
    PerKey {
        /// Deliveries under way at once, 1 to [`WINDOW_MAX`].
        window: u32,
    },
    /// Up to `window` at once, in any order.
    Unordered {
        /// Deliveries under way at once, 1 to [`WINDOW_MAX`].
        window: u32,
    },
}

impl Order {
    /// Deliveries under way at once.
    #[must_use]
    pub const fn window(self) -> u32 {
        match self {
            Order::Strict => 1,
            Order::PerKey { window } | Order::Unordered { window } => window,
        }
    }
}

/// When a channel begins to deliver.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Activation {
    /// As soon as its processor has recovered.
    #[default]
    AtStart,
    /// When the application calls `deliver` after each start; until then deliveries wait.
    ByApplication,
}

/// How a channel delivers. A [`RedeliveryPolicy`] alone is one with strict order.
///
/// ```
/// use refrain_core::{ChannelOptions, RedeliveryPolicy};
///
/// let wide = ChannelOptions::from(RedeliveryPolicy::default()).unordered(64);
/// assert_eq!(wide.order.window(), 64);
/// ```
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ChannelOptions {
    /// When a delivery is tried again.
    pub redelivery: RedeliveryPolicy,
    /// In which order.
    pub order: Order,
    /// From when on.
    pub activation: Activation,
    /// Whether asking twice is harmless even at two destinations, so that a switch to another one
    /// may move requests that are in doubt.
    pub side_effects: SideEffects,
}

/// Whether a channel's deliveries change anything at their destination.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SideEffects {
    /// They may: a delivery in doubt stays with the destination that it may have reached.
    #[default]
    Possible,
    /// They do not, as a validation: a delivery in doubt may be asked of another destination.
    None,
}

impl Default for ChannelOptions {
    fn default() -> ChannelOptions {
        ChannelOptions {
            redelivery: RedeliveryPolicy::default(),
            order: Order::Strict,
            activation: Activation::AtStart,
            side_effects: SideEffects::Possible,
        }
    }
}

impl From<RedeliveryPolicy> for ChannelOptions {
    fn from(redelivery: RedeliveryPolicy) -> ChannelOptions {
        ChannelOptions {
            redelivery,
            ..ChannelOptions::default()
        }
    }
}

impl ChannelOptions {
    /// Up to `window` deliveries at once, in any order.
    #[must_use]
    pub fn unordered(mut self, window: u32) -> ChannelOptions {
        self.order = Order::Unordered { window };
        self
    }

    /// Up to `window` deliveries at once, in order for each key.
    #[must_use]
    pub fn per_key(mut self, window: u32) -> ChannelOptions {
        self.order = Order::PerKey { window };
        self
    }

    /// Waits for `deliver` after each start.
    #[must_use]
    pub fn activated_by_application(mut self) -> ChannelOptions {
        self.activation = Activation::ByApplication;
        self
    }

    /// Declares that deliveries change nothing at their destination.
    #[must_use]
    pub fn without_side_effects(mut self) -> ChannelOptions {
        self.side_effects = SideEffects::None;
        self
    }

    /// Whether the options make sense for a channel of this kind.
    ///
    /// # Errors
    /// The first rule that they break.
    pub fn check(&self, kind: ChannelKind) -> Result<(), PolicyError> {
        let window = self.order.window();
        if window == 0 || window > WINDOW_MAX {
            return Err(PolicyError::Window { window });
        }
        self.redelivery.check(kind)
    }
}

impl RedeliveryPolicy {
    /// How long a destination has to confirm a delivery of a channel of this kind.
    #[must_use]
    pub fn confirmation_timeout(&self, kind: ChannelKind) -> Duration {
        self.confirmation_timeout.unwrap_or(match kind {
            ChannelKind::RequestReply => Duration::from_secs(10),
            ChannelKind::Default | ChannelKind::Reliable | ChannelKind::Timer => {
                Duration::from_secs(5)
            }
        })
    }

    /// How long one attempt may take on a channel of this kind.
    #[must_use]
    pub fn attempt_timeout(&self, kind: ChannelKind) -> Duration {
        match kind {
            ChannelKind::RequestReply => self.reply_timeout,
            ChannelKind::Default | ChannelKind::Reliable | ChannelKind::Timer => {
                self.confirmation_timeout(kind)
            }
        }
    }

    /// Whether the policy makes sense for a channel of this kind.
    ///
    /// # Errors
    /// The first rule that it breaks.
    pub fn check(&self, kind: ChannelKind) -> Result<(), PolicyError> {
        let confirmation_timeout = self.confirmation_timeout(kind);
        if self.attempt_timeout(kind).is_zero() {
            return Err(PolicyError::NoTime);
        }
        if kind == ChannelKind::RequestReply && self.reply_timeout >= confirmation_timeout {
            return Err(PolicyError::ReplyTimeout {
                reply_timeout: self.reply_timeout,
                confirmation_timeout,
            });
        }
        match self.redelivery_delay {
            Delay::Exponential { jitter, .. } if !(0.0..=1.0).contains(&jitter) => {
                Err(PolicyError::Jitter { jitter })
            }
            Delay::Exponential { .. } | Delay::Fixed(_) => Ok(()),
        }
    }
}

/// Why options of a channel are refused. They must change.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum PolicyError {
    /// A reply must come in time to be confirmed.
    #[error(
        "the reply timeout ({reply_timeout:?}) must be less than the confirmation timeout \
         ({confirmation_timeout:?})"
    )]
    ReplyTimeout {
        /// The reply timeout that was given.
        reply_timeout: Duration,
        /// The confirmation timeout that was given.
        confirmation_timeout: Duration,
    },
    /// An attempt needs some time.
    #[error("a timeout of zero leaves a destination no time")]
    NoTime,
    /// The window is empty or too wide.
    #[error("a window holds 1 to 512 deliveries, not {window}")]
    Window {
        /// The window that was given.
        window: u32,
    },
    /// The jitter is not a part of one.
    #[error("jitter lies between 0.0 and 1.0, {jitter} does not")]
    Jitter {
        /// The jitter that was given.
        jitter: f64,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// B7.6
    #[test]
    fn reply_timeout_that_is_not_less_than_the_confirmation_timeout_is_refused() {
        let ten = Duration::from_secs(10);
        let policy = RedeliveryPolicy {
            reply_timeout: ten,
            ..RedeliveryPolicy::default()
        };
        let refused = PolicyError::ReplyTimeout {
            reply_timeout: ten,
            confirmation_timeout: ten,
        };
        assert_eq!(policy.check(ChannelKind::RequestReply), Err(refused));
        assert_eq!(policy.check(ChannelKind::Reliable), Ok(()));
    }

    #[test]
    fn exponential_delay_doubles_up_to_its_longest_and_jitter_only_shortens_it() {
        let first = Duration::from_millis(100);
        let longest = Duration::from_millis(350);
        let steady = Delay::Exponential {
            first,
            longest,
            jitter: 0.0,
        };
        let delays: Vec<u128> = (1..=4)
            .map(|n| steady.after(n, u64::MAX).as_millis())
            .collect();
        assert_eq!(delays, [100, 200, 350, 350]);

        let shaky = Delay::Exponential {
            first,
            longest,
            jitter: 0.5,
        };
        assert_eq!(shaky.after(1, 0), first);
        let shortest = shaky.after(1, u64::MAX);
        assert!(
            shortest >= first / 2 && shortest < first * 6 / 10,
            "{shortest:?}"
        );
        assert_eq!(steady.after(u32::MAX, 0), longest);
    }

    #[test]
    fn no_delay_is_too_long_to_be_doubled() {
        for jitter in [0.0, 0.5, 1.0] {
            for first in [Duration::ZERO, Duration::from_secs(1), Duration::MAX] {
                let delay = Delay::Exponential {
                    first,
                    longest: Duration::MAX,
                    jitter,
                };
                for failures in [0, 1, u32::MAX] {
                    for chance in [0, u64::MAX] {
                        assert!(delay.after(failures, chance) <= Duration::MAX);
                    }
                }
            }
        }
    }
}
