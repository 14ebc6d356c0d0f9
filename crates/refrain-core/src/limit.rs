//! Every bound of the engine, with the relations between them checked at compile time.

/// Bytes of a name.
pub const NAME_BYTES_MAX: usize = 128;

/// Bytes of an id that a message from outside brings along.
pub const MESSAGE_ID_BYTES_MAX: usize = 256;

/// Bytes of one entry. A journal may set less, never more.
pub const ENTRY_BYTES_MAX: usize = 8 * 1024 * 1024;

/// Entries in one append.
pub const BATCH_ENTRIES_MAX: usize = 4096;

/// Bytes in one append, beyond which a batch takes no further entry.
pub const BATCH_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Bytes that a journal may need for an entry besides its own.
pub const STORED_BYTES_MAX: usize = 64;

/// Channels of one processor.
pub const CHANNELS_MAX: usize = 256;

/// Envelopes of one step.
pub const ENVELOPES_PER_STEP_MAX: usize = 4096;

/// Envelopes that a channel keeps in memory. Those behind them wait in the journal alone.
pub const CHANNEL_LOADED_MAX: usize = 1024;

/// Bytes of envelopes that a channel keeps in memory.
pub const CHANNEL_LOADED_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Deliveries of one channel under way at once.
pub const WINDOW_MAX: u32 = 512;

/// Timers of one processor that are not yet due.
pub const TIMERS_MAX: usize = 65_536;

/// Ids of messages from outside that are remembered, unless the processor says otherwise.
pub const REMEMBERED_DEFAULT: usize = 100_000;

/// Sources with sequence numbers that are remembered, one number each.
pub const SOURCES_MAX: usize = 65_536;

/// Deliveries of one channel of another processor whose answers can be told again. Which ones were
/// handled is remembered without such a limit, until that channel has settled them.
pub const DELIVERED_ANSWERS_MAX: usize = 2 * WINDOW_MAX as usize;

/// Times that a message from a durable source may panic before it is parked.
pub const PANICS_MAX: u32 = 3;

/// Bytes of an error text that is recorded.
pub const ERROR_TEXT_BYTES_MAX: usize = 1024;

const _: () = assert!(BATCH_BYTES_MAX <= ENTRY_BYTES_MAX);
const _: () = assert!(ENTRY_BYTES_MAX <= u32::MAX as usize);
const _: () = assert!((WINDOW_MAX as usize) < CHANNEL_LOADED_MAX);
const _: () = assert!(CHANNELS_MAX <= u16::MAX as usize);
