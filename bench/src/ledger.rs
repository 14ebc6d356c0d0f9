//! The processor that is measured: a ledger of a fixed number of accounts, so that its state stays
//! bounded and what is measured is Refrain.

use std::marker::PhantomData;

use bytes::Bytes;
use refrain::Never;
use refrain_core::{Encoding, MessageId, Outbox, Processor, Recording};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

/// Accounts of a ledger.
const ACCOUNTS: usize = 1024;

/// Balances of accounts, in cents; `V` says how messages are recorded and answered.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(crate) struct Ledger<V> {
    balances: Vec<u64>,
    variant: PhantomData<V>,
}

/// Puts money into an account.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Deposit {
    pub(crate) account: u32,
    pub(crate) cents: u64,
}

#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) enum LedgerEvent {
    Deposited { account: u32, cents: u64 },
}

/// The balance after a deposit.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(crate) struct Balance {
    pub(crate) cents: u64,
}

/// How a ledger records and answers messages.
pub(crate) trait Variant: Clone + Send + Sync + 'static {
    const RECORDING: Recording;
    type Answer: Serialize + DeserializeOwned + Send + 'static;

    fn answer(balance: Balance) -> Self::Answer;
}

/// Records the identity of a message and answers nothing.
#[derive(Debug, Clone)]
pub(crate) struct Plain;

/// As [`Plain`], but answers with the balance.
#[derive(Debug, Clone)]
pub(crate) struct Answering;

/// As [`Plain`], but records messages as they were received.
#[derive(Debug, Clone)]
pub(crate) struct Recorded;

impl Variant for Plain {
    const RECORDING: Recording = Recording::Identity;
    type Answer = ();

    fn answer(_: Balance) {}
}

impl Variant for Answering {
    const RECORDING: Recording = Recording::Identity;
    type Answer = Balance;

    fn answer(balance: Balance) -> Balance {
        balance
    }
}

impl Variant for Recorded {
    const RECORDING: Recording = Recording::Message;
    type Answer = ();

    fn answer(_: Balance) {}
}

impl<V> Ledger<V> {
    /// All accounts empty.
    pub(crate) fn new() -> Ledger<V> {
        Ledger {
            balances: vec![0; ACCOUNTS],
            variant: PhantomData,
        }
    }

    /// Puts money into an account: all that a message does besides what Refrain does.
    pub(crate) fn deposit(&mut self, deposit: Deposit) {
        let balance = &mut self.balances[deposit.account as usize % ACCOUNTS];
        *balance = balance.wrapping_add(deposit.cents);
    }
}

impl<V: Variant> Processor for Ledger<V> {
    type Message = Deposit;
    type Event = LedgerEvent;
    type Answer = V::Answer;
    type Rejection = Never;

    const RECORDING: Recording = V::RECORDING;

    fn decide(&self, message: &Deposit, out: &mut Outbox<Self>) -> Result<V::Answer, Never> {
        let Deposit { account, cents } = *message;
        let before = self.balances[account as usize % ACCOUNTS];
        out.event(LedgerEvent::Deposited { account, cents });
        let cents = before.wrapping_add(cents);
        Ok(V::answer(Balance { cents }))
    }

    fn apply(&mut self, event: &LedgerEvent) {
        let LedgerEvent::Deposited { account, cents } = *event;
        self.deposit(Deposit { account, cents });
    }
}

/// Deposits and identities, from a fixed seed: every run handles the same.
#[derive(Debug, Clone)]
pub(crate) struct Dice(u64);

impl Dice {
    pub(crate) fn new(seed: u64) -> Dice {
        // The state of an xorshift generator is never zero.
        Dice(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn roll(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn deposit(&mut self) -> Deposit {
        let roll = self.roll();
        Deposit {
            account: (roll >> 32) as u32 % ACCOUNTS as u32,
            cents: roll & 0xffff,
        }
    }

    /// An identity as the runtime draws it.
    pub(crate) fn drawn(&mut self) -> MessageId {
        let bits = (u128::from(self.roll()) << 64) | u128::from(self.roll());
        MessageId::Drawn(bits.to_be_bytes())
    }
}

/// The encoded form of a value.
pub(crate) fn encoded<T: Serialize>(value: &T) -> Bytes {
    let mut bytes = Vec::new();
    Encoding::Cbor
        .encode(value, &mut bytes)
        .expect("plain data has an encoded form");
    Bytes::from(bytes)
}
