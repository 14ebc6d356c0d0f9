//! What a stream holds, for tools that read a journal without running its processors.

pub use refrain_core::{
    Actor, Begun, Cause, ChannelMoved, DeclaredChannel, DeliveryId, Entry, Envelope, Envelopes,
    Events, FormatError, Move, OutcomeCause, RecordedMessage, Step, StepVerdict, Watermark,
};
