//! The domain: orders of jelly beans, paid by credit card.
//!
//! Nothing here knows of journals, channels or HTTP.

use std::fmt;

use serde::{Deserialize, Serialize};

/// The number of an order. Counts from 1 in the order in which orders were stored.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct OrderId(pub u64);

impl OrderId {
    /// The number after this one.
    pub fn next(self) -> OrderId {
        OrderId(self.0 + 1)
    }
}

impl fmt::Display for OrderId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// One order. It does not hold the card number: only the validator needs that, so only the request
/// to the validator carries it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// Its number.
    pub id: OrderId,
    /// What was ordered.
    pub product: String,
    /// How many of it, at least 1.
    pub quantity: u32,
    /// The price of all of it together, in cents.
    pub amount_cents: u64,
    /// What became of it.
    pub status: OrderStatus,
}

/// What became of an order. Changes once, from pending to one of the others.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "status", rename_all = "lowercase")]
pub enum OrderStatus {
    /// The card is still being validated.
    Pending,
    /// The card is good.
    Accepted,
    /// The card is not good.
    Declined {
        /// The validator's words.
        reason: String,
    },
}

/// A credit card number as the customer typed it. `Debug` shows the last four digits only, so that
/// the rest does not end up in a log.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CardNumber(String);

impl CardNumber {
    /// A card number of these characters, which need not be a plausible one.
    pub fn new(typed: impl Into<String>) -> CardNumber {
        CardNumber(typed.into())
    }

    /// Whether this can be a card number at all: 12 to 19 digits, grouped by spaces or hyphens.
    ///
    /// A rule for new orders, not for reading old ones: numbers that were recorded stay readable
    /// when the rule changes.
    pub fn is_plausible(&self) -> bool {
        let digits = self.0.chars().filter(char::is_ascii_digit).count();
        let grouped = |c: char| c.is_ascii_digit() || c == ' ' || c == '-';
        (12..=19).contains(&digits) && self.0.chars().all(grouped)
    }
}

impl fmt::Debug for CardNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let digits: Vec<char> = self.0.chars().filter(char::is_ascii_digit).collect();
        // Four of twelve or more give nothing away; four of five would.
        let shown = if digits.len() >= 12 { 4 } else { 0 };
        let ending: String = digits[digits.len() - shown..].iter().collect();
        write!(f, "CardNumber(****{ending})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn card_number_shows_only_its_last_four_digits() {
        let card = CardNumber::new("1234-5678-1234-5679");
        assert_eq!(format!("{card:?}"), "CardNumber(****5679)");
        assert_eq!(
            format!("{:?}", CardNumber::new("12345")),
            "CardNumber(****)"
        );
    }

    #[test]
    fn card_number_has_12_to_19_digits_and_nothing_but_spaces_and_hyphens_between() {
        for plausible in [
            "1234-5678-1234-5678",
            "123456789012",
            "1234 5678 1234 5678 123",
        ] {
            assert!(CardNumber::new(plausible).is_plausible(), "{plausible}");
        }
        for not in [
            "",
            "1234",
            "12345678901",
            "1234-5678-1234-567x",
            "12345678901234567890",
        ] {
            assert!(!CardNumber::new(not).is_plausible(), "{not}");
        }
    }

    #[test]
    fn status_reads_in_json_as_the_documentation_shows_it() {
        let declined = OrderStatus::Declined {
            reason: "limit exceeded".to_owned(),
        };
        assert_eq!(
            serde_json::to_string(&declined).unwrap(),
            r#"{"status":"declined","reason":"limit exceeded"}"#
        );
        assert_eq!(
            serde_json::to_string(&OrderStatus::Pending).unwrap(),
            r#"{"status":"pending"}"#
        );
    }
}
