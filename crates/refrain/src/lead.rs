//! Where channels lead: checked against the processor, and found once all processors are known.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use refrain_core::port::destination::Destination;
use refrain_core::{ChannelKind, ChannelOptions, Name, Processor};

use crate::driver::{Outlet, Target};
use crate::error::BuildError;
use crate::runtime::Registry;

/// Where a channel leads.
pub(crate) struct Lead {
    pub(crate) channel: &'static str,
    /// The name of the destination, if it is not the channel's own.
    pub(crate) alternative: Option<String>,
    pub(crate) end: End,
    pub(crate) options: Option<ChannelOptions>,
}

pub(crate) enum End {
    Outside(Arc<dyn Destination>),
    Processor(String, fn(&Registry, &str) -> Option<Target>),
}

impl Lead {
    fn is_main(&self) -> bool {
        self.alternative.is_none()
    }
}

/// Checks that channels and destinations match, and gives each channel's options.
pub(crate) fn check_channels<P: Processor>(
    processor: &Name,
    leads: &[Lead],
) -> Result<Vec<(&'static str, ChannelOptions)>, BuildError> {
    for lead in leads {
        if !P::CHANNELS.iter().any(|route| route.name() == lead.channel) {
            let (processor, channel) = (processor.clone(), lead.channel);
            return Err(BuildError::UnknownChannel { processor, channel });
        }
    }
    let mut channels: BTreeMap<&'static str, ChannelOptions> = BTreeMap::new();
    for route in P::CHANNELS {
        let channel = route.name();
        Name::new(channel).map_err(|cause| BuildError::Name {
            text: channel.to_owned(),
            cause,
        })?;
        let options = match route.kind() {
            ChannelKind::Timer => ChannelOptions::default(),
            ChannelKind::Default | ChannelKind::Reliable | ChannelKind::RequestReply => {
                let main = leads
                    .iter()
                    .find(|lead| lead.channel == channel && lead.is_main());
                let Some(options) = main.and_then(|lead| lead.options.clone()) else {
                    let processor = processor.clone();
                    return Err(BuildError::NoDestination { processor, channel });
                };
                options
            }
        };
        options
            .check(route.kind())
            .map_err(|cause| BuildError::Policy {
                processor: processor.clone(),
                channel,
                cause,
            })?;
        if channels.insert(channel, options).is_some() {
            let processor = processor.clone();
            return Err(BuildError::DuplicateChannel { processor, channel });
        }
    }
    Ok(channels.into_iter().collect())
}

/// The destinations of every channel, now that all processors are known.
pub(crate) fn outlets(
    processor: &Name,
    leads: Vec<Lead>,
    registry: &Registry,
) -> Result<HashMap<&'static str, Outlet>, BuildError> {
    let mut mains: HashMap<&'static str, Target> = HashMap::new();
    let mut others: HashMap<&'static str, HashMap<Name, Target>> = HashMap::new();
    for lead in leads {
        let target = resolve(processor, &lead, registry)?;
        let text = lead.alternative.as_deref().unwrap_or(lead.channel);
        let name = Name::new(text).map_err(|cause| BuildError::Name {
            text: text.to_owned(),
            cause,
        })?;
        let is_main_again = name.as_str() == lead.channel && !lead.is_main();
        let before = match lead.is_main() {
            true => mains.insert(lead.channel, target),
            false => others.entry(lead.channel).or_default().insert(name, target),
        };
        if before.is_some() || is_main_again {
            return Err(BuildError::DuplicateDestination {
                processor: processor.clone(),
                channel: lead.channel,
                destination: text.to_owned(),
            });
        }
    }
    let outlet = |(channel, main)| {
        let others = others.remove(channel).unwrap_or_default();
        (channel, Outlet::new(main, others))
    };
    Ok(mains.into_iter().map(outlet).collect())
}

fn resolve(processor: &Name, lead: &Lead, registry: &Registry) -> Result<Target, BuildError> {
    match &lead.end {
        End::Outside(destination) => Ok(Target {
            destination: destination.clone(),
            stage: None,
        }),
        End::Processor(target, find) => {
            find(registry, target).ok_or_else(|| match Name::new(target) {
                Ok(target) => BuildError::UnknownProcessor {
                    processor: processor.clone(),
                    channel: lead.channel,
                    target,
                },
                Err(cause) => BuildError::Name {
                    text: target.clone(),
                    cause,
                },
            })
        }
    }
}
