//! A failing run made shorter.

use crate::model::Violation;
use crate::plan::Plan;
use crate::world::{Manner, Outcome, run};

/// The fewest acts with which the plan still fails, and how that ends. The later acts are left out
/// first, so what is left happens as it did.
#[must_use]
pub fn shrink(plan: &Plan, manner: Manner) -> (usize, Outcome) {
    let mut count = plan.acts();
    for fewer in (0..count).rev() {
        if violation(plan, fewer, manner).is_some() {
            count = fewer;
        }
    }
    let manner = Manner {
        with_lines: true,
        ..manner
    };
    (count, run(&plan.clone().shortened(count), manner))
}

fn violation(plan: &Plan, count: usize, manner: Manner) -> Option<Violation> {
    run(&plan.clone().shortened(count), manner).violation
}
